"""Schemas: what several routes answer, for OpenAPI and for those who read it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from emoscope.core.emotions import EMOTIONS

Share = Annotated[float, Field(ge=0, le=1)]

FACE_EXAMPLE: JsonDict = {
    "track_id": None,
    "xyxy": [312.4, 96.1, 398.7, 214.0],
    "detection_score": 0.93,
    "emotion": "happy",
    "probability": 0.91,
    "uncertain": False,
    "probabilities": {name: 0.91 if name == "happy" else 0.015 for name in EMOTIONS},
}


class Face(BaseModel):
    """One face, and what the network reads from it."""

    model_config = ConfigDict(json_schema_extra={"examples": [FACE_EXAMPLE]})

    track_id: int | None = Field(description="Number of the person, from 1; null in single pictures.")
    xyxy: Annotated[
        list[float], Field(min_length=4, max_length=4, description="Box in pixels: left, top, right, bottom.")
    ]
    detection_score: Share
    emotion: str = Field(
        description="The most probable class of those that `GET /v1/models` names: the seven emotions, unless the "
        "network has its own."
    )
    probability: Share = Field(description="Its calibrated probability.")
    uncertain: bool = Field(
        description="Whether the network abstains: the probability is below `uncertain_below`, "
        "or the face too dark, small or blurred to be read."
    )
    probabilities: dict[str, Share] = Field(description="What the emotion is read from.")


class ImageAnswer(BaseModel):
    """The faces of one picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "size_wh": [640, 480],
                    "faces": [FACE_EXAMPLE],
                    "detector": "yunet",
                    "model": "compact-4-int8",
                    "uncertain_below": 0.46,
                }
            ]
        }
    )

    size_wh: tuple[int, int] = Field(description="Width and height of the upright picture in pixels.")
    faces: list[Face] = Field(description="Best detection first.")
    detector: str
    model: str
    uncertain_below: Share
