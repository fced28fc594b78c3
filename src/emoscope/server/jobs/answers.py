"""What clients learn of jobs: the schema, and how a route finds its job."""

import datetime
import time
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from emoscope.analysis.recorder import TABLE_FILE
from emoscope.core.errors import EmoscopeError
from emoscope.server.http.problems import ProblemError
from emoscope.server.jobs.grouping import PAGE, TABLE
from emoscope.server.jobs.record import ENDED, Job, Kind, State
from emoscope.server.jobs.supervisor import Jobs
from emoscope.server.jobs.worker import Setting

FILES = {
    "report": ("report.html", "text/html; charset=utf-8"),
    "summary": ("summary.json", "application/json"),
    "observations.csv": ("observations.csv", "text/csv; charset=utf-8"),
    "observations.parquet": ("observations.parquet", "application/vnd.apache.parquet"),
    "audience.csv": ("audience.csv", "text/csv; charset=utf-8"),
    "annotated.mp4": ("annotated.mp4", "video/mp4"),
}
"""Results by their last part of the address: file and type."""
PROJECT_FILES = {
    "report": (PAGE, "text/html; charset=utf-8"),
    "participants.csv": (TABLE, "text/csv; charset=utf-8"),
}
"""The same of a project."""
EXAMPLE_ID = "5f1d7c0a9be24d3c8a6e0f4b7d2c1e90"


class RecordingAnswer(BaseModel):
    """A recording of a project."""

    name: str = Field(description="Its folder in the project, and what the table of participants calls it.")
    job: str = Field(description="The job's id; the project keeps the recording's numbers when that is deleted.")
    is_there: bool = Field(description="Whether that job is still there.")


class JobAnswer(BaseModel):
    """A job and how far it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "kind": "video",
                    "name": "talk.mp4",
                    "label": "Anna, first visit",
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
                    "recordings": [],
                }
            ]
        }
    )

    id: str = Field(description="32 hex digits.")
    kind: Kind
    name: str = Field(description="What the client called the file.")
    label: str = Field(description="What people call it instead; empty for as the file is called.")
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
    settings: dict[str, Setting] = Field(description="The form's fields.")
    links: dict[str, str] = Field(description="Addresses of what there is.")
    recordings: list[RecordingAnswer] = Field(description="Of a project; empty for others.")


class JobList(BaseModel):
    """The newest jobs."""

    jobs: list[JobAnswer]


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


def hide_folder(error: EmoscopeError, jobs: Jobs, job: Job, title: str) -> ProblemError:
    """Return the answer to what is wrong with a job's result, without where the server keeps it.

    Raises:
        ProblemError: the job was deleted meanwhile: then that is what is wrong, not its files.
    """
    find_job(jobs, job.id)
    folder = str(jobs.store.get_result(job.id))
    return ProblemError(error.http_status, title, str(error).replace(f"{folder}/", "").replace(folder, "it"))


AJob = Annotated[Job, Depends(find_job)]


def describe_job(jobs: Jobs, job: Job) -> JobAnswer:
    """Return what clients learn of a job."""
    run, base = jobs.runs.get(job.id), f"/v1/jobs/{job.id}"
    links = {"self": base, "events": f"{base}/events"}
    if job.state == "finished":
        folder = jobs.store.get_result(job.id)
        links |= {name: f"{base}/{name}" for name, (file, _) in get_files(job).items() if (folder / file).exists()}
        links |= {"all.zip": f"{base}/all.zip"}
        links |= {name: f"{base}/{name}" for name in ("people", "segments") if (folder / TABLE_FILE).exists()}
    if job.kind == "project" and job.state in ENDED:
        links |= {"participants": f"{base}/participants"}
    progress = run.progress if run else 1.0 if job.state == "finished" else None if job.state == "failed" else 0.0
    left_s = run.left_s if run else None
    return JobAnswer(
        id=job.id,
        kind=job.kind,
        name=job.name,
        label=job.label,
        state=job.state,
        created=datetime.datetime.fromtimestamp(round(job.created, 3), datetime.UTC),
        started=_to_time(job.started),
        finished=_to_time(job.finished),
        expires=_find_expiry(jobs, job),
        progress=None if progress is None else round(progress, 4),
        frames=run.frames if run else job.frames,
        left_s=None if left_s is None else round(left_s, 1),
        place=jobs.store.find_place(job.id) if job.state == "queued" else None,
        message=job.message,
        settings=dict(job.settings),
        links=links,
        recordings=[
            RecordingAnswer(name=name, job=job_id, is_there=jobs.store.find(job_id) is not None)
            for job_id, name in job.members
        ],
    )


def get_files(job: Job) -> dict[str, tuple[str, str]]:
    """Return the files that a job's result may have, by the last part of the address: file and type."""
    return PROJECT_FILES if job.kind == "project" else FILES


def _find_expiry(jobs: Jobs, job: Job) -> datetime.datetime | None:
    if job.finished is None:
        return None
    # By the job's age, not by when it ended: the time of day may have jumped since.
    return _to_time(float(round(time.time() + jobs.options.keep_s - jobs.store.compute_age_s(job))))


def _to_time(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(round(seconds, 3), datetime.UTC)
