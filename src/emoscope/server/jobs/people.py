"""The people of a finished job: who was seen and what is said of them, as the page shows and changes it."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from emoscope.core.errors import EmoscopeError
from emoscope.core.schema import NOBODY
from emoscope.server.http.problems import ProblemError, describe
from emoscope.server.http.versions import check_version, mark_version, wants_version
from emoscope.server.jobs.answers import AJob, AllJobs, find_job, hide_folder
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.results import check_finished
from emoscope.server.jobs.supervisor import Jobs

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])
ERRORS = describe(404, 409, 412, 422)
MAX_PEOPLE = 2000
MAX_FACES = 3
Text = Annotated[str, Field(max_length=1000)]


class PersonCells(BaseModel):
    """What is said of a person; the columns of people.csv."""

    track_id: int = Field(ge=1, le=2**53, description="The number that the reading gave.")
    name: Text = ""
    role: Text = Field("", description="participant (or empty), interviewer, bystander; only participants count.")
    exclude: Text = Field("", description="`yes`, `no`, or times that do not count, such as `0:12-0:20; 1:05-1:10`.")
    merged_with: Text = Field("", description="track_id of the same person.")


class PeopleForm(BaseModel):
    """What is said of everybody; of whom nothing is said is as they were read."""

    people: list[PersonCells] = Field(max_length=MAX_PEOPLE)
    exclude: Text = Field("", description="Times that do not count for anybody.")


class PersonAnswer(PersonCells):
    """A person as read, with what is said of them."""

    first_s: float
    last_s: float
    coverage: float = Field(description="Share of the analysed frames.")
    emotion: str = Field(description="Most often read.")
    faces: list[str] = Field(description="Pictures as data URIs, where the analysis kept some.")


class PeopleAnswer(BaseModel):
    """Everybody in a result."""

    people: list[PersonAnswer]
    exclude: str
    message: str | None = Field(description="What is set aside, in one line.")


@router.get("/people", responses=describe(404, 409, 422))
async def read_people(response: Response, jobs: AllJobs, job: AJob) -> PeopleAnswer:
    """Tell who was seen, and what is said of them."""
    _check_people(job)
    answer = await asyncio.to_thread(_read, jobs, job)
    mark_version(response, answer)
    return answer


@router.put("/people", responses=ERRORS)
async def change_people(
    form: PeopleForm, request: Request, response: Response, jobs: AllJobs, job: AJob
) -> PeopleAnswer:
    """Say who is who and who does not count; report and tables are made anew.

    With `If-Match`, the `ETag` of what was read, only as long as nobody else has changed it.
    """
    _check_people(job)
    lock: asyncio.Lock = request.app.state.people_lock
    async with lock:
        # It may have been deleted while others' results were made.
        find_job(jobs, job.id)
        if wants_version(request):
            check_version(request, await asyncio.to_thread(_read, jobs, job))
        await asyncio.to_thread(_save, jobs, job, form)
        answer = await asyncio.to_thread(_read, jobs, job)
    mark_version(response, answer)
    return answer


def _check_people(job: Job) -> None:
    check_finished(job)
    if job.kind == "project":
        raise ProblemError(422, "A project", "a project has participants; people are those of its recordings")


def _read(jobs: Jobs, job: Job) -> PeopleAnswer:
    from emoscope.analysis.people_edit import NOTHING, load_said
    from emoscope.analysis.result_folder import load_summary
    from emoscope.report.inlined import load_images

    folder = jobs.store.get_result(job.id)
    try:
        said, now = load_said(folder), load_summary(folder)
    except EmoscopeError as e:
        raise hide_folder(e, jobs, job, "People") from e
    pictures = load_images(folder, 1_000_000).thumbnails
    people = []
    for person in said.read.people:
        own = pictures.get(person.track_id, [])
        step = -(-len(own) // MAX_FACES) or 1
        people.append(
            PersonAnswer(
                track_id=person.track_id,
                first_s=person.first_s,
                last_s=person.last_s,
                coverage=person.coverage,
                emotion=person.emotion,
                faces=[picture.uri for picture in own[::step]],
                **said.people.get(person.track_id, NOTHING),
            )
        )
    everyone = said.people.get(NOBODY, NOTHING)["exclude"]
    return PeopleAnswer(people=people, exclude=everyone, message=(now.curated and now.curated.message) or None)


def _save(jobs: Jobs, job: Job, form: PeopleForm) -> None:
    from emoscope.analysis.people_edit import NOTHING, save_said

    said = {one.track_id: one.model_dump(exclude={"track_id"}) for one in form.people}
    if len(said) < len(form.people):
        raise ProblemError(422, "Twice", "a person stands twice among the people; send each once")
    try:
        save_said(jobs.store.get_result(job.id), {**said, NOBODY: {**NOTHING, "exclude": form.exclude}})
    except EmoscopeError as e:
        raise hide_folder(e, jobs, job, "People") from e
