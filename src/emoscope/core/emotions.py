"""The only list of the seven emotions: index, name, colour and valence sign.

The order is the one in which FER2013 was published, so that a class index means
the same in every file that emoscope reads or writes.
"""

from typing import Final

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names; the position is the class index (0 angry ... 6 neutral)."""

COLOURS: Final = ("#7d0028", "#509b78", "#a06eff", "#b98200", "#192d91", "#a54623", "#696978")
"""One sRGB colour per class, for a light ground. Neighbours differ by 20 or more in CIEDE2000, seen with full colour
vision and with each of the three deficiencies, any two by 20, 15 and 12 (found by benchmarks/colours.py, measured by
tests/core/test_colours.py). No seven of 3:1 with both grounds do: a dark ground has colours of its own."""

COLOURS_ON_DARK: Final = ("#be465a", "#3cebb9", "#d2beff", "#facd0a", "#0a64fa", "#e6825f", "#828291")
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
