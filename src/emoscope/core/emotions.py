"""The only list of the seven emotions: index, name, colour and valence sign.

The order is the one in which FER2013 was published, so that a class index means
the same in every file that emoscope reads or writes.
"""

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


def find_emotion(name: str) -> int | None:
    """Return the class index for a name in any known spelling, or None."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    return EMOTIONS.index(key) if key in EMOTIONS else None
