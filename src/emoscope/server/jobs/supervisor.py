"""The supervisor: queued jobs in, a worker process for each, their ends into the store.

Whatever happens to this process, a job is in exactly one state of the store, and its results are whole or not there:
a worker puts them in place last, so that who finds a whole result need not analyse again.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emoscope.analysis.settings import Settings
from emoscope.server.jobs.grouping import PAGE, recover
from emoscope.server.jobs.live_job import LiveJob
from emoscope.server.jobs.process import explain, open_worker, read_reports
from emoscope.server.jobs.record import Ended, Job
from emoscope.server.jobs.store import Store
from emoscope.server.jobs.worker import Limits, Report, Task
from emoscope.server.server_options import ServerOptions

if TYPE_CHECKING:
    from emoscope.server.http.prometheus import Metrics

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""A job that was running when the server died this often may be why it died."""
STUCK_S = 600.0
"""A worker that decodes no further frame for so long is ended."""
MAX_UPLOADS = 400
"""Uploads that may arrive at the same time, beside the jobs that wait: slow ones take no place in the queue."""
CHECK_S = 60.0
"""How long a look at a file's header may take."""
SWEEP_S = 60.0
"""How often expired jobs are looked for."""


@dataclass
class Run:
    """A job that is being analysed."""

    started_s: float = field(default_factory=time.monotonic)
    process: asyncio.subprocess.Process | None = None
    task: asyncio.Task[None] | None = None
    frames: int = 0
    """Decoded so far."""
    progress: float | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds until the end, as the share done so far suggests."""
        if not self.progress:
            return None
        return (time.monotonic() - self.started_s) * (1 - self.progress) / self.progress


class Jobs:
    """All jobs of a server; `app.state.jobs`."""

    def __init__(self, options: ServerOptions, metrics: "Metrics | None" = None) -> None:
        """Open the data folder and mend what a killed server left.

        Args:
            options: limits and places.
            metrics: the server's metrics, told of each change.

        Raises:
            OutputError: the folder cannot be used, or another server uses it.
        """
        self.options, self.metrics, self.store = options, metrics, Store(options.data)
        self.runs: dict[str, Run] = {}
        self.opening: set[str] = set()
        """Ids of folders that belong to no job yet: uploads that arrive."""
        self.is_closed = False
        self.wake = asyncio.Event()
        self.checks = asyncio.Semaphore(options.workers)
        # Where the disk is full, jobs can be read and deleted all the same.
        with contextlib.suppress(OSError):
            self.sweep()
        # A death between an end and the removal of the upload.
        for job in self.store.list_state("finished", "failed"):
            self.store.remove_upload(job.id)

    def _recover(self) -> None:
        """Give jobs an end or a place in the queue that a server left which died, or could not write for a moment."""
        for job in self.store.list_state("running", "queued"):
            if job.id in self.runs:
                continue
            if job.kind != "project" and (summary := self.store.load_summary(job.id)):
                self._end(job, "finished", summary.all_messages, summary.frames)
            elif job.attempts >= MAX_ATTEMPTS and job.state == "running":
                self._end(job, "failed", f"the server ended {job.attempts} times while it read {job.title}")
            elif job.kind != "project" and self.store.get_upload(job.id) is None:
                self._end(job, "failed", f"the upload of {job.name} is gone; send it again")
            elif job.state == "running":
                self.store.put_back(job.id, is_counted=True)

    def sweep(self) -> None:
        """Mend what was left half done; remove expired jobs."""
        # First, as it makes room.
        for job in self.store.list_expired(self.options.keep_s):
            with contextlib.suppress(OSError):
                self.store.remove(job.id)
        self._recover()
        self.store.note_ages()
        self.count()

    def close(self) -> None:
        """Give the data folder back."""
        self.is_closed = True
        self.store.close()

    def count(self) -> None:
        """Tell the metrics how many jobs are in each state."""
        if self.metrics is not None:
            for state, n in self.store.count().items():
                self.metrics.jobs.labels(state).set(n)

    async def supervise(self) -> None:
        """Start a worker for each queued job as soon as there is room; until cancelled, which stops the workers."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_often())
            while True:
                try:
                    while len(self.runs) < self.options.workers and (job := self.store.start_next()):
                        run = self.runs[job.id] = Run()
                        run.task = group.create_task(self._work(job, run))
                    self.count()
                except OSError as e:
                    log.error("the next job cannot be begun (%s); trying again", e)
                await self.wake.wait()
                self.wake.clear()

    async def _sweep_often(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP_S, max(self.options.keep_s / 2, 1.0)))
            # A disk that is full or gone for a moment must not end the supervisor.
            with contextlib.suppress(OSError):
                self.sweep()
            self.wake.set()

    async def _work(self, job: Job, run: Run) -> None:
        """Analyse one job in a process; whatever becomes of that, the job has an end or is queued again."""
        try:
            state, message, frames = await self._watch(job, run)
            self._end(job, state, message, frames)
            if self.metrics is not None:
                self.metrics.job_seconds.observe(time.monotonic() - run.started_s)
        except asyncio.CancelledError:
            # The server stops, or the job is deleted and this finds no row.
            with contextlib.suppress(OSError):
                self.store.put_back(job.id, is_counted=False)
            raise
        except Exception as e:
            log.exception("the supervisor failed at job %s", job.id)
            # Where not even this can be written, the next sweep mends it.
            with contextlib.suppress(OSError):
                self._end(job, "failed", f"the server could not read {job.name} ({type(e).__name__}); see its log")
        finally:
            del self.runs[job.id]
            self.wake.set()

    async def _watch(self, job: Job, run: Run) -> tuple[Ended, str | None, int]:
        task, end = self._describe_task(job), Report()
        async with open_worker(self.store.jobs / job.id, task) as process:
            run.process = process
            try:
                async with asyncio.timeout(STUCK_S) as limit:
                    async for report in read_reports(process):
                        if report.get("frames", 0) > run.frames:
                            limit.reschedule(asyncio.get_running_loop().time() + STUCK_S)
                        run.frames, run.progress = report.get("frames", run.frames), report.get("progress")
                        end = report
            except TimeoutError:
                process.kill()
                return "failed", f"no frame of {job.name} was decoded for {STUCK_S / 60:.0f} minutes", 0
        if job.kind == "project":
            if end.get("progress") == 1.0:
                return "finished", end.get("message"), 0
            problem = end.get("failed") or f"{explain(process)} while it was put together"
            # What could not be made anew is as it was before.
            recover(self.store.jobs / job.id)
            is_there = (self.store.get_result(job.id) / PAGE).is_file()
            return ("finished", f"not made anew: {problem}", 0) if is_there else ("failed", problem, 0)
        # Not its report: it may have died between its last rename and that.
        if summary := self.store.load_summary(job.id):
            return "finished", summary.all_messages, summary.frames
        return "failed", end.get("failed") or f"{explain(process)} while reading {job.name}", 0

    def _describe_task(self, job: Job) -> Task:
        options, limits = self.options, self._describe_limits()
        if job.kind == "project":
            return {"what": "group", "name": job.name, "limits": limits, "members": list(job.members)}
        return {
            "what": "analyze",
            "name": job.name,
            "form": dict(job.settings),
            "limits": limits,
            "detector": options.detector,
            "device": options.device,
            # The worker runs in another folder.
            "model": str(options.model.resolve() if isinstance(options.model, Path) else options.model),
        }

    def _end(self, job: Job, state: Ended, message: str | None, frames: int = 0) -> None:
        # In this order: a job whose upload is gone must have ended.
        self.store.end(job.id, state, message, frames)
        self.store.remove_upload(job.id)
        self.count()

    def _describe_limits(self) -> Limits:
        max_pixels = min(self.options.max_pixels, self.options.max_video_pixels)
        return {"max_pixels": max_pixels, "max_duration_s": self.options.max_duration_s}

    async def check(self, job_id: str, name: str) -> Report:
        """Look at an upload's header in a process of its own, as it may crash.

        Returns:
            The worker's answer: `picture`, or `failed` with the reason.
        """
        task: Task = {"what": "check", "name": name, "limits": self._describe_limits()}
        answer: Report = {}
        async with self.checks, open_worker(self.store.jobs / job_id, task) as process:
            try:
                async with asyncio.timeout(CHECK_S):
                    async for report in read_reports(process):
                        answer = report
            except TimeoutError:
                process.kill()
                return {"failed": f"{name} cannot be decoded (its header took more than {CHECK_S:.0f} s)"}
        return answer or {"failed": f"{name} cannot be decoded ({explain(process)})"}

    def has_room(self) -> bool:
        """Tell whether another job may wait."""
        return self.store.count()["queued"] < self.options.max_queued and len(self.opening) < MAX_UPLOADS

    @contextlib.contextmanager
    def reserve(self) -> Iterator[str]:
        """Yield the id of a new job with an empty folder; what was not added to the store by the end is removed."""
        job_id = secrets.token_hex(16)
        self.opening.add(job_id)
        try:
            self.store.reserve(job_id)
            yield job_id
        finally:
            if self.store.find(job_id) is None:
                with contextlib.suppress(OSError):
                    self.store.remove(job_id)
            self.opening.discard(job_id)

    def add(self, job: Job) -> None:
        """Queue a job whose upload, or table of participants, lies in its folder."""
        self.store.add(job)
        self.count()
        self.wake.set()

    def make_anew(self, job_id: str) -> Job | None:
        """Queue a project once more, unless it waits already; None where it is gone.

        Raises:
            OSError: the disk is full.
        """
        job = self.store.queue_again(job_id)
        self.count()
        self.wake.set()
        return job

    async def remove(self, job_id: str) -> None:
        """Remove a job and all of its files, if there is such a job; a running one is stopped."""
        if self.store.find(job_id) is None:
            return
        # First: what dies here finds a folder that says that it goes.
        self.store.remove(job_id)
        run = self.runs.get(job_id)
        if run is not None and run.task is not None:
            run.task.cancel()
            await asyncio.wait([run.task])
            self.store.remove(job_id)
        self.count()

    def create_live(self, name: str, settings: Settings) -> LiveJob:
        """Begin to keep a live view's observations.

        Args:
            name: what the recording is called.
            settings: what is written.

        Raises:
            OSError: the data folder cannot be written.
        """
        return LiveJob(self.store, name, settings, self.count)
