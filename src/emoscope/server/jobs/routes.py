"""Videos: an upload in, a job that is followed, read and deleted out."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic.config import JsonDict

from emoscope.core.errors import InputError
from emoscope.server.http.access import get_client
from emoscope.server.http.places import Places
from emoscope.server.http.problems import ProblemError, describe
from emoscope.server.jobs.answers import AJob, AllJobs, JobAnswer, JobId, JobList, describe_job, find_job
from emoscope.server.jobs.form import FIELDS, read_form
from emoscope.server.jobs.naming import LabelForm, check_label
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.supervisor import Jobs
from emoscope.server.jobs.upload import Form, explain_full, receive
from emoscope.server.jobs.worker import EVENTS, UPLOAD, Setting
from emoscope.server.server_options import ServerOptions

router = APIRouter(prefix="/v1", tags=["videos"])

MAX_LISTED = 100
POLL_S = 0.25
"""How often listeners look whether a job has changed: a look costs less than a ten thousandth of a second."""
RETRY_AFTER_S = 30
MAX_STREAMS, MAX_STREAMS_PER_CLIENT = 256, 64
"""Event streams at the same time; who gets none can ask for the job now and then."""


@contextlib.asynccontextmanager
async def open_jobs(app: FastAPI, options: ServerOptions) -> AsyncIterator[Jobs]:
    """Run the jobs of an application while the block runs; `app.state.jobs`.

    Raises:
        OutputError: the data folder cannot be used.
    """
    jobs = app.state.jobs = Jobs(options, getattr(app.state, "metrics", None))
    # Making results anew takes memory: one after the other.
    app.state.people_lock = asyncio.Lock()
    app.state.streams = Places(MAX_STREAMS, MAX_STREAMS_PER_CLIENT)
    supervisor = asyncio.create_task(jobs.supervise())
    try:
        yield jobs
    finally:
        supervisor.cancel()
        await asyncio.wait([supervisor])
        jobs.close()


FORM_SCHEMA: JsonDict = {
    "title": "VideoForm",
    "description": "How a video is to be read; the options of `emoscope analyze`.",
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The video."},
        "events": {
            "type": "string",
            "format": "binary",
            "description": "Marked segments: a table with name, start_s, end_s, or BIDS, BORIS, ELAN, Praat.",
        },
        **FIELDS,
    },
    "required": ["file"],
    "additionalProperties": False,
}
FORM_BODY: JsonDict = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM_SCHEMA}}}}


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
        with jobs.reserve() as job_id:
            folder = jobs.store.jobs / job_id
            form = await receive(request, folder, jobs.options.max_upload_bytes)
            name = form.name
            # As the worker will.
            await asyncio.to_thread(_check_form, form, folder, jobs.options)
            answer = await jobs.check(job_id, name)
            if answer.get("picture"):
                detail = f"{name} is a picture, expected a video; send it to /v1/images"
                raise ProblemError(415, "Not a video", detail)
            if "failed" in answer:
                raise ProblemError(422, "Not a video", answer["failed"])
            job = Job(job_id, "video", name, created=time.time(), settings=tuple(form.values.items()))
            jobs.add(job)
    except OSError as e:
        raise explain_full(e) from e
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return describe_job(jobs, job)


SAMPLE: dict[str, Setting] = {"thumbnails": "clear"}
"""How the sample is read: its people are in the public domain."""


@router.post("/videos/sample", status_code=202, responses=describe(501, 503, 507))
async def create_sample_job(response: Response, jobs: AllJobs) -> JobAnswer:
    """Make a clip of ten seconds with two public-domain portraits, and a job of it: something to try at once."""
    from emoscope.outputs.sample import write_sample

    if not jobs.has_room():
        detail = f"{jobs.options.max_queued} videos are waiting already; try again later"
        raise ProblemError(503, "The queue is full", detail, {"Retry-After": str(RETRY_AFTER_S)})
    try:
        with jobs.reserve() as job_id:
            await asyncio.to_thread(write_sample, jobs.store.jobs / job_id / UPLOAD)
            job = Job(job_id, "video", "sample.mp4", created=time.time(), settings=tuple(SAMPLE.items()))
            jobs.add(job)
    except OSError as e:
        raise explain_full(e, "the sample was not made") from e
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return describe_job(jobs, job)


def _check_form(form: Form, folder: Path, options: ServerOptions) -> None:
    place = folder / EVENTS if form.events else None
    try:
        read_form(form.values, options.detector, options.model, place)
    except InputError as e:
        # The client does not know what the server calls its file.
        raise InputError(str(e).replace(str(place), form.events or "")) from e


@router.get("/jobs")
async def list_jobs(jobs: AllJobs) -> JobList:
    """List the newest 100 jobs, newest first."""
    return JobList(jobs=[describe_job(jobs, job) for job in jobs.store.list_newest(MAX_LISTED)])


@router.get("/jobs/{job_id}", responses=describe(404, 422))
async def show_job(jobs: AllJobs, job: AJob) -> JobAnswer:
    """Tell a job's state."""
    return describe_job(jobs, job)


async def _hold_stream(request: Request) -> AsyncIterator[None]:
    with request.app.state.streams.hold(get_client(request.scope)) as is_held:
        if not is_held:
            detail = "too many jobs are followed already; ask for the job itself now and then"
            raise ProblemError(503, "Busy", detail, {"Retry-After": str(RETRY_AFTER_S)})
        yield


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses=describe(404, 422, 503),
    dependencies=[Depends(_hold_stream)],
)
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


@router.patch("/jobs/{job_id}", responses=describe(404, 422, 507))
async def rename_job(form: LabelForm, jobs: AllJobs, job: AJob) -> JobAnswer:
    """Call a job something else; an empty label calls it by its file's name again."""
    label = check_label(form.label)
    try:
        renamed = jobs.store.rename(job.id, label)
    except OSError as e:
        raise explain_full(e, "the name was not changed") from e
    return describe_job(jobs, renamed or find_job(jobs, job.id))


@router.delete("/jobs/{job_id}", status_code=204, responses=describe(422))
async def delete_job(jobs: AllJobs, job_id: JobId) -> None:
    """Delete a job and all its files; a running one is stopped. A job that is not there is no error."""
    await jobs.remove(job_id)
