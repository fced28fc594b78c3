"""Marked segments of a finished job: a file of events in, report and tables made anew out, without the video."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from emoscope.core.errors import EmoscopeError, InputError
from emoscope.server.http.problems import ProblemError, describe
from emoscope.server.http.versions import check_version, mark_version, wants_version
from emoscope.server.jobs.answers import AJob, AllJobs, find_job, hide_folder
from emoscope.server.jobs.form import read_form
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.results import check_finished
from emoscope.server.jobs.supervisor import Jobs
from emoscope.server.jobs.upload import clean_name
from emoscope.server.jobs.worker import EVENTS

if TYPE_CHECKING:
    from emoscope.tables.events import Event

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])
Words = Annotated[str, Form(max_length=1000)]


class Segment(BaseModel):
    """A marked time of a recording."""

    name: str
    start_s: float
    end_s: float


class SegmentsAnswer(BaseModel):
    """The marked segments of a result."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"segments": [{"name": "advert", "start_s": 2.0, "end_s": 8.0}], "message": None}]
        }
    )

    segments: list[Segment]
    message: str | None = Field(description="What is amiss, in one line.")


@router.get("/segments", responses=describe(404, 409, 422))
async def read_segments(response: Response, jobs: AllJobs, job: AJob) -> SegmentsAnswer:
    """Tell which segments are marked in a finished recording."""
    _check(job)
    answer = await asyncio.to_thread(_read, jobs, job)
    mark_version(response, answer)
    return answer


@router.put("/segments", responses=describe(404, 409, 412, 413, 422))
async def mark_segments(
    request: Request,
    response: Response,
    jobs: AllJobs,
    job: AJob,
    events: Annotated[UploadFile, File(description="A table with name, start_s, end_s, or BIDS, BORIS, ELAN, Praat.")],
    event_tiers: Words = "",
    event_columns: Words = "",
) -> SegmentsAnswer:
    """Mark segments of a finished recording; they replace earlier ones, and the report is made anew."""
    fields = {"event_tiers": event_tiers, "event_columns": event_columns}
    content = await events.read()
    called = clean_name(events.filename or "events")
    given = {key: value for key, value in fields.items() if value}
    return await _mark(request, response, jobs, job, given, content, called)


@router.delete("/segments", responses=describe(404, 409, 412, 422))
async def unmark_segments(request: Request, response: Response, jobs: AllJobs, job: AJob) -> SegmentsAnswer:
    """Take all marked segments away; the report is made anew."""
    return await _mark(request, response, jobs, job, {}, None, "")


async def _mark(
    request: Request,
    response: Response,
    jobs: Jobs,
    job: Job,
    fields: Mapping[str, str],
    content: bytes | None,
    called: str,
) -> SegmentsAnswer:
    _check(job)
    lock: asyncio.Lock = request.app.state.people_lock
    async with lock:
        # It may have been deleted while others' results were made.
        find_job(jobs, job.id)
        if wants_version(request):
            check_version(request, await asyncio.to_thread(_read, jobs, job))
        await asyncio.to_thread(_save, jobs, job, fields, content, called)
        answer = await asyncio.to_thread(_read, jobs, job)
    mark_version(response, answer)
    return answer


def _check(job: Job) -> None:
    check_finished(job)
    if job.kind == "project":
        raise ProblemError(422, "A project", "segments are marked in the recordings of a project; name one of them")


def _read(jobs: Jobs, job: Job) -> SegmentsAnswer:
    from emoscope.analysis.result_folder import load_summary

    try:
        summary = load_summary(jobs.store.get_result(job.id))
    except EmoscopeError as e:
        raise hide_folder(e, jobs, job, "Segments") from e
    segments = [Segment(name=e.name, start_s=e.start_s, end_s=e.end_s) for e in summary.events]
    return SegmentsAnswer(segments=segments, message=summary.events_message)


def _save(jobs: Jobs, job: Job, fields: Mapping[str, str], content: bytes | None, called: str) -> None:
    from emoscope.analysis.event_marks import set_events
    from emoscope.tables.events import select_events

    marked: tuple[Event, ...] = ()
    if content is not None:
        with TemporaryDirectory() as place:
            path = Path(place, EVENTS)
            path.write_bytes(content)
            try:
                given = read_form(fields, jobs.options.detector, jobs.options.model, path).events
            except InputError as e:
                raise InputError(str(e).replace(str(path), called)) from e
        marked = select_events(given, Path(job.name))
        if not marked:
            raise ProblemError(422, "Segments", f"none of the {len(given)} segments in {called} is of {job.name}")
    try:
        set_events(jobs.store.get_result(job.id), marked)
    except EmoscopeError as e:
        raise hide_folder(e, jobs, job, "Segments") from e
