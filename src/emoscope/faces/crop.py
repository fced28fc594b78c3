"""Crops: an image and face boxes in, square face pictures out."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Image

CROP_MARGIN = -0.03
"""What the crop adds around a YuNet box so that a face fills the picture as FER2013's faces do. Measured by
benchmarks/crop_margin.py, results/crop_margin.json."""
ENOUGH_PX = 112
"""Crops of at least twice this side are halved; networks of faces take 48 to 112 pixels."""


def crop_faces(
    image: Image, xyxy: NDArray[np.float32], margin: float, turned_deg: NDArray[np.floating] | None = None
) -> list[Image]:
    """Cut out a square around each box.

    Args:
        image: (h, w, 3) uint8 BGR.
        xyxy: (n, 4) boxes in pixels.
        margin: share of the box's longer side that the square adds to it (ModelSpec.crop_margin).
        turned_deg: (n,) how far each face is turned, clockwise; its square is turned likewise, so that the face stands
            upright in it. Where it is 0 pixels are taken as they are.

    Returns:
        n square images; where a square reaches over the edge, the edge's pixels are repeated. Squares much larger than
        any network's input are halved.
    """
    angles = [0.0] * len(xyxy) if turned_deg is None else np.asarray(turned_deg).tolist()
    boxes = np.asarray(xyxy, np.float64)
    return [
        _cut_turned(image, box, margin, a) if a else _halve(_crop(image, box, margin))
        for box, a in zip(boxes, angles, strict=True)
    ]


def _cut_turned(image: Image, box: NDArray[np.float64], margin: float, turned_deg: float) -> Image:
    # A square with room for the turned one: what lies in its corners is the picture's, no edge's repetition.
    wide = _halve(_crop(image, box, math.sqrt(2) * (1 + margin) - 1))
    side = max(1, round(wide.shape[0] / math.sqrt(2)))
    middle = (wide.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), turned_deg, 1.0)
    matrix[:, 2] -= middle - (side - 1) / 2
    return np.asarray(cv2.warpAffine(wide, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _halve(crop: Image) -> Image:
    # Halving is many times as fast as what comes after it, which then has a quarter of the pixels.
    while crop.shape[0] >= 2 * ENOUGH_PX:
        side = crop.shape[0] // 2
        crop = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return crop


def _crop(image: Image, box: NDArray[np.float64], margin: float) -> Image:
    h, w = image.shape[:2]
    side = max(1, round(max(box[2] - box[0], box[3] - box[1]) * (1 + margin)))
    # A multiple of the power of two by which _halve divides it.
    side -= side % (1 << max(0, (side // ENOUGH_PX).bit_length() - 1))
    x, y = (round(float(c) - side / 2) for c in ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    # A box wholly outside still gives its nearest edge pixels: one crop per face, always.
    left, right = (min(max(v, 0), w) for v in (x, x + side))
    top, bottom = (min(max(v, 0), h) for v in (y, y + side))
    left, top = min(left, w - 1), min(top, h - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    inside = image[top:bottom, left:right]
    if inside.shape[:2] == (side, side):
        return inside
    before_y, before_x = min(max(0, top - y), side - 1), min(max(0, left - x), side - 1)
    inside = inside[: side - before_y, : side - before_x]
    padding = before_y, side - before_y - inside.shape[0], before_x, side - before_x - inside.shape[1]
    return np.asarray(cv2.copyMakeBorder(inside, *padding, cv2.BORDER_REPLICATE), np.uint8)
