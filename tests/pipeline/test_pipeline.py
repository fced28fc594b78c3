"""Stages that run ahead of each other give what they give one after the other, in order, with bounded memory."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscope.core.types import Faces, Frame, Image
from emoscope.faces.detect import FULL_LOOK_S, VideoDetector, create_detector
from emoscope.media.find import find_sources
from emoscope.outputs.annotate import annotate
from emoscope.pipeline import prefetch as ahead
from emoscope.pipeline.analyzer import Analyzer
from emoscope.pipeline.prefetch import Ahead
from made_tables import create_observations


def test_overlapping_stages_read_what_single_frames_give(clip: Path) -> None:
    [one], [other] = find_sources([clip]), find_sources([clip])
    single = Analyzer(detector="own", smooth=0.5)
    expected = [single.analyze(frame) for frame in one]
    together = Analyzer(detector="own", smooth=0.5)
    found = [result for _, result in together.analyze_frames(other)]
    assert [r.index for r in found] == [r.index for r in expected] == list(range(30))
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a.faces.xyxy, b.faces.xyxy) and np.array_equal(a.faces.track_id, b.faces.track_id)
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)
        np.testing.assert_allclose(a.faces.smoothed, b.faces.smoothed, atol=1e-5)
    assert (one.frames_read, one.duration_s) == (other.frames_read, other.duration_s)


@given(st.lists(st.integers()), st.integers(1, 5), st.booleans())
def test_running_ahead_keeps_order_and_passes_errors_on(items: list[int], n: int, fails: bool) -> None:
    def work() -> Iterator[int]:
        yield from items
        if fails:
            raise ValueError("bad")

    taken: list[int] = []
    with Ahead(work()) as running:
        try:
            while batch := running.take(n):
                assert len(batch) <= n
                taken += batch
            assert not fails
        except ValueError:
            assert fails
    assert taken == items


def test_running_ahead_waits_for_the_reader_and_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MAX_BYTES", 100)
    made, ended = [], threading.Event()

    def work() -> Iterator[int]:
        try:
            for i in range(1000):
                made.append(i)
                yield i
        finally:
            ended.set()

    with Ahead(work(), lambda item: 40) as running:
        assert running.take(1) == [0]
        deadline = time.monotonic() + 5
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        # Two of 40 bytes wait and one more was made; a single item larger than the limit would pass alone.
        assert len(made) == 4
    assert ended.wait(5) and len(made) <= 5


def test_of_items_that_wait_alone_the_next_is_not_made_before_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MAX_BYTES", 100)
    made: list[int] = []

    def work() -> Iterator[int]:
        for i in range(5):
            made.append(i)
            yield i

    with Ahead(work(), lambda item: 101) as running:
        for n in range(1, 4):
            time.sleep(0.1)
            assert len(made) == n, "one waits, and no other is made"
            assert running.take(8) == [n - 1]
        assert [*running] == [3, 4]


@pytest.mark.parametrize("max_bytes", [1, 400_000, 18 << 20])
def test_several_readers_give_results_in_order_however_few_frames_fit(
    max_bytes: int, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("prefetch", "analyzer"):
        monkeypatch.setattr(f"emoscope.pipeline.{module}.MAX_BYTES", max_bytes)
    [source] = find_sources([clip])
    analyzer = Analyzer(detector="own")
    analyzer.n_readers, seen, read = 3, set[int](), analyzer._read

    def note(looks: list[tuple[Frame, Faces]]) -> list[tuple[Frame, Faces]]:
        seen.add(threading.get_ident())
        time.sleep(0.02 if looks[0][0].index % 16 == 0 else 0)
        return read(looks)

    monkeypatch.setattr(analyzer, "_read", note)
    assert [result.index for _, result in analyzer.analyze_frames(source)] == list(range(30))
    assert threading.get_ident() not in seen


class FakeDetector:
    """Counts looks by their reduction; sees faces of at least `visible_px` in its picture."""

    name, max_side_px, turns_deg = "fake", 640, (90, 180)

    def __init__(self, side_px: float) -> None:
        self.side_px, self.looks = side_px, list[int]()

    def detect(self, image: Image, reduce: int = 1) -> Faces:
        self.looks.append(reduce)
        if self.side_px / reduce < 40:
            return Faces()
        return Faces(np.array([[0, 0, self.side_px, self.side_px]], np.float32), np.ones(1, np.float32))


def test_video_is_searched_in_full_now_and_then_and_whenever_somebody_is_missing() -> None:
    image = np.zeros((360, 640, 3), np.uint8)
    fake = FakeDetector(240)
    detector = VideoDetector(fake)
    nobody = np.empty((0, 4), np.float32)
    expected = np.array([[0, 0, 240, 240]], np.float32)
    detector.detect(image, 0.0, nobody)
    for i in range(1, 51):
        assert len(detector.detect(image, i / 25, expected)) == 1
    assert FULL_LOOK_S == 1 and fake.looks.count(1) == 3 and set(fake.looks) == {1, 4}
    fake.looks.clear()
    fake.side_px = 100  # Too small for the cheap look: a full one follows in the same frame.
    assert len(detector.detect(image, 2.04, expected)) == 1 and fake.looks == [4, 1]
    fake.looks.clear()
    small = np.array([[0, 0, 70, 70], [200, 0, 500, 300]], np.float32)
    detector.detect(image, 2.08, small)
    assert fake.looks == [1], "the smallest expected face decides"


def test_cheap_looks_find_the_face_where_full_ones_do(portrait: Image) -> None:
    assert compare_looks("own", portrait) > 0.6


def test_yunets_cheap_looks_find_it_nearer_still(portrait: Image, yunet: None) -> None:
    assert compare_looks("yunet", portrait) > 0.85


def compare_looks(name: str, image: Image) -> float:
    """The part of the larger of a full and a cheap look's boxes that both share."""
    detector = create_detector(name).detector
    full, cheap = (detector.detect(image, reduce).xyxy[0] for reduce in (1, 2))
    width, height = np.minimum(full[2:], cheap[2:]) - np.maximum(full[:2], cheap[:2])
    return float(max(width, 0) * max(height, 0) / max((box[2:] - box[:2]).prod() for box in (full, cheap)))


def test_five_hundred_faces_in_one_frame(portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every face gets its own row, number and reading, and they keep their numbers in the next frame."""
    rows, columns = np.divmod(np.arange(500), 25)
    xyxy = np.stack([columns, rows, columns + 0.9, rows + 0.9], axis=1).astype(np.float32) * 40
    faces = Faces(xyxy, np.full(500, 0.9, np.float32))
    crowd = np.tile(np.asarray(cv2.resize(portrait[20:220, 120:320], (40, 40)), np.uint8), (20, 25, 1))
    analyzer = Analyzer(detector="own")
    monkeypatch.setattr(analyzer.detector, "detect", lambda *arguments: faces)
    results = [analyzer.analyze(Frame(crowd, i, i / 25, "crowd.mp4")) for i in range(2)]
    for result in results:
        assert result.faces.track_id is not None and result.faces.track_id.tolist() == list(range(1, 501))
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
    assert len(create_observations(results, tmp_path / "o.parquet").to_pandas()) == 1000
    assert annotate(crowd, results[0], blur_faces=True).shape == crowd.shape


class SidewaysDetector(FakeDetector):
    """Sees a face only in pictures that are higher than wide."""

    def detect(self, image: Image, reduce: int = 1) -> Faces:
        return super().detect(image, reduce) if image.shape[0] > image.shape[1] else self._miss(reduce)

    def _miss(self, reduce: int) -> Faces:
        self.looks.append(-reduce)
        return Faces()


def test_video_on_its_side_is_searched_on_its_side_and_an_empty_one_only_now_and_then() -> None:
    lying, nobody = np.zeros((360, 640, 3), np.uint8), np.empty((0, 4), np.float32)
    fake = SidewaysDetector(240)
    detector = VideoDetector(fake)
    faces = detector.detect(lying, 0.0, nobody)
    # Upper left in the turned picture: upper right in this one, where up is to the right.
    assert faces.xyxy.round().tolist() == [[400, 0, 640, 240]] and fake.looks == [-1, 1]
    assert len(detector.detect(lying, 0.04, faces.xyxy)) == 1 and fake.looks == [-1, 1, 4]
    fake.looks.clear()
    blind = SidewaysDetector(9)
    detector = VideoDetector(blind)
    for i in range(25):
        assert len(detector.detect(lying, i / 25, nobody)) == 0
    assert sum(look < 0 for look in blind.looks) == 26 and len(blind.looks) == 27
