"""Uploaded pictures: bytes of anything in, an upright image (h, w, 3) out, or an error that says what was wrong.

The kind is told by content, and what a file announces is checked before memory is taken for it.
"""

import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.headers import find_kind, find_picture_size, is_cut_off
from emoscope.core.types import Image

READ = ("jpeg", "png", "webp", "bmp")
"""Kinds whose size is known before they are decoded."""
EXPECTED = "expected a JPEG, PNG, WebP or BMP picture"


class UnsupportedError(InputError):
    """Content of a kind that is not read."""

    http_status = 415


class TooLargeError(InputError):
    """More than the limits allow."""

    http_status = 413


def decode_picture(data: bytes, max_pixels: int) -> Image:
    """Decode a picture, upright as its EXIF orientation says.

    Args:
        data: a file's content.
        max_pixels: a larger picture is refused before it is decoded.

    Raises:
        UnsupportedError: no JPEG, PNG, WebP or BMP.
        TooLargeError: more pixels than that; reduce it.
        InputError: it is damaged.
    """
    import cv2

    if not data:
        raise InputError(f"the file is empty; {EXPECTED}")
    if find_kind(data[:32]) not in READ:
        raise UnsupportedError(f"the file is no picture that is read here; {EXPECTED}")
    size_wh = find_picture_size(data)
    if size_wh is None:
        raise InputError(f"the picture's size cannot be read, it is damaged; {EXPECTED}")
    if size_wh[0] * size_wh[1] > max_pixels:
        raise TooLargeError(
            f"the picture has {size_wh[0]} x {size_wh[1]} pixels, expected at most {max_pixels / 1e6:.0f} million; "
            "reduce it first"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as e:
        raise InputError(f"the picture cannot be decoded ({e.err}); {EXPECTED}") from e
    if image is None:
        raise InputError(f"the picture {'is cut off' if is_cut_off(data) else 'is damaged'}; {EXPECTED}")
    return np.asarray(image, np.uint8)
