"""The only list of the seven emotions: index, name, colour and valence sign.

The order is the one in which FER2013 was published, so that a class index means
the same in every file that emoscope reads or writes.
"""

from typing import Final

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names; the position is the class index (0 angry ... 6 neutral)."""

COLOURS: Final = ("#c8413b", "#7a8b2d", "#7b5ea7", "#e0a100", "#3573b9", "#e07b39", "#8a8f98")
"""One sRGB colour per class, told apart with the common colour-vision deficiencies."""

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
