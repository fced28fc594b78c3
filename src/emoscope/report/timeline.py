"""Bins of time behind the report's charts: sums per bin in, means per bin out; gaps stay gaps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_BINS = 2400
"""Fine enough to zoom into: ten minutes have four points a second, and twelve people's stay below half a megabyte."""
DRAWN_BINS = 600
"""More points than a chart of 1000 pixels can show apart would only make the file larger; the rest is for zooming."""
UNCERTAIN_FROM = 0.5
"""A bin is marked uncertain when at least this share of its observations is."""


@dataclass(frozen=True)
class Timeline:
    """Consecutive bins of equally many analysed frames, and the axis that they lie on."""

    starts_s: Floats
    """Presentation time at which each bin begins, shape (n,), rising."""
    ends_s: Floats
    """End of each bin, shape (n,); before the next start where the recording has a hole."""
    n_frames: Ints
    """Analysed frames in each bin, shape (n,)."""
    end_s: float
    """Right end of the axis; the left end is 0."""

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self.starts_s)

    @property
    def analysed_until_s(self) -> float:
        """End of the last bin."""
        return float(self.ends_s[-1]) if self.n_bins else 0.0

    @property
    def bin_s(self) -> float:
        """Usual length of a bin."""
        return float(np.median(self.ends_s - self.starts_s)) if self.n_bins else 0.0

    def coarsen(self, factor: int) -> "Timeline":
        """Join `factor` bins into one each."""
        if self.n_bins == 0 or factor == 1:
            return self
        edges = np.arange(0, self.n_bins, factor)
        lasts = np.append(edges[1:], self.n_bins) - 1
        return Timeline(self.starts_s[edges], self.ends_s[lasts], np.add.reduceat(self.n_frames, edges), self.end_s)


@dataclass(frozen=True)
class Curve:
    """What was read from one person, or from everyone, in each bin: sums, so that bins can be joined."""

    sums: Floats
    """Probabilities as they are drawn, added up, shape (n, classes)."""
    n_faces: Ints
    """Observations, shape (n,)."""
    n_uncertain: Ints
    """Those of them that are uncertain, shape (n,)."""
    change_sums: Floats
    """Changes from the own resting face, added up, shape (n, classes)."""
    n_changes: Ints
    """Observations with such a change, shape (n,)."""

    @property
    def means(self) -> Floats:
        """Mean probabilities, shape (n, classes); NaN where nobody was seen."""
        return _divide(self.sums, self.n_faces)

    @property
    def changes(self) -> Floats:
        """Mean changes, -1 to 1, shape (n, classes); NaN where there are none."""
        return _divide(self.change_sums, self.n_changes)

    @property
    def is_seen(self) -> Bools:
        """Whether a face was seen, shape (n,)."""
        return self.n_faces > 0

    @property
    def is_uncertain(self) -> Bools:
        """Whether most observations are uncertain, shape (n,)."""
        return self.is_seen & (self.n_uncertain >= UNCERTAIN_FROM * self.n_faces)

    def coarsen(self, factor: int) -> "Curve":
        """Join `factor` bins into one each."""
        if len(self.n_faces) == 0 or factor == 1:
            return self
        edges = np.arange(0, len(self.n_faces), factor)
        parts = (self.sums, self.n_faces, self.n_uncertain, self.change_sums, self.n_changes)
        return Curve(*(np.add.reduceat(part, edges, axis=0) for part in parts))


@dataclass(frozen=True)
class Reading:
    """One recording on its timeline."""

    timeline: Timeline
    everyone: Curve
    people: dict[int, Curve]
    """By track_id; only those who were asked for."""

    @property
    def face_counts(self) -> Floats:
        """Mean number of faces per analysed frame in each bin, shape (n,)."""
        return self.everyone.n_faces / np.maximum(self.timeline.n_frames, 1)

    def coarsen(self) -> "Reading":
        """Return the same in at most DRAWN_BINS bins."""
        factor = max(1, -(-self.timeline.n_bins // DRAWN_BINS))
        people = {track_id: curve.coarsen(factor) for track_id, curve in self.people.items()}
        return Reading(self.timeline.coarsen(factor), self.everyone.coarsen(factor), people)


def find_segments(wanted: Bools, timeline: Timeline) -> list[tuple[int, int]]:
    """Return the runs of consecutive wanted bins as (first, one past the last).

    A run also ends where the recording has a hole, so that no chart draws across it.
    """
    segments: list[tuple[int, int]] = []
    start: int | None = None
    for i in range(timeline.n_bins):
        broken = i > 0 and timeline.starts_s[i] - timeline.ends_s[i - 1] > 1e-6
        if start is not None and (broken or not wanted[i]):
            segments.append((start, i))
            start = None
        if start is None and wanted[i]:
            start = i
    if start is not None:
        segments.append((start, timeline.n_bins))
    return segments


def _divide(sums: Floats, counts: Ints) -> Floats:
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts[:, None], out=means, where=counts[:, None] > 0)
    return means
