"""Uploaded pictures: bytes of anything in, an upright image (h, w, 3) out, or an error that says what was wrong.

The kind is told by content, and what a file announces is checked before memory is taken for it.
"""

from emoscope.core.errors import InputError
from emoscope.core.headers import TILED, find_kind, find_picture_size
from emoscope.core.picture import SizeError, decode_picture
from emoscope.core.types import Image

READ = ("jpeg", "png", "webp", "bmp", "avif", "heic")
"""Kinds whose size is known before they are decoded."""
EXPECTED = "expected a JPEG, PNG, WebP, AVIF, HEIC or BMP picture"


class UnsupportedError(InputError):
    """Content of a kind that is not read."""

    http_status = 415


class TooLargeError(InputError):
    """More than the limits allow."""

    http_status = 413


def decode_upload(data: bytes, max_pixels: int) -> Image:
    """Decode a picture, upright as its EXIF orientation says.

    Args:
        data: a file's content.
        max_pixels: a larger picture is refused before it is decoded.

    Raises:
        UnsupportedError: no JPEG, PNG, WebP, AVIF, HEIC or BMP.
        TooLargeError: more pixels than that; reduce it.
        InputError: it is damaged.
    """
    if not data:
        raise InputError(f"the file is empty; {EXPECTED}")
    kind = find_kind(data[:32])
    if kind not in READ:
        raise UnsupportedError(f"the file is no picture that is read here; {EXPECTED}")
    if kind not in TILED and find_picture_size(data) is None:
        raise InputError(f"the picture's size cannot be read, it is damaged; {EXPECTED}")
    try:
        return decode_picture(data, "the picture", max_pixels)
    except SizeError as e:
        raise TooLargeError(str(e)) from e
