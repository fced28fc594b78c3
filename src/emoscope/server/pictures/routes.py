"""POST /v1/images: a picture in, its faces at once out."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, FastAPI, File, Request, Response, UploadFile

from emoscope.server.http.problems import ProblemError, describe
from emoscope.server.http.schemas import ImageAnswer
from emoscope.server.pictures.reader import open_readers
from emoscope.server.server_options import ServerOptions

MAX_WAITING = 64
"""Pictures that may wait for a process; more would wait for longer than clients do, and take memory."""

router = APIRouter(tags=["pictures"])


@contextlib.asynccontextmanager
async def open_images(app: FastAPI, options: ServerOptions) -> AsyncIterator[None]:
    """Start the processes that read pictures."""
    async with open_readers(options) as readers:
        app.state.readers, app.state.waiting_pictures = readers, 0
        app.state.classes = readers.classes
        yield


@router.post(
    "/v1/images",
    response_model=ImageAnswer,
    response_description="The faces that were found; none is an empty list.",
    responses=describe(413, 415, 422, 503),
    summary="Read the faces of a picture",
)
async def read_image(
    request: Request,
    file: Annotated[
        UploadFile, File(description="A JPEG, PNG, WebP, AVIF, HEIC or BMP picture; its content counts, not its name.")
    ],
) -> Response:
    """Find the faces of one picture and read the emotion that each expresses; nothing is stored."""
    state = request.app.state
    if state.waiting_pictures >= MAX_WAITING:
        raise ProblemError(503, "Busy", "too many pictures are waiting; try again in a second", {"Retry-After": "1"})
    state.waiting_pictures += 1
    try:
        reading = await state.readers.read(await file.read())
    finally:
        state.waiting_pictures -= 1
    state.metrics.pictures.inc()
    state.metrics.faces.inc(reading.n_faces)
    return Response(reading.content, media_type="application/json")
