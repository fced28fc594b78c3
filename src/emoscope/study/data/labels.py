"""What labels of other sets mean: words and numbers in, class indices out; all that are unknown are told at once."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from emoscope.core.emotions import EMOTIONS, find_emotion
from emoscope.core.errors import InputError, shorten

MAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "fer2013": {str(i): emotion for i, emotion in enumerate(EMOTIONS)},
    "expw": {str(i): emotion for i, emotion in enumerate(EMOTIONS)},
    "raf-db": dict(zip("1234567", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), strict=True)),
    "affectnet": dict(zip("0123456", ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry"), strict=True)),
}
"""The numbers of public sets, as their publishers document them; AffectNet's 7 is contempt."""

_NUMBERED = re.compile(r"\d+[ _.-]+(?=\D)")
"""What stands before a word, as in `3_happy`."""


class Labels:
    """Takes the labels of one source."""

    def __init__(self, mapped: Iterable[str] = (), skipped: Collection[str] = ()) -> None:
        """Take what the user says of them.

        Args:
            mapped: `LABEL=EMOTION`, or a name of MAPS.
            skipped: labels whose pictures are left out.

        Raises:
            InputError: lists all that is no such thing.
        """
        self.mapped: dict[str, int] = {}
        problems = []
        for text in mapped:
            label, is_pair, emotion = text.rpartition("=")
            known = {label: emotion} if is_pair else MAPS.get(text.lower(), {})
            found = {key.strip().lower(): find_emotion(word) for key, word in known.items()}
            if not known or None in found.values() or "" in found:
                problems.append(text)
            self.mapped |= {key: index for key, index in found.items() if index is not None}
        if problems:
            raise InputError(
                shorten(
                    f"--map says {', '.join(map(repr, problems))}, expected LABEL=EMOTION such as 1=surprise "
                    f"(emotions are {', '.join(EMOTIONS)}), or one of {', '.join(MAPS)}"
                )
            )
        self.skipped = {label.strip().lower() for label in skipped}
        self.n_skipped = 0
        self.unknown: dict[str, tuple[int, str]] = {}

    def find(self, label: str, place: str, numbers: Mapping[str, str] = MAPS["fer2013"]) -> int | None:
        """Return the class index; None where its picture is left out, or where the label is unknown.

        Args:
            label: a word, or a number.
            place: where it stands, for messages.
            numbers: what numbers mean here, unless the user says something else.
        """
        key = label.strip().lower()
        if key in self.skipped:
            self.n_skipped += 1
            return None
        index = self.mapped.get(key)
        if index is None:
            index = find_emotion(numbers.get(key, _NUMBERED.sub("", key, count=1)))
        if index is None:
            n, first = self.unknown.get(label, (0, place))
            self.unknown[label] = (n + 1, first)
        return index

    def check(self, name: str) -> None:
        """Check that all were known, after the whole source was looked at.

        Raises:
            InputError: tells those that were not, how many there are and where the first stands.
        """
        if not self.unknown:
            return
        # Whatever a file holds instead of labels, a message is a line.
        shown = [f"{_show(label)} ({n}, first {place})" for label, (n, place) in list(self.unknown.items())[:12]]
        more = f" and {len(self.unknown) - 12} more" if len(self.unknown) > 12 else ""
        label = _show(next(iter(self.unknown)))
        raise InputError(
            f"{name} has labels that are no known emotion: {', '.join(shown)}{more}; expected {', '.join(EMOTIONS)}; "
            f"say what they are by --map {label}=neutral or --map {'|'.join(MAPS)}; or leave out by --skip {label}"
        )


def _show(label: str) -> str:
    return repr("".join(c if c.isprintable() else "?" for c in label[:40]))
