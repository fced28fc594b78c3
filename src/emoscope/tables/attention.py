"""Attention: the table's columns of heads and eyes in, shares and blinks per person and for everyone out."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from emoscope.tables.columns import to_numpy
from emoscope.tables.rows import NOBODY, Rows

COLUMNS: Final = ("faces_camera", "eyes_closed")
MAX_STEP_S = 0.07
"""Between frames further apart blinks are missed, and none are counted (results/attention.json)."""
MAX_BLINK_S = 0.5
"""Eyes closed for longer are no blink; those last 0.1 to 0.4 s (Schiffman, Sensation and perception, 2001)."""
LEAST_S = 10.0
"""Of a face that was seen for less no rate is told."""


@dataclass(frozen=True)
class Attention:
    """How heads were held, and eyes; whether anybody attended, or to what, no camera can tell."""

    coverage: float
    """Share of the observations in which it could be told; the others are shares of these."""
    faces_camera: float | None
    """Head turned, raised and lowered by less than 20 degrees from the camera; null where nothing could be told."""
    eyes_closed: float | None
    blinks_per_min: float | None
    """null where the analysed frames are further apart than 0.07 s, or less than 10 s were seen."""


@dataclass
class Eyes:
    """One person's eyes over time."""

    max_step_s: float = MAX_STEP_S
    """Between observations further apart nothing is known."""
    n: int = 0
    n_told: int = 0
    n_facing: int = 0
    n_closed: int = 0
    n_blinks: int = 0
    watched_s: float = 0.0
    last_s: float = -np.inf
    was_open: bool = False
    closed_since_s: float = -np.inf

    def add(self, time_s: float, is_facing: float, is_closed: float) -> None:
        """Take the next observation; NaN where the mesh told nothing."""
        self.n += 1
        if np.isnan(is_closed):
            return
        self.n_told += 1
        self.n_facing += bool(is_facing)
        self.n_closed += bool(is_closed)
        step_s = time_s - self.last_s
        if step_s > self.max_step_s:
            # Whether the eyes had just closed nobody saw.
            self.closed_since_s = -np.inf
        else:
            self.watched_s += step_s
            if is_closed and self.was_open:
                self.closed_since_s = time_s
            elif not is_closed and not self.was_open:
                self.n_blinks += time_s - self.closed_since_s <= MAX_BLINK_S
        self.was_open, self.last_s = not is_closed, time_s


@dataclass
class AttentionSums:
    """Sums up heads and eyes of each person."""

    eyes: dict[int, Eyes] = field(default_factory=lambda: defaultdict(Eyes))

    def add(self, rows: Rows) -> None:
        """Take some rows, read with COLUMNS."""
        import pyarrow as pa

        # As numbers, whose empty cells are NaN.
        told = np.column_stack(
            [to_numpy(rows.faces[name].cast(pa.uint8()).cast(pa.float64()), np.nan) for name in COLUMNS]
        )
        for track_id, time_s, values in zip(rows.track_id.tolist(), rows.time_s.tolist(), told.tolist(), strict=True):
            self.eyes[track_id].add(time_s, *values)

    def describe(self) -> tuple[dict[int, Attention], Attention | None]:
        """Return the numbers of each person by their number, and of everyone; None where there is no observation."""
        people = {track_id: _describe([eyes]) for track_id, eyes in self.eyes.items() if track_id != NOBODY}
        return people, _describe([*self.eyes.values()]) if self.eyes else None


def _describe(several: list[Eyes]) -> Attention:
    n, n_told = sum(eyes.n for eyes in several), sum(eyes.n_told for eyes in several)
    watched_s = sum(eyes.watched_s for eyes in several)
    return Attention(
        coverage=n_told / n,
        faces_camera=sum(eyes.n_facing for eyes in several) / n_told if n_told else None,
        eyes_closed=sum(eyes.n_closed for eyes in several) / n_told if n_told else None,
        blinks_per_min=60 * sum(eyes.n_blinks for eyes in several) / watched_s if watched_s >= LEAST_S else None,
    )
