"""The application: options in, routes and what they share out."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from emoscope.browser.parts import STATIC
from emoscope.core.emotions import EMOTIONS
from emoscope.core.version import read_version
from emoscope.server.http import openapi, problems, service, session
from emoscope.server.http.access import Access
from emoscope.server.http.guard import Guard
from emoscope.server.http.prometheus import Metrics
from emoscope.server.jobs import comparison, people, projects, results, segments
from emoscope.server.jobs import routes as videos
from emoscope.server.live import socket as live
from emoscope.server.page import docs, here, index
from emoscope.server.pictures import routes as images
from emoscope.server.server_options import PAGE, ServerOptions


def create_app(options: ServerOptions) -> FastAPI:
    """Create the server's ASGI application.

    Args:
        options: limits and places; `app.state.options` in every route.

    Raises:
        InputError: an option that nobody can read.
    """

    @contextlib.asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(images.open_images(app, options))
            await stack.enter_async_context(videos.open_jobs(app, options))
            await stack.enter_async_context(live.open_live(app, options))
            await stack.enter_async_context(here.open_here(app, options))
            yield

    app = FastAPI(
        title="emoscope",
        version=read_version(),
        description=openapi.DESCRIPTION,
        lifespan=run,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problems.describe(*openapi.ALWAYS),
    )
    app.state.options, app.state.metrics = options, Metrics()
    # Until the network is there, whose classes they are.
    app.state.classes = EMOTIONS
    problems.install(app)
    openapi.install(app)
    # Made here: middleware is made with the first request only, too late for an error in the options.
    app.add_middleware(Guard, options=options, access=Access(options), metrics=app.state.metrics)
    app.include_router(service.router)
    app.include_router(session.router)
    app.include_router(images.router)
    app.include_router(videos.router)
    app.include_router(results.router)
    app.include_router(people.router)
    app.include_router(segments.router)
    app.include_router(comparison.router)
    app.include_router(projects.router)
    app.include_router(live.router)
    app.include_router(index.router)
    app.include_router(docs.router)
    app.include_router(here.router)
    _add_page(app)
    return app


def _add_page(app: FastAPI) -> None:
    """Serve the files of the page.

    Not mounted at /, which would answer for every address and method that no route has.
    """
    static = StaticFiles(directory=PAGE, packages=[("emoscope.browser", "static")])
    names = {path.name for folder in (PAGE, STATIC) for path in folder.iterdir() if path.is_file()}

    @app.get("/{name}", include_in_schema=False)
    async def read_page_file(name: str, request: Request) -> Response:
        if name not in names:
            raise problems.ProblemError(
                404, "Not Found", "there is nothing at this address; /openapi.json has them all"
            )
        return await static.get_response(name, request.scope)
