"""The API's documentation at /docs, without a connection: Swagger UI comes with the package fastapi-offline."""

from importlib import resources
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
"""Of that package, with their kinds."""
CSP: Final = (
    # Swagger UI sets styles of its own, and its signs are pictures in its style sheet.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>emoscope: the HTTP API</title>
  <link rel="icon" href="icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <script src="docs/swagger-ui-bundle.js" defer></script>
  <script src="docs.js" defer></script>
</head>
<body><main id="swagger-ui"></main></body>
</html>
"""


@router.get("/docs")
def show_docs(request: Request) -> HTMLResponse:
    """Return the documentation of the API that runs here."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": CSP})


@router.get("/docs/{name}")
def show_asset(name: str) -> Response:
    """Return a script or style sheet of Swagger UI."""
    from starlette.exceptions import HTTPException

    if name not in ASSETS:
        raise HTTPException(404)
    content = resources.files("fastapi_offline").joinpath("static", name).read_bytes()
    return Response(content, media_type=ASSETS[name], headers={"Cache-Control": "max-age=86400"})
