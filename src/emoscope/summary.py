"""Summary: the observations table in, numbers per person and for the audience out; JSON-ready."""

from typing import TYPE_CHECKING, Any, cast

from emoscope.emotions import EMOTIONS, VALENCE
from emoscope.observations import Observations

if TYPE_CHECKING:
    import pandas as pd


def compute_summary(table: Observations, facts: dict[str, Any]) -> dict[str, Any]:
    """Compute the summary.

    Args:
        table: the observations of one source.
        facts: what the table cannot tell (source, kind, status, settings, model, ...); they lead the result.

    Returns:
        facts, then frames, faces, people_count, coverage (share of analysed frames with a face), people, audience.
        A person's coverage is the share of all analysed frames in which the person was seen.
    """
    observations = table.to_pandas()
    frame_keys = observations[["source", "frame"]].drop_duplicates()
    faces = observations[observations["emotion"].notna()]
    n_frames, n_with_face = len(frame_keys), len(faces[["source", "frame"]].drop_duplicates())
    people = [
        _summarise_person(cast(int, track_id), group, n_frames)
        for track_id, group in faces.groupby("track_id", sort=True)
    ]
    return {
        **facts,
        "frames": n_frames,
        "faces": len(faces),
        "people_count": len(people),
        "coverage": n_with_face / n_frames if n_frames else 0.0,
        "people": people,
        "audience": {**_summarise_faces(faces), "valence": _compute_valence(faces)},
    }


def _summarise_person(track_id: int, rows: "pd.DataFrame", n_frames: int) -> dict[str, Any]:
    summary = _summarise_faces(rows)
    return {
        "track_id": int(track_id),
        "first_s": float(rows["time_s"].min()),
        "last_s": float(rows["time_s"].max()),
        "frames": len(rows),
        "coverage": len(rows) / n_frames,
        "emotion": max(summary["shares"], key=summary["shares"].__getitem__),
        **summary,
    }


def _summarise_faces(rows: "pd.DataFrame") -> dict[str, Any]:
    """Return shares of the top emotions, mean probabilities and the share of uncertain observations."""
    n = len(rows)
    counts = rows["emotion"].value_counts()
    return {
        "shares": {name: float(counts.get(name, 0)) / n if n else 0.0 for name in EMOTIONS},
        "mean_probabilities": {name: float(rows[f"p_{name}"].mean()) if n else 0.0 for name in EMOTIONS},
        "uncertain_share": float(rows["uncertain"].mean()) if n else 0.0,
    }


def _compute_valence(rows: "pd.DataFrame") -> dict[str, float]:
    """Return the mean probability of positive, neutral and negative expressions; surprise counts as neutral."""
    means = {name: float(rows[f"p_{name}"].mean()) if len(rows) else 0.0 for name in EMOTIONS}
    return {
        word: sum(means[name] for name, sign_of in zip(EMOTIONS, VALENCE, strict=True) if sign_of == sign)
        for word, sign in (("positive", 1), ("neutral", 0), ("negative", -1))
    }
