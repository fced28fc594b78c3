"""How colours are seen, with full colour vision and with each of the three deficiencies: for tests and benchmarks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

Floats = NDArray[np.float64]

VISIONS: Final = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Linear sRGB as seen by a dichromat (Machado, Oliveira, Fernandes 2009, severity 1)."""
GROUNDS: Final = {"light": ("#ffffff", "#f3f4f6"), "dark": ("#14161a", "#22262d")}
"""Page and plot of report/css/page.css."""


def parse(colours: tuple[str, ...]) -> Floats:
    """Return sRGB, shape (n, 3), 0 to 1, of colours written as #rrggbb."""
    return np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])


def to_linear(rgb: Floats) -> Floats:
    """Return linear sRGB of sRGB, any shape, 0 to 1."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def see(rgb: Floats, vision: str) -> Floats:
    """Return CIELAB, shape (n, 3), of sRGB colours, shape (n, 3), as somebody with that vision sees them."""
    linear = np.clip(to_linear(rgb) @ VISIONS[vision].T, 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def measure_distances(rgb: Floats, other: Floats, vision: str) -> Floats:
    """Return CIEDE2000 between each of n and each of m sRGB colours, shape (n, m)."""
    return deltaE_ciede2000(see(rgb, vision)[:, None], see(other, vision)[None])


def measure_contrast(rgb: Floats, ground: str) -> Floats:
    """Return the contrast ratio of WCAG 2.2 of sRGB colours, shape (n, 3), with a ground, shape (n,)."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    y, y_ground = to_linear(rgb) @ weights, float(to_linear(parse((ground,))[0]) @ weights)
    return (np.maximum(y, y_ground) + 0.05) / (np.minimum(y, y_ground) + 0.05)
