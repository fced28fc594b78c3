"""The seven colours: told apart by colour-blind readers, seen on a light and on a dark ground."""

from itertools import combinations

import numpy as np
import pytest

from emoscope.core.emotions import COLOURS, EMOTIONS

DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Linear sRGB as seen by a dichromat (Machado, Oliveira, Fernandes 2009, severity 1)."""
LEAST_DISTANCE = 0.08
"""In OKLab, where about 0.02 is just noticeable side by side. The colours before came as near as 0.017."""
LEAST_CONTRAST = 3.0
"""WCAG 2.2, 1.4.11, for parts of drawings."""
GROUNDS = ("#ffffff", "#f3f4f6", "#14161a", "#22262d")
"""Page and plot, light and dark, of report/css/page.css."""


def to_linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_oklab(linear: np.ndarray) -> np.ndarray:
    """Ottosson, A perceptual color space for image processing, 2020."""
    lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    lms.append([0.0883024619, 0.2817188376, 0.6299787005])
    lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
    lab.append([0.0259040371, 0.7827717662, -0.8086757660])
    return np.array(lab) @ np.cbrt(np.array(lms) @ np.clip(linear, 0, 1))


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_no_two_colours_look_alike(deficiency: str) -> None:
    seen = [to_oklab(np.array(DEFICIENCIES[deficiency]) @ to_linear(colour)) for colour in COLOURS]
    distances = {
        (EMOTIONS[i], EMOTIONS[j]): float(np.linalg.norm(seen[i] - seen[j])) for i, j in combinations(range(7), 2)
    }
    nearest = min(distances, key=distances.__getitem__)
    assert distances[nearest] >= LEAST_DISTANCE, nearest


@pytest.mark.parametrize("ground", GROUNDS)
def test_colours_stand_out_from_the_ground(ground: str) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    for name, colour in zip(EMOTIONS, COLOURS, strict=True):
        low, high = sorted(float(weights @ to_linear(c)) for c in (colour, ground))
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, name
