"""Projects: finished jobs in, one page over their participants out, as `emoscope group` makes it.

A project is a job, whose sources are other jobs: it waits, runs, is listed, renamed, packed and deleted as they are.
"""

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from fastapi import Path as InAddress
from pydantic import BaseModel, ConfigDict, Field

from emoscope.core.errors import EmoscopeError, InputError
from emoscope.core.texts import FORMULA
from emoscope.server.http.problems import ProblemError, describe
from emoscope.server.http.versions import check_version, mark_version, wants_version
from emoscope.server.jobs.answers import EXAMPLE_ID, AJob, AllJobs, JobAnswer, describe_job, find_job
from emoscope.server.jobs.comparison import OneId, choose_jobs
from emoscope.server.jobs.grouping import TABLE, read_table, write_table
from emoscope.server.jobs.naming import Label, check_label, name_folders
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.results import REPORT_CSP, ResultFile, check_finished, describe_file, send_file
from emoscope.server.jobs.supervisor import Jobs
from emoscope.server.jobs.upload import explain_full

router = APIRouter(prefix="/v1", tags=["projects"])

MAX_RECORDINGS: Final = 100
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 2000, 30, 200
TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": "application/zip",
}
"""Of a project's tables, by the end of the name."""
Cell = Annotated[str, Field(max_length=MAX_CELL)]


class ProjectForm(BaseModel):
    """Which jobs to put together."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"jobs": [EXAMPLE_ID, EXAMPLE_ID[::-1]], "label": "Adverts, autumn"}]}
    )

    jobs: list[OneId] = Field(min_length=2, max_length=MAX_RECORDINGS, description="Ids of finished jobs.")
    label: Label = ""


class Participants(BaseModel):
    """The table of participants, participants.csv: who was seen in which recording, and under which conditions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["recording", "participant", "person", "start_s", "condition"],
                    "rows": [["anna", "A", "", "12.4", "ad"], ["ben", "B", "2", "0:08", "plain"]],
                }
            ]
        }
    )

    columns: list[Cell] = Field(
        min_length=1,
        max_length=MAX_COLUMNS,
        description="`recording`, and any of `participant`, `person`, `start_s`; all others are conditions or groups.",
    )
    rows: list[Annotated[list[Cell], Field(max_length=MAX_COLUMNS)]] = Field(
        max_length=MAX_ROWS, description="A cell for each column."
    )


@router.post("/projects", status_code=202, responses=describe(404, 409, 422, 503, 507))
async def create_project(form: ProjectForm, response: Response, jobs: AllJobs) -> JobAnswer:
    """Put finished jobs together; answer the project, a job of its own, at once. Each recording is a participant."""
    label, chosen = check_label(form.label), choose_jobs(jobs, form.jobs)
    if not jobs.has_room():
        raise ProblemError(503, "The queue is full", f"{jobs.options.max_queued} jobs are waiting; try again later")
    names = name_folders(chosen)
    try:
        with jobs.reserve() as job_id:
            _write(jobs, job_id, _create_template(names))
            members = tuple((job.id, name) for job, name in zip(chosen, names, strict=True))
            name = f"Project of {len(chosen)} recordings"
            project = Job(job_id, "project", name, label=label, created=time.time(), members=members)
            jobs.add(project)
    except OSError as e:
        raise explain_full(e, "the project was not made") from e
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return describe_job(jobs, find_job(jobs, job_id))


@router.get("/jobs/{job_id}/participants", responses=describe(404, 422))
async def read_participants(response: Response, jobs: AllJobs, job: AJob) -> Participants:
    """Tell who is who in a project: participants.csv as it was last written."""
    _check_project(job)
    answer = _read(jobs, job)
    mark_version(response, answer)
    return answer


def _read(jobs: Jobs, job: Job) -> Participants:
    try:
        lines = list(csv.reader(io.StringIO(read_table(jobs.store.jobs / job.id), newline="")))
    except OSError as e:
        find_job(jobs, job.id)
        raise ProblemError(404, "No table", f"this project has no {TABLE}; group the recordings anew") from e
    width = len(lines[0])
    return Participants(columns=lines[0], rows=[(row + [""] * width)[:width] for row in lines[1:] if row])


@router.get("/jobs/{job_id}/participants.csv", response_class=Response, responses=describe_file("text/csv"))
async def read_participants_file(jobs: AllJobs, job: AJob) -> ResultFile:
    """Read the table of participants by which a project was made, as a file."""
    _check_project(job)
    check_finished(job)
    return send_file(jobs, job, TABLE, TYPES[".csv"])


@router.put("/jobs/{job_id}/participants", status_code=202, responses=describe(404, 409, 412, 422, 507))
async def change_participants(form: Participants, request: Request, jobs: AllJobs, job: AJob) -> JobAnswer:
    """Say who is who in a project, which is then made anew; until it is whole, the earlier one stays.

    With `If-Match`, the `ETag` of what was read, only as long as nobody else has changed it.
    """
    _check_project(job)
    if wants_version(request):
        check_version(request, _read(jobs, job))
    if job.state == "running":
        raise ProblemError(409, "Busy", f"{job.title} is being put together; try again when it has ended")
    sources = {name: found.name if (found := jobs.store.find(job_id)) else name for job_id, name in job.members}
    text = _write_csv(form, sources)
    try:
        _write(jobs, job.id, text)
        changed = jobs.make_anew(job.id)
    except OSError as e:
        raise explain_full(e, "the table was not kept") from e
    return describe_job(jobs, changed or find_job(jobs, job.id))


@router.get(
    "/jobs/{job_id}/project/{file}", response_class=Response, responses=describe_file("application/octet-stream")
)
async def read_project_file(
    jobs: AllJobs, job: AJob, file: Annotated[str, InAddress(max_length=40, examples=["participants.csv"])]
) -> ResultFile:
    """Read one of a project's tables, to which its page links."""
    from emoscope.groups.tables import NAMES

    _check_project(job)
    check_finished(job)
    is_known = file in NAMES
    return send_file(jobs, job, f"project/{file}" if is_known else None, TYPES.get(Path(file).suffix, ""))


@router.get("/jobs/{job_id}/{recording}/report.html", response_class=Response, responses=describe_file("text/html"))
async def read_project_report(
    jobs: AllJobs, job: AJob, recording: Annotated[str, InAddress(max_length=300, examples=["anna"])]
) -> ResultFile:
    """Read the report of one of a project's recordings, to which its page links."""
    _check_project(job)
    check_finished(job)
    is_known = recording in {name for _, name in job.members}
    answer = send_file(jobs, job, f"{recording}/report.html" if is_known else None, "text/html; charset=utf-8", True)
    answer.headers["Content-Security-Policy"] = REPORT_CSP
    return answer


def _check_project(job: Job) -> None:
    if job.kind != "project":
        raise ProblemError(422, "No project", f"{job.title} is no project; group several jobs to make one")


def _write(jobs: Jobs, job_id: str, text: str) -> None:
    try:
        write_table(jobs.store.jobs / job_id, text)
    except EmoscopeError as e:
        find_job(jobs, job_id)
        raise e.__cause__ if isinstance(e.__cause__, OSError) else e from e


def _create_template(names: Sequence[str]) -> str:
    from emoscope.groups.participants import create_template

    return create_template(names)


def _write_csv(form: Participants, sources: Mapping[str, str]) -> str:
    """Return the table as the text of participants.csv.

    Raises:
        ProblemError: all that is wrong with it.
    """
    from emoscope.groups.participants import load_participants

    problems = list(_find_problems(form))
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([form.columns, *form.rows])
    if not problems:
        with TemporaryDirectory() as place:
            path = Path(place, TABLE)
            path.write_text(file.getvalue(), encoding="utf-8", newline="")
            try:
                load_participants(path, sources)
            except InputError as e:
                problems.append(str(e).replace(str(path), TABLE))
    if problems:
        raise ProblemError(422, "Participants", "; ".join(problems))
    return file.getvalue()


def _find_problems(form: Participants) -> Iterator[str]:
    if uneven := [i for i, row in enumerate(form.rows, 1) if len(row) != len(form.columns)]:
        yield f"row {uneven[0]} has {len(form.rows[uneven[0] - 1])} cells, expected {len(form.columns)}"
    cells = [cell for row in (form.columns, *form.rows) for cell in row]
    if formula := next((cell for cell in cells if cell.startswith(FORMULA) and not _is_number(cell)), None):
        yield f"{formula[:20]!r} begins as a spreadsheet's formula does; expected a letter or a number"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
