"""Reading a recording for its charts: observations in batches in, sums per bin of time out; the table stays on disk."""

from collections.abc import Sequence

import numpy as np

from emoscope.report.timeline import MAX_BINS, Curve, Floats, Ints, Reading, Timeline
from emoscope.tables.columns import stack
from emoscope.tables.observations import Observations
from emoscope.tables.rows import Rows, count_frames, read_rows

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
    binner = _Binner(count_frames(observations), track_ids, len(observations.classes))
    plain = observations.probability_columns
    drawn = observations.smoothed_columns if observations.has_smoothed else plain
    changes = observations.change_columns if observations.has_changes else ()
    for rows in read_rows(observations, (*(name for name in drawn if name not in plain), *changes)):
        binner.add(rows, drawn, changes)
    return binner.finish(duration_s)


class _Binner:
    """Sums per bin, for everyone and for each person asked for; rows of `sums` are person * n_bins + bin."""

    def __init__(self, n_frames: int, track_ids: Sequence[int], n_classes: int) -> None:
        self.per_bin = max(1, -(-n_frames // MAX_BINS))
        self.n_bins = -(-n_frames // self.per_bin)
        self.track_ids = sorted(track_ids)
        # One more than the people: all those without a curve, who count for everyone.
        shape = ((len(self.track_ids) + 1) * self.n_bins, n_classes)
        self.sums, self.change_sums = np.zeros(shape), np.zeros(shape)
        self.n_faces, self.n_uncertain, self.n_changes = (np.zeros(shape[0], np.int64) for _ in range(3))
        self.starts_s, self.lasts_s = np.full(self.n_bins, np.nan), np.full(self.n_bins, np.nan)
        self.n_frames = np.zeros(self.n_bins, np.int64)

    def add(self, rows: Rows, drawn: Sequence[str], changes: Sequence[str]) -> None:
        bins = rows.frame_no // self.per_bin
        self.n_frames += np.bincount(bins[rows.is_first], minlength=self.n_bins)
        first, places = np.unique(bins, return_index=True)
        self.starts_s[first] = np.where(np.isnan(self.starts_s[first]), rows.frame_s[places], self.starts_s[first])
        self.lasts_s[first] = rows.frame_s[np.append(places[1:], len(bins)) - 1]
        keys = bins[rows.is_face] + self.n_bins * self._find_people(rows.track_id)
        n = len(self.n_faces)
        self.n_faces += np.bincount(keys, minlength=n)
        self.n_uncertain += np.bincount(keys[rows.is_uncertain], minlength=n)
        _add_sums(self.sums, keys, stack(rows.faces, drawn))
        if changes:
            differences = stack(rows.faces, changes)
            is_known = np.isfinite(differences).all(axis=1)
            self.n_changes += np.bincount(keys[is_known], minlength=n)
            _add_sums(self.change_sums, keys[is_known], differences[is_known])

    def _find_people(self, track_id: Ints) -> Ints:
        """Return each face's place among `track_ids`; one past them for all others."""
        n = len(self.track_ids)
        if n == 0:
            return np.zeros(len(track_id), np.int64)
        places = np.minimum(np.searchsorted(self.track_ids, track_id), n - 1)
        return np.where(np.asarray(self.track_ids)[places] == track_id, places, n)

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
