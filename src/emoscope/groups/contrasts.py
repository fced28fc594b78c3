"""What differs: a project in; contrasts of events and conditions, stretches of time that stand out, agreement out."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from emoscope.groups.measures import NO_VALENCE, VALENCE
from emoscope.groups.project import Project
from emoscope.tables.curve_inference import Cluster, correlate_subjects, find_clusters
from emoscope.tables.inference import (
    MIN_PEOPLE,
    Contrast,
    Estimate,
    compute_intervals,
    contrast_independent,
    contrast_paired,
    correct,
    estimate_means,
)

Floats = NDArray[np.float64]
Design = Literal["within", "between"]
MAX_LEVELS: Final = 8
"""A column with more values, such as an age, is no condition; it stays in the tables."""
LEVEL: Final = 0.05
"""A stretch of time stands out when its p is below."""
MAX_PEAKS: Final = 8
N_APART: Final = 20
"""Peaks of one curve lie at least such a part of the stimulus apart."""
LEAST_PEAK: Final = 0.05
"""A peak of a mean curve rises at least so far above what lies around it."""


@dataclass(frozen=True)
class Difference:
    """Two events, or two conditions, in one measure."""

    of: str
    """`segment`, or the column of the conditions."""
    first: str
    second: str
    design: Design
    measure: str
    contrast: Contrast
    """First less second. Corrected together are the valence of all pairs, and all emotions of all pairs."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of the stimulus's time in which the valence curve stands out."""

    of: str
    """`time`: participants against their own means; else the column of two conditions."""
    first: str
    second: str
    start_s: float
    end_s: float
    cluster: Cluster


@dataclass(frozen=True)
class Peak:
    """A moment in which a mean curve is higher, or lower, than around."""

    time_s: float
    """Middle of its bin."""
    measure: str
    is_low: bool
    value: Estimate
    n: int
    """Participants who were seen then."""
    rise: float
    """How far it stands out from what lies around it."""


@dataclass(frozen=True)
class Level:
    """One condition: its participants and their curves."""

    name: str
    names: tuple[str, ...]
    means: Floats
    """(participants, measures)"""
    curves: Floats
    """(participants, n_bins) of the valence index; NaN where it is not known."""


@dataclass(frozen=True)
class Results:
    """All that is computed of a project's participants."""

    project: Project

    @cached_property
    def means(self) -> list[Estimate]:
        """Of each measure over the stimulus."""
        return estimate_means(self.values, self.project.measures.range)

    @cached_property
    def values(self) -> Floats:
        """(participants, measures) over the stimulus."""
        return self.project.average(self.project.tracks, self.project.names)

    @cached_property
    def segments(self) -> dict[str, Floats]:
        """(participants, measures) in each marked segment."""
        return {name: self.project.average_segment(name) for name in self.project.segments}

    @cached_property
    def intervals(self) -> tuple[Floats, Floats, Floats]:
        """Mean and interval of each measure in each bin, (n_bins, measures) each."""
        curves, (least, most) = self.project.curves, self.project.measures.range
        range_ = (np.tile(least, curves.shape[1]), np.tile(most, curves.shape[1]))
        flat = compute_intervals(curves.reshape(len(curves), -1), range_)
        mean, low, high = (part.reshape(curves.shape[1:]) for part in flat)
        return mean, low, high

    @cached_property
    def agreement(self) -> Floats:
        """Each participant's correlation with the mean valence curve of all others (participants,)."""
        return correlate_subjects(self.project.valence)

    @cached_property
    def factors(self) -> dict[str, tuple[Level, ...]]:
        """The conditions of each column that has two or more, and few enough."""
        found = {}
        for factor, values in self.project.factors.items():
            if 2 <= len(values) <= MAX_LEVELS:
                found[factor] = tuple(self._create_level(factor, value) for value in values)
        return found

    def _create_level(self, factor: str, value: str) -> Level:
        tracks = [track for track in self.project.tracks if track.factors.get(factor) == value]
        names = tuple(dict.fromkeys(track.participant for track in tracks))
        curves = self.project.measures.get_valence(self.project.average_curves(tracks, names))
        return Level(value, names, self.project.average(tracks, names), curves)

    @cached_property
    def differences(self) -> list[Difference]:
        """All contrasts of segments, then of conditions."""
        measures = self.project.measures.names
        found = list(_contrast_segments(self.segments, measures))
        groups = [found]
        for factor, levels in self.factors.items():
            pairs = itertools.combinations(levels, 2)
            groups.append([d for a, b in pairs for d in _contrast_levels(factor, a, b, measures)])
        return [difference for group in groups for difference in _correct_together(group)]

    @cached_property
    def stretches(self) -> list[Stretch]:
        """All stretches whose p is below LEVEL; that of conditions times the number of pairs."""
        curves, bin_s = self.project.valence, self.project.clock.bin_s
        clusters = [c for c in find_clusters(center(curves)) if c.p < LEVEL]
        found = [Stretch("time", "", "", c.start * bin_s, c.end * bin_s, c) for c in clusters]
        for factor, levels in self.factors.items():
            pairs = list(itertools.combinations(levels, 2))
            for a, b in pairs:
                # Bonferroni's correction: a family of curves has no single p to step down by.
                clusters = [c for c in compare_curves(a, b) if c.p * len(pairs) < LEVEL]
                found += [Stretch(factor, a.name, b.name, c.start * bin_s, c.end * bin_s, c) for c in clusters]
        return found

    @cached_property
    def peaks(self) -> list[Peak]:
        """The moments in which mean curves stand out most from what lies around them, in the order of time."""
        mean, low, high = self.intervals
        counts = np.isfinite(self.project.curves[..., -1]).sum(axis=0)
        found = []
        for i, name in enumerate(self.project.measures.names):
            # A face at rest is no peak.
            for sign in () if name == "neutral" else (1, -1) if name == VALENCE else (1,):
                for bin_no, rise in _find_peaks(sign * mean[:, i]):
                    value = Estimate(*(_to_number(part[bin_no, i]) for part in (mean, low, high)))
                    time_s = (bin_no + 0.5) * self.project.clock.bin_s
                    found.append(Peak(time_s, name, sign < 0, value, int(counts[bin_no]), rise))
        best = sorted(found, key=lambda peak: -peak.rise)[:MAX_PEAKS]
        return sorted(best, key=lambda peak: peak.time_s)

    def find_notes(self) -> Iterator[str]:
        """Yield what could not be compared, and why, a line each."""
        if not self.project.measures.has_valence:
            yield NO_VALENCE
        for factor, values in self.project.factors.items():
            if len(values) > MAX_LEVELS:
                yield f"the column {factor} has {len(values)} values and is not compared; it stays in the tables"
        for factor, levels in self.factors.items():
            small = [f"{level.name} ({len(level.names)})" for level in levels if len(level.names) < MIN_PEOPLE]
            if small:
                yield f"{factor}: fewer than {MIN_PEOPLE} participants allow no test: {', '.join(small)}"
            for a, b in itertools.combinations(levels, 2):
                if find_design(a, b) == "within" and (lone := set(a.names) ^ set(b.names)):
                    yield (
                        f"{factor}: {len(lone)} of the participants have only one of {a.name} and {b.name} and are "
                        "left out of this comparison"
                    )
                elif find_design(a, b) == "between" and (both := set(a.names) & set(b.names)):
                    yield (
                        f"{factor}: {len(both)} of the participants have both {a.name} and {b.name} and are left out "
                        "of this comparison of groups"
                    )


def center(curves: Floats) -> Floats:
    """Return curves (n, T) less each participant's own mean: what is left is how they moved."""
    is_there = np.isfinite(curves)
    counts = np.maximum(is_there.sum(axis=1, keepdims=True), 1)
    return np.asarray(curves - np.where(is_there, curves, 0).sum(axis=1, keepdims=True) / counts)


def find_design(first: Level, second: Level) -> Design:
    """Return whether two conditions are compared within participants: half of them or more have both."""
    both, any_ = set(first.names) & set(second.names), set(first.names) | set(second.names)
    return "within" if 2 * len(both) >= len(any_) else "between"


def select(first: Level, second: Level) -> tuple[NDArray[np.int64], NDArray[np.int64], Design]:
    """Return which rows of two conditions are compared: those of the same participants, or of different ones."""
    design = find_design(first, second)
    both = set(first.names) & set(second.names)
    if design == "within":
        shared = [name for name in first.names if name in both]
        rows = ([first.names.index(name) for name in shared], [second.names.index(name) for name in shared])
    else:
        alone = [[i for i, name in enumerate(level.names) if name not in both] for level in (first, second)]
        rows = alone[0], alone[1]
    return np.array(rows[0], np.int64), np.array(rows[1], np.int64), design


def compare_curves(first: Level, second: Level) -> list[Cluster]:
    """Find where the valence curves of two conditions differ."""
    i, j, design = select(first, second)
    if design == "within":
        return find_clusters(first.curves[i] - second.curves[j])
    return find_clusters(first.curves[i], second.curves[j])


def _contrast_segments(segments: dict[str, Floats], measures: Sequence[str]) -> Iterator[Difference]:
    for (first, a), (second, b) in itertools.combinations(segments.items(), 2):
        for name, contrast in zip(measures, contrast_paired(a, b), strict=True):
            yield Difference("segment", first, second, "within", name, contrast)


def _contrast_levels(factor: str, first: Level, second: Level, measures: Sequence[str]) -> Iterator[Difference]:
    i, j, design = select(first, second)
    contrast = contrast_paired if design == "within" else contrast_independent
    for name, found in zip(measures, contrast(first.means[i], second.means[j]), strict=True):
        yield Difference(factor, first.name, second.name, design, name, found)


def _correct_together(differences: Sequence[Difference]) -> list[Difference]:
    """Correct the valence of all pairs together, and the emotions of all pairs."""
    found: dict[int, Difference] = {}
    for is_valence in (True, False):
        numbers = [i for i, d in enumerate(differences) if (d.measure == VALENCE) == is_valence]
        corrected = correct([differences[i].contrast for i in numbers])
        found |= {i: replace(differences[i], contrast=c) for i, c in zip(numbers, corrected, strict=True)}
    return [found[i] for i in sorted(found)]


def _find_peaks(curve: Floats) -> Iterator[tuple[int, float]]:
    from scipy import signal

    if not np.isfinite(curve).any():
        return
    # The ends of the stimulus may be peaks too; where nobody was seen there is none.
    least = np.nanmin(curve)
    padded = np.concatenate([[least], np.where(np.isfinite(curve), curve, least), [least]])
    places, found = signal.find_peaks(padded, prominence=LEAST_PEAK, distance=max(1, len(curve) // N_APART))
    yield from zip((places - 1).tolist(), found["prominences"].tolist(), strict=True)


def _to_number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
