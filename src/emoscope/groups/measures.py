"""Measures: a network's classes in; what is told of each participant, within which limits and in which words, out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, find_valence
from emoscope.core.schema import P_, name_columns
from emoscope.tables.rows import find_probabilities, find_shares, find_signs

Floats = NDArray[np.float64]
VALENCE: Final = "valence"
"""The valence index among the measures."""
RANGE: Final = (-1.0, 1.0)
"""What it can be."""
NO_VALENCE: Final = (
    "whether something is pleasant is not told, for of classes other than the seven emotions no valence is known: its "
    "index and curves, stretches of time that stand out and the participants' correlations are left out"
)


@dataclass(frozen=True)
class Measures:
    """What is told of a participant: the valence index where it is known, and the mean probability of each class."""

    classes: tuple[str, ...]

    @cached_property
    def has_valence(self) -> bool:
        """Whether every class has a valence."""
        return find_valence(self.classes) is not None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the measures, in their order: valence, if there is one, then the classes."""
        return (*(VALENCE,) * self.has_valence, *self.classes)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What they are called in tables."""
        return (*(VALENCE,) * self.has_valence, *name_columns(P_, self.classes))

    @cached_property
    def shares(self) -> tuple[str, ...]:
        """What the shares of observations that were read as each class are called in tables."""
        return name_columns("share_", self.classes)

    @cached_property
    def range(self) -> tuple[Floats, Floats]:
        """Smallest and largest value of each measure, (measures,) each."""
        n = len(self.names)
        return np.array([*(RANGE[0],) * self.has_valence, *(0.0,) * len(self.classes)]), np.ones(n)

    def compute(self, sums: Floats) -> Floats:
        """Return the measures (..., measures) of sums of readings (..., readings); NaN where there are none."""
        means = _divide(find_probabilities(sums), sums[..., :1])
        return (
            np.concatenate([(means @ find_signs(self.classes))[..., None], means], axis=-1)
            if self.has_valence
            else means
        )

    def compute_shares(self, sums: Floats) -> Floats:
        """Return how often each class was read (..., classes) in sums of readings (..., readings)."""
        return _divide(find_shares(sums), sums[..., :1])

    def get_valence(self, values: Floats) -> Floats:
        """Return the valence index (...) of measures (..., measures); NaN where it is not known."""
        return values[..., 0] if self.has_valence else np.full(values.shape[:-1], np.nan)

    def get_probabilities(self, values: Floats) -> Floats:
        """Return the probabilities (..., classes) of measures (..., measures)."""
        return values[..., int(self.has_valence) :]

    @cached_property
    def meaning_of_valence(self) -> str:
        """How the valence index is made; only where there is one."""
        signs = find_signs(self.classes)
        pleasant, unpleasant = (
            join_names([c for c, s in zip(self.classes, signs, strict=True) if s == sign]) for sign in (1, -1)
        )
        return f"probability of {pleasant} less that of {unpleasant}"

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What the columns of measures and shares mean, by their names."""
        return {
            VALENCE: f"valence index: mean {self.meaning_of_valence}, -1 to 1",
            **{f"{P_}{name}": f"mean probability of {name}, 0 to 1" for name in self.classes},
            **{f"share_{name}": f"share of the observations that were read as {name}, 0 to 1" for name in self.classes},
        }

    @property
    def are_the_seven(self) -> bool:
        """Whether the classes are the seven emotions."""
        return self.classes == EMOTIONS


def _divide(sums: Floats, n: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(n > 0, sums / n, np.nan))


def join_names(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    *most, last = names or ["none"]
    return f"{', '.join(most)} and {last}" if most else last
