"""Several finished jobs on one page, as `emoscope compare` puts them side by side; nothing is kept of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from emoscope.core.errors import EmoscopeError
from emoscope.server.http.problems import ProblemError
from emoscope.server.jobs.answers import EXAMPLE_ID, AllJobs, find_job, hide_folder
from emoscope.server.jobs.naming import make_unique
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.results import REPORT_CSP, describe_file
from emoscope.server.jobs.supervisor import Jobs

router = APIRouter(prefix="/v1", tags=["results"])

MAX_COMPARED: Final = 24
"""More rows than a page can be read with; each of them is a table that is read."""
OneId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Ids = Annotated[
    list[OneId],
    Query(
        description=f"Ids of two to {MAX_COMPARED} finished jobs.",
        min_length=2,
        max_length=MAX_COMPARED,
        examples=[[EXAMPLE_ID, EXAMPLE_ID[::-1]]],
    ),
]


@router.get("/comparison", response_class=Response, responses=describe_file("text/html", has_parts=False))
async def compare_jobs(request: Request, jobs: AllJobs, job: Ids) -> HTMLResponse:
    """Read a page that puts finished jobs side by side, called by their labels."""
    chosen = choose_jobs(jobs, job)
    lock: asyncio.Lock = request.app.state.people_lock
    # Tables take memory: one after the other, and never half of one from before its people were put in order.
    async with lock:
        text = await asyncio.to_thread(_create, jobs, chosen)
    return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_CSP})


def choose_jobs(jobs: Jobs, ids: Sequence[str]) -> list[Job]:
    """Return finished recordings by their ids, each once.

    Raises:
        ProblemError: fewer than two are left, or one is gone, not finished, or itself a project.
    """
    found = []
    for job_id in dict.fromkeys(ids):
        job = jobs.store.find(job_id)
        if job is None:
            raise ProblemError(404, "No such job", f"there is no job {job_id}; it was deleted, or has expired")
        if job.state != "finished":
            raise ProblemError(409, "No results", f"{job.title} is {job.state}, expected a finished job")
        if job.kind == "project":
            raise ProblemError(422, "A project", f"{job.title} is a project; expected videos or recordings")
        found.append(job)
    if len(found) < 2:
        raise ProblemError(422, "Too few", "there is one job, expected two different ones or more")
    return found


def _create(jobs: Jobs, chosen: Sequence[Job]) -> str:
    from emoscope.analysis.result_folder import load_result, reading
    from emoscope.report import create_comparison
    from emoscope.report.comparison import Recording

    names, recordings = make_unique([job.title for job in chosen]), []
    for job, name in zip(chosen, names, strict=True):
        try:
            recordings.append(Recording(name, job.id, *load_result(jobs.store.get_result(job.id))))
        except EmoscopeError as e:
            raise hide_folder(type(e)(f"{job.title}: {e}"), jobs, job, "Comparison") from e
    try:
        with reading(Path(", ".join(names))):
            return create_comparison(recordings)
    except EmoscopeError as e:
        for job in chosen:
            find_job(jobs, job.id)
        raise ProblemError(e.http_status, "Comparison", str(e)) from e
