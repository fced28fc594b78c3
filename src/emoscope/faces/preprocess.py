"""Crops in, the network's input batch out, for runtime and study alike; and what makes pictures small and grey."""

from collections.abc import Sequence
from typing import TypeGuard

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.core.types import Raster
from emoscope.faces.resample import resample
from emoscope.faces.spec import ModelSpec

VIEWS = (1, 2, 10)
"""How many views of a face can be averaged: as it is; with its mirror image; five crops with theirs."""

CROP_SHARE = 44 / 48
"""Side of the ten-view crops as a share of the face crop's (ten-crop of Krizhevsky et al., 2012, scaled to 48 px)."""
MAX_STEP = 4.0
"""Pictures are made so much smaller at once; the four pixels that are read then are a quarter of those passed over."""


def shrink(image: Raster, scale: float) -> NDArray[np.uint8]:
    """Return a smaller image; (h, w) or (h, w, 3) uint8."""
    if scale >= 1:
        return image[:, :]
    h, w = image.shape[:2]
    size_wh = max(1, round(w * scale)), max(1, round(h * scale))
    return _shrink(image, size_wh) if isinstance(image, np.ndarray) else image.shrink(size_wh, _shrink)


def _shrink(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Halve an image until interpolation between four pixels will do.

    OpenCV's area averaging is fast by halves only, at other factors it takes as long as the detection itself.
    """
    while min(image.shape[1] / size_wh[0], image.shape[0] / size_wh[1]) > MAX_STEP:
        half = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a grey (h, w) uint8 image from grey (h, w) or BGR (h, w, 3)."""
    if image.ndim == 2:
        return image
    grey: NDArray[np.uint8] = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return grey


def resize(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Resize a grey image to a square: area averaging when it shrinks, bilinear when it grows."""
    h, w = image.shape[:2]
    if (h, w) == (size_px, size_px):
        return image
    shrinks = h >= size_px and w >= size_px
    out = cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(out, np.uint8)


def create_views(crop: NDArray[np.uint8], n_views: int) -> list[NDArray[np.uint8]]:
    """Return n_views pictures of one grey crop (h, w): the crop, its mirror image, or five crops of it with theirs.

    Raises:
        InputError: n_views is not 1, 2 or 10.
    """
    if n_views not in VIEWS:
        raise InputError(f"{n_views} views were asked for, expected one of {VIEWS}; choose one of these")
    if n_views == 1:
        return [crop]
    if n_views == 2:
        return [crop, crop[:, ::-1]]
    h, w = crop.shape
    ch, cw = max(1, round(h * CROP_SHARE)), max(1, round(w * CROP_SHARE))
    corners = [(0, 0), (0, w - cw), (h - ch, 0), (h - ch, w - cw), ((h - ch) // 2, (w - cw) // 2)]
    five = [crop[y : y + ch, x : x + cw] for y, x in corners]
    return five + [view[:, ::-1] for view in five]


def is_crop(crop: object) -> TypeGuard[NDArray[np.uint8]]:
    """Tell whether something is a grey (h, w) or BGR (h, w, 3) picture of type uint8."""
    if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.size == 0:
        return False
    return crop.ndim == 2 or (crop.ndim == 3 and crop.shape[2] == 3)


def check_crops(crops: list[NDArray[np.uint8]] | NDArray[np.uint8]) -> None:
    """Check that every crop is a grey or BGR picture of pixel values 0..255.

    Raises:
        InputError: one is not, or a single picture stands for a list; pass a list of arrays of type uint8.
    """
    if isinstance(crops, np.ndarray) and crops.ndim == 3 and crops.shape[2] == 3:
        # Its rows would pass for grey pictures three pixels wide.
        raise InputError(f"one colour picture of shape {crops.shape} was given, expected several; put it into a list")
    for i, crop in enumerate(crops):
        if not is_crop(crop):
            what = f"{crop.dtype} of shape {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
            raise InputError(f"face {i} is {what}, expected uint8 (h, w) or (h, w, 3) BGR; pass pixel values 0..255")


def _resample_all(crops: Sequence[NDArray[np.uint8]], size_px: int, kernel: str) -> NDArray[np.float32]:
    """Resample crops to (n, size_px, size_px) float32 in 0..255, all of one size at once."""
    greys = [to_grey(crop) for crop in crops]
    batch = np.empty((len(greys), size_px, size_px), np.float32)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, grey in enumerate(greys):
        by_shape.setdefault(grey.shape, []).append(i)
    for rows in by_shape.values():
        batch[rows] = resample(np.stack([greys[i] for i in rows]), size_px, kernel)
    # Kernels with negative lobes overshoot at edges.
    return np.clip(batch, 0, 255, out=batch)


def preprocess(crops: list[NDArray[np.uint8]] | NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.float32]:
    """Turn face crops into an input batch.

    Args:
        crops: n images, each grey (h, w) or BGR (h, w, 3), uint8, of any size, the face filling the picture.
        spec: says the network's input.

    Returns:
        (n, channels, size_px, size_px) float32, (pixel / 255 - mean) / std. With the kernel `auto` pixels are rounded
        to whole values after resizing, with another they are not.

    Raises:
        InputError: a crop is not a uint8 picture; pass pixel values 0..255 of type uint8.
    """
    check_crops(crops)
    if spec.kernel == "auto":
        batch = np.empty((len(crops), spec.size_px, spec.size_px), np.uint8)
        for i, crop in enumerate(crops):
            batch[i] = resize(to_grey(crop), spec.size_px)
        # 256 values only: a table is faster than arithmetic on every pixel, and exact in float32.
        values = _normalize(np.arange(256, dtype=np.float32), spec)[batch][:, None]
    else:
        values = _normalize(_resample_all(list(crops), spec.size_px, spec.kernel), spec)[:, None]
    return values if spec.channels == 1 else np.repeat(values, spec.channels, axis=1)


def _normalize(pixels: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float32]:
    """Return (pixel / 255 - mean) / std in float32."""
    return ((pixels / np.float32(255) - np.float32(spec.mean)) / np.float32(spec.std)).astype(np.float32, copy=False)
