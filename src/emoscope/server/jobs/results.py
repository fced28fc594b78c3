"""Results: the files of a finished job, as downloads and pages."""

import asyncio
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import IO

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from emoscope.server.http.problems import ProblemError, create_answer, create_problem, describe
from emoscope.server.jobs.answers import FILES, AJob, AllJobs, find_job, get_files
from emoscope.server.jobs.naming import name_file
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.supervisor import Jobs
from emoscope.server.jobs.upload import explain_full

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

REPORT_CSP = (
    "connect-src 'none'; object-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-popups allow-downloads"
)
"""Beside the report's own meta policy, which names the one script it may run: it loses the server's origin too."""
PART_BYTES = 1 << 16
WITH_FILES = " allow-same-origin"
"""A page that plays a video, or links to tables, keeps the origin: browsers give others no file of this server."""


class ResultFile(FileResponse):
    """A file of a result; an impossible Range is answered as all errors are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        status = 200

        async def check(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status not in (400, 416):
                    await send(message)
                    return
                detail = "the header Range asks for what the file does not have; leave it out"
                headers = {k.decode(): v.decode() for k, v in message["headers"] if k == b"content-range"}
                answer = create_answer(create_problem(status, detail), headers)
                await answer(scope, receive, send)
            elif status not in (400, 416):
                await send(message)

        await super().__call__(scope, receive, check)


def check_finished(job: Job) -> None:
    """Check that a job has results.

    Raises:
        ProblemError: it has none yet, or never will.
    """
    if job.state != "finished":
        detail = f"the job is {job.state}, expected a finished one" + (f": {job.message}" if job.message else "")
        raise ProblemError(409, "No results", detail)


def _send(jobs: Jobs, job: Job, name: str, is_shown: bool = False) -> ResultFile:
    file, media_type = get_files(job).get(name, (name, ""))
    check_finished(job)
    return send_file(jobs, job, file if media_type else None, media_type, is_shown)


def send_file(jobs: Jobs, job: Job, file: str | None, media_type: str, is_shown: bool = False) -> ResultFile:
    """Return a file of a result as an answer.

    Args:
        jobs: all of them.
        job: a finished one.
        file: in its result, a path of our own making; None where it can have none.
        media_type: of the file.
        is_shown: in the browser, rather than saved.

    Raises:
        ProblemError: it is not there.
    """
    path = jobs.store.get_result(job.id) / (file or "")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError
    except OSError as e:
        raise ProblemError(
            404, "No such result", f"this job made no {file or 'such file'}; its links name what there is"
        ) from e
    shown = f"{name_file(job)}-{path.name}"
    kind = "inline" if is_shown else "attachment"
    return ResultFile(path, media_type=media_type, filename=shown, stat_result=found, content_disposition_type=kind)


RESULT_ERRORS = describe(400, 404, 409, 416, 422)


def describe_file(media_type: str, has_parts: bool = True) -> dict[int | str, dict[str, object]]:
    """Return the `responses=` of a route that sends a file, maybe parts of it."""
    schema = {"type": "string"} if media_type.startswith("text") else {"type": "string", "format": "binary"}
    content = {"content": {media_type: {"schema": schema}}}
    found: dict[int | str, dict[str, object]] = {200: {"description": "The file", **content}, **RESULT_ERRORS}
    return {**found, 206: {"description": "A part of it", **content}} if has_parts else found


@router.get("/report", response_class=Response, responses=describe_file("text/html"))
async def read_report(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the report, one self-contained page."""
    answer = _send(jobs, job, "report", is_shown=True)
    # A project's page links to its tables and reports.
    has_files = job.kind == "project" or (jobs.store.get_result(job.id) / FILES["annotated.mp4"][0]).exists()
    answer.headers["Content-Security-Policy"] = REPORT_CSP + (WITH_FILES if has_files else "")
    return answer


def _add_file(name: str, what: str, is_shown: bool = False) -> None:
    """Add the route of one of a result's files, which the document describes by `what`."""

    async def read_file(jobs: AllJobs, job: AJob) -> ResultFile:
        return _send(jobs, job, name, is_shown)

    router.get(
        f"/{name}",
        response_class=Response,
        responses=describe_file(FILES[name][1]),
        name=f"read_{name.replace('.', '_')}",
        description=what,
    )(read_file)


_add_file("summary", "Read the numbers per person and for everyone.", is_shown=True)
_add_file("observations.csv", "Read the observations, one row per face and frame.")
_add_file("observations.parquet", "Read the observations as Parquet.")
_add_file("audience.csv", "Read the numbers of each second over all people.")
_add_file("annotated.mp4", "Watch the annotated video, where it was asked for.", is_shown=True)


@router.get("/all.zip", response_class=Response, responses=describe_file("application/zip") | describe(507))
async def read_all(request: Request, jobs: AllJobs, job: AJob) -> StreamingResponse:
    """Read everything that the job made, as one zip archive."""
    check_finished(job)
    lock: asyncio.Lock = request.app.state.people_lock
    try:
        # Never half of it from before its people were put in order.
        async with lock:
            packed = await asyncio.to_thread(_pack, jobs.store.get_result(job.id), jobs.store.folder)
    except OSError as e:
        find_job(jobs, job.id)
        raise explain_full(e, "the archive was not made") from e
    # Deleted meanwhile: some of its files, or none, would look like all.
    find_job(jobs, job.id)
    name = f"{name_file(job)}.zip"
    size = packed.seek(0, 2)
    packed.seek(0)
    answer = StreamingResponse(_read(packed), media_type="application/zip")
    # As a file's name is told: also in letters that headers do not know.
    told = FileResponse(FilePath(name), filename=name, content_disposition_type="attachment")
    answer.headers.update({"content-length": str(size), "content-disposition": told.headers["content-disposition"]})
    return answer


def _pack(result: FilePath, folder: FilePath) -> IO[bytes]:
    """Return an archive of a result folder, in a file without a name: whatever happens, it is gone with the answer."""
    packed = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 _read closes it
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in sorted(result.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            # Videos and Parquet are packed already.
            kind = zipfile.ZIP_STORED if path.suffix in (".mp4", ".parquet", ".jpg") else zipfile.ZIP_DEFLATED
            archive.write(path, path.relative_to(result), kind)
    return packed


def _read(packed: IO[bytes]) -> Iterator[bytes]:
    with packed:
        while part := packed.read(PART_BYTES):
            yield part
