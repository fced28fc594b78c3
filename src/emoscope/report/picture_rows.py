"""The report's table of pictures: observations in, one row per face out."""

from pathlib import Path

import numpy as np
from markupsafe import Markup

from emoscope.report import charts, wording
from emoscope.report.wording import Context
from emoscope.tables.observations import Observations
from emoscope.tables.rows import Rows, read_rows

MAX_PICTURE_ROWS = 500


def describe_pictures(observations: Observations) -> Context:
    """Return the rows that the page shows and how many there are in all."""
    pictures: list[Context] = []
    n_rows = number = 0
    for rows in read_rows(observations):
        n_rows += len(rows.is_face)
        # Each row's place among those with a face.
        places, is_beyond = np.cumsum(rows.is_face) - 1, rows.is_beyond
        for i in range(min(len(places), MAX_PICTURE_ROWS - len(pictures))):
            number = 1 if rows.is_first[i] else number + 1
            source = Path(rows.batch["source"][i].as_py()).name
            face = _describe_face(rows, int(places[i]) if rows.is_face[i] else None, number)
            pictures.append({"source": source, "is_left_out": is_beyond[i] and not rows.is_face[i], **face})
    return {"pictures": pictures, "n_pictures_rows": n_rows, "max_rows": MAX_PICTURE_ROWS}


def _describe_face(rows: Rows, i: int | None, number: int) -> Context:
    if i is None:
        return {"track_id": None, "face": None, "emotion": "–", "probability": "", "uncertain": False, "bar": ""}
    return {
        "track_id": int(rows.track_id[i]),
        "face": number,
        "emotion": rows.classes[rows.emotion[i]],
        "probability": wording.format_percent(float(rows.probability[i])),
        "uncertain": bool(rows.is_uncertain[i]),
        "bar": Markup(charts.draw_emotion_split(rows.probabilities[i].tolist(), rows.classes)),
    }
