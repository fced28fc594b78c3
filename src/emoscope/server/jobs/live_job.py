"""Live recordings: observations of a live view in, a finished job out."""

import contextlib
import secrets
import time
from collections.abc import Callable

from emoscope.analysis.settings import Settings
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.store import RECORDING, Store
from emoscope.server.jobs.worker import Setting


class LiveJob:
    """A recording that runs; it is a job once it is finished, by the server's next start if this one dies."""

    def __init__(self, store: Store, name: str, settings: Settings, on_change: Callable[[], None]) -> None:
        """Make its folder.

        Args:
            store: where it will be a job.
            name: what it is called.
            settings: what is written.
            on_change: called when it has become a job.

        Raises:
            OSError: the folder cannot be made.
        """
        self.store, self.name, self.on_change = store, name[:200], on_change
        self.settings: tuple[tuple[str, Setting], ...] = tuple(
            settings.model_dump(mode="json", include=settings.model_fields_set - {"model"}).items()
        )
        self.id, self.created = secrets.token_hex(16), time.time()
        self.folder = store.jobs / self.id / RECORDING
        """Empty; for a Recorder."""
        try:
            store.reserve(self.id)
            self.folder.mkdir()
        except OSError:
            self.discard()
            raise

    def finish(self, message: str | None = None) -> Job:
        """Take the recording as it lies in the folder, and return the job.

        Args:
            message: what is amiss.

        Raises:
            OSError: it cannot be kept now; the server's next start finds it.
        """
        self.folder.rename(self.store.get_result(self.id))
        summary = self.store.load_summary(self.id)
        job = Job(
            self.id,
            "live",
            self.name,
            "finished" if summary else "failed",
            created=self.created,
            started=self.created,
            finished=time.time(),
            frames=summary.frames if summary else 0,
            message=message or (summary.message if summary else "the recording was not written to its end"),
            settings=self.settings,
        )
        job = self.store.add(job)
        self.on_change()
        return job

    def discard(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(OSError):
            self.store.remove(self.id)
