"""Explanations and thumbnails: what is shown of whom, and from which frame it was taken."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import clip_time_s
from emoscope.core.frame_result import FrameResult
from emoscope.core.timecode import Every
from emoscope.core.types import Faces, Frame, Image
from emoscope.faces.preprocess import to_grey
from emoscope.faces.recognize import Recognizer
from emoscope.media.find import find_sources
from emoscope.media.video import load_frames
from emoscope.outputs import explain as explaining
from emoscope.outputs.explain import N_PLACES, explain, explain_faces
from emoscope.outputs.explain_choice import Moment, choose_moments
from emoscope.outputs.thumbnails import ThumbnailKeeper
from emoscope.pipeline.analyzer import Analyzer
from emoscope.tables.moments import Moment as JointChange
from emoscope.tables.summarize import compute_summary
from made_tables import create_observations
from recordings import make_facts


@pytest.mark.parametrize("n_views", [1, 2])
def test_a_smile_is_in_the_mouth(portrait: Image, n_views: int) -> None:
    recognizer = Recognizer(views=n_views)
    face = np.ascontiguousarray(portrait[60:210, 150:300])
    maps = explain_faces(recognizer, [face, to_grey(face)])
    assert maps.shape == (2, N_PLACES, N_PLACES) and np.isfinite(maps).all()
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)
    # From the upper lip on: what is covered at a place is wider than its distance from the next.
    mouth = maps[0, 4:9, 2:7]
    corners = [maps[0, y, x] for y in (0, -1) for x in (0, -1)]
    assert mouth.max() == maps[0].max() and mouth.max() > 3 * max(corners) and mouth.max() > 0.2


class Corner:
    """Stands for a network that sees happiness in the brightness of the upper left quarter alone."""

    def __init__(self, channels: int, kernel: str) -> None:
        from emoscope.faces.spec import ModelSpec

        self.spec = ModelSpec("corner", channels=channels, kernel=kernel)

    def predict(self, faces: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
        from emoscope.faces.preprocess import preprocess

        batch = preprocess(faces, self.spec)
        assert batch.shape[1:] == (self.spec.channels, 48, 48)
        happy = 0.1 + 0.5 * (batch[:, 0, :24, :24].mean(axis=(1, 2)) * self.spec.std + self.spec.mean)
        return np.stack([happy if i == 3 else (1 - happy) / 6 for i in range(7)], axis=1)


@pytest.mark.parametrize(("channels", "kernel"), [(1, "auto"), (3, "lanczos3")])
def test_the_map_lies_where_the_network_looks(channels: int, kernel: str) -> None:
    face = np.full((100, 100), 40, np.uint8)
    face[:50, :50] = 220
    [heat] = explain_faces(Corner(channels, kernel), [face], [3])  # type: ignore[arg-type]
    assert np.unravel_index(heat.argmax(), heat.shape) in [(y, x) for y in (1, 2, 3) for x in (1, 2, 3)]
    assert np.abs(heat[6:]).max() < 1e-6 and np.abs(heat[:, 6:]).max() < 1e-6
    # Little to see stays dark: no stretching of noise.
    crop = np.full((50, 50, 3), 128, np.uint8)
    moment = Moment("s", 0, 0.0, 1, (0, 0, 50, 50), 3, 0.5, False)
    calm = explaining.draw_explanation(crop, heat * 1e-3, moment)[:192]
    marked = explaining.draw_explanation(crop, heat * 10, moment)[:192]
    assert np.ptp(calm.astype(int), axis=2).max() < 10 < 100 < np.ptp(marked.astype(int), axis=2).max()


def create_result(index: int, time_s: float, rows: dict[int, tuple[int, float]], source: str = "s") -> FrameResult:
    """A frame of people: track_id to emotion and its probability."""
    p = np.array([[v if i == e else (1 - v) / 6 for i in range(7)] for e, v in rows.values()]).reshape(-1, 7)
    boxes = np.array([[10 * k, 5, 10 * k + 8, 15] for k in rows], np.float32).reshape(-1, 4)
    faces = Faces(boxes, np.ones(len(rows), np.float32), np.array(list(rows), np.int64), p)
    return FrameResult(index, time_s, source, (640, 360), faces, uncertain_below=0.5)


def test_choice_of_moments(tmp_path: Path) -> None:
    results = [
        create_result(0, 0.0, {1: (6, 0.99), 2: (3, 0.6)}),
        create_result(1, 1.0, {1: (4, 0.7), 2: (3, 0.8)}),
        create_result(2, 2.0, {}),
        create_result(3, 3.0, {1: (4, 0.6), 2: (5, 0.45), 3: (6, 0.9)}),
        create_result(4, 3.5, {1: (5, 0.75), 2: (5, 0.55)}),
    ]
    table = create_observations(results, tmp_path / "observations.parquet")
    moment = JointChange(3.0, 0.5, {}, {}, rose="surprise", fell="neutral", people=2)
    found = [(m.frame, m.track_id, m.emotion) for m in choose_moments(table, [moment])]
    # Person 1's best is the moment's face too; person 3 was never anything but neutral.
    assert found == [(1, 2, 3), (4, 1, 5)]
    moments = [replace(moment, track_id=2)]
    found = [(m.frame, m.track_id) for m in choose_moments(table, moments)]
    assert found == [(1, 2), (4, 1), (4, 2)]
    assert len(choose_moments(table, moments, n=2)) == 2
    bare = table.to_pandas()
    bare[["x1", "y1", "x2", "y2"]] = np.nan
    assert choose_moments(type(table).from_pandas(bare), moments) == []


def test_frames_are_found_again(clip: Path) -> None:
    [source] = find_sources([clip])
    frames = {f.index: f for f in source}
    wanted = [0, 3, 12, 25, 29]
    again = dict(load_frames(clip, [(i, frames[i].time_s) for i in wanted]))
    assert list(again) == list(range(len(wanted)))
    for position, index in enumerate(wanted):
        assert np.array_equal(again[position], frames[index].image)
    # A time that the file does not have is left out; the next is found all the same.
    times = [(1, 0.05), (25, clip_time_s(25))]
    assert [i for i, _ in load_frames(clip, times)] == [1]


def test_explanations_show_the_faces_of_the_table(clip: Path, portrait: Image, tmp_path: Path) -> None:
    analyzer = Analyzer("own")
    [source] = find_sources([clip], Every(5))
    table = create_observations((r for _, r in analyzer.analyze_frames(source)), tmp_path / "observations.parquet")
    files = explain(table, compute_summary(table, make_facts("video")), analyzer.recognizer, tmp_path)
    rows = table.to_pandas().dropna(subset="emotion")
    best = rows[rows["emotion"] != "neutral"].sort_values("probability").iloc[-1]
    name = f"explanations/p{best['track_id']:04d}-{best['time_s']:010.3f}s.jpg"
    assert tmp_path / name in files
    assert all(cv2.imread(str(f)).shape[1] == 192 for f in files)
    assert explain(table, compute_summary(table, make_facts("live")), analyzer.recognizer, tmp_path) == []
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), portrait)
    result = Analyzer("own", max_side_px=512).analyze(Frame(portrait, source=str(picture)))
    table = create_observations([result], tmp_path / "pictures.parquet")
    [file] = explain(table, compute_summary(table, make_facts("pictures")), analyzer.recognizer, tmp_path / "pictures")
    assert file.name.endswith("-000000.000s.jpg")
    picture.unlink()
    assert explain(table, compute_summary(table, make_facts("pictures")), analyzer.recognizer, tmp_path / "gone") == []


def test_thumbnails_are_spread_over_each_persons_time(portrait: Image, tmp_path: Path) -> None:
    keeper = ThumbnailKeeper(blur=False, max_per_person=10, max_people=3)
    for i in range(3000):
        # Person 1 always; person 2 late; from 100 on someone new every five seconds.
        rows = {1: (3, 0.9), **({2: (3, 0.9)} if i > 2000 else {}), 100 + i // 50: (3, 0.9)}
        keeper.add(Frame(portrait, i, 0.1 * i), create_result(i, 0.1 * i, rows))
    assert len(keeper.people) <= 6
    files = keeper.save(tmp_path)
    assert files == sorted(tmp_path.glob("thumbnails/*.jpg")) and files[0].name == "p0001-000000.000s.jpg"
    assert len({f.name[:5] for f in files}) == 3
    times = np.array([float(f.name[6:-5]) for f in files if f.name.startswith("p0001")])
    assert 5 <= len(times) <= 10 and times[-1] > 250
    assert np.ptp(np.diff(times)) < 0.21
    assert sum(f.name.startswith("p0002") for f in files) >= 5
    assert cv2.imread(str(files[0])).shape == (96, 96, 3)


def test_blurred_thumbnails_keep_no_features(portrait: Image, tmp_path: Path) -> None:
    faces = Faces(np.array([[160, 70, 290, 210]], np.float32), np.ones(1, np.float32), np.array([1]), np.eye(7)[:1])
    pictures = []
    for blur in (False, True):
        keeper = ThumbnailKeeper(blur)
        keeper.add(Frame(portrait), FrameResult(0, 0.0, "", (512, 512), faces))
        [file] = keeper.save(tmp_path / str(blur))
        pictures.append(cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2GRAY).astype(float))
    detail = [np.abs(cv2.Laplacian(p, cv2.CV_64F)).mean() for p in pictures]
    assert detail[1] < detail[0] / 4
    # Light and dark stay where they were: it is still a face.
    assert np.corrcoef(*(cv2.resize(p, (6, 6), interpolation=cv2.INTER_AREA).ravel() for p in pictures))[0, 1] > 0.8
