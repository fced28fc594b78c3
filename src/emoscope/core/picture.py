"""Pictures: a file or a caller's array in, an upright image (h, w, 3) out."""

from pathlib import Path

import cv2
import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.headers import find_picture_size, is_cut_off
from emoscope.core.types import Image

MAX_PICTURE_PIXELS = 1 << 28
"""A larger picture is refused: 200 megapixels are what phones take, decoding them needs about 1 GB."""


def load_picture(path: Path) -> Image:
    """Read a picture of any depth and colour, upright as its EXIF orientation says.

    Returns:
        (h, w, 3) uint8, BGR.

    Raises:
        InputError: the file is missing, empty, too large or no picture.
    """
    try:
        # Not cv2.imread: it cannot open non-Latin paths on every system.
        data = np.fromfile(path, np.uint8)
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); name an existing picture") from e
    if data.size == 0:
        raise InputError(f"{path} is empty; expected a picture")
    if size_wh := find_picture_size(path):
        check_size(path, *size_wh, MAX_PICTURE_PIXELS)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as e:
        raise InputError(f"{path} cannot be decoded ({e.err}); expected a picture of at most 2^30 pixels") from e
    if image is None and is_cut_off(path):
        raise InputError(f"{path} is cut off and cannot be decoded; expected a complete picture")
    if image is None:
        raise InputError(f"{path} cannot be decoded as a picture; expected a complete jpg, png, tiff, webp or bmp file")
    return np.asarray(image, np.uint8)


def to_image(picture: object) -> Image:
    """Return (h, w, 3) uint8 BGR from a caller's array: grey, BGR or BGRA, uint8 or uint16.

    Raises:
        InputError: it is none of these; convert it.
    """
    image = np.asarray(picture)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if (
        image.dtype != np.uint8
        or image.size == 0
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4)))
    ):
        raise InputError(
            f"the image is {image.dtype} of shape {image.shape}, expected uint8 or uint16 of shape "
            "(h, w), (h, w, 3) BGR or (h, w, 4) BGRA; convert it"
        )
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[:, :, :3])


def check_size(path: Path, width: int, height: int, limit: int) -> None:
    """Check what a file announces before memory is taken for it.

    Raises:
        InputError: it has more than `limit` pixels.
    """
    if width * height > limit:
        raise InputError(
            f"{path} has {width} x {height} pixels, expected at most {limit / 1e6:.0f} million; reduce it first"
        )
