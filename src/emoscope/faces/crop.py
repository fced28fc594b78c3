"""Crops: an image and face boxes in, square face pictures out."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Image, Raster
from emoscope.faces.preprocess import to_grey

Grey = NDArray[np.uint8]

CROP_MARGIN = -0.03
"""What the crop adds around a YuNet box so that a face fills the picture as FER2013's faces do. Measured by
benchmarks/crop_margin.py, results/crop_margin.json."""
ENOUGH_PX = 112
"""Crops of at least twice this side are halved; networks of faces take 48 to 112 pixels."""


def crop_faces(image: Raster, xyxy: NDArray[np.float32], margin: float) -> list[Image]:
    """Cut out a square around each box, pixel for pixel.

    Args:
        image: (h, w, 3) uint8 BGR.
        xyxy: (n, 4) boxes in pixels.
        margin: share of the box's longer side that the square adds to it (ModelSpec.crop_margin).

    Returns:
        n square images; where a square reaches over the edge, the edge's pixels are repeated. Squares much larger than
        any network's input are halved.
    """
    return [_crop(image, box, margin) for box in np.asarray(xyxy, np.float64)]


def crop_turned(image: Raster, xyxy: NDArray[np.float32], margin: float, turned_deg: float) -> Grey:
    """Cut out a turned square around a box, so that the face stands upright in it.

    Args:
        image: (h, w, 3) uint8 BGR.
        xyxy: (4,) box in pixels.
        margin: see crop_faces.
        turned_deg: how far the face is turned, clockwise.

    Returns:
        A square grey image (side, side), of the size and with the edges of those of crop_faces.
    """
    box = np.asarray(xyxy, np.float64)
    x, y = (float(c) for c in (box[:2] + box[2:]) / 2)
    side = max(1.0, float((box[2:] - box[:2]).max()) * (1 + margin))
    step = _find_step(int(side))
    # What a turned square can reach; its corners show the picture, no edge's repetition.
    reach = side / math.sqrt(2) + step
    left, right = _clip(x - reach, x + reach, image.shape[1], step)
    top, bottom = _clip(y - reach, y + reach, image.shape[0], step)
    where = slice(top, bottom), slice(left, right)
    if isinstance(image, np.ndarray):
        # A view: copying a large face's part first takes as long as the rest.
        part = to_grey(image[where])
        small_wh = max(1, part.shape[1] // step), max(1, part.shape[0] // step)
        if step > 1:
            part = np.asarray(cv2.resize(part, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        part = to_grey(_cut(image, where, step))
    size = max(1, round(side / step))
    # Boxes count from the edge of the first pixel, the matrix from its middle.
    middle = ((x - left) / step - 0.5, (y - top) / step - 0.5)
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, turned_deg, 1.0), np.float64)
    matrix[:, 2] += (size - 1) / 2 - np.array(middle)
    return np.asarray(cv2.warpAffine(part, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _clip(low: float, high: float, n: int, step: int) -> tuple[int, int]:
    """Return whole pixels of an edge of n from low to high, a multiple of step if there are as many; at least one."""
    first = min(max(math.floor(low), 0), n - 1)
    last = max(min(math.ceil(high), n), first + 1)
    return first, max(first + 1, last - (last - first) % step)


def _find_step(side: int) -> int:
    """Return the power of two by which a crop of this side is made smaller."""
    return 1 << max(0, (side // ENOUGH_PX).bit_length() - 1)


def _cut(image: Raster, part: tuple[slice, slice], step: int) -> Image:
    """Return a part, so many times smaller."""
    if step > 1 and not isinstance(image, np.ndarray):
        return image.reduce(part, step, _halve)
    inside = image[part]
    return _halve(inside, (inside.shape[1] // step, inside.shape[0] // step))


def _halve(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image of this size, a power of two smaller, give or take a pixel."""
    # Halving is many times as fast as what comes after it, which then has a quarter of the pixels.
    while image.shape[0] >= 3 * size_wh[1]:
        half_wh = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
    if image.shape[1::-1] == size_wh:
        return image
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _crop(image: Raster, box: NDArray[np.float64], margin: float) -> Image:
    h, w = image.shape[:2]
    side = max(1, round(max(box[2] - box[0], box[3] - box[1]) * (1 + margin)))
    step = _find_step(side)
    side -= side % step
    x, y = (round(float(c) - side / 2) for c in ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    # A box wholly outside still gives its nearest edge pixels: one crop per face, always.
    left, right = (min(max(v, 0), w) for v in (x, x + side))
    top, bottom = (min(max(v, 0), h) for v in (y, y + side))
    left, top = min(left, w - 1), min(top, h - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    if (bottom - top, right - left) == (side, side):
        return _cut(image, (slice(top, bottom), slice(left, right)), step)
    inside = image[top:bottom, left:right]
    before_y, before_x = min(max(0, top - y), side - 1), min(max(0, left - x), side - 1)
    inside = inside[: side - before_y, : side - before_x]
    padding = before_y, side - before_y - inside.shape[0], before_x, side - before_x - inside.shape[1]
    whole = np.asarray(cv2.copyMakeBorder(inside, *padding, cv2.BORDER_REPLICATE), np.uint8)
    return _halve(whole, (side // step, side // step))
