"""Errors as RFC 9457 problem documents: an exception in, application/problem+json out; never a traceback."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from emoscope.errors import EmoscopeError

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    title: str
    status: int
    detail: str
    """What happened, what was expected, what to do."""


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem, self.headers = Problem(title=title, status=status, detail=detail), headers


def create_answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer that carries a problem."""
    return JSONResponse(problem.model_dump(), problem.status, headers, PROBLEM_TYPE)


def describe(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that may answer with these errors."""
    return {status: {"model": Problem, "content": {PROBLEM_TYPE: {}}} for status in statuses}


def install(app: FastAPI) -> None:
    """Let every error of an application leave as a problem document."""

    @app.exception_handler(ProblemError)
    async def answer_problem(_: Request, error: ProblemError) -> JSONResponse:
        return create_answer(error.problem, error.headers)

    @app.exception_handler(EmoscopeError)
    async def answer_user_error(_: Request, error: EmoscopeError) -> JSONResponse:
        return create_answer(Problem(title=type(error).__name__, status=error.http_status, detail=str(error)))

    @app.exception_handler(HTTPException)
    async def answer_http(_: Request, error: HTTPException) -> JSONResponse:
        problem = Problem(title=str(error.detail), status=error.status_code, detail=str(error.detail))
        return create_answer(problem, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def answer_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        parts = [f"{'.'.join(str(p) for p in e['loc'][1:])}: {e['msg']}" for e in error.errors()]
        return create_answer(Problem(title="Invalid request", status=422, detail="; ".join(parts)))

    @app.exception_handler(Exception)
    async def answer_fault(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        detail = "the server made a mistake, which its log describes; try again, or report it"
        return create_answer(Problem(title="Server error", status=500, detail=detail))
