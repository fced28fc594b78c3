"""How faces are turned and how they can be seen; crops that are turned back; turned pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from emoscope.core.schema import QUALITY
from emoscope.core.types import Faces, Image
from emoscope.faces.crop import ENOUGH_PX, crop_faces, crop_turned
from emoscope.faces.detect import create_detector, look_all_ways
from emoscope.faces.preprocess import to_grey
from emoscope.faces.quality import compute_frontal, find_unreadable, measure_crops
from emoscope.faces.upright import SIZE_PX, Cutter, RollNetwork, choose_turns, create_circle, standardize

FACE = np.array([[170, 60, 290, 200]], np.float32)
"""Where the portrait's face is."""


@pytest.fixture(scope="module")
def network() -> RollNetwork:
    return RollNetwork()


def turn(image: Image, angle_deg: float) -> Image:
    """Turn the portrait clockwise around its face."""
    centre = float(FACE[0, ::2].mean()), float(FACE[0, 1::2].mean())
    matrix = cv2.getRotationMatrix2D(centre, -angle_deg, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 180, -135])
def test_a_turned_face_is_told(network: RollNetwork, portrait: Image, angle_deg: float) -> None:
    [found], [sure] = network.estimate([turn(portrait, angle_deg)[60:200, 160:300]])
    assert abs((found - angle_deg + 180) % 360 - 180) < 20
    assert sure > 0.7


def test_what_shows_nothing_is_not_sure(network: RollNetwork) -> None:
    blank = np.full((60, 60, 3), 7, np.uint8)
    assert np.isfinite(standardize([blank])).all()
    assert standardize([blank, blank]).shape == (2, 1, SIZE_PX, SIZE_PX)
    assert not standardize([blank])[0, 0][~create_circle()].any()
    angles, sure = network.estimate([blank])
    assert np.isfinite(angles).all() and sure[0] < 0.7
    assert [part.shape for part in network.estimate([])] == [(0,), (0,)]


@pytest.mark.parametrize("angle_deg", [30, 90, 180, -135])
def test_a_square_turned_with_its_face_shows_it_upright(portrait: Image, angle_deg: float) -> None:
    box = np.array([[160, 60, 300, 200]], np.float32)
    [upright] = crop_faces(portrait, box, 0.0)
    found = crop_turned(turn(portrait, angle_deg), box[0], 0.0, angle_deg)
    assert abs(found.shape[0] - upright.shape[0]) <= 1
    side = 40
    crops = to_grey(upright), found
    a, b = (cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(int) for crop in crops)
    assert np.abs(a - b).mean() < 12 < np.abs(a - b[::-1, ::-1]).mean()


def test_a_turned_square_is_a_picture_wherever_its_box_lies(portrait: Image) -> None:
    for box in (
        [-900, -900, -800, -800],
        [0, 0, 1, 1],
        [5000, 40, 5400, 400],
        [300, 300, 301, 301],
        [-50, 10, 900, 300],
    ):
        crop = crop_turned(portrait, np.array(box, np.float32), 0.1, 33.0)
        assert crop.ndim == 2 and crop.shape[0] == crop.shape[1] < 2 * ENOUGH_PX + 2


def test_only_what_is_surely_turned_is_turned_back() -> None:
    angles, sure = np.array([3.0, -40, 170, 90]), np.array([1, 0.9, 0.8, 0.1])
    assert choose_turns(angles, sure).tolist() == [0, -40, 170, 0]


def test_a_cut_face_says_how_it_can_be_seen(portrait: Image) -> None:
    box = Faces(np.array([[160, 60, 300, 200]], np.float32), np.ones(1, np.float32))
    cutter = Cutter(0.0, {"light": 0.1})
    faces, [crop] = cutter.cut(turn(portrait, 90), box)
    assert crop.shape[0] == crop.shape[1] and faces.quality is not None and faces.unreadable is not None
    values = dict(zip(QUALITY, faces.quality[0].tolist(), strict=True))
    assert abs(values["roll_deg"] - 90) < 20 and values["size_px"] == 140 and np.isnan(values["frontal"])
    assert not faces.unreadable[0]
    dark, _ = cutter.cut((portrait * 0.05).astype(np.uint8), box)
    assert dark.unreadable is not None and dark.unreadable[0]
    nobody, crops = cutter.cut(portrait, Faces())
    assert nobody.quality is not None and nobody.quality.shape == (0, len(QUALITY)) and not crops


def test_measures_fall_as_a_face_gets_worse(portrait: Image) -> None:
    crop = portrait[60:200, 160:300]
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 6), np.uint8)
    sharpness, light, contrast = measure_crops([crop, blurred, crop // 4]).T
    assert sharpness[1] < 0.7 * sharpness[0] and light[2] < 0.3 * light[0] and contrast[2] < 0.3 * contrast[0]
    assert find_unreadable(np.array([[np.nan] * 6, [0, 0.2, 9, 1, 1, 1]]), {"frontal": 0.5}).tolist() == [False, True]


def test_frontal_is_about_the_nose_between_the_eyes_however_the_face_is_turned() -> None:
    def points(nose_x: float, angle: float) -> list[list[float]]:
        turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        place = np.array([[30, 40], [70, 40], [nose_x, 60], [35, 80], [65, 80]], float)
        return (place @ turned).tolist()  # type: ignore[no-any-return]

    found = compute_frontal(np.array([points(x, a) for x in (50, 40, 80) for a in (0.0, 1.3)]))
    np.testing.assert_allclose(found, [1, 1, 0.5, 0.5, 0, 0], atol=1e-9)


def test_a_picture_on_its_side_is_turned_for_its_faces(shared: Path, yunet: None) -> None:
    image = np.asarray(cv2.imread(str(shared / "media" / "multi_face.jpg")), np.uint8)
    detector = create_detector("yunet", 1280).detector
    upright, turned_deg = look_all_ways(detector, image)
    assert len(upright) == 5 and turned_deg == 0
    lying, turned_deg = look_all_ways(detector, np.ascontiguousarray(np.rot90(image, -1)))
    assert len(lying) == 5 and turned_deg == 90
    h, (x1, y1, x2, y2) = image.shape[0], upright.xyxy.T
    np.testing.assert_allclose(lying.xyxy, np.stack([h - y2, x1, h - y1, x2], axis=1), atol=0.6)
    assert upright.landmarks is not None and lying.landmarks is not None
    x, y = upright.landmarks.transpose(2, 0, 1)
    np.testing.assert_allclose(lying.landmarks, np.stack([h - y, x], axis=2), atol=0.6)
    nothing, turned_deg = look_all_ways(detector, np.full((90, 120, 3), 80, np.uint8))
    assert len(nothing) == 0 and turned_deg == 0
