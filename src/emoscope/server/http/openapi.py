"""The OpenAPI document: what FastAPI writes, with problems, limits and ways to sign in as they are."""

from typing import Any

from fastapi import FastAPI

from emoscope.server.http.problems import Problem

DESCRIPTION = (
    "Reads the emotions that faces express, from pictures, videos and a live camera. Errors are problem documents "
    "(RFC 9457). A reading says what a face shows, not what a person feels."
)
ALWAYS = (400, 401, 403, 404, 405, 408, 413, 429, 500)
"""Errors that every route may answer with."""
OPEN = frozenset({"/healthz"})
"""Paths that need no token."""
COOKIE = "emoscope_session"
"""Who signed in is known by it."""


def install(app: FastAPI) -> None:
    """Complete the document of an application."""
    create = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = create()
            _complete(document, app.state.options.token is not None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any], needs_token: bool) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    if not needs_token:
        return
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["security"] = [] if path in OPEN else [{"token": []}, {"session": []}]
