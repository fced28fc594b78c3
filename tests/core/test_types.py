"""A FrameResult as its users take it: face by face, as JSON, as a table, as a line."""

import json

import numpy as np
import pytest

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.schema import ALL_DTYPES, COLUMNS, SET_90, SMOOTHED
from emoscope.core.types import Faces, Frame


def make_result(n: int = 2, smoothed: bool = True, source: str = "a.mp4") -> FrameResult:
    """Raw: angry 0.88; smoothed: happy 0.34, below the threshold."""
    raw, calm = np.full((n, 7), 0.02), np.full((n, 7), 0.11)
    raw[:, 0], calm[:, 3] = 0.88, 0.34
    boxes = np.array([[10, 20.26, 30, 40]] * n, np.float32).reshape(-1, 4)
    ids = np.arange(1, n + 1, dtype=np.int64)
    faces = Faces(boxes, np.full(n, 0.9, np.float32), ids, raw, calm if smoothed else None)
    return FrameResult(7, 0.28, source, (640, 480), faces, 0.45)


def test_faces_one_by_one() -> None:
    result = make_result()
    assert [(f.track_id, f.emotion, f.uncertain) for f in result] == [(1, "happy", True), (2, "happy", True)]
    assert len(result) == 2 and result[-1].track_id == 2 and [f.track_id for f in result[:1]] == [1]
    assert result[0].xyxy.tolist() == pytest.approx([10, 20.26, 30, 40]) and result[0].score == pytest.approx(0.9)
    assert list(result[0].probabilities) == list(EMOTIONS) and result[0].probabilities["happy"] == 0.34
    with pytest.raises(IndexError):
        result[2]
    assert list(make_result(0)) == []


def test_json() -> None:
    said = json.loads(json.dumps(make_result(1).to_dict(), allow_nan=False))
    assert said["size_wh"] == [640, 480] and (said["frame"], said["time_s"], said["source"]) == (7, 0.28, "a.mp4")
    [face] = said["faces"]
    assert face["xyxy"] == [10.0, 20.3, 30.0, 40.0] and face["detection_score"] == 0.9
    assert (face["emotion"], face["probability"], face["uncertain"]) == ("happy", 0.34, True)


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("n", [0, 2])
def test_table(n: int, smoothed: bool) -> None:
    table = make_result(n, smoothed).to_frame()
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        name: {"string": str(table["source"].dtype)}.get(ALL_DTYPES[name], ALL_DTYPES[name])
        for name in (*COLUMNS, *(SMOOTHED if smoothed else ()))
    }
    assert len(table) == n
    if n:
        row = table.iloc[1]
        assert (row["source"], row["frame"], row["track_id"], row["p_angry"]) == ("a.mp4", 7, 2, 0.88)
        assert (row["emotion"], row["uncertain"]) == (("happy", True) if smoothed else ("angry", False))


def test_sets_hold_what_is_nearly_as_probable_and_everything_of_the_unreadable() -> None:
    result = make_result(2)
    assert result.sets is None and SET_90 not in result.to_frame() and SET_90 not in result[0].to_dict()
    probabilities = np.array(
        [[0.5, 0.0, 0.1, 0.3, 0.049, 0.051, 0.0], [1.0, 0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 0]]
    )
    faces = Faces(np.zeros((3, 4), np.float32), np.ones(3, np.float32), probabilities=probabilities)
    result = FrameResult(0, 0.0, "", (9, 9), faces.replace(unreadable=np.array([False, False, True])), set_ratio=0.1)
    expected = ["angry fear happy surprise", "angry", " ".join(EMOTIONS)]
    assert result.to_frame()[SET_90].tolist() == [" ".join(face.set_90 or ()) for face in result] == expected
    assert result[0].to_dict()[SET_90] == expected[0].split()
    nobody = FrameResult(0, 0.0, "", (9, 9), Faces(), set_ratio=0.1)
    assert len(nobody.to_frame()) == 0 and list(nobody.to_frame()[SET_90]) == []


def test_short_and_escaped() -> None:
    result = make_result(5, source="<b>.mp4")
    for shown in (result, result.faces, result[0], Frame(np.zeros((4, 6, 3), np.uint8))):
        assert len(repr(shown)) < 400 and "\n" not in repr(shown)
    assert repr(result) == (
        "FrameResult(5 faces: happy? 0.34, happy? 0.34, happy? 0.34, ...; frame 7 at 0.28 s, source='<b>.mp4')"
    )
    html = result._repr_html_()
    assert make_result(99)._repr_html_().count("<tr>") == 22 and "and 79 more" in make_result(99)._repr_html_()
    assert html.count("<tr>") == 6 and "&lt;b&gt;.mp4" in html and "<b>" not in html


@pytest.mark.parametrize("image", ["a.png", None, np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3))])
def test_a_frame_is_no_other_picture(image: object) -> None:
    with pytest.raises(InputError, match=r"expected .*uint8 \(h, w, 3\)"):
        Frame(image)  # type: ignore[arg-type]


def test_a_frame_is_made_by_place_or_by_name() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    frame = Frame(image=image, index=3, time_s=0.12, source="a.mp4")
    assert repr(frame) == repr(Frame(image, 3, 0.12, "a.mp4"))
    np.testing.assert_array_equal(frame.image, image)
    assert (frame.size_wh, frame.shot, frame.n_breaks, frame.is_blend) == ((6, 4), 1, 0, False)
