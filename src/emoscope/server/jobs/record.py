"""The record of a job, in its folder, and the list that earlier versions kept: from and to the disk."""

import contextlib
import dataclasses
import functools
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field

from emoscope.server.jobs.worker import Setting

if TYPE_CHECKING:
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

Kind = Literal["video", "live", "project"]
State = Literal["queued", "running", "finished", "failed"]
Ended = Literal["finished", "failed"]
ENDED: tuple[Ended, ...] = get_args(Ended)
STATES: tuple[State, ...] = get_args(State)
# A damaged number must neither end a list of jobs nor make one expire.
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
JobId = Annotated[str, Field(pattern="^([0-9a-f]{32})?$")]
FolderName = Annotated[str, Field(pattern=r"^[^./\\\x00][^/\\\x00]*$", max_length=255)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]


@dataclass(frozen=True)
class Job:
    """A video to analyse, a recording of the live view, or a project that puts such jobs together."""

    id: str
    """32 hex digits, random."""
    kind: Kind
    name: str
    """What the client called the file; shown, never opened."""
    state: State = "queued"
    created: Seconds = 0.0
    """Seconds since 1970, as all times here."""
    started: Seconds | None = None
    finished: Seconds | None = None
    attempts: Count = 0
    """How often it was begun; a server that is stopped politely takes its begin back."""
    frames: Count = 0
    """Analysed frames of a finished job."""
    message: str | None = None
    """What is amiss, in one line."""
    settings: tuple[tuple[str, Setting], ...] = ()
    """Fields of the form, as they came."""
    number: Count = 0
    """Place among all jobs, by when they were added."""
    age_s: Seconds = 0.0
    """For how long a server ran since it ended: unlike the time of day, that never jumps."""
    label: str = ""
    """What people call it instead, see naming.py; empty for as the file is called."""
    members: tuple[tuple[JobId, FolderName], ...] = ()
    """Of a project: each recording's job and its folder in the project; a job may be gone, its recording is not."""

    @property
    def title(self) -> str:
        """What people call it."""
        return self.label or self.name


@functools.cache
def create_adapter() -> "TypeAdapter[Job]":
    """Return what checks a record and writes it; made once."""
    from pydantic import TypeAdapter

    return TypeAdapter(Job)


def write_record(path: Path, job: Job) -> None:
    """Write a record, whole or not at all; it outlives a power cut once this returns."""
    partial = path.with_name(f".{path.name}")
    try:
        with partial.open("wb") as file:
            file.write(create_adapter().dump_json(job, indent=1))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        # What there is of it takes room on a full disk.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    # Windows has no handle of a folder.
    with contextlib.suppress(OSError):
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_earlier_list(folder: Path) -> dict[str, Job]:
    """Return the jobs of the list that emoscope 0.6 and before kept, `jobs.sqlite`, none where it cannot be read."""
    import sqlite3

    place = folder / "jobs.sqlite"
    if not place.is_file():
        return {}
    columns = [field.name for field in dataclasses.fields(Job) if field.name not in ("age_s", "label", "members")]
    jobs: dict[str, Job] = {}
    try:
        with contextlib.closing(sqlite3.connect(place)) as connection:
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM jobs").fetchall()
        for row in rows:
            values = dict(zip(columns, row, strict=True))
            text = json.dumps({**values, "settings": list(json.loads(values["settings"]).items())})
            jobs[values["id"]] = create_adapter().validate_json(text, strict=True)
    except (sqlite3.Error, ValueError, TypeError, AttributeError) as e:
        log.warning("%s cannot be read (%s); jobs are listed by their folders", place, e)
    return jobs


def set_earlier_list_aside(folder: Path) -> None:
    """Keep that list under another name, once every job has its record."""
    for name in ("jobs.sqlite-wal", "jobs.sqlite-shm", "jobs.sqlite"):
        if (folder / name).is_file():
            (folder / name).replace(folder / f"{name}.earlier")
