"""How faces can be seen: crops, angles and landmarks in, one row of cheap measures per face out."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.schema import QUALITY
from emoscope.core.types import Faces, Image
from emoscope.faces.preprocess import resize, to_grey

SIDE_PX = 48
"""Crops are measured at this side, that of the faces on which limits are fitted."""
LEAST_CONTRAST = 1e-3
"""Added to the contrast that divides: a crop of one colour is not sharp."""
RIGHT_EYE, LEFT_EYE, NOSE = range(3)


def compute_frontal(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how evenly the nose stands between the eyes (n,): 1 in the middle, 0 at an eye or beyond.

    Measured along the line through both eyes, so that it does not depend on the turn in the picture. It falls as a head
    turns aside; it is no angle, and says nothing of looking up or down.

    Args:
        landmarks: (n, 5, 2), see Faces.
    """
    points = landmarks.astype(np.float64)
    across = points[:, LEFT_EYE] - points[:, RIGHT_EYE]
    along = ((points[:, NOSE] - points[:, RIGHT_EYE]) * across).sum(axis=1)
    place = along / np.maximum((across**2).sum(axis=1), 1e-9)
    return np.asarray(np.clip(1 - 2 * np.abs(place - 0.5), 0, 1))


def measure_crops(crops: Sequence[Image | NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return sharpness, light and contrast of face crops (n, 3).

    Light is the mean and contrast the standard deviation of the grey values, both as shares of full white. Sharpness
    is the root mean square of the Laplacian over that deviation: about 1 and more for a sharp face, less for a
    blurred or enlarged one, and high for noise.
    """
    rows = np.empty((len(crops), 3))
    for i, crop in enumerate(crops):
        grey = resize(to_grey(crop), SIDE_PX)
        mean, deviation = (float(value[0, 0]) / 255 for value in cv2.meanStdDev(grey))
        # Without the rim, whose neighbours are repeated pixels.
        edges = cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1]
        sharpness = cv2.norm(edges) / (255 * (SIDE_PX - 2)) / (deviation + LEAST_CONTRAST)
        rows[i] = sharpness, mean, deviation
    return rows


def measure_quality(
    faces: Sequence[Faces], crops: Sequence[NDArray[np.uint8]], roll_deg: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return one row per face, (n, 6) in the order of schema.QUALITY.

    Args:
        faces: found in one picture or in several.
        crops: one of each face, cut upright.
        roll_deg: (n,) how far each is turned in the picture, clockwise.
    """
    unknown = np.full((1, 5, 2), np.nan)
    landmarks = [unknown.repeat(len(f), 0) if f.landmarks is None else f.landmarks for f in faces]
    xyxy = np.concatenate([f.xyxy for f in faces])
    size_px = np.maximum(xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1])
    return np.column_stack([roll_deg, compute_frontal(np.concatenate(landmarks)), size_px, measure_crops(crops)])


def find_unreadable(quality: NDArray[np.float64], limits: Mapping[str, float]) -> NDArray[np.bool_]:
    """Say (n,) which faces lie below a limit, as the table says it, in float32; what is not known is below none.

    Args:
        quality: (n, 6), see measure_quality.
        limits: smallest value of some of schema.QUALITY, those of a model.
    """
    measures = quality.astype(np.float32)
    below = [measures[:, QUALITY.index(name)] < np.float32(least) for name, least in limits.items()]
    return np.any(below, axis=0) if below else np.zeros(len(quality), np.bool_)
