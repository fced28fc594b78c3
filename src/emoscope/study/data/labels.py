"""What labels of other sets mean: words and numbers in, class indices out; all that are unknown are told at once."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from emoscope.core.emotions import EMOTIONS, find_class, fold_name, list_class_problems
from emoscope.core.errors import InputError, shorten

MAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "fer2013": {str(i): emotion for i, emotion in enumerate(EMOTIONS)},
    "expw": {str(i): emotion for i, emotion in enumerate(EMOTIONS)},
    "raf-db": dict(zip("1234567", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), strict=True)),
    "affectnet": dict(
        zip("01234567", ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"), strict=True)
    ),
    "ck+": dict(
        zip("01234567", ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise"), strict=True)
    ),
}
"""The numbers of public sets, as their publishers document them."""

_NUMBERED = re.compile(r"\d+[ _.-]+(?=\D)")
"""What stands before a word, as in `3_happy`."""


class Labels:
    """Takes the labels of one source."""

    def __init__(
        self, mapped: Iterable[str] = (), skipped: Collection[str] = (), classes: Sequence[str] = EMOTIONS
    ) -> None:
        """Take what the user says of them.

        Args:
            mapped: `LABEL=CLASS`, or a name of MAPS.
            skipped: labels whose pictures are left out.
            classes: names of the classes, in the order of their index.

        Raises:
            InputError: lists all that is no such thing.
        """
        self.classes = tuple(fold_name(name).replace(" ", "_") for name in classes)
        if wrong := list_class_problems(self.classes):
            raise InputError(
                shorten(f"--classes is wrong: {'; '.join(wrong)}; give names such as --classes bored,interested,happy")
            )
        self.mapped: dict[str, int] = {}
        problems = []
        pairs: dict[str, int] = {}
        self.skipped = {fold_name(label) for label in skipped}
        self.clashes: list[str] = []
        for text in mapped:
            label, is_pair, emotion = text.rpartition("=")
            known = {label: emotion} if is_pair else MAPS.get(text.lower(), {})
            found = {fold_name(key): self._find_index(word) for key, word in known.items()}
            # Of a set's whole list the user may want a part.
            if not known or (None in found.values() and is_pair) or "" in found:
                problems.append(text)
            right = {key: index for key, index in found.items() if index is not None}
            if is_pair:
                self.clashes += [key for key, index in right.items() if pairs.setdefault(key, index) != index]
                self.clashes += [key for key in right if key in self.skipped]
            else:
                self.mapped |= right
        # A word about one label goes before a set's whole list.
        self.mapped |= pairs
        self.said = {**dict.fromkeys(pairs, "--map"), **dict.fromkeys(self.skipped, "--skip")}
        """Labels of which the user spoke, by the option."""
        if problems:
            raise InputError(
                shorten(
                    f"--map says {', '.join(map(repr, problems))}, expected LABEL=CLASS such as 1={self.classes[0]} "
                    f"(classes are {', '.join(self.classes)}), or one of {', '.join(MAPS)}"
                )
            )
        if self.clashes:
            shown = ", ".join(_show(label) for label in dict.fromkeys(self.clashes))
            raise InputError(shorten(f"--map and --skip say different things of {shown}; say one of each label"))
        self.numbers: Mapping[str, str] = MAPS["fer2013"]
        """What numbers mean unless the source is known to have others: places in the list of classes."""
        if self.classes != EMOTIONS:
            # Where numbers are names, a number is no place: 1 means the class 1, wherever that stands.
            has_numbers = any(name.isdecimal() for name in self.classes)
            self.numbers = {} if has_numbers else {str(i): name for i, name in enumerate(self.classes)}
        self.n_skipped = self.n_found = 0
        self.found: set[str] = set()
        self.unknown: dict[str, tuple[int, str]] = {}

    def _find_index(self, word: str) -> int | None:
        return find_class(word.strip().replace(" ", "_"), self.classes)

    def find(self, label: str, place: str, numbers: Mapping[str, str] | None = None) -> int | None:
        """Return the class index; None where its picture is left out, or where the label is unknown.

        Args:
            label: a word, or a number.
            place: where it stands, for messages.
            numbers: what numbers mean here, unless the user says something else; None: places in the list of classes.
        """
        key = fold_name(label)
        if key in self.said:
            self.found.add(key)
        if key in self.skipped:
            self.n_skipped += 1
            return None
        index = self.mapped.get(key)
        if index is None:
            index = self._find_index((self.numbers if numbers is None else numbers).get(key, key))
        if index is None:
            index = self._find_index(_NUMBERED.sub("", key, count=1))
        if index is None:
            n, first = self.unknown.get(label, (0, place))
            self.unknown[label] = (n + 1, first)
        self.n_found += index is not None
        return index

    def check(self, name: str) -> None:
        """Check that all were known, and all that was said applied, after the whole source was looked at.

        Raises:
            InputError: tells those that were not, how many there are and where the first stands; or what --map and
                --skip say of labels that there are not, or that nothing is left.
        """
        if not self.unknown:
            self._check_said(name)
            return
        # Whatever a file holds instead of labels, a message is a line.
        shown = [f"{_show(label)} ({n}, first {place})" for label, (n, place) in list(self.unknown.items())[:12]]
        more = f" and {len(self.unknown) - 12} more" if len(self.unknown) > 12 else ""
        label = _show(next(iter(self.unknown)))
        raise InputError(
            f"{name} has labels that are none of the classes: {', '.join(shown)}{more}; expected "
            f"{', '.join(self.classes)}; say what they are by --map {label}={self.classes[-1]} or --map "
            f"{'|'.join(MAPS)}; leave out by --skip {label}; or name classes of your own by --classes"
        )

    def _check_said(self, name: str) -> None:
        # As a misspelt label: pictures would be kept, or keep their emotion, without a word.
        if unused := sorted(f"{option} {_show(key)}" for key, option in self.said.items() if key not in self.found):
            raise InputError(
                shorten(f"{name} has no image of {', '.join(unused)}; name labels as the source has them, or none")
            )
        if self.n_skipped and not self.n_found:
            raise InputError(f"all {self.n_skipped} images of {name} are left out by --skip; keep some labels")


def _show(label: str) -> str:
    return repr("".join(c if c.isprintable() else "?" for c in label[:40]))
