"""Reading a recording for its charts: observations in batches in, sums per bin of time out; the table stays on disk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emoscope.core.emotions import EMOTIONS
from emoscope.report.timeline import MAX_BINS, Curve, Floats, Ints, Reading, Timeline
from emoscope.tables.columns import stack, to_numpy
from emoscope.tables.observations import CHANGES, PROBABILITIES, SMOOTHED, Observations

GAP_STEPS = 3.0
"""A frame stands for the time up to the next one, but for no more than this many usual distances
between frames: after a hole in the recording nothing is known."""
LONE_FRAME_S = 0.04
"""One frame at 25 per second: a lone frame must have some width to be seen."""


def read_recording(observations: Observations, track_ids: Sequence[int], duration_s: float) -> Reading:
    """Bring the observations of one video on a timeline of at most MAX_BINS bins.

    Smoothed probabilities are taken where the table has them. Memory does not grow with the table.

    Args:
        observations: the table, its rows in the order of time.
        track_ids: the people that get a curve of their own.
        duration_s: length of the video; 0 when unknown.
    """
    n_frames = count_frames(observations)
    binner = _Binner(n_frames, track_ids)
    drawn = SMOOTHED if observations.has_smoothed else PROBABILITIES
    changes = CHANGES if observations.has_changes else ()
    for batch in observations.batches(["frame", "time_s", "track_id", *drawn, "emotion", "uncertain", *changes]):
        binner.add(batch, drawn, changes)
    return binner.finish(duration_s)


def count_frames(observations: Observations) -> int:
    """Return the number of analysed frames."""
    n, last = 0, None
    for batch in observations.batches(["frame"]):
        frames = to_numpy(batch["frame"])
        n += int(np.count_nonzero(_find_new(frames, last)))
        last = int(frames[-1]) if len(frames) else last
    return n


def _find_new(frames: Ints, last: int | None) -> Any:
    """Return which rows begin a frame, shape (n,) bool; `last` is the frame of the row before."""
    is_new = np.ones(len(frames), np.bool_)
    if len(frames):
        is_new[1:] = frames[1:] != frames[:-1]
        is_new[0] = frames[0] != last
    return is_new


class _Binner:
    """Sums per bin, for everyone and for each person asked for; rows of `sums` are person * n_bins + bin."""

    def __init__(self, n_frames: int, track_ids: Sequence[int]) -> None:
        self.per_bin = max(1, -(-n_frames // MAX_BINS))
        self.n_bins = -(-n_frames // self.per_bin)
        self.track_ids = sorted(track_ids)
        # One more than the people: all those without a curve, who count for everyone.
        shape = ((len(self.track_ids) + 1) * self.n_bins, len(EMOTIONS))
        self.sums, self.change_sums = np.zeros(shape), np.zeros(shape)
        self.n_faces, self.n_uncertain, self.n_changes = (np.zeros(shape[0], np.int64) for _ in range(3))
        self.starts_s, self.lasts_s = np.full(self.n_bins, np.nan), np.full(self.n_bins, np.nan)
        self.n_frames = np.zeros(self.n_bins, np.int64)
        self.n_seen = 0
        self.last: int | None = None

    def add(self, batch: Any, drawn: Sequence[str], changes: Sequence[str]) -> None:
        frames, times_s = to_numpy(batch["frame"]), to_numpy(batch["time_s"])
        if len(frames) == 0:
            return
        is_new = _find_new(frames, self.last)
        ordinals = self.n_seen + np.cumsum(is_new) - 1
        self.n_seen, self.last = int(ordinals[-1]) + 1, int(frames[-1])
        bins = ordinals // self.per_bin
        self.n_frames += np.bincount(bins[is_new], minlength=self.n_bins)
        first, rows = np.unique(bins, return_index=True)
        self.starts_s[first] = np.where(np.isnan(self.starts_s[first]), times_s[rows], self.starts_s[first])
        self.lasts_s[first] = times_s[np.append(rows[1:], len(bins)) - 1]
        self._add_faces(batch, bins, drawn, changes)

    def _add_faces(self, batch: Any, bins: Ints, drawn: Sequence[str], changes: Sequence[str]) -> None:
        values = stack(batch, drawn)
        is_face = to_numpy(batch["emotion"].is_valid()) & np.isfinite(values).all(axis=1)
        keys = bins + self.n_bins * self._find_people(batch)
        n = len(self.n_faces)
        self.n_faces += np.bincount(keys[is_face], minlength=n)
        is_uncertain = to_numpy(batch["uncertain"], False)
        self.n_uncertain += np.bincount(keys[is_face & is_uncertain], minlength=n)
        _add_sums(self.sums, keys[is_face], values[is_face])
        if changes:
            differences = stack(batch, changes)
            is_known = is_face & np.isfinite(differences).all(axis=1)
            self.n_changes += np.bincount(keys[is_known], minlength=n)
            _add_sums(self.change_sums, keys[is_known], differences[is_known])

    def _find_people(self, batch: Any) -> Ints:
        """Return each row's place among `track_ids`; one past them for all others."""
        n = len(self.track_ids)
        ids = to_numpy(batch["track_id"], -1)
        if n == 0:
            return np.zeros(len(ids), np.int64)
        places = np.searchsorted(self.track_ids, ids)
        is_known = np.asarray(self.track_ids)[np.minimum(places, n - 1)] == ids
        return np.where(is_known, np.minimum(places, n - 1), n)

    def finish(self, duration_s: float) -> Reading:
        shape = (len(self.track_ids) + 1, self.n_bins)
        parts = [
            part.reshape(*shape, *part.shape[1:])
            for part in (self.sums, self.n_faces, self.n_uncertain, self.change_sums, self.n_changes)
        ]
        people = {track_id: Curve(*(part[i] for part in parts)) for i, track_id in enumerate(self.track_ids)}
        everyone = Curve(*(part.sum(axis=0) for part in parts))
        return Reading(self._create_timeline(duration_s), everyone, people)

    def _create_timeline(self, duration_s: float) -> Timeline:
        if self.n_bins == 0:
            return Timeline(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), max(duration_s, 1.0))
        # The usual distance between frames, from the bins: holes are few.
        steps_s = np.diff(self.starts_s) / self.n_frames[:-1]
        step_s = float(np.median(steps_s)) if len(steps_s) else duration_s
        if not step_s > 0:
            step_s = LONE_FRAME_S
        nexts_s = np.append(self.starts_s[1:], self.lasts_s[-1] + step_s)
        ends_s = np.minimum(nexts_s, self.lasts_s + GAP_STEPS * step_s)
        return Timeline(self.starts_s, ends_s, self.n_frames, max(duration_s, float(ends_s[-1])))


def _add_sums(sums: Floats, keys: Ints, values: Floats) -> None:
    for i in range(sums.shape[1]):
        sums[:, i] += np.bincount(keys, weights=values[:, i], minlength=len(sums))
