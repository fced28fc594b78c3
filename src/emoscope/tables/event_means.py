"""Segments: the observations in, each event's mood with intervals and its difference from the rest out."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.tables.events import Event
from emoscope.tables.rows import NOBODY, SIGNS, GroupedSums, Rows

N_DRAWS: Final = 2000
"""Bootstrap draws: Efron and Tibshirani, An introduction to the bootstrap (1993), ask for 1000 or more."""
LEVEL: Final = 0.95
SEED: Final = 0
"""The same table gives the same intervals."""
_CHUNK: Final = 1_000_000
"""Weights in memory at a time."""


class SegmentSums:
    """Sums up each person's probabilities within each event and outside of all events."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._inside = [GroupedSums(1 + len(EMOTIONS)) for _ in events]
        self._outside = GroupedSums(1 + len(EMOTIONS))

    def add(self, rows: Rows) -> None:
        """Take some rows; faces without a person's number do not count."""
        if not self.events:
            return
        is_person = rows.track_id != NOBODY
        is_outside = is_person.copy()
        values = np.column_stack([np.ones(len(is_person)), rows.probabilities])
        for event, sums in zip(self.events, self._inside, strict=True):
            is_inside = is_person & (rows.time_s >= event.start_s) & (rows.time_s < event.end_s)
            if is_inside.any():
                sums.add(rows.track_id[is_inside], values[is_inside])
                is_outside &= ~is_inside
        self._outside.add(rows.track_id[is_outside], values[is_outside])

    def finish(self) -> list[dict[str, Any]]:
        """Return the numbers of each event; every person counts the same, however long they were seen."""
        ids_outside, outside = self._outside.sort()
        results = []
        for event, sums in zip(self.events, self._inside, strict=True):
            ids, inside = sums.sort()
            both, i, j = np.intersect1d(ids, ids_outside, assume_unique=True, return_indices=True)
            difference = _compute_means(inside[i]) - _compute_means(outside[j])
            results.append(
                {
                    "name": event.name,
                    "start_s": event.start_s,
                    "end_s": event.end_s,
                    "people": len(ids),
                    "observations": int(inside[:, 0].sum()),
                    **_describe(_compute_means(inside)),
                    "difference": {"people": len(both), **_describe(difference)} if len(both) else None,
                }
            )
        return results


def _compute_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each person's mean probabilities (people, 7) from their count and sums (people, 8)."""
    return np.asarray(sums[:, 1:] / sums[:, :1])


def _describe(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return mean and interval of people's probabilities, or of differences of them, and of the valence index.

    Args:
        values: (people, 7)
    """
    intervals = bootstrap_means(np.column_stack([values, values @ SIGNS]))
    *emotions, valence = ({"mean": mean, "low": low, "high": high} for mean, low, high in intervals)
    return {"mean_probabilities": dict(zip(EMOTIONS, emotions, strict=True)), "valence": valence}


def bootstrap_means(values: NDArray[np.float64]) -> list[tuple[float | None, float | None, float | None]]:
    """Return mean and 95 % percentile interval of each column, people drawn with replacement.

    Args:
        values: (people, k)

    Returns:
        k times mean, low, high; all None without people, low and high None with one.
    """
    n, k = values.shape
    if n == 0:
        return [(None, None, None)] * k
    means = values.mean(axis=0).tolist()
    if n == 1:
        return [(mean, None, None) for mean in means]
    rng = np.random.default_rng(SEED)
    draws = np.empty((N_DRAWS, k))
    step = max(1, _CHUNK // n)
    for start in range(0, N_DRAWS, step):
        size = min(step, N_DRAWS - start)
        # How often each person is drawn; a matrix product then does all draws at once.
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size)
        draws[start : start + size] = weights @ values / n
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).tolist()
    return list(zip(means, low, high, strict=True))
