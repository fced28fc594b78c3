"""The list of jobs: one SQLite table in, Job out; what it says survives the server's death at any moment."""

import json
import os
import shutil
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emoscope.analysis.recorder import SUMMARY_FILE
from emoscope.core.errors import OutputError
from emoscope.core.files import lock_folder
from emoscope.server.jobs.worker import ANIMATION, RESULT, UPLOAD, Setting
from emoscope.tables.summary import Summary

State = Literal["queued", "running", "finished", "failed"]
Ended = Literal["finished", "failed"]
STATES: tuple[State, ...] = ("queued", "running", "finished", "failed")

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    message TEXT,
    settings TEXT NOT NULL
) STRICT;
CREATE INDEX by_state ON jobs (state, number);
"""
COLUMNS = "id, kind, name, state, created, started, finished, attempts, frames, message, settings"


@dataclass(frozen=True)
class Job:
    """One row: a video to analyse, or a recording of the live view."""

    id: str
    """32 hex digits, random."""
    kind: Literal["video", "live"]
    name: str
    """What the client called the file; shown, never opened."""
    state: State = "queued"
    created: float = 0.0
    """Seconds since 1970, as all times here."""
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    """How often it was begun; a server that is stopped politely takes its begin back."""
    frames: int = 0
    """Analysed frames of a finished job."""
    message: str | None = None
    """What is amiss, in one line."""
    settings: tuple[tuple[str, Setting], ...] = ()
    """Fields of the form, as they came."""


def _to_job(row: tuple[Any, ...]) -> Job:
    return Job(**dict(zip(COLUMNS.split(", "), (*row[:-1], tuple(json.loads(row[-1]).items())), strict=True)))


class Store:
    """The jobs of one data folder, which it locks; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, or make it.

        Raises:
            OutputError: another server has it, it cannot be written, or a later version made it.
        """
        self.folder, self.jobs, self.place = folder.resolve(), folder.resolve() / "jobs", folder / "jobs.sqlite"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock = lock_folder(self.folder)
            self.jobs.mkdir(exist_ok=True)
        except OSError as e:
            raise OutputError(f"cannot write {folder} ({e.strerror or e}); choose another folder with --data") from e
        self.mutex = threading.Lock()
        try:
            self.connection = sqlite3.connect(self.place, isolation_level=None, check_same_thread=False)
            self._set_up()
        except sqlite3.Error as e:
            os.close(self.lock)
            raise OutputError(f"cannot open {self.place} ({e}); move it away, or choose another --data") from e
        except OutputError:
            self.close()
            raise

    def _set_up(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        # An answered upload must outlive a power cut too.
        self.connection.execute("PRAGMA synchronous = FULL")
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise OutputError(
                f"{self.place} has version {version}, expected {SCHEMA_VERSION}; use the emoscope that made it, or "
                "another --data"
            )
        if version == 0:
            self.connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def close(self) -> None:
        """Give the folder back."""
        self.connection.close()
        os.close(self.lock)

    def _run(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with self.mutex:
            return self.connection.execute(text, values).fetchall()

    def _select(self, rest: str, *values: object) -> list[Job]:
        rows = self._run(f"SELECT {COLUMNS} FROM jobs {rest}", *values)
        return [_to_job(row) for row in rows]

    def add(self, job: Job) -> None:
        """Write a new job down; once this returns it is never lost.

        Raises:
            sqlite3.OperationalError: the disk is full.
        """
        values = (*(getattr(job, name) for name in COLUMNS.split(", ")[:-1]), json.dumps(dict(job.settings)))
        self._run(f"INSERT INTO jobs ({COLUMNS}) VALUES ({', '.join('?' * len(values))})", *values)

    def find(self, job_id: str) -> Job | None:
        """Return a job, None where there is none."""
        return next(iter(self._select("WHERE id = ?", job_id)), None)

    def list_newest(self, n: int) -> list[Job]:
        """Return the newest jobs, newest first."""
        return self._select("ORDER BY number DESC LIMIT ?", n)

    def list_state(self, *states: State) -> list[Job]:
        """Return all jobs in some states, oldest first."""
        marks = ", ".join("?" * len(states))
        return self._select(f"WHERE state IN ({marks}) ORDER BY number", *states)

    def list_ids(self) -> set[str]:
        """Return the ids of all jobs."""
        return {row[0] for row in self._run("SELECT id FROM jobs")}

    def list_expired(self, before: float) -> list[Job]:
        """Return the jobs that ended before a time."""
        return self._select("WHERE finished < ?", before)

    def count(self) -> dict[State, int]:
        """Return how many jobs there are in each state."""
        rows = self._run("SELECT state, count(*) FROM jobs GROUP BY state")
        return {state: dict(rows).get(state, 0) for state in STATES}

    def find_place(self, job_id: str) -> int | None:
        """Return a queued job's place in the queue, from 1; None for others."""
        text = """SELECT count(*) FROM jobs WHERE state = 'queued'
            AND number <= (SELECT number FROM jobs WHERE id = ? AND state = 'queued')"""
        return self._run(text, job_id)[0][0] or None

    def start_next(self) -> Job | None:
        """Mark the oldest queued job as running and return it, None where there is none."""
        text = f"""UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1
            WHERE number = (SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING {COLUMNS}"""
        rows = self._run(text, time.time())
        return next((_to_job(row) for row in rows), None)

    def put_back(self, job_id: str, is_counted: bool) -> None:
        """Queue a running job again, in its old place.

        Args:
            job_id: the job; it may be gone.
            is_counted: whether its begin still counts as an attempt.
        """
        text = "UPDATE jobs SET state = 'queued', started = NULL, attempts = attempts - ? WHERE id = ? AND state = ?"
        self._run(text, 0 if is_counted else 1, job_id, "running")

    def end(self, job_id: str, state: Ended, message: str | None, frames: int = 0) -> None:
        """Write down how a job ended; it may be gone."""
        text = "UPDATE jobs SET state = ?, finished = ?, message = ?, frames = ? WHERE id = ? AND finished IS NULL"
        self._run(text, state, time.time(), message, frames, job_id)

    def remove(self, job_id: str) -> None:
        """Forget a job, then remove its files: the other way round a death between would leave a job without files."""
        self._run("DELETE FROM jobs WHERE id = ?", job_id)
        shutil.rmtree(self.jobs / job_id, ignore_errors=True)

    def get_upload(self, job_id: str) -> Path | None:
        """Return where a job's upload lies, None where it is gone."""
        places = (self.jobs / job_id / name for name in (ANIMATION, UPLOAD))
        return next((place for place in places if place.exists()), None)

    def remove_upload(self, job_id: str) -> None:
        """Remove a job's upload, if it is there."""
        for name in (ANIMATION, UPLOAD):
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
