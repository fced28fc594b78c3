"""What a server says of itself: /healthz, /metrics, GET /v1/models."""

import functools
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from emoscope.core.emotions import EMOTIONS
from emoscope.core.version import read_version
from emoscope.faces.listing import list_models
from emoscope.faces.registry import Role

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"]
    version: Annotated[str, Field(examples=[read_version()])]


class ModelEntry(BaseModel):
    """One model that is embedded or was fetched."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "yunet",
                    "role": "detector",
                    "status": "cached",
                    "bytes": 229734,
                    "sha256": "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
                    "licence": "MIT (OpenCV Zoo)",
                    "figures": {},
                }
            ]
        },
    )

    name: str
    role: Role
    status: str = Field(description="embedded, cached, not fetched, or damaged and how.")
    bytes: int | None
    sha256: str
    licence: str
    figures: dict[str, object] = Field(description="What was measured, by part of the data.")


class ModelsAnswer(BaseModel):
    """The models, and which of them this server uses."""

    detector: Annotated[str, Field(examples=["yunet"])]
    model: Annotated[str, Field(examples=["default"])]
    classes: Annotated[list[str], Field(examples=[list(EMOTIONS)], description="What it tells apart, in their order.")]
    models: list[ModelEntry]


@router.get("/healthz", summary="Ask whether the server lives")
async def check_health() -> Health:
    """Answer, without a token too."""
    return Health(status="ok", version=read_version())


@router.get("/metrics", response_class=PlainTextResponse, summary="Read counters for Prometheus")
async def read_metrics(request: Request) -> Response:
    """Count requests, pictures, live frames and jobs since the server started."""
    return Response(request.app.state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/models", summary="List the models")
def read_models(request: Request) -> ModelsAnswer:
    """List what is embedded and fetched, with hashes, licences and figures."""
    options, classes = request.app.state.options, list(request.app.state.classes)
    name = _name(str(options.model))
    return ModelsAnswer(detector=options.detector, model=name, classes=classes, models=_list_entries())


@functools.cache
def _list_entries() -> list[ModelEntry]:
    # Hashes are computed anew for each list, and files do not change while a server runs.
    return [ModelEntry.model_validate(entry) for entry in list_models()]


def _name(model: str) -> str:
    # Where a file lies is nobody's business.
    return model.replace("\\", "/").rsplit("/", 1)[-1]
