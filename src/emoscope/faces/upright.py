"""How faces are turned in their picture: crops in, angles and how sure they are out."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emoscope.faces.preprocess import resize, to_grey
from emoscope.faces.recognize import create_session
from emoscope.faces.registry import ROLL, check_sha256

SIZE_PX = 32
"""Side of the roll network's input."""
LEAST_DEVIATION = 1e-3
"""Added to a face's deviation, of full white: a crop of one colour stays finite."""
MARGIN = -0.03
"""What a crop adds to a face's box so that the face fills the picture as the network knows faces."""


@lru_cache(maxsize=4)
def create_circle(size_px: int = SIZE_PX) -> NDArray[np.bool_]:
    """Return (size_px, size_px), true within the inscribed circle.

    Corners would tell how a picture was turned; the network sees the circle alone.
    """
    at = np.arange(size_px) - (size_px - 1) / 2
    return np.asarray(np.hypot(*np.meshgrid(at, at)) <= size_px / 2)


def standardize(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Turn face crops into the roll network's input batch.

    Args:
        crops: n images, each grey (h, w) or BGR (h, w, 3), uint8, of any size.

    Returns:
        (n, 1, SIZE_PX, SIZE_PX) float32, mean 0 and deviation 1 within the circle, 0 outside.
    """
    circle = create_circle()
    batch = np.zeros((len(crops), 1, SIZE_PX, SIZE_PX), np.float32)
    for i, crop in enumerate(crops):
        inside = resize(to_grey(crop), SIZE_PX)[circle].astype(np.float32) / np.float32(255)
        batch[i, 0, circle] = (inside - inside.mean()) / (inside.std() + np.float32(LEAST_DEVIATION))
    return batch


class RollNetwork:
    """Tells how far faces are turned in their picture; embedded, trained by studies/geometry/roll.yaml."""

    def __init__(self) -> None:
        """Load the network.

        Raises:
            ModelError: the embedded file is damaged.
        """
        self.session = create_session(check_sha256(ROLL))

    def estimate(self, crops: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Estimate how faces are turned.

        Args:
            crops: n images, the face filling each; whatever lies outside the inscribed circle is not looked at.

        Returns:
            Angles in degrees (n,), -180 to 180, clockwise as one sees it, 0 upright; and how sure (n,), from 0 (could
            be any angle) to about 1.
        """
        if not crops:
            return np.empty(0), np.empty(0)
        sine, cosine = self.session.run(None, {"input": standardize(crops)})[0].astype(np.float64).T
        return np.degrees(np.arctan2(sine, cosine)), np.hypot(sine, cosine)
