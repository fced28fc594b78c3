"""The audience over time: the observations table in, numbers per second of the recording out; audience.csv."""

import csv
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, VALENCE
from emoscope.core.schema import PROBABILITIES
from emoscope.tables.observations import Observations
from emoscope.tables.rows import N_READINGS, GroupedSums, Rows, floor_seconds, read_rows

COLUMNS: Final = (
    "time_s",
    "frames",
    "people",
    *(f"share_{name}" for name in EMOTIONS),
    *PROBABILITIES,
    "uncertain_share",
    "positive",
    "neutral",
    "negative",
    "valence_index",
)
"""Header of audience.csv."""


@dataclass(frozen=True)
class Valence:
    """Shares of pleasant and unpleasant expressions."""

    positive: float
    neutral: float
    negative: float
    index: float
    """positive - negative, -1 to 1."""


def compute_valence(mean_probabilities: NDArray[np.float64]) -> Valence:
    """Return the shares of positive, neutral and negative expressions and their index.

    Happy is positive; angry, disgust, fear and sad are negative; neutral is neither, and so is surprise, which can
    be pleasant or not (Russell, A circumplex model of affect, 1980).

    Args:
        mean_probabilities: (7,)
    """
    positive, neutral, negative = (
        float(sum(p for p, own in zip(mean_probabilities.tolist(), VALENCE, strict=True) if own == sign))
        for sign in (1, 0, -1)
    )
    return Valence(positive, neutral, negative, positive - negative)


@dataclass(frozen=True)
class Seconds:
    """The audience in each second that has an analysed frame, n of them; without a face a second's shares are NaN."""

    time_s: NDArray[np.int64]
    """(n,) start of the second."""
    frames: NDArray[np.int64]
    """(n,) analysed frames."""
    people: NDArray[np.float64]
    """(n,) faces per analysed frame."""
    shares: NDArray[np.float64]
    """(n, 7) how often each emotion was the top one."""
    mean_probabilities: NDArray[np.float64]
    """(n, 7)"""
    uncertain_share: NDArray[np.float64]
    """(n,)"""


class SecondSums:
    """Sums up the audience second by second."""

    def __init__(self) -> None:
        # One more column than the readings: the frames.
        self._sums = GroupedSums(1 + N_READINGS)

    def add(self, rows: Rows) -> None:
        """Take some rows."""
        values = np.zeros((len(rows.frame_s), 1 + N_READINGS))
        values[:, 0] = rows.is_first
        values[rows.is_face, 1:] = rows.readings
        self._sums.add(floor_seconds(rows.frame_s), values)

    def finish(self) -> Seconds:
        """Return the numbers of all seconds."""
        time_s, sums = self._sums.sort()
        frames, faces = sums[:, 0], sums[:, 1]
        n = len(EMOTIONS)
        with np.errstate(invalid="ignore"):
            readings = sums[:, 2:] / faces[:, None]
        people = faces / np.maximum(frames, 1)
        return Seconds(
            time_s, frames.astype(np.int64), people, readings[:, :n], readings[:, n : 2 * n], readings[:, 2 * n]
        )


def compute_seconds(table: Observations) -> Seconds:
    """Return the audience's numbers per second; only for sources with times, not for pictures."""
    sums = SecondSums()
    for rows in read_rows(table):
        sums.add(rows)
    return sums.finish()


def write_audience_csv(table: Observations, path: Path) -> None:
    """Write a row per second that has an analysed frame; without a face all but time, frames and people is empty."""
    seconds = compute_seconds(table)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i, time_s in enumerate(seconds.time_s.tolist()):
            row = [time_s, int(seconds.frames[i]), round(float(seconds.people[i]), 6)]
            if np.isnan(seconds.uncertain_share[i]):
                writer.writerow(row + [""] * (len(COLUMNS) - len(row)))
                continue
            means = seconds.mean_probabilities[i]
            shares = [*seconds.shares[i].tolist(), *means.tolist(), float(seconds.uncertain_share[i])]
            writer.writerow(row + [round(value, 6) for value in (*shares, *astuple(compute_valence(means)))])
