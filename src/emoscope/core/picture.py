"""Pictures: a file, bytes, an array or a Pillow picture in, an upright image (h, w, 3) out."""

import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.core.headers import TILED, count_pages, find_kind, find_picture_size, is_cut_off
from emoscope.core.types import Image

log = logging.getLogger(__name__)

MAX_PICTURE_PIXELS = 1 << 28
"""A larger picture is refused: 200 megapixels are what phones take, decoding them needs about 1 GB."""
Pixels = NDArray[np.unsignedinteger]
"""(h, w) or (h, w, channels) of 8 or 16 bits."""
ORIENTATION = 0x0112
"""Number of the EXIF tag that says how a picture is to be turned (CIPA DC-008)."""


@runtime_checkable
class Readable(Protocol):
    """A file open for reading bytes."""

    def read(self) -> bytes:
        """Return what is left of it."""
        ...


@runtime_checkable
class PilPicture(Protocol):
    """A Pillow picture (PIL.Image.Image)."""

    @property
    def mode(self) -> str:
        """What its pixels are, such as `RGB`."""
        ...

    def convert(self, mode: str) -> "PilPicture":
        """Return it with other pixels."""
        ...

    def getexif(self) -> Mapping[int, object]:
        """Return its EXIF tags."""
        ...


Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | PilPicture | Pixels
"""Whatever a picture can be given as: a file's name, its content, the open file, a Pillow picture or an array."""
Pictures = Sequence[Picture]
"""Several of them, in a list or tuple."""


def load_picture(path: Path) -> Image:
    """Read a picture of any depth and colour, upright as its EXIF orientation says.

    Returns:
        (h, w, 3) uint8, BGR.

    Raises:
        InputError: the file is missing, empty, too large or no picture.
    """
    try:
        # Not cv2.imread: it cannot open non-Latin paths on every system.
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); name an existing picture") from e
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str, max_pixels: int = MAX_PICTURE_PIXELS) -> Image:
    """Decode a file's content.

    Args:
        data: the content.
        name: what messages call it.
        max_pixels: a larger picture is refused before it is decoded.

    Returns:
        (h, w, 3) uint8, BGR, upright as the EXIF orientation says.

    Raises:
        InputError: it is empty, too large or no picture.
    """
    if not data:
        raise InputError(f"{name} is empty; expected a picture")
    if find_kind(data[:32]) in TILED:
        return _decode_tiled(data, name, max_pixels)
    size_wh = find_picture_size(data)
    if size_wh:
        check_size(name, *size_wh, max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as e:
        raise InputError(f"{name} cannot be decoded ({e.err}); expected a picture of at most 2^30 pixels") from e
    if image is None:
        what = "cut off" if is_cut_off(data) else "damaged" if size_wh else None
        if what:
            raise InputError(f"{name} is {what} and cannot be decoded; expected a complete picture")
        raise InputError(
            f"{name} cannot be decoded as a picture; expected a complete jpg, png, tiff, webp, avif, heic or bmp file"
        )
    return np.asarray(image, np.uint8)


def _decode_tiled(data: bytes, name: str, max_pixels: int) -> Image:
    """Decode AVIF or HEIC by Pillow: OpenCV ignores how they are turned, and reads no HEIC."""
    if is_cut_off(data):
        # What is missing would be grey.
        raise InputError(f"{name} is cut off and cannot be decoded; expected a complete picture")
    try:
        picture = _open_tiled(data, name)
        check_size(name, picture.width, picture.height, max_pixels)
        return _to_bgr(_take_pixels(picture))
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as e:
        raise InputError(f"{name} is damaged and cannot be decoded ({e}); expected a complete picture") from e


def to_image(picture: object) -> Image:
    """Return (h, w, 3) uint8 BGR of whatever a caller has.

    Args:
        picture: a file's name, its content, a file open for reading, a Pillow picture (upright as its EXIF orientation
            says), or an array: grey (h, w), BGR (h, w, 3) or BGRA (h, w, 4), uint8 or uint16. Opacity is left out.

    Raises:
        InputError: it is none of these or cannot be decoded.
    """
    if isinstance(picture, str | os.PathLike):
        _warn_of_pages(Path(picture), str(picture))
        return load_picture(Path(picture))
    if isinstance(picture, bytes | bytearray | memoryview):
        _warn_of_pages(bytes(picture), "the picture")
        return decode_picture(bytes(picture), "the picture")
    if isinstance(picture, Readable):
        return decode_picture(_read(picture), f"the file {getattr(picture, 'name', '')}".rstrip())
    if picture is None:
        raise InputError(
            "there is no picture (None, as cv2.imread returns for what it cannot read); pass the file's name"
        )
    try:
        values = _take_pixels(picture) if isinstance(picture, PilPicture) else np.asarray(picture)
    # Pillow reads its file only now; lists of different lengths and arrays on a graphics card are no arrays here.
    except (OSError, SyntaxError, ValueError, TypeError) as e:
        raise InputError(f"the picture cannot be read ({e}); pass a complete picture, or an array in memory") from e
    return _to_bgr(values)


def _open_tiled(data: bytes, name: str) -> Any:
    # Not Image.open: its limits are for all of the process, and HEIC would have to be registered there.
    try:
        if find_kind(data[:32]) == "avif":
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile(io.BytesIO(data))
        from pillow_heif import HeifImageFile
    except ImportError as e:
        raise InputError(f"{name} needs a decoder that is missing ({e}); install emoscope anew") from e
    return HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]


def _warn_of_pages(media: Path | bytes, name: str) -> None:
    if (n := count_pages(media)) > 1:
        log.warning("%s holds %d pictures; only the first is read, save the others as files of their own", name, n)


def _read(file: Readable) -> bytes:
    try:
        data = file.read()
    except (OSError, ValueError) as e:
        raise InputError(f"the picture's file cannot be read ({e}); open it with mode 'rb'") from e
    if not isinstance(data, bytes):
        raise InputError(f"the picture's file gives {type(data).__name__}, expected bytes; open it with mode 'rb'")
    return data


def _take_pixels(picture: PilPicture) -> Pixels:
    """Return a Pillow picture's pixels, grey or BGR, upright."""
    converted = picture
    if picture.mode in ("1", "LA", "La"):
        converted = picture.convert("L")
    elif picture.mode not in ("L", "I", "F") and not picture.mode.startswith("I;16"):
        converted = picture.convert("RGB")
    pixels: Pixels = np.asarray(converted)
    if pixels.ndim == 3:
        pixels = pixels[:, :, ::-1]
    # After the pixels: Pillow turns TIFF files itself when it reads them, and forgets the tag.
    return turn(pixels, picture.getexif().get(ORIENTATION, 1))


def turn(pixels: Pixels, orientation: object) -> Pixels:
    """Return pixels upright.

    Args:
        pixels: (h, w, ...) as stored.
        orientation: 1 to 8 as EXIF counts them (CIPA DC-008): where the first row and column are shown; anything else
            says nothing.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels[::-1] if orientation in (3, 4, 7, 8) else pixels)


def _to_bgr(image: Pixels) -> Image:
    if image.dtype.kind == "u" and image.dtype.itemsize == 2:
        # Some programs keep 8-bit values in 16 bits; as real 16-bit values these would all be black.
        image = (image >> 8 if image.max(initial=0) > 255 else image).astype(np.uint8)
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
    return np.ascontiguousarray(image[:, :, :3], np.uint8)


class SizeError(InputError):
    """A picture or video that is larger than allowed."""


def check_size(name: str | Path, width: int, height: int, limit: int) -> None:
    """Check what a file announces before memory is taken for it.

    Raises:
        SizeError: it has more than `limit` pixels.
    """
    if width * height > limit:
        raise SizeError(
            f"{name} has {width} x {height} pixels, expected at most {limit / 1e6:.0f} million; reduce it first"
        )
