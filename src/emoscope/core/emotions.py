"""The only list of the seven emotions: index, name, colour and valence sign.

The order is the one in which FER2013 was published, so that a class index means
the same in every file that emoscope reads or writes.
"""

from typing import Final

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names; the position is the class index (0 angry ... 6 neutral)."""

COLOURS: Final = ("#e82964", "#038057", "#7564b0", "#c08000", "#447ef3", "#af5606", "#89899b")
"""One sRGB colour per class. Found by a search for the largest distance between the two nearest, seen with full colour
vision and with each of the three deficiencies, at a contrast of 3:1 with a light and with a dark ground
(tests/core/test_colours.py measures both)."""

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
}
"""Other spellings found as folder names in public copies of FER2013 and in similar sets."""


def find_emotion(name: str) -> int | None:
    """Return the class index for a name in any known spelling, or None."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    return EMOTIONS.index(key) if key in EMOTIONS else None
