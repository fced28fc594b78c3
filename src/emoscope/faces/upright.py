"""Upright faces: how far each is turned in its picture, told by a small network; crops that are turned back."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Faces, Raster
from emoscope.faces.crop import Grey, crop_faces, crop_turned
from emoscope.faces.devices import create_session
from emoscope.faces.preprocess import resize, to_grey
from emoscope.faces.quality import SIDE_PX, find_unreadable, measure_quality
from emoscope.faces.registry import ROLL, check_sha256

SIZE_PX = 32
"""Side of the roll network's input."""
LEAST_DEVIATION = 1e-3
"""Added to a face's deviation, of full white: a crop of one colour stays finite."""
LEAST_DEG = 4.0
"""Faces turned less are read pixel for pixel as they are."""
LEAST_SURE = 0.4
"""Below this an angle is a guess, and turning back would do harm. Both chosen on 1,000 validation faces at seven
angles: smaller and larger values cost up to a point; see benchmarks/turned.py."""


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
    small = np.array([resize(to_grey(crop), SIZE_PX) for crop in crops], np.float32).reshape(-1, SIZE_PX, SIZE_PX)
    # In rows: along columns numpy adds up one after the other, which loses digits.
    inside = np.ascontiguousarray(small[:, circle]) / np.float32(255)
    deviation = inside.std(axis=1, keepdims=True) + np.float32(LEAST_DEVIATION)
    batch = np.zeros((len(crops), 1, SIZE_PX, SIZE_PX), np.float32)
    batch[:, 0, circle] = (inside - inside.mean(axis=1, keepdims=True)) / deviation
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


class Cutter:
    """Cuts faces out of a frame, upright, and measures how they can be seen."""

    def __init__(self, margin: float, limits: Mapping[str, float]) -> None:
        """Load the roll network.

        Args:
            margin: what a crop adds to a face's box (ModelSpec.crop_margin).
            limits: smallest value of some of schema.QUALITY; below one of them a face is unreadable.

        Raises:
            ModelError: the embedded file is damaged.
        """
        self.margin, self.limits = margin, limits
        self.network = RollNetwork()

    def cut(self, image: Raster, faces: Faces) -> tuple[Faces, list[Grey]]:
        """Return the faces of one image with their quality, and a grey crop of each.

        Args:
            image: (h, w, 3) uint8 BGR.
            faces: found in it.
        """
        [cut] = self.cut_all([(image, faces)])
        return cut

    def cut_all(self, pictures: Sequence[tuple[Raster, Faces]]) -> list[tuple[Faces, list[Grey]]]:
        """Return the same for several images: the network takes two thirds of the time for faces that come together.

        Args:
            pictures: see cut().
        """
        if not pictures:
            return []
        crops = [to_grey(crop) for image, faces in pictures for crop in crop_faces(image, faces.xyxy, self.margin)]
        # Made small once, for both that look at them.
        small = [_make_small(crop) for crop in crops]
        angles, sure = self.network.estimate(small)
        turned = choose_turns(angles, sure)
        places = [(image, box) for image, faces in pictures for box in faces.xyxy]
        for i in np.flatnonzero(turned).tolist():
            image, box = places[i]
            crops[i] = crop_turned(image, box, self.margin, float(turned[i]))
            small[i] = _make_small(crops[i])
        quality = measure_quality([faces for _, faces in pictures], small, angles)
        unreadable = find_unreadable(quality, self.limits)
        results, first = [], 0
        for _, faces in pictures:
            part = slice(first, first := first + len(faces))
            results.append((faces.replace(quality=quality[part], unreadable=unreadable[part]), crops[part]))
        return results


def _make_small(grey: Grey) -> Grey:
    while grey.shape[0] >= 2 * SIDE_PX:
        # By halves it takes a third of the time.
        grey = resize(grey, grey.shape[0] // 2)
    return resize(grey, SIDE_PX)


def choose_turns(angles_deg: NDArray[np.float64], sure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each face is turned back (n,): not at all where it is nearly upright or not told surely."""
    is_turned = (np.abs(angles_deg) >= LEAST_DEG) & (sure >= LEAST_SURE)
    return np.where(is_turned, angles_deg, 0.0)
