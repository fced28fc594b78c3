"""The report's table of pictures: observations in, one row per face out."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from emoscope.report import charts, wording
from emoscope.tables.observations import PROBABILITIES, Observations

MAX_PICTURE_ROWS = 500


def describe_pictures(observations: Observations) -> dict[str, Any]:
    """Return the rows that the page shows and how many there are in all."""
    names = ["source", "frame", "track_id", *PROBABILITIES, "emotion", "probability", "uncertain"]
    rows: list[dict[str, Any]] = []
    n_rows = number = 0
    last: tuple[Any, ...] | None = None
    for batch in observations.batches(names):
        n_rows += len(batch)
        for row in islice(batch.to_pylist(), MAX_PICTURE_ROWS - len(rows)):
            number = number + 1 if (row["source"], row["frame"]) == last else 1
            last = (row["source"], row["frame"])
            rows.append(_describe_row(row, number))
    return {"pictures": rows, "n_pictures_rows": n_rows, "max_rows": MAX_PICTURE_ROWS}


def _describe_row(row: dict[str, Any], number: int) -> dict[str, Any]:
    probabilities = [np.nan if row[name] is None else float(row[name]) for name in PROBABILITIES]
    has_face = row["emotion"] is not None and bool(np.isfinite(probabilities).all())
    return {
        "source": Path(row["source"]).name,
        "track_id": row["track_id"],
        "face": number if has_face else None,
        "emotion": row["emotion"] or "–",
        "probability": wording.format_percent(float(row["probability"])) if has_face else "",
        "uncertain": has_face and bool(row["uncertain"]),
        "bar": Markup(charts.draw_emotion_split(probabilities)) if has_face else "",
    }
