"""The application: options in, routes and what they share out."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

import emoscope
from emoscope.server import problems
from emoscope.server.options import ServerOptions

PAGE = Path(__file__).parent / "page"


def create_app(options: ServerOptions) -> FastAPI:
    """Create the server's ASGI application.

    Args:
        options: limits and places; `app.state.options` in every route.
    """

    @contextlib.asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(title="emoscope", version=emoscope.__version__, lifespan=run, docs_url=None, redoc_url=None)
    app.state.options = options
    problems.install(app)
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app
