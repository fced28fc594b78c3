"""Result folders made up from tables, as an analysis leaves them: participants who share a stimulus and differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emoscope.core.emotions import EMOTIONS
from emoscope.core.schema import BOX, P_, QUALITY, name_columns
from emoscope.tables.events import Event
from emoscope.tables.observations import SCHEMA_VERSION, Observations, create_schema
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, UsedSettings

HAPPY = EMOTIONS.index("happy")
BASE = np.array([-1.0, -2.5, -1.5, -0.2, -0.8, -1.2, 1.6])
"""Logits of a face at rest."""


@dataclass(frozen=True)
class Stimulus:
    """What everybody responds to."""

    duration_s: float
    fps: float = 25.0
    effect: float = 0.0
    """Logits that happy gains on average in the effect's time, and half as much in spread over participants."""
    effect_s: tuple[float, float] = (30.0, 36.0)
    shared: float = 0.0
    """Deviation, in logits, of a slow course that all participants share."""
    own: float = 0.5
    """Deviation of each participant's own slow course."""
    events: tuple[Event, ...] = field(default=())


def make_slow(rng: np.random.Generator, n: int, step_s: float, deviation: float, keep_s: float = 4.0) -> Any:
    """Return seven stationary courses (n, 7) that forget themselves within some seconds."""
    keep = np.exp(-step_s / keep_s)
    noise = rng.normal(size=(n, 7)) * np.sqrt(1 - keep**2)
    course = np.empty((n, 7))
    last = rng.normal(size=7)
    for i in range(n):
        last = keep * last + noise[i]
        course[i] = last
    return deviation * course


def make_probabilities(rng: np.random.Generator, stimulus: Stimulus, shared: Any, effect: float) -> Any:
    """Return what one participant shows in each frame (n, 7)."""
    n = round(stimulus.duration_s * stimulus.fps)
    times = np.arange(n) / stimulus.fps
    step = max(1, round(stimulus.fps / 5))
    slow = make_slow(rng, -(-n // step), step / stimulus.fps, stimulus.own).repeat(step, axis=0)[:n]
    logits = BASE + rng.normal(size=7) * 0.4 + slow + 0.3 * rng.normal(size=(n, 7))
    if shared is not None:
        logits = logits + shared[:n]
    first_s, last_s = stimulus.effect_s
    is_in = (times >= first_s) & (times < last_s)
    logits[is_in, HAPPY] += effect + 0.5 * effect * rng.normal()
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True)


def write_recording(
    folder: Path,
    p: Any,
    stimulus: Stimulus,
    source: str,
    is_seen: Any = None,
    classes: tuple[str, ...] = EMOTIONS,
) -> None:
    """Lay out the result folder of one person's probabilities (n, classes)."""
    n = len(p)
    empty = np.zeros(n, bool) if is_seen is None else ~is_seen
    values: dict[str, Any] = {
        "source": pa.array([source] * n),
        "frame": np.arange(n),
        "time_s": np.arange(n) / stimulus.fps,
        "shot": np.ones(n, np.int64),
        "track_id": pa.array(np.ones(n, np.int64), mask=empty),
        **{name: pa.array(np.full(n, 20.0), mask=empty) for name in (*BOX, "detection_score")},
        **{name: pa.array(p[:, i], mask=empty) for i, name in enumerate(name_columns(P_, classes))},
        "emotion": pa.array(np.array(classes)[p.argmax(axis=1)], mask=empty),
        "probability": pa.array(p.max(axis=1), mask=empty),
        "uncertain": pa.array(p.max(axis=1) < 0.3, mask=empty),
        **{name: pa.array(np.full(n, 0.5), mask=empty) for name in QUALITY},
    }
    schema = create_schema(classes=classes)
    columns = [pa.array(values[f.name]).cast(f.type) for f in schema]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), folder / "observations.parquet")
    facts = Facts(
        schema_version=SCHEMA_VERSION,
        source=source,
        kind="video",
        created="2026-11-24T20:00:00+00:00",
        model={"name": "made-up", "labels": list(classes)},
        status="complete",
        duration_s=n / stimulus.fps,
        size_wh=(640, 480),
        settings=UsedSettings(every=1, detector="made-up"),
    )
    table = Observations(folder / "observations.parquet")
    summary = compute_summary(table, replace(facts, frames_in_source=n), stimulus.events)
    (folder / "summary.json").write_text(summary.to_json(), encoding="utf-8")
    (folder / "report.html").write_text("<!doctype html><title>made up</title>", encoding="utf-8")


def write_project(results: Path, n: int, stimulus: Stimulus, seed: int = 0, effects: Sequence[float] = ()) -> None:
    """Lay out the result folders of n participants.

    Args:
        results: the folder that will hold them.
        n: participants.
        stimulus: what they respond to.
        seed: of everything.
        effects: of each participant, where they differ by condition.
    """
    rng = np.random.default_rng(seed)
    n_frames = round(stimulus.duration_s * stimulus.fps)
    shared = None
    if stimulus.shared:
        step = max(1, round(stimulus.fps / 5))
        shared = make_slow(rng, -(-n_frames // step), step / stimulus.fps, stimulus.shared).repeat(step, axis=0)
    for i in range(n):
        effect = effects[i] if effects else stimulus.effect
        p = make_probabilities(rng, stimulus, shared, effect)
        is_seen = np.ones(n_frames, bool)
        # Everybody looks away for a while.
        away, length = rng.integers(0, n_frames), rng.integers(0, n_frames // 30 + 1)
        is_seen[away : away + length] = False
        write_recording(results / f"p{i + 1:03d}", p, stimulus, f"p{i + 1:03d}.mp4", is_seen)
