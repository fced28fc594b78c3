"""The only list of the seven emotions: index, name, colour and valence sign; and what a list of other classes has.

The order is the one in which FER2013 was published, so that a class index means the same in every file that emoscope
reads or writes. A dataset and the network trained on it may have other classes: their list travels in the dataset's
file, in the network's ModelSpec and as the columns of the observations, and all else follows from the list.
"""

import colorsys
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Final

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names; the position is the class index (0 angry ... 6 neutral)."""

COLOURS: Final = ("#b93246", "#149b8c", "#9b69f5", "#b48200", "#0a37c8", "#732800", "#373c46")
"""One sRGB colour per class, for a light ground. Neighbours, and happy and surprise, differ by 20 or more in CIEDE2000,
seen with full colour vision and with each of the three deficiencies, any two by 20, 15 and 14 (found by
benchmarks/colours.py, measured by tests/core/test_colours.py). No seven of 3:1 with both grounds do: a dark ground has
colours of its own."""

COLOURS_ON_DARK: Final = ("#f07869", "#87e1cd", "#b49bff", "#ffc30a", "#4169d2", "#aa5a0a", "#7d7d82")
"""The same hues for a dark ground, to which they have 3:1."""

VALENCE: Final = (-1, -1, -1, 1, -1, 0, 0)
"""Sign of each class's valence. Surprise has none of its own: it can be pleasant or not
(Russell, A circumplex model of affect, 1980)."""

ALIASES: Final = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "surprize": "surprise",
    "suprise": "surprise",
}
"""Other spellings found as folder names in public copies of FER2013 and in similar sets."""


MIN_CLASSES: Final = 2
MAX_CLASSES: Final = 40
MAX_NAME: Final = 32
"""Letters of a class's name."""
RESERVED: Final = ("uncertain", "valence")
"""Words that stand beside class names in tables."""
_NAME = re.compile(r"[^\W_](?:[\w-]*\w)?")

_LIGHT, _ON_DARK = (0.02, 0.24), (0.26, 0.8)
"""Luminance of further colours, by turns: 3:1 or more with a white ground, and with the dark one. What touches in a
stack differs by 20 in CIEDE2000 then, with every colour vision (tests/core/test_colours.py)."""
_SATURATIONS = (0.9, 0.55)
_GOLDEN = 0.6180339887498949
"""Turns of the colour circle between two further colours: the first n are far from each other, for every n."""


def find_emotion(name: str) -> int | None:
    """Return the class index for a name in any known spelling, or None."""
    return find_class(name, EMOTIONS)


def fold_name(name: str) -> str:
    """Return a name as classes are written: small letters, each of one character (folders of Macs have two for ü)."""
    return unicodedata.normalize("NFC", name.strip().lower())


def find_class(name: str, classes: Sequence[str]) -> int | None:
    """Return a name's place in a list of classes: as it is, or in another known spelling; None if it is none."""
    key = fold_name(name)
    key = key if key in classes else ALIASES.get(key, key)
    return classes.index(key) if key in classes else None


def list_class_problems(names: Sequence[str]) -> list[str]:
    """Return what is wrong with a list of class names, as ends of a sentence."""
    problems = []
    if not MIN_CLASSES <= len(names) <= MAX_CLASSES:
        problems.append(f"there are {len(names)} classes, expected {MIN_CLASSES} to {MAX_CLASSES}")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        problems.append(f"{', '.join(twice)[:80]} stands twice")
    for name in names:
        if len(name) > MAX_NAME or not _NAME.fullmatch(name) or name != name.lower():
            problems.append(
                f"{ascii(name)[:40]} is no name of a class, expected up to {MAX_NAME} small letters, digits, - and _"
            )
        elif name in RESERVED:
            problems.append(f"{name} has a meaning of its own and cannot be a class")
    return problems


def find_valence(classes: Sequence[str]) -> tuple[int, ...] | None:
    """Return each class's sign of valence; None where one is not of the seven, for then no index is known."""
    if not set(classes) <= set(EMOTIONS):
        return None
    return tuple(VALENCE[EMOTIONS.index(name)] for name in classes)


@cache
def find_colours(classes: tuple[str, ...], on_dark: bool = False) -> tuple[str, ...]:
    """Return an sRGB colour per class: the seven keep theirs, others get further ones in the order of the list."""
    own = dict(zip(EMOTIONS, COLOURS_ON_DARK if on_dark else COLOURS, strict=True))
    others = iter(range(len(classes)))
    return tuple(own.get(name) or _draw_colour(next(others), on_dark) for name in classes)


def _draw_colour(i: int, on_dark: bool) -> str:
    """Return the i-th further colour."""
    hue, saturation = (0.1 + i * _GOLDEN) % 1, _SATURATIONS[i // 3 % 2]
    wanted, low, high = (_ON_DARK if on_dark else _LIGHT)[i % 2], 0.0, 1.0
    for _ in range(20):
        lightness = (low + high) / 2
        rgb = colorsys.hls_to_rgb(hue, lightness, saturation)
        is_light = compute_luminance(rgb) > wanted
        low, high = (low, lightness) if is_light else (lightness, high)
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)


def compute_luminance(rgb: Sequence[float]) -> float:
    """Return the relative luminance of an sRGB colour, each 0 to 1 (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
