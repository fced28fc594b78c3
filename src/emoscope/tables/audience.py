"""The audience over time: the observations table in, numbers per second of the recording out; audience.csv."""

import csv
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, find_valence
from emoscope.core.schema import P_, name_columns
from emoscope.tables.observations import Observations
from emoscope.tables.rows import (
    GroupedSums,
    Rows,
    count_readings,
    find_probabilities,
    find_shares,
    floor_seconds,
    read_rows,
)

OF_VALENCE: Final = ("positive", "neutral", "negative", "valence_index")


def create_columns(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the header of audience.csv; without valence where a class has none that is known."""
    names = (*name_columns("share_", classes), *name_columns(P_, classes), "uncertain_share")
    return "time_s", "frames", "people", *names, *(OF_VALENCE if find_valence(classes) else ())


COLUMNS: Final = create_columns(EMOTIONS)
"""Header of audience.csv for the seven emotions."""


@dataclass(frozen=True)
class Valence:
    """Shares of pleasant and unpleasant expressions."""

    positive: float
    neutral: float
    negative: float
    index: float
    """positive - negative, -1 to 1."""


def compute_valence(mean_probabilities: NDArray[np.float64], classes: tuple[str, ...] = EMOTIONS) -> Valence | None:
    """Return the shares of positive, neutral and negative expressions and their index.

    Happy is positive; angry, disgust, fear and sad are negative; neutral is neither, and so is surprise, which can
    be pleasant or not (Russell, A circumplex model of affect, 1980).

    Args:
        mean_probabilities: (classes,)
        classes: their names.

    Returns:
        None where a class is none of the seven: what it is worth is not known.
    """
    signs = find_valence(classes)
    if signs is None:
        return None
    positive, neutral, negative = (
        float(sum(p for p, own in zip(mean_probabilities.tolist(), signs, strict=True) if own == sign))
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
    """(n, classes) how often each emotion was the top one."""
    mean_probabilities: NDArray[np.float64]
    """(n, classes)"""
    uncertain_share: NDArray[np.float64]
    """(n,)"""


class SecondSums:
    """Sums up the audience second by second."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        # One more column than the readings: the frames.
        self._n_columns = 1 + count_readings(classes)
        self._sums = GroupedSums(self._n_columns)

    def add(self, rows: Rows) -> None:
        """Take some rows."""
        values = np.zeros((len(rows.frame_s), self._n_columns))
        values[:, 0] = rows.is_first
        values[rows.is_face, 1:] = rows.readings
        self._sums.add(floor_seconds(rows.frame_s), values)

    def finish(self) -> Seconds:
        """Return the numbers of all seconds."""
        time_s, sums = self._sums.sort()
        frames, faces = sums[:, 0], sums[:, 1]
        with np.errstate(invalid="ignore"):
            readings = sums[:, 1:] / faces[:, None]
        people, whole = faces / np.maximum(frames, 1), frames.astype(np.int64)
        return Seconds(time_s, whole, people, find_shares(readings), find_probabilities(readings), readings[:, -1])


def compute_seconds(table: Observations) -> Seconds:
    """Return the audience's numbers per second; only for sources with times, not for pictures."""
    sums = SecondSums(table.classes)
    for rows in read_rows(table):
        sums.add(rows)
    return sums.finish()


def write_audience_csv(table: Observations, path: Path) -> None:
    """Write a row per second that has an analysed frame; without a face all but time, frames and people is empty."""
    seconds, columns = compute_seconds(table), create_columns(table.classes)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for i, time_s in enumerate(seconds.time_s.tolist()):
            row = [time_s, int(seconds.frames[i]), round(float(seconds.people[i]), 6)]
            if np.isnan(seconds.uncertain_share[i]):
                writer.writerow(row + [""] * (len(columns) - len(row)))
                continue
            means = seconds.mean_probabilities[i]
            valence = compute_valence(means, table.classes)
            shares = [*seconds.shares[i].tolist(), *means.tolist(), float(seconds.uncertain_share[i])]
            writer.writerow(row + [round(value, 6) for value in (*shares, *(astuple(valence) if valence else ()))])
