"""A picture file's bytes in, a grey face out; whatever they are, a message says what is wrong."""

import contextlib

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.core.headers import is_cut_off
from emoscope.faces.preprocess import to_grey

MAX_PICTURE = 1 << 26
"""Bytes; a file that holds or unpacks to more is no list, no picture of a face."""


def check_picture(data: bytes, name: str) -> None:
    """Check that a picture file may be decoded.

    Raises:
        InputError: it is empty, too big or cut short.
    """
    # OpenCV fills up a file that was cut short with grey, without a word.
    reason = "too big" if len(data) > MAX_PICTURE else "empty" if not data else "cut short" if is_cut_off(data) else ""
    if reason:
        raise InputError(f"the picture {name} cannot be decoded ({reason}); replace or remove it")


def decode_face(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture of a face to grey (h, w).

    Raises:
        InputError: it cannot be decoded.
    """
    image = None
    # It raises this for headers that promise too much.
    with contextlib.suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    if image is None:
        raise InputError(f"the picture {name} cannot be decoded (damaged or no picture); replace or remove it")
    return to_grey(np.asarray(image, np.uint8))
