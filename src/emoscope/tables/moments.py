"""Moments: the observations second by second in, the largest joint changes of the audience's mood out."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.tables.rows import NOBODY, ByEmotion, Emotion, Rows, floor_seconds, name_emotions, sum_by

WINDOW_S: Final = 2
"""Seconds before and after a moment that are compared. Expressions last 0.5 to 4 s (Ekman, Emotions revealed, 2003).
Each of them must have an analysed frame: there are no moments at less than a frame per second."""
MIN_PRESENCE: Final = 0.5
"""Share of either side's frames in which a person must be seen to count."""
MIN_CHANGE: Final = 0.15
"""Smaller changes are none: a total variation distance, the share of probability that moved."""
MIN_DISTANCE_S: Final = 2 * WINDOW_S
"""Moments that are nearer than this share seconds; the larger one stays."""
MAX_MOMENTS: Final = 5


@dataclass(frozen=True)
class Moment:
    """A joint change of the people who were seen on both sides of it."""

    time_s: float
    change: float
    """Share of probability that moved, 0.15 to 1."""
    before: ByEmotion[float]
    """Mean probabilities in the seconds before it."""
    after: ByEmotion[float]
    rose: Emotion
    """The emotion that rose most."""
    fell: Emotion
    people: int
    """Those who went along."""
    track_id: int | None = None
    """Who it was, where it was one person."""


@dataclass
class _Second:
    """Sums of one second: per person the number of observations and the probabilities."""

    n_frames: int = 0
    track_ids: list[NDArray[np.int64]] = field(default_factory=list)
    sums: list[NDArray[np.float64]] = field(default_factory=list)
    """(people, 1 + classes) parts."""


class MomentFinder:
    """Compares the seconds before and after each second; keeps a few seconds in memory."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._pending: list[int] = []
        self._candidates: list[Moment] = []
        self._classes: tuple[str, ...] = ()

    def add(self, rows: Rows) -> None:
        """Take some rows, in the order of time."""
        self._classes = rows.classes
        seconds, frames = sum_by(floor_seconds(rows.frame_s), rows.is_first[:, None].astype(np.float64))
        is_person = rows.track_id != NOBODY
        second = floor_seconds(rows.time_s[is_person])
        track_id = rows.track_id[is_person]
        values = np.column_stack([np.ones(len(second)), rows.probabilities[is_person]])
        for key, n_frames in zip(seconds.tolist(), frames[:, 0].tolist(), strict=True):
            self._open(key)
            part = self._seconds[key]
            part.n_frames += int(n_frames)
            track_ids, sums = sum_by(track_id[second == key], values[second == key])
            part.track_ids.append(track_ids)
            part.sums.append(sums)

    def _open(self, key: int) -> None:
        """Begin a second; judge those whose later side is complete, drop what no pending one needs."""
        if key in self._seconds:
            return
        # Time that runs backwards is another file's, or damage: nothing before it belongs to what comes.
        is_backwards = bool(self._seconds) and key < max(self._seconds)
        while self._pending and (is_backwards or self._pending[0] + WINDOW_S <= key):
            self._judge(self._pending.pop(0))
        oldest = min([key, *self._pending]) - WINDOW_S
        for other in [k for k in self._seconds if is_backwards or k < oldest]:
            del self._seconds[other]
        self._seconds[key] = _Second()
        self._pending.append(key)

    def finish(self) -> tuple[Moment, ...]:
        """Return the largest changes, sorted by time."""
        while self._pending:
            self._judge(self._pending.pop(0))
        chosen: list[Moment] = []
        for moment in sorted(self._candidates, key=lambda m: -m.change):
            if len(chosen) == MAX_MOMENTS:
                break
            if all(abs(moment.time_s - other.time_s) >= MIN_DISTANCE_S for other in chosen):
                chosen.append(moment)
        return tuple(sorted(chosen, key=lambda m: m.time_s))

    def _judge(self, key: int) -> None:
        """Compare both sides of a second's start and keep what is large enough."""
        sides = self._sum_up(range(key - WINDOW_S, key)), self._sum_up(range(key, key + WINDOW_S))
        if any(side is None for side in sides):
            return
        (ids_before, means_before), (ids_after, means_after) = sides  # type: ignore[misc]
        people, i, j = np.intersect1d(ids_before, ids_after, assume_unique=True, return_indices=True)
        if len(people) == 0:
            return
        own = means_after[j] - means_before[i]
        joint = own.mean(axis=0)
        change = float(np.abs(joint).sum() / 2)
        if change < MIN_CHANGE:
            return
        rose, fell = int(joint.argmax()), int(joint.argmin())
        # Those who went the same way at least half as far as everyone on average; there is always one.
        is_joining = own[:, rose] - own[:, fell] >= (joint[rose] - joint[fell]) / 2
        n = int(is_joining.sum())
        self._candidates.append(
            Moment(
                time_s=float(key),
                change=change,
                before=name_emotions(means_before[i].mean(axis=0), self._classes),
                after=name_emotions(means_after[j].mean(axis=0), self._classes),
                rose=self._classes[rose],
                fell=self._classes[fell],
                people=n,
                track_id=int(people[is_joining][0]) if n == 1 else None,
            )
        )

    def _sum_up(self, keys: range) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
        """Return who was there in some seconds (people,), their mean probabilities (people, classes); None in a gap."""
        if any(key not in self._seconds for key in keys):
            return None
        parts = [self._seconds[key] for key in keys]
        n_frames = sum(part.n_frames for part in parts)
        track_ids = np.concatenate([ids for part in parts for ids in part.track_ids])
        track_ids, sums = sum_by(track_ids, np.concatenate([s for part in parts for s in part.sums]))
        is_present = sums[:, 0] >= MIN_PRESENCE * n_frames
        return track_ids[is_present], sums[is_present, 1:] / sums[is_present, :1]
