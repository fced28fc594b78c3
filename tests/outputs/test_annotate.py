"""Annotated pictures: what is drawn, that nothing can break it, and that hidden faces are hidden."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscope.core.emotions import EMOTIONS
from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Faces, Image
from emoscope.outputs.annotate import annotate, draw_result
from emoscope.outputs.blur import FaceHider, blur_in_place
from emoscope.outputs.ink import find_bgr, find_drawable


def create_result(
    image: Image,
    boxes: Sequence[Sequence[float]],
    emotions: Sequence[int] = (),
    smoothed: Sequence[int] | None = None,
    certainty: float = 0.9,
) -> FrameResult:
    n = len(boxes)
    rest = (1 - certainty) / 6

    def create_probabilities(classes: Sequence[int]) -> np.ndarray:
        return np.array([[certainty if i == c else rest for i in range(7)] for c in classes]).reshape(-1, 7)

    faces = Faces(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(n, np.float32),
        np.arange(1, n + 1),
        create_probabilities(emotions or [3] * n),
        None if smoothed is None else create_probabilities(smoothed),
    )
    return FrameResult(0, 0.0, "", (image.shape[1], image.shape[0]), faces, 0.5)


def count(image: Image, emotion: int) -> int:
    """Count the pixels of an emotion's colour."""
    return int((image == np.array(find_bgr(EMOTIONS)[emotion], np.uint8)).all(axis=2).sum())


anything = st.floats(width=32) | st.floats(-100, 400, width=32)


@settings(max_examples=60)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    boxes=st.lists(st.tuples(anything, anything, anything, anything), max_size=5),
    blur=st.booleans(),
)
def test_no_box_breaks_it(height: int, width: int, boxes: list[tuple[float, ...]], blur: bool) -> None:
    image = np.full((height, width, 3), 77, np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        out = annotate(image, create_result(image, boxes), blur_faces=blur)
    assert out.shape == image.shape and out.dtype == np.uint8 and (image == 77).all()


@pytest.mark.parametrize("size_wh", [(320, 240), (1280, 720), (3840, 2160)])
def test_bars_stand_beside_a_face_that_has_room(size_wh: tuple[int, int]) -> None:
    w, h = size_wh
    image = np.full((h, w, 3), 128, np.uint8)
    box = [0.1 * w, 0.25 * h, 0.1 * w + 0.45 * h, 0.75 * h]
    sure = annotate(image, create_result(image, [box], [4]))[:, round(box[2] + 0.03 * h) :]
    assert count(sure, 4) > 15 * count(sure, 3) > 0, "bars are as long as the probabilities"
    # They follow the smoothed values where there are any.
    calm = annotate(image, create_result(image, [box], [4], smoothed=[6]))[:, round(box[2] + 0.03 * h) :]
    assert count(calm, 6) > 15 * count(calm, 4) > 0
    columns = np.flatnonzero((sure != 128).any(axis=(0, 2)))
    assert 0.1 * h < len(columns) < 0.65 * h, "the panel has the size of the face"


def test_bars_stay_on_their_side_in_a_video() -> None:
    sides: dict[int, int] = {}
    left_of_face = []
    # To the right there is room, then none, then room again.
    for x in (300, 480, 300):
        image = np.full((360, 640, 3), 128, np.uint8)
        draw_result(image, create_result(image, [[x, 120, x + 100, 240]], [4]), sides)
        left_of_face.append(count(image[:, : x - 10], 4) > 0)
    assert left_of_face == [False, True, True]


def test_small_faces_and_crowds_have_labels_alone() -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    out = annotate(image, create_result(image, [[100, 100, 130, 130]], [4]))
    assert count(out, 3) == 0 < count(out, 4)
    crowd = [[x, y, x + 60, y + 60] for x in range(0, 640, 64) for y in range(0, 480, 64)]
    image = np.full((480, 640, 3), 128, np.uint8)
    out = annotate(image, create_result(image, crowd, [4] * len(crowd)))
    assert count(out, 3) == 0 < count(out, 4)


def test_doubt_and_number_are_written() -> None:
    image = np.full((400, 400, 3), 128, np.uint8)
    box = [50, 100, 150, 200]
    labels = [annotate(image, create_result(image, [box], [4], certainty=c))[:96, :] for c in (0.51, 0.49)]
    width = [np.flatnonzero((label != 128).any(axis=(0, 2)))[-1] for label in labels]
    assert width[1] > width[0] + 3, "the question mark makes the label longer"
    faces = Faces(np.array([box], np.float32), np.ones(1, np.float32))
    bare = annotate(image, FrameResult(0, 0.0, "", (400, 400), faces))
    assert (bare != 128).any() and sum(count(bare, i) for i in range(len(EMOTIONS))) == 0


def test_hidden_faces_cannot_be_recognised(portrait: Image) -> None:
    box = np.array([[160, 70, 290, 210]], np.float32)
    out = portrait.copy()
    blur_in_place(out, box)
    face, hidden = (
        cv2.Laplacian(cv2.cvtColor(i[70:210, 160:290], cv2.COLOR_BGR2GRAY), cv2.CV_64F) for i in (portrait, out)
    )
    assert np.abs(hidden).mean() < np.abs(face).mean() / 10
    # Twelve values across the face cannot be told from the original: fewer are left.
    reduced = [cv2.resize(i[70:210, 160:290], (24, 24), interpolation=cv2.INTER_AREA) for i in (portrait, out)]
    assert np.abs(reduced[0].astype(int) - reduced[1]).mean() > 12
    # Hair above and chin below are hidden, the rest of the picture is not touched.
    changed = (out != portrait).any(axis=2)
    assert changed[40:60, 200:250].mean() > 0.9 and changed[212:225, 210:240].mean() > 0.9
    assert not changed[:, :90].any() and not changed[320:].any()


def test_a_face_that_is_missed_stays_hidden() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    hider = FaceHider(hold_s=0.5)

    def update(time_s: float, boxes: dict[int, list[float]], source: str = "a") -> list[list[float]]:
        faces = create_result(image, list(boxes.values())).faces.replace(track_id=np.array(list(boxes), np.int64))
        return hider.update(FrameResult(0, time_s, source, (100, 100), faces)).tolist()

    assert update(0.0, {1: [10, 10, 20, 20], 2: [50, 50, 60, 60]}) == [[10, 10, 20, 20], [50, 50, 60, 60]]
    for time_s in (0.1, 0.5):
        [moving, held] = sorted(update(time_s, {1: [12, 12, 22, 22]}))
        assert moving == [12, 12, 22, 22] and held[0] < 50 and held[3] > 60
    assert update(0.6, {1: [12, 12, 22, 22]}) == [[12, 12, 22, 22]]
    assert update(0.7, {}, source="b") == []


def test_five_hundred_faces() -> None:
    image = np.full((1080, 1920, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (1900, 1060), (500, 2))
    boxes = np.hstack([corners, corners + rng.uniform(8, 60, (500, 1))]).tolist()
    ticks = cv2.getTickCount()
    out = annotate(image, create_result(image, boxes), blur_faces=True)
    assert (cv2.getTickCount() - ticks) / cv2.getTickFrequency() < 2
    assert (out != 128).any()


def test_names_are_drawn_in_letters_that_there_are() -> None:
    assert find_drawable(EMOTIONS) == EMOTIONS
    assert find_drawable(("gl\u00fccklich", "spa\u00df", "\u05e9\u05de\u05d7", "b")) == (
        "glucklich",
        "spass",
        "#3",
        "b",
    )
