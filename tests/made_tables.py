"""Observations made up for tests of what comes after recognition."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.frame_result import FrameResult
from emoscope.core.schema import BOX, COLUMNS, PROBABILITIES, SMOOTHED
from emoscope.tables.event_means import EventNumbers, SegmentSums
from emoscope.tables.events import Event
from emoscope.tables.observations import Observations, ObservationsWriter
from emoscope.tables.rows import read_rows

Mood = NDArray[np.float64]


def feel(emotion: str, probability: float = 0.9) -> Mood:
    """One emotion at a probability, the rest spread evenly."""
    mood = np.full(len(EMOTIONS), (1 - probability) / (len(EMOTIONS) - 1))
    mood[EMOTIONS.index(emotion)] = probability
    return mood


def make_table(
    times_s: list[float],
    people: dict[int, Callable[[float], Mood | None]],
    uncertain_below: float = 0.3,
    source: str = "clip.mp4",
    smoothed: dict[int, Callable[[float], Mood]] | None = None,
) -> Observations:
    """A table of people whose mood is a function of time; None means not there."""
    rows: list[dict[str, Any]] = []
    for frame, time_s in enumerate(times_s):
        base = {"source": source, "frame": frame, "time_s": time_s, "shot": 1}
        faces = [
            {**base, **make_face(track_id, mood, uncertain_below, smoothed and smoothed[track_id](time_s))}
            for track_id, find in people.items()
            if (mood := find(time_s)) is not None
        ]
        rows += faces or [base]
    names = [*COLUMNS, *(SMOOTHED if smoothed else ())]
    return Observations.from_pandas(pd.DataFrame(rows, columns=names))


def make_face(track_id: int, mood: Mood, uncertain_below: float, smoothed: Mood | None = None) -> dict[str, Any]:
    """The face columns of one row."""
    read = mood if smoothed is None else smoothed
    return {
        "track_id": track_id,
        **dict.fromkeys(BOX, 10.25),
        "detection_score": 0.9,
        **dict(zip(PROBABILITIES, mood, strict=True)),
        "emotion": EMOTIONS[int(read.argmax())],
        "probability": read.max(),
        "uncertain": bool(read.max() < uncertain_below),
        **({} if smoothed is None else dict(zip(SMOOTHED, smoothed, strict=True))),
    }


def make_random_table(n_frames: int, n_people: int, fps: float = 25, seed: int = 0) -> Observations:
    """People who come and go, feeling anything."""
    rng = np.random.default_rng(seed)
    moods = rng.dirichlet(np.full(len(EMOTIONS), 0.6), (n_people, n_frames))
    is_there = rng.random((n_people, n_frames)) < np.linspace(0.2, 0.9, n_people)[:, None]
    is_there[:, n_frames // 3 : n_frames // 3 + 60] = False
    people = {
        i + 1: lambda t, i=i: moods[i, round(t * fps)] if is_there[i, round(t * fps)] else None for i in range(n_people)
    }
    return make_table([frame / fps for frame in range(n_frames)], people)


def create_observations(results: Iterable[FrameResult], path: Path) -> Observations:
    """Write the table of results into a Parquet file and return it."""
    results = list(results)
    with_smoothed = any(r.faces.smoothed is not None for r in results)
    with ObservationsWriter(path, SMOOTHED if with_smoothed else ()) as writer:
        for result in results:
            writer.add(result)
    return Observations(path)


def compute_events(table: Observations, events: Sequence[Event]) -> EventNumbers:
    """The numbers of events alone, which summaries hold among others."""
    sums = SegmentSums(events)
    for rows in read_rows(table):
        sums.add(rows)
    return sums.finish()
