"""Videos: an upload in, a job that is followed, read and deleted out."""

import asyncio
import contextlib
import datetime
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Message, Receive, Scope, Send

from emoscope.server.form import VideoForm
from emoscope.server.names import UPLOAD
from emoscope.server.options import ServerOptions
from emoscope.server.problems import Problem, ProblemError, create_answer, describe
from emoscope.server.runner import Jobs
from emoscope.server.store import Job, State
from emoscope.server.upload import explain_full, receive

router = APIRouter(prefix="/v1", tags=["videos"])

MAX_LISTED = 100
POLL_S = 0.25
"""How often listeners look whether a job has changed: a look costs less than a ten thousandth of a second."""
RETRY_AFTER_S = 30
REPORT_CSP = "sandbox allow-scripts allow-popups"
"""The report's own meta policy names the one script it may run; here it also loses the server's origin."""
FILES = {
    "report": ("report.html", "text/html; charset=utf-8"),
    "summary": ("summary.json", "application/json"),
    "observations.csv": ("observations.csv", "text/csv; charset=utf-8"),
    "observations.parquet": ("observations.parquet", "application/vnd.apache.parquet"),
    "audience.csv": ("audience.csv", "text/csv; charset=utf-8"),
    "annotated.mp4": ("annotated.mp4", "video/mp4"),
}
"""Results by their last part of the address: file and type."""
EXAMPLE_ID = "5f1d7c0a9be24d3c8a6e0f4b7d2c1e90"


class JobAnswer(BaseModel):
    """A job and how far it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "kind": "video",
                    "name": "talk.mp4",
                    "state": "running",
                    "created": "2026-11-25T10:00:00Z",
                    "started": "2026-11-25T10:00:01Z",
                    "finished": None,
                    "expires": None,
                    "progress": 0.42,
                    "frames": 512,
                    "left_s": 7.5,
                    "place": None,
                    "message": None,
                    "settings": {"every": "0.2s"},
                    "links": {"self": f"/v1/jobs/{EXAMPLE_ID}", "events": f"/v1/jobs/{EXAMPLE_ID}/events"},
                }
            ]
        }
    )

    id: str = Field(description="32 hex digits.")
    kind: Literal["video", "live"]
    name: str = Field(description="What the client called the file.")
    state: State
    created: datetime.datetime
    started: datetime.datetime | None
    finished: datetime.datetime | None
    expires: datetime.datetime | None = Field(description="When the job and its results are removed.")
    progress: float | None = Field(description="Share done, 0 to 1; null where the video's length is not known.")
    frames: int = Field(description="Decoded so far; analysed, once it is finished.")
    left_s: float | None = Field(description="Seconds until its end, as it looks now.")
    place: int | None = Field(description="Place in the queue, from 1.")
    message: str | None = Field(description="What is amiss, in one line.")
    settings: dict[str, Any] = Field(description="The form's fields.")
    links: dict[str, str] = Field(description="Addresses of what there is.")


class JobList(BaseModel):
    """The newest jobs."""

    jobs: list[JobAnswer]


@contextlib.asynccontextmanager
async def open_jobs(app: FastAPI, options: ServerOptions) -> AsyncIterator[Jobs]:
    """Run the jobs of an application while the block runs; `app.state.jobs`.

    Raises:
        OutputError: the data folder cannot be used.
    """
    jobs = app.state.jobs = Jobs(options, getattr(app.state, "metrics", None))
    supervisor = asyncio.create_task(jobs.supervise())
    try:
        yield jobs
    finally:
        supervisor.cancel()
        await asyncio.wait([supervisor])
        jobs.close()


def get_jobs(request: Request) -> Jobs:
    """Return the server's jobs."""
    jobs: Jobs = request.app.state.jobs
    return jobs


AllJobs = Annotated[Jobs, Depends(get_jobs)]
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The job's id.", examples=[EXAMPLE_ID])]


def find_job(jobs: AllJobs, job_id: JobId) -> Job:
    """Return the job of an address.

    Raises:
        ProblemError: there is none.
    """
    job = jobs.store.find(job_id)
    if job is None:
        raise ProblemError(404, "No such job", f"there is no job {job_id}; it was deleted, or has expired")
    return job


AJob = Annotated[Job, Depends(find_job)]


def describe_job(jobs: Jobs, job: Job) -> JobAnswer:
    """Return what clients learn of a job."""
    run, base = jobs.runs.get(job.id), f"/v1/jobs/{job.id}"
    links = {"self": base, "events": f"{base}/events"}
    if job.state == "finished":
        folder = jobs.store.get_result(job.id)
        links |= {name: f"{base}/{name}" for name, (file, _) in FILES.items() if (folder / file).exists()}
    progress = run.progress if run else 1.0 if job.state == "finished" else None if job.state == "failed" else 0.0
    left_s = run.left_s if run else None
    return JobAnswer(
        id=job.id,
        kind=job.kind,
        name=job.name,
        state=job.state,
        created=datetime.datetime.fromtimestamp(round(job.created, 3), datetime.UTC),
        started=_to_time(job.started),
        finished=_to_time(job.finished),
        expires=_to_time(job.finished, jobs.options.keep_s),
        progress=None if progress is None else round(progress, 4),
        frames=run.frames if run else job.frames,
        left_s=None if left_s is None else round(left_s, 1),
        place=jobs.store.find_place(job.id) if job.state == "queued" else None,
        message=job.message,
        settings=dict(job.settings),
        links=links,
    )


def _to_time(seconds: float | None, later_s: float = 0.0) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(round(seconds + later_s, 3), datetime.UTC)


FORM_SCHEMA: dict[str, Any] = VideoForm.model_json_schema()
FORM_SCHEMA["properties"] = {
    "file": {"type": "string", "format": "binary", "description": "The video."},
    **FORM_SCHEMA["properties"],
}
FORM_SCHEMA["required"] = ["file"]
FORM_BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM_SCHEMA}}}}


@router.post(
    "/videos",
    status_code=202,
    response_model=JobAnswer,
    responses=describe(400, 413, 415, 422, 503, 507),
    openapi_extra=FORM_BODY,
)
async def create_job(request: Request, response: Response, jobs: AllJobs) -> JobAnswer:
    """Take a video, or an animated picture, to be analysed; answer its job at once."""
    # Before the body: nobody should send gigabytes to hear that there is no room.
    if not jobs.has_room():
        detail = f"{jobs.options.max_queued} videos are waiting already; try again later"
        raise ProblemError(503, "The queue is full", detail, {"Retry-After": str(RETRY_AFTER_S)})
    try:
        with jobs.claim() as job_id:
            folder = jobs.store.jobs / job_id
            name, values = await receive(request, folder / UPLOAD, jobs.options.max_upload_bytes)
            _check_form(jobs.options, values)
            answer = await jobs.check(job_id, name)
            if answer.get("picture"):
                detail = f"{name} is a picture, expected a video; send it to /v1/images"
                raise ProblemError(415, "Not a video", detail)
            if "failed" in answer:
                raise ProblemError(422, "Not a video", answer["failed"])
            job = Job(job_id, "video", name, created=time.time(), settings=tuple(values.items()))
            jobs.add(job)
    except OSError as e:
        raise explain_full(e) from e
    except sqlite3.OperationalError as e:
        raise ProblemError(507, "Insufficient storage", f"the job cannot be written down ({e}); try again later") from e
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return describe_job(jobs, job)


def _check_form(options: ServerOptions, values: dict[str, str]) -> None:
    """Check a form's fields as the worker will read them.

    Raises:
        RequestValidationError, InputError: one of them cannot be used.
    """
    try:
        form = VideoForm(**values)  # type: ignore[arg-type]
    except ValidationError as e:
        raise RequestValidationError([{**error, "loc": ("body", *error["loc"])} for error in e.errors()]) from e
    form.parse_times()
    form.create_settings(options.detector, options.model)


@router.get("/jobs")
async def list_jobs(jobs: AllJobs) -> JobList:
    """List the newest 100 jobs, newest first."""
    return JobList(jobs=[describe_job(jobs, job) for job in jobs.store.list_newest(MAX_LISTED)])


@router.get("/jobs/{job_id}", responses=describe(404, 422))
async def show_job(jobs: AllJobs, job: AJob) -> JobAnswer:
    """Tell a job's state."""
    return describe_job(jobs, job)


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse, responses=describe(404, 422))
async def follow_job(jobs: AllJobs, job: AJob) -> AsyncIterator[ServerSentEvent]:
    """Follow a job: an event `job` with the whole job at each change; ends with its last state."""
    last, current = None, job
    while True:
        answer = describe_job(jobs, current)
        if (text := answer.model_dump_json()) != last:
            last = text
            yield ServerSentEvent(event="job", raw_data=text)
        if current.state in ("finished", "failed") or jobs.is_closed:
            return
        await asyncio.sleep(POLL_S)
        found = None if jobs.is_closed else jobs.store.find(job.id)
        if found is None:
            return
        current = found


@router.delete("/jobs/{job_id}", status_code=204, responses=describe(422))
async def delete_job(jobs: AllJobs, job_id: JobId) -> None:
    """Delete a job and all its files; a running one is stopped. A job that is not there is no error."""
    await jobs.remove(job_id)


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
                answer = create_answer(Problem(title="Impossible range", status=status, detail=detail), headers)
                await answer(scope, receive, send)
            elif status not in (400, 416):
                await send(message)

        await super().__call__(scope, receive, check)


def _send(jobs: Jobs, job: Job, name: str, is_shown: bool = False) -> ResultFile:
    file, media_type = FILES[name]
    if job.state != "finished":
        detail = f"the job is {job.state}, expected a finished one" + (f": {job.message}" if job.message else "")
        raise ProblemError(409, "No results", detail)
    path = jobs.store.get_result(job.id) / file
    try:
        found = path.stat()
    except OSError as e:
        raise ProblemError(404, "No such result", f"this job made no {file}; its links name what there is") from e
    shown = f"{FilePath(job.name).stem}-{file}"
    kind = "inline" if is_shown else "attachment"
    return ResultFile(path, media_type=media_type, filename=shown, stat_result=found, content_disposition_type=kind)


RESULT_ERRORS = describe(400, 404, 409, 416, 422)


def _describe_file(media_type: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string"} if media_type.startswith("text") else {"type": "string", "format": "binary"}
    content = {"content": {media_type: {"schema": schema}}}
    return {
        200: {"description": "The file", **content},
        206: {"description": "A part of it", **content},
    } | RESULT_ERRORS


@router.get("/jobs/{job_id}/report", response_class=Response, responses=_describe_file("text/html"))
async def read_report(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the report, one self-contained page."""
    answer = _send(jobs, job, "report", is_shown=True)
    answer.headers["Content-Security-Policy"] = REPORT_CSP
    return answer


@router.get("/jobs/{job_id}/summary", response_class=Response, responses=_describe_file("application/json"))
async def read_summary(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the numbers per person and for everyone."""
    return _send(jobs, job, "summary", is_shown=True)


@router.get("/jobs/{job_id}/observations.csv", response_class=Response, responses=_describe_file("text/csv"))
async def read_csv(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the observations, one row per face and frame."""
    return _send(jobs, job, "observations.csv")


@router.get(
    "/jobs/{job_id}/observations.parquet",
    response_class=Response,
    responses=_describe_file(FILES["observations.parquet"][1]),
)
async def read_parquet(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the observations as Parquet."""
    return _send(jobs, job, "observations.parquet")


@router.get("/jobs/{job_id}/audience.csv", response_class=Response, responses=_describe_file("text/csv"))
async def read_audience(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the numbers of each second over all people."""
    return _send(jobs, job, "audience.csv")


@router.get("/jobs/{job_id}/annotated.mp4", response_class=Response, responses=_describe_file("video/mp4"))
async def read_video(jobs: AllJobs, job: AJob) -> ResultFile:
    """Watch the annotated video, where it was asked for."""
    return _send(jobs, job, "annotated.mp4", is_shown=True)
