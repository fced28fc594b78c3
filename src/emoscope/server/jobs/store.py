"""The jobs of a data folder: each job's folder holds its own record, and the list is what the folders say.

So there is no list that can be lost, damaged or of another version without the results: a record that cannot be read is
set aside and made anew from what lies beside it. What emoscope did not put into `jobs/` is left alone.
"""

import contextlib
import dataclasses
import itertools
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from emoscope.analysis.cut_off import finish_files
from emoscope.analysis.recorder import SUMMARY_FILE
from emoscope.core.errors import EmoscopeError, OutputError
from emoscope.core.files import lock_folder, write_json
from emoscope.core.manifest import CUT_OFF
from emoscope.server.jobs.grouping import list_recordings, recover
from emoscope.server.jobs.record import (
    STATES,
    Ended,
    Job,
    State,
    create_adapter,
    read_earlier_list,
    set_earlier_list_aside,
    write_record,
)
from emoscope.server.jobs.worker import ANIMATION, EVENTS, RESULT, UPLOAD
from emoscope.tables.summary import Summary

log = logging.getLogger(__name__)

JOBS: Final = "jobs"
"""The folder of all jobs in the data folder."""
RECORD: Final = "job.json"
ARRIVING: Final = ".arriving"
"""In a folder that is no job yet; one that is left from a dead server goes."""
RECORDING: Final = "recording"
"""The folder in it of a live recording that runs."""
REMOVED: Final = ".removed-"
"""How the name of a folder begins whose job was removed."""
MARK: Final = "emoscope-server.json"
"""In the data folder: says what it is."""
ID = re.compile("[0-9a-f]{32}")
AGE_STEP_S: Final = 600.0
"""So much of a job's age is lost at most when the server is killed."""


class Store:
    """The jobs of one data folder, which it locks; safe to use from several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the folder, or make it.

        Args:
            folder: the data folder.
            clock: seconds that only grow.

        Raises:
            OutputError: another server has it, or it cannot be written.
        """
        self.folder, self.jobs, self.clock = folder.resolve(), folder.resolve() / JOBS, clock
        self.mutex = threading.RLock()
        self.all: dict[str, Job] = {}
        """By id, in the order in which they were added."""
        self.ended_at: dict[str, float] = {}
        """When this server began to count an ended job's age, on the clock."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock = lock_folder(self.folder)
            self.jobs.mkdir(exist_ok=True)
        except OSError as e:
            raise OutputError(f"cannot write {folder} ({e.strerror or e}); choose another folder with --data") from e
        try:
            # Not where the disk is full: jobs can be read and deleted all the same.
            with contextlib.suppress(OutputError):
                if not (self.folder / MARK).exists():
                    write_json(self.folder / MARK, {"what": "uploads and results of emoscope serve"})
            self._load()
        except OSError as e:
            os.close(self.lock)
            raise OutputError(f"cannot use {folder} ({e.strerror or e}); choose another folder with --data") from e

    def close(self) -> None:
        """Give the folder back."""
        with contextlib.suppress(OSError):
            self.note_ages(0.0)
        os.close(self.lock)

    def _load(self) -> None:
        earlier, found, is_whole = read_earlier_list(self.folder), [], True
        for folder in self.jobs.iterdir():
            if folder.name.startswith(REMOVED) and ID.fullmatch(folder.name.removeprefix(REMOVED)):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            try:
                found_job = self._load_job(folder, earlier)
            except OSError as e:
                # One job of many, which the others do without.
                log.warning("%a in %s cannot be read (%s) and is left alone", folder.name, self.jobs, e)
                continue
            if found_job is not None:
                found.append(found_job)
        for job in sorted(found, key=lambda job: (job.number, job.created)):
            self.all[job.id] = dataclasses.replace(job, number=self._count_on(job.number))
            if job.finished is not None:
                self.ended_at[job.id] = self.clock()
            record = self.jobs / job.id / RECORD
            if self.all[job.id] == job and record.exists():
                continue
            try:
                write_record(record, self.all[job.id])
                (record.parent / ARRIVING).unlink(missing_ok=True)
            except OSError as e:
                # Made anew once more by the next start, if nothing changes it before.
                log.warning("the record of job %s cannot be written (%s)", job.id, e)
                is_whole = False
        if is_whole:
            set_earlier_list_aside(self.folder)

    def _count_on(self, number: int = 0) -> int:
        """Return a job's number: its own, or one more than the last if that is not less."""
        last = next(reversed(self.all.values()), None)
        return max(number, last.number + 1 if last else 1)

    def _load_job(self, folder: Path, earlier: dict[str, Job]) -> Job | None:
        """Read or rebuild a folder's job; None where it is none, or one that never came to be."""
        if not ID.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            log.warning("%a in %s is none of emoscope's jobs and is left alone", folder.name, self.jobs)
            return None
        record = folder / RECORD
        try:
            # A folder or a pipe is no record.
            text = record.read_bytes() if record.is_file() or not os.path.lexists(record) else b""
            job = create_adapter().validate_json(text, strict=True)
            if job.id == folder.name:
                return job
        except FileNotFoundError:
            pass
        except ValueError as e:
            log.warning("the record of job %s is damaged (%s) and is made anew", folder.name, type(e).__name__)
        recover(folder)
        if (folder / RECORDING).is_dir():
            self._finish_recording(folder)
        if (folder / ARRIVING).exists() and not self.load_summary(folder.name):
            if not (folder / RECORDING / CUT_OFF).exists():
                shutil.rmtree(folder, ignore_errors=True)
            return None
        rebuilt = earlier.get(folder.name) or self._rebuild(folder)
        if rebuilt is None:
            with contextlib.suppress(OSError):
                # Only where it is empty: a server that died had just made it.
                folder.rmdir()
                return None
            log.warning("%a in %s holds neither upload nor result and is left alone", folder.name, self.jobs)
        elif os.path.lexists(record):
            record.replace(record.with_name(f"{RECORD}.damaged"))
        return rebuilt

    def _finish_recording(self, folder: Path) -> None:
        """Make a result of a recording that ran when the server died; what cannot be finished is left alone."""
        place = folder / RECORDING
        try:
            if (place / CUT_OFF).exists():
                finish_files(place)
            if (place / SUMMARY_FILE).exists():
                place.rename(folder / RESULT)
        except (EmoscopeError, OSError) as e:
            log.warning("the recording in job %s cannot be finished (%s) and is left alone", folder.name, e)

    def _rebuild(self, folder: Path) -> Job | None:
        """Return the job that a folder without a record must have been; its settings are lost."""
        created = folder.stat().st_mtime
        if summary := self.load_summary(folder.name):
            return Job(
                folder.name,
                "live" if summary.kind == "live" else "video",
                summary.source,
                "finished",
                created=created,
                finished=created,
                frames=summary.frames,
                message=summary.all_messages,
            )
        if (names := list_recordings(folder)) is not None:
            members = tuple(("", name) for name in names)
            name = f"Project of {len(names)} recordings"
            return Job(folder.name, "project", name, "finished", created=created, finished=created, members=members)
        if upload := self.get_upload(folder.name):
            return Job(folder.name, "video", upload.name, created=created)
        return None

    def _put(self, job: Job) -> Job:
        """Write a job's record, then take it into the list."""
        write_record(self.jobs / job.id / RECORD, job)
        self.all[job.id] = job
        if job.finished is not None:
            self.ended_at[job.id] = self.clock()
        return job

    def _change(self, job: Job, **changes: object) -> Job:
        return self._put(dataclasses.replace(job, **changes))  # type: ignore[arg-type]

    def reserve(self, job_id: str) -> Path:
        """Make and return the folder of something that may become a job.

        Raises:
            OSError: it cannot be made.
        """
        folder = self.jobs / job_id
        folder.mkdir()
        (folder / ARRIVING).touch()
        return folder

    def add(self, job: Job) -> Job:
        """Write a new job down, whose folder is there; once this returns it is never lost.

        Raises:
            OSError: the disk is full.
        """
        with self.mutex:
            job = self._put(dataclasses.replace(job, number=self._count_on()))
        with contextlib.suppress(OSError):
            (self.jobs / job.id / ARRIVING).unlink(missing_ok=True)
        return job

    def find(self, job_id: str) -> Job | None:
        """Return a job, None where there is none."""
        return self.all.get(job_id)

    def list_newest(self, n: int) -> list[Job]:
        """Return the newest jobs, newest first."""
        with self.mutex:
            return list(itertools.islice(reversed(self.all.values()), n))

    def list_state(self, *states: State) -> list[Job]:
        """Return all jobs in some states, oldest first."""
        with self.mutex:
            return [job for job in self.all.values() if job.state in states]

    def compute_age_s(self, job: Job) -> float:
        """Return for how long a server ran since a job ended; 0 before."""
        began = self.ended_at.get(job.id)
        return job.age_s if began is None else job.age_s + self.clock() - began

    def list_expired(self, keep_s: float) -> list[Job]:
        """Return the jobs that ended so long ago."""
        return [job for job in self.list_state("finished", "failed") if self.compute_age_s(job) > keep_s]

    def note_ages(self, step_s: float = AGE_STEP_S) -> None:
        """Write down the age of ended jobs, where it has grown by so much.

        Raises:
            OSError: the disk is full.
        """
        for job in self.list_state("finished", "failed"):
            with self.mutex:
                age_s = self.compute_age_s(job)
                if age_s - job.age_s > step_s and job.id in self.all:
                    self._change(job, age_s=age_s)

    def count(self) -> dict[State, int]:
        """Return how many jobs there are in each state."""
        return {state: len(self.list_state(state)) for state in STATES}

    def find_place(self, job_id: str) -> int | None:
        """Return a queued job's place in the queue, from 1; None for others."""
        ids = [job.id for job in self.list_state("queued")]
        return ids.index(job_id) + 1 if job_id in ids else None

    def start_next(self) -> Job | None:
        """Mark the oldest queued job as running and return it, None where there is none.

        Raises:
            OSError: the disk is full.
        """
        with self.mutex:
            job = next(iter(self.list_state("queued")), None)
            return job and self._change(job, state="running", started=time.time(), attempts=job.attempts + 1)

    def put_back(self, job_id: str, is_counted: bool) -> None:
        """Queue a running job again, in its old place.

        Args:
            job_id: the job; it may be gone.
            is_counted: whether its begin still counts as an attempt.

        Raises:
            OSError: the disk is full.
        """
        with self.mutex:
            job = self.find(job_id)
            if job is not None and job.state == "running":
                attempts = job.attempts if is_counted else job.attempts - 1
                self._change(job, state="queued", started=None, attempts=attempts)

    def queue_again(self, job_id: str) -> Job | None:
        """Queue a job that has ended and return it as it now is; None where it is gone.

        Raises:
            OSError: the disk is full.
        """
        with self.mutex:
            job = self.find(job_id)
            if job is None or job.finished is None:
                return job
            blank = {"started": None, "finished": None, "message": None}
            job = self._change(job, state="queued", attempts=0, age_s=0.0, **blank)
            self.ended_at.pop(job_id, None)
            return job

    def end(self, job_id: str, state: Ended, message: str | None, frames: int = 0) -> None:
        """Write down how a job ended; it may be gone.

        Raises:
            OSError: the disk is full.
        """
        with self.mutex:
            job = self.find(job_id)
            if job is not None and job.finished is None:
                self._change(job, state=state, finished=time.time(), message=message, frames=frames)

    def rename(self, job_id: str, label: str) -> Job | None:
        """Call a job something else and return it; None where it is gone.

        Raises:
            OSError: the disk is full.
        """
        with self.mutex:
            job = self.find(job_id)
            return job and self._change(job, label=label, age_s=self.compute_age_s(job))

    def remove(self, job_id: str) -> None:
        """Forget a job or what was reserved, and remove its files; needs no room on the disk.

        Raises:
            OSError: its folder cannot be moved; the job stays.
        """
        folder, removed = self.jobs / job_id, self.jobs / f"{REMOVED}{job_id}"
        with self.mutex:
            # First one step that is whole or not at all: a death in the middle of deleting leaves no half job.
            with contextlib.suppress(FileNotFoundError):
                folder.rename(removed)
            self.all.pop(job_id, None)
            self.ended_at.pop(job_id, None)
        shutil.rmtree(removed, ignore_errors=True)

    def get_upload(self, job_id: str) -> Path | None:
        """Return where a job's upload lies, None where it is gone."""
        places = (self.jobs / job_id / name for name in (ANIMATION, UPLOAD))
        return next((place for place in places if place.exists()), None)

    def remove_upload(self, job_id: str) -> None:
        """Remove a job's upload, if it is there."""
        for name in (ANIMATION, UPLOAD, EVENTS):
            (self.jobs / job_id / name).unlink(missing_ok=True)

    def get_result(self, job_id: str) -> Path:
        """Return the folder of a job's results."""
        return self.jobs / job_id / RESULT

    def load_summary(self, job_id: str) -> Summary | None:
        """Return the summary of a job's results; None where they are not whole, since it is written last."""
        try:
            return Summary.from_json((self.get_result(job_id) / SUMMARY_FILE).read_bytes())
        except (OSError, ValueError):
            return None
