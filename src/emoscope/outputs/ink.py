"""Drawing: text, plates and bars onto an image in place; smooth edges, clipped at the image's edge."""

import unicodedata
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import find_colours
from emoscope.core.numbers import format_percent
from emoscope.core.types import Image

WHITE, GREY, DARK = (255, 255, 255), (176, 176, 176), (24, 20, 18)
PLATE = 20
"""Grey of plates."""

FONT = cv2.FONT_HERSHEY_DUPLEX
FONT_CAP_PX = 21
"""Height of its capitals at scale 1."""
CAP_SHARE = 0.66
"""Height of capitals as a share of the line's."""
SPACE_SHARE = 0.3
"""Width of a space as a share of the line's height."""
SUPERSAMPLING = 4
"""Text is drawn larger and reduced: OpenCV's own smoothing leaves small letters ragged."""

Colour = tuple[int, ...]
"""Blue, green, red, each 0..255."""


@cache
def find_bgr(classes: tuple[str, ...]) -> list[Colour]:
    """Return the classes' colours as OpenCV wants them; bars lie on dark plates, boxes on whatever was filmed."""
    return [tuple(int(c[i : i + 2], 16) for i in (5, 3, 1)) for c in find_colours(classes, on_dark=True)]


@cache
def find_drawable(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes' names in letters of OpenCV's font: without accents; else their place in the list, as #8."""
    found = []
    for place, name in enumerate(classes, start=1):
        plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
        found.append(plain if plain.isascii() else f"#{place}")
    return tuple(found)


def write_reading(emotion: str, probability: float | None, is_uncertain: bool) -> str:
    """Return what stands beside a face: `happy 34%?`, or `happy?` where there is room for no more."""
    number = "" if probability is None else f" {format_percent(probability, space='')}"
    return f"{emotion}{number}{'?' if is_uncertain else ''}"


@lru_cache(maxsize=2048)
def render_word(word: str, line_px: int) -> NDArray[np.float32]:
    """Return a word as (line_px, w, 3) coverage, 1 where ink is; words come again where whole lines do not."""
    cap_px = CAP_SHARE * line_px * SUPERSAMPLING
    scale, thickness = cap_px / FONT_CAP_PX, max(1, round(cap_px / 7))
    (w, _), _ = cv2.getTextSize(word, FONT, scale, thickness)
    height = line_px * SUPERSAMPLING
    large = np.zeros((height, -(-(w + thickness) // SUPERSAMPLING) * SUPERSAMPLING), np.uint8)
    cv2.putText(large, word, (thickness // 2, round(height * 0.78)), FONT, scale, 255, thickness, cv2.LINE_AA)
    size_wh = large.shape[1] // SUPERSAMPLING, line_px
    small = cv2.resize(large, size_wh, interpolation=cv2.INTER_AREA)
    # Three equal channels: broadcasting over them would take most of the time.
    out = np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR), np.float32) / np.float32(255)
    out.flags.writeable = False
    return out


def _place_words(text: str, line_px: int) -> list[tuple[str, int]]:
    """Return each word with its distance from the left, and an empty word at the end."""
    places, x, space_px = [], 0, round(SPACE_SHARE * line_px)
    for word in text.split(" "):
        if word:
            places.append((word, x))
            x += render_word(word, line_px).shape[1]
        x += space_px
    return [*places, ("", x - space_px)]


def measure_text(text: str, line_px: int) -> int:
    """Return the width of a line of text in pixels."""
    return _place_words(text, line_px)[-1][1]


def put_text(image: Image, text: str, x: int, y: int, line_px: int, colour: Colour) -> None:
    """Write a line of text whose upper left corner is (x, y)."""
    for word, offset in _place_words(text, line_px)[:-1]:
        _put_ink(image, render_word(word, line_px), x + offset, y, colour)


def _put_ink(image: Image, ink: NDArray[np.float32], x: int, y: int, colour: Colour) -> None:
    h, w = image.shape[:2]
    left, top = max(x, 0), max(y, 0)
    ink = ink[top - y : max(h - y, 0), left - x : max(w - x, 0)]
    if ink.size == 0:
        return
    under = image[top : top + ink.shape[0], left : left + ink.shape[1]]
    mixed = under + (np.array(colour, np.float32) - under) * ink
    under[:] = np.rint(mixed, out=mixed)


def put_plate(image: Image, rectangle: tuple[int, int, int, int], share: float = 0.68) -> None:
    """Darken a rectangle x1, y1, x2, y2, so that text on it is legible whatever lies beneath."""
    x1, y1, x2, y2 = (max(0, v) for v in rectangle)
    under = image[y1:y2, x1:x2]
    if under.size:
        under[:] = cv2.convertScaleAbs(under, alpha=1 - share, beta=share * PLATE)


def put_bar(image: Image, rectangle: tuple[int, int, int, int], share: float, colour: Colour) -> None:
    """Fill the left share, 0..1, of a rectangle x1, y1, x2, y2 with a colour, the rest with dark grey."""
    x1, y1, x2, y2 = rectangle
    x1, y1 = max(0, x1), max(0, y1)
    middle = x1 + round(share * max(0, x2 - x1))
    image[y1:y2, x1:middle] = colour
    image[y1:y2, middle:x2] = (70, 66, 64)
