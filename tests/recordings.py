"""Made-up recordings for the tests of report and comparison: a table and a summary as an analysis leaves them."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emoscope.core.emotions import EMOTIONS
from emoscope.core.schema import CHANGES, COLUMNS, PROBABILITIES, QUALITY, SMOOTHED
from emoscope.tables.observations import SCHEMA_VERSION, Observations
from emoscope.tables.summary import Facts, Kind, Summary, UsedSettings


def make_table(
    seen: dict[int, tuple[float, float]],
    duration_s: float,
    fps: float = 5.0,
    with_smoothed: bool = False,
    with_changes: bool = False,
    seed: int = 0,
) -> Observations:
    """Observations of people seen from one second to another, their expressions wandering; nobody else."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(duration_s * fps)) / fps
    parts: list[dict[str, Any]] = []
    is_seen = np.zeros(len(times), bool)
    for track_id, (first_s, last_s) in seen.items():
        frames = np.flatnonzero((times >= first_s) & (times < last_s))
        is_seen[frames] = True
        # A slow walk of logits: expressions last some seconds, with noise on top.
        steps = rng.normal(size=(len(frames), 7)) * 0.25 / np.sqrt(fps)
        logits = np.cumsum(steps, axis=0) + rng.normal(size=7) + 0.35 * rng.normal(size=(len(frames), 7))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        parts.append({"frame": frames, "track_id": np.full(len(frames), track_id), "p": p})
    frames = np.concatenate([part["frame"] for part in parts] + [np.flatnonzero(~is_seen)])
    n_faces = sum(len(part["frame"]) for part in parts)
    p = np.full((len(frames), 7), np.nan)
    ids = np.full(len(frames), -1)
    if parts:
        p[:n_faces] = np.concatenate([part["p"] for part in parts])
        ids[:n_faces] = np.concatenate([part["track_id"] for part in parts])
    order = np.lexsort((ids, frames))
    return _to_observations(frames[order], times, ids[order], p[order], with_smoothed, with_changes)


def _to_observations(
    frames: Any, times: Any, ids: Any, p: Any, with_smoothed: bool, with_changes: bool
) -> Observations:
    empty = ids < 0
    top = np.nan_to_num(p).argmax(axis=1)
    values: dict[str, Any] = {"source": np.full(len(frames), "clip.mp4"), "frame": frames, "time_s": times[frames]}
    values["shot"] = np.ones(len(frames))
    values["track_id"] = pa.array(ids, mask=empty)
    for name in ("x1", "y1", "x2", "y2", "detection_score"):
        values[name] = pa.array(np.full(len(frames), 20.0), mask=empty)
    for i, name in enumerate(PROBABILITIES):
        values[name] = pa.array(p[:, i], mask=empty)
    values["emotion"] = pa.array(np.array(EMOTIONS)[top], mask=empty)
    values["probability"] = pa.array(np.nan_to_num(p).max(axis=1), mask=empty)
    values["uncertain"] = pa.array(np.nan_to_num(p).max(axis=1) < 0.3, mask=empty)
    for name in QUALITY:
        values[name] = pa.array(np.full(len(frames), 0.5), mask=empty)
    types = dict(COLUMNS)
    for names, is_there, fill in ((SMOOTHED, with_smoothed, p), (CHANGES, with_changes, p - 1 / 7)):
        for i, name in enumerate(names if is_there else ()):
            types[name] = "float64"
            values[name] = pa.array(fill[:, i], mask=empty)
    schema = pa.schema(
        [pa.field(name, pa.type_for_alias(kind)) for name, kind in types.items()],
        {"emoscope_schema_version": str(SCHEMA_VERSION)},
    )
    return Observations(pa.table({n: pa.array(values[n]).cast(schema.field(n).type) for n in types}, schema))


def make_facts(kind: Kind = "video") -> Facts:
    """What a table cannot tell."""
    return Facts(
        schema_version=SCHEMA_VERSION,
        source="clip.mp4",
        kind=kind,
        created="2026-11-24T20:00:00+00:00",
        model={},
        status="complete",
        duration_s=1.0,
        settings=UsedSettings(),
    )


def make_summary(observations: Observations, settings: dict[str, Any] | None = None, **changes: Any) -> Summary:
    """A summary whose counts fit the observations; smoothing and baseline as the table has them."""
    return Summary.from_json(json.dumps(_make_values(observations, settings or {}) | changes))


def _make_values(observations: Observations, changes: dict[str, Any]) -> dict[str, Any]:
    table = observations.place
    assert isinstance(table, pa.Table)
    p = np.stack([table[name].to_numpy() for name in PROBABILITIES], axis=1)
    ids = table["track_id"].fill_null(-1).to_numpy()
    frames, times = table["frame"].to_numpy(), table["time_s"].to_numpy()
    n_frames = max(1, len(np.unique(frames)))
    people = []
    for track_id in np.unique(ids[ids >= 0]).tolist():
        rows = ids == track_id
        person = {"track_id": track_id, "first_s": float(times[rows].min()), "last_s": float(times[rows].max())}
        baseline = to_seven(np.full(7, 1 / 7)) if observations.has_changes else None
        people.append(
            {**person, "frames": int(rows.sum()), "coverage": float(rows.sum() / n_frames), "baseline": baseline}
            | summarise(p[rows])
        )
    faces = summarise(p[ids >= 0])
    mean = np.array(list(faces["mean_probabilities"].values()))
    positive, neutral = float(mean[3]), float(mean[5] + mean[6])
    valence = {"positive": positive, "neutral": neutral, "negative": 1 - positive - neutral}
    valence["index"] = valence["positive"] - valence["negative"]
    settings = {"every": 1, "start_s": 0.0, "end_s": None, "detector": "yunet", "detector_reason": "asked for"}
    settings |= {"model": "compact-4-int8", "views": 1, "balanced": False, "thumbnails": "none", "anonymous": False}
    settings |= {
        "smoothing_s": 0.5 * observations.has_smoothed,
        "baseline": "auto" if observations.has_changes else "off",
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "source": "talks/clip.mp4",
        "kind": "video",
        "status": "complete",
        "reason": None,
        "message": None,
        "created": "2026-11-24T20:00:00+00:00",
        "frames_in_source": n_frames,
        "duration_s": float(times.max() + 0.2) if len(times) else 0.0,
        "size_wh": [1280, 720],
        "settings": {**settings, "max_side_px": 1280, "emoscope": "0.4.0", "wall_s": 12.5, **changes},
        "model": {
            "name": "compact-4-int8",
            "licence": "MIT",
            "figures": {"validation": {"accuracy": 0.697, "n": 3589}},
        },
        "frames": n_frames,
        "faces": int((ids >= 0).sum()),
        "people_count": len(people),
        "coverage": float(len(np.unique(frames[ids >= 0])) / n_frames),
        "people": people,
        "audience": {**faces, "valence": valence, "people_mean": 2.5, "people_max": len(people)},
        "moments": [],
        "events": [],
    }


def to_seven(values: Any) -> dict[str, float]:
    return dict(zip(EMOTIONS, np.asarray(values, float).tolist(), strict=True))


def summarise(p: Any) -> dict[str, Any]:
    if len(p) == 0:
        return {
            "emotion": None,
            "shares": to_seven([0] * 7),
            "mean_probabilities": to_seven([0] * 7),
            "uncertain_share": 0.0,
        }
    shares = np.bincount(p.argmax(axis=1), minlength=7) / len(p)
    return {
        "emotion": EMOTIONS[int(shares.argmax())],
        "shares": to_seven(shares),
        "mean_probabilities": to_seven(p.mean(axis=0)),
        "uncertain_share": 0.1,
    }


def make_moment(time_s: float, track_id: int | None = None) -> dict[str, Any]:
    before, after = to_seven([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4]), to_seven([0.05, 0.05, 0.05, 0.6, 0.05, 0.1, 0.1])
    moment = {"time_s": time_s, "change": 0.5, "before": before, "after": after, "rose": "happy", "fell": "neutral"}
    return {**moment, "people": 4, "track_id": track_id}


def make_event(name: str, start_s: float, end_s: float, people: int = 4, shift: float = 0.2) -> dict[str, Any]:
    """A marked segment; with fewer than two people there is no interval."""

    def spread(mean: float) -> dict[str, float | None]:
        has_interval = people >= 2
        return {
            "mean": mean,
            "low": mean - 0.08 if has_interval else None,
            "high": mean + 0.08 if has_interval else None,
        }

    seven = {emotion: spread(1 / 7) for emotion in EMOTIONS}
    difference = {emotion: spread(shift / 7) for emotion in EMOTIONS}
    return {
        "name": name,
        "start_s": start_s,
        "end_s": end_s,
        "people": people,
        "observations": 40 * people,
        "mean_probabilities": seven,
        "valence": spread(0.1 + shift),
        "difference": {"people": people, "mean_probabilities": difference, "valence": spread(shift)},
    }


def write_result(folder: Path, observations: Observations, summary: Summary) -> Path:
    """Lay a result folder out."""
    folder.mkdir(parents=True)
    assert isinstance(observations.place, pa.Table)
    pq.write_table(observations.place, folder / "observations.parquet")
    (folder / "summary.json").write_text(summary.to_json(), encoding="utf-8")
    return folder


def write_faces(folder: Path, side_px: int, moments: list[tuple[int, float]]) -> None:
    """Write noisy face pictures, named by person and time."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for track_id, time_s in moments:
        picture = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (side_px, side_px))
        cv2.imwrite(str(folder / f"p{track_id:04d}-{time_s:010.3f}s.jpg"), picture)
