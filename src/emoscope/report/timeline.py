"""Numbers behind the report's charts: observations in, means per bin of time out; gaps stay gaps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emoscope.emotions import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_BINS = 600
"""More points than a chart of 1000 pixels can show apart would only make the file larger."""
GAP_STEPS = 3.0
"""A frame stands for the time up to the next one, but for no more than this many usual distances
between frames: after a hole in the recording nothing is known."""
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


@dataclass(frozen=True)
class Readings:
    """Columns of the observations table as arrays, one entry per row."""

    bins: Ints
    """Index of the row's bin in the timeline."""
    track_ids: Floats
    """Person's number; NaN where nobody is followed."""
    probabilities: Floats
    """Shape (n, 7); NaN where there is no face."""
    is_face: Bools
    is_uncertain: Bools

    def select(self, track_id: int) -> "Readings":
        """Return the rows of one person."""
        rows = self.track_ids == track_id
        return Readings(
            self.bins[rows], self.track_ids[rows], self.probabilities[rows], self.is_face[rows], self.is_uncertain[rows]
        )


def read_observations(observations: "pd.DataFrame", duration_s: float) -> tuple[Readings, Timeline]:
    """Bring the observations of one video on a timeline of at most `MAX_BINS` bins.

    Args:
        observations: The observations table.
        duration_s: Length of the video; 0 when unknown.
    """
    frames = observations["frame"].to_numpy(dtype=np.int64)
    times_s = observations["time_s"].to_numpy(dtype=np.float64)
    columns = [f"p_{name}" for name in EMOTIONS]
    probabilities = observations[columns].to_numpy(dtype=np.float64, na_value=np.nan)
    timeline, bins = _create_timeline(frames, times_s, duration_s)
    readings = Readings(
        bins=bins,
        track_ids=observations["track_id"].to_numpy(dtype=np.float64, na_value=np.nan),
        probabilities=probabilities,
        is_face=observations["emotion"].notna().to_numpy(dtype=np.bool_),
        is_uncertain=observations["uncertain"].astype("boolean").fillna(False).to_numpy(dtype=np.bool_),
    )
    return readings, timeline


def _create_timeline(frames: Ints, times_s: Floats, duration_s: float) -> tuple[Timeline, Ints]:
    """Return the timeline and the bin of every row."""
    unique, first_row, position = np.unique(frames, return_index=True, return_inverse=True)
    n = len(unique)
    if n == 0:
        nothing = np.zeros(0)
        return Timeline(nothing, nothing, np.zeros(0, np.int64), max(duration_s, 1.0)), np.zeros(0, np.int64)
    frame_times_s = times_s[first_row]
    step_s = float(np.median(np.diff(frame_times_s))) if n > 1 else duration_s
    if not step_s > 0:
        step_s = 0.04  # One frame at 25 per second: a lone frame must have some width to be seen.
    per_bin = -(-n // MAX_BINS)
    starts_s = frame_times_s[::per_bin]
    n_bins = len(starts_s)
    last_rows = np.minimum(np.arange(1, n_bins + 1) * per_bin, n) - 1
    lasts_s = frame_times_s[last_rows]
    nexts_s = np.append(starts_s[1:], lasts_s[-1] + step_s)
    ends_s = np.minimum(nexts_s, lasts_s + GAP_STEPS * step_s)
    bin_of_frame = np.arange(n, dtype=np.int64) // per_bin
    n_frames = np.bincount(bin_of_frame, minlength=n_bins).astype(np.int64)
    timeline = Timeline(starts_s, ends_s, n_frames, max(duration_s, float(ends_s[-1])))
    return timeline, bin_of_frame[position.reshape(-1)]


def compute_probabilities(readings: Readings, timeline: Timeline) -> Floats:
    """Return the mean probabilities per bin, shape (n_bins, 7); NaN where nobody was seen."""
    seen = readings.is_face & np.isfinite(readings.probabilities).all(axis=1)
    bins = readings.bins[seen]
    counts = np.bincount(bins, minlength=timeline.n_bins)
    means = np.full((timeline.n_bins, len(EMOTIONS)), np.nan)
    for i in range(len(EMOTIONS)):
        sums = np.bincount(bins, weights=readings.probabilities[seen, i], minlength=timeline.n_bins)
        np.divide(sums, counts, out=means[:, i], where=counts > 0)
    return means


def compute_face_counts(readings: Readings, timeline: Timeline) -> Floats:
    """Return the mean number of faces per analysed frame in each bin, shape (n_bins,)."""
    counts = np.bincount(readings.bins[readings.is_face], minlength=timeline.n_bins)
    return counts / np.maximum(timeline.n_frames, 1)


def find_uncertain(readings: Readings, timeline: Timeline) -> Bools:
    """Return for each bin whether most of its observations are uncertain, shape (n_bins,)."""
    faces = np.bincount(readings.bins[readings.is_face], minlength=timeline.n_bins)
    uncertain = np.bincount(readings.bins[readings.is_face & readings.is_uncertain], minlength=timeline.n_bins)
    return (faces > 0) & (uncertain >= UNCERTAIN_FROM * faces)


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
