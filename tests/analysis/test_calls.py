"""The two calls of the library: what they take, keep and refuse."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

import emoscope as product
from emoscope.analysis import calls
from emoscope.analysis.one import Progress
from emoscope.core.types import Image
from emoscope.tables.events import Event


@pytest.fixture
def portrait_file(portrait: Image, tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "portrait.png"), portrait)
    return tmp_path / "portrait.png"


def test_a_picture_given_in_any_way(portrait: Image, portrait_file: Path) -> None:
    expected = product.analyze_image(portrait, detector="own").to_dict()
    pillow, content = PIL.Image.open(portrait_file), portrait_file.read_bytes()
    given = str(portrait_file), portrait_file, pillow, content, io.BytesIO(content)
    results = product.analyze_image(given, detector="own")
    assert [result.source for result in results] == [str(portrait_file)] * 2 + [""] * 3
    assert all({**result.to_dict(), "source": ""} == expected for result in results)
    analyzer = product.Analyzer("own", max_side_px=1280)
    # Each stands alone: somebody seen in one picture is no acquaintance in the next.
    assert [analyzer.analyze(picture).to_dict() for picture in (portrait, pillow)] == [expected] * 2
    assert product.analyze_image([], detector="own") == []


def test_what_pictures_cannot_give_is_said(portrait: Image, tmp_path: Path) -> None:
    # A name that leaves no room for the number before it.
    cv2.imwrite(str(tmp_path / f"{'a' * 250}.png"), portrait)
    events = [Event("smile", 0, 1)]
    asked = {"formats": ("jsonl", "eaf"), "events": events, "annotate": True, "detector": "own"}
    analysis = product.analyze_video(tmp_path / f"{'a' * 250}.png", **asked)
    assert str(analysis.summary.message).endswith(
        "pictures have no time, so nothing was written of observations.eaf, a comparison of the events"
    )
    assert analysis.summary.status == "complete" and (analysis.folder / "observations.jsonl").exists()
    assert [path.name for path in (analysis.folder / "annotated").iterdir()] == [f"00000-{'a' * 60}.jpg"]


def test_models_are_kept(portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    create = calls.create_analyzer
    monkeypatch.setattr(calls, "create_analyzer", lambda *a, **k: made.append(a) or create(*a, **k))
    calls._keep_analyzer.cache_clear()
    barrier = threading.Barrier(4)

    def read(turn: int) -> dict[str, object]:
        barrier.wait()
        return product.analyze_image(portrait if turn % 2 else portrait[:, ::-1], detector="own").to_dict()

    alone = product.analyze_image(portrait, detector="own").to_dict()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(8)))
    assert found[1::2] == [alone] * 4 and found[::2] == [found[0]] * 4 != found[1::2]
    assert len(made) == 1
    product.analyze_image(portrait, detector="own", views=2)
    assert len(made) == 2
    # A model that is exported anew is loaded anew.
    model = tmp_path / "m.onnx"
    for _ in range(2):
        model.write_bytes(product.Recognizer().path.read_bytes())
        product.analyze_image(portrait, detector="own", model=model)
    assert len(made) == 4


def test_progress_and_what_was_read_before(clip: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    analysis = product.analyze_video(clip, every=5, detector="own", on_progress=seen.append)
    assert len(seen) == 6 and seen[-1].frames >= 26 and seen[-1].share == 1
    folder = analysis.save(tmp_path / "saved")
    (folder / "notes.txt").write_text("mine")
    clone = product.load_analysis(folder)
    assert clone.observations.equals(analysis.observations)
    again = product.Analysis.load(clone.save(tmp_path / "again"))
    assert again.summary == clone.summary
    assert {p.name for p in again.folder.iterdir()} == {p.name for p in folder.iterdir()} - {"notes.txt"}
    assert repr(clone).startswith(f"Analysis('{clip}': 6 frames, 1 person, a face in 83%")
    assert clone._repr_html_().count("<tr>") == 2
    with pytest.raises(product.InputError, match="is no result folder"):
        product.load_analysis(tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every": 0}, "is no step"),
        ({"start": "1:99"}, "is no time"),
        ({"end": 1, "start": 2.5}, "is not after the start"),
        ({"baseline": "12"}, "baseline"),
        ({"events": "none.csv"}, "none.csv"),
        ({"formats": ["eaf", "srt"]}, "srt"),
        ({"blur_faces": True}, "no picture in which faces could be blurred"),
        ({"detector": "dlib"}, "dlib"),
        ({"views": 3}, "3"),
        ({"smooth": -1}, "smooth"),
    ],
)
def test_impossible_options(options: dict[str, object], sentence: str, clip: Path) -> None:
    with pytest.raises(product.InputError, match=sentence):
        product.analyze_video(clip, **options)  # type: ignore[arg-type]


def test_texts_and_numbers_alike(clip: Path) -> None:
    said = [
        product.analyze_video(clip, detector="own", report=False, **options).observations["time_s"].tolist()  # type: ignore[arg-type]
        for options in ({"every": 2, "start": 0.4, "end": 1}, {"every": "2", "start": "0.4", "end": "0:01"})
    ]
    assert said[0] == said[1] and len(said[0]) > 3


def test_one_crop_is_one_face(portrait: Image) -> None:
    recognizer = product.Recognizer()
    crop = np.ascontiguousarray(portrait[40:220, 150:290])
    expected = recognizer.predict([crop])
    png = cv2.imencode(".png", crop)[1].tobytes()
    pillow = PIL.Image.fromarray(np.ascontiguousarray(crop[:, :, ::-1]))
    for given in (crop, pillow, png, io.BytesIO(png), [png], (pillow,), crop[None], crop.astype(np.uint16) * 257):
        assert np.array_equal(recognizer.predict(given), expected)
    grey = np.ascontiguousarray(crop[:, :, 1])
    for given in (grey, grey[:, :, None], grey[None], [grey], PIL.Image.fromarray(grey)):
        assert np.array_equal(recognizer.predict(given), recognizer.predict([grey]))
    assert recognizer.predict(np.stack([grey, grey])).shape == (2, 7)
    with pytest.raises(product.InputError, match="put it into a list"):
        recognizer.compute_logits(crop)
    with pytest.raises(product.InputError, match=r"face 1: the image is float32"):
        recognizer.predict([crop, crop.astype(np.float32)])
    assert repr(recognizer).startswith(f"Recognizer('{recognizer.spec.name}'")
