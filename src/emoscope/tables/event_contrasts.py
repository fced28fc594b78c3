"""Any two events: what each person showed in marked segments in, paired contrasts of every two of them out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from emoscope.tables.inference import Contrast, contrast_paired, correct
from emoscope.tables.rows import ByEmotion, find_signs

By = Literal["name", "kind"]
MAX_COMPARED: Final = 10
"""Names, and kinds, of which every two are compared, 45 pairs. Of more none are: corrected for so many comparisons
hardly anything would stand out."""


@dataclass(frozen=True)
class EventContrast:
    """Two segments compared: each person in the first less the same person in the second; repeats count together."""

    first: str
    second: str
    by: By
    """Whether these are names or kinds."""
    valence: Contrast
    """Of the index; its p_holm is corrected for all pairs."""
    mean_probabilities: ByEmotion[Contrast]
    """Corrected for all emotions of all pairs."""


@dataclass(frozen=True)
class PeopleIn:
    """What people showed in one segment, or in several together."""

    name: str
    by: By
    ids: NDArray[np.int64]
    """(people,) track_id, sorted."""
    means: NDArray[np.float64]
    """(people, classes) mean probabilities."""
    classes: tuple[str, ...]


def contrast_events(segments: Sequence[PeopleIn]) -> tuple[EventContrast, ...]:
    """Compare every two names, and every two kinds, of at most MAX_COMPARED; nothing of more."""
    pairs: list[tuple[PeopleIn, PeopleIn]] = []
    for by in ("name", "kind"):
        own = [segment for segment in segments if segment.by == by]
        pairs += itertools.combinations(own, 2) if len(own) <= MAX_COMPARED else ()
    found = [_contrast(*pair) for pair in pairs]
    valences = correct([contrasts[-1] for contrasts in found])
    emotions = iter(correct([contrast for contrasts in found for contrast in contrasts[:-1]]))
    return tuple(
        EventContrast(first.name, second.name, first.by, valence, {name: next(emotions) for name in first.classes})
        for (first, second), valence in zip(pairs, valences, strict=True)
    )


def _contrast(first: PeopleIn, second: PeopleIn) -> list[Contrast]:
    """Return the contrasts of the emotions and of the valence index, of those who were seen in both."""
    _, i, j = np.intersect1d(first.ids, second.ids, assume_unique=True, return_indices=True)
    a, b = (np.column_stack([means, means @ find_signs(first.classes)]) for means in (first.means[i], second.means[j]))
    return [replace(contrast, p_holm=None) for contrast in contrast_paired(a, b)]
