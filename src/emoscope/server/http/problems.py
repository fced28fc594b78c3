"""Errors as RFC 9457 problem documents: an exception in, application/problem+json out; never a traceback."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from emoscope.core.errors import EmoscopeError

PROBLEM_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="What happened, what was expected, what to do.")


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem, self.headers = Problem(title=title, status=status, detail=detail), headers


EXAMPLES = {
    400: "there was an error parsing the body",
    401: "a token is needed; send it as `Authorization: Bearer TOKEN`, or sign in at /",
    403: "the request comes from the page of another site; open the server's address itself",
    404: "there is nothing at this address; /openapi.json has them all",
    405: "this address does not take the method; /openapi.json says which it does",
    408: "nothing came for 30 s; send the request again",
    409: "the job is running, expected a finished one",
    412: "somebody else has changed this meanwhile, and nothing was saved; open it again and see what is there",
    413: "the request has 60000000 bytes, expected at most 50065536; send a smaller file",
    415: "the file is no picture that is read here; expected a JPEG, PNG, WebP, AVIF, HEIC or BMP picture",
    422: "the picture is damaged; expected a JPEG, PNG, WebP, AVIF, HEIC or BMP picture",
    429: "more than 200 requests in 1 s; try again in 1 s",
    500: "the server made a mistake, which its log describes; try again, or report it",
    503: "too many pictures are waiting; try again in a second",
}
"""What answers look like, by status."""


def create_problem(status: int, detail: str) -> Problem:
    """Return a problem with the usual title of its status."""
    return Problem(title=_name(status), status=status, detail=detail)


def create_answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer that carries a problem."""
    return JSONResponse(problem.model_dump(), problem.status, headers, PROBLEM_TYPE)


def describe(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Return the `responses=` of a route that may answer with these errors."""
    return {status: _describe(status) for status in statuses}


def _describe(status: int) -> dict[str, object]:
    example = create_problem(status, EXAMPLES.get(status, _name(status))).model_dump()
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": _name(status), "content": {PROBLEM_TYPE: content}}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase


def install(app: FastAPI) -> None:
    """Let every error of an application leave as a problem document; faults of ours are the guard's."""

    @app.exception_handler(ProblemError)
    async def answer_problem(_: Request, error: ProblemError) -> JSONResponse:
        return create_answer(error.problem, error.headers)

    @app.exception_handler(EmoscopeError)
    async def answer_user_error(_: Request, error: EmoscopeError) -> JSONResponse:
        return create_answer(create_problem(error.http_status, str(error)))

    @app.exception_handler(HTTPException)
    async def answer_http(_: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if detail == _name(error.status_code):
            # Starlette's own words say no more than the number.
            detail = EXAMPLES.get(error.status_code, detail)
        return create_answer(create_problem(error.status_code, detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def answer_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        parts = [f"{'.'.join(str(p) for p in e['loc'][1:])}: {e['msg']}" for e in error.errors()]
        return create_answer(create_problem(422, "; ".join(parts)))
