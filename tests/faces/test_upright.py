"""How faces are turned, told by the embedded network."""

import cv2
import numpy as np
import pytest

from emoscope.core.types import Image
from emoscope.faces.upright import SIZE_PX, RollNetwork, create_circle, standardize

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
