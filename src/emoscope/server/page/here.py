"""The page that reads in the browser, given by the server too, at /here/: whoever opens it sends no picture here."""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from emoscope.browser.site import CSP, write_site
from emoscope.core.errors import EmoscopeError
from emoscope.faces.registry import BROWSER
from emoscope.server.server_options import ServerOptions

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)
HEADERS: Final = {"Cache-Control": "no-cache", "Content-Security-Policy": f"{CSP}; frame-ancestors 'none'"}


class Here:
    """The page's folder, made when somebody first asks for it."""

    def __init__(self, options: ServerOptions, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.files: StaticFiles | None = None
        self.trouble = ""
        self.making = asyncio.Lock()

    async def open(self) -> StaticFiles:
        """Return the files.

        Raises:
            HTTPException: the page cannot be made here.
        """
        async with self.making:
            if self.files is None and not self.trouble:
                try:
                    await asyncio.to_thread(write_site, self.folder, self.options.model, self.options.detector)
                    self.files = StaticFiles(directory=self.folder, html=True)
                except EmoscopeError as e:
                    log.warning("the page that reads in the browser cannot be made: %s", e)
                    self.trouble = str(e)
        if self.files is None:
            raise HTTPException(404, f"the page that reads in the browser cannot be made here: {self.trouble}")
        return self.files


def is_there() -> bool:
    """Tell whether the runtime for networks in a browser was fetched; the server itself fetches nothing."""
    return all(file.path.is_file() for file in BROWSER)


@contextlib.asynccontextmanager
async def open_here(app: FastAPI, options: ServerOptions) -> AsyncIterator[None]:
    """Keep a folder for the page while the server runs."""
    with tempfile.TemporaryDirectory(prefix="emoscope-page-") as folder:
        app.state.here = Here(options, Path(folder) / "page")
        yield


@router.get("/here")
def lead_on() -> RedirectResponse:
    """Lead to the page: its files stand beside it."""
    return RedirectResponse("/here/", 308)


@router.get("/here/{name:path}")
async def show_file(name: str, request: Request) -> Response:
    """Return a file of the page."""
    if not is_there():
        raise HTTPException(404, "run `emoscope models --fetch --browser` on this computer to have this page")
    files = await request.app.state.here.open()
    answer: Response = await files.get_response(name or "index.html", request.scope)
    answer.headers.update(HEADERS)
    return answer
