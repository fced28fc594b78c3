"""Faces as every answer has them: a FrameResult in, JSON-ready values out; no web framework."""

from typing import Any

from emoscope.core.emotions import EMOTIONS
from emoscope.core.types import FrameResult

DECIMALS = 4
"""Of probabilities and scores."""


def describe_faces(result: FrameResult) -> list[dict[str, Any]]:
    """Return one dict per face, of the shape of schemas.Face."""
    track_ids = result.faces.track_id
    boxes = result.faces.xyxy.round(1).tolist()
    scores = result.faces.score.round(DECIMALS).tolist()
    reading = result.reading
    emotions, rows = reading.emotions, reading.probabilities.tolist()
    return [
        {
            "track_id": None if track_ids is None else int(track_ids[i]),
            # float32 has no short decimals; rounded once more they are.
            "xyxy": [round(v, 1) for v in boxes[i]],
            "detection_score": round(scores[i], DECIMALS),
            "emotion": emotions[i],
            "probability": round(float(reading.probability[i]), DECIMALS),
            "uncertain": bool(reading.uncertain[i]),
            "probabilities": {name: round(p, DECIMALS) for name, p in zip(EMOTIONS, rows[i], strict=True)},
        }
        for i in range(len(boxes))
    ]
