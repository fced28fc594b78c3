"""A recording of the live socket: results in, a job's result folder out; numbers only, never a picture."""

import dataclasses
from typing import Any

from emoscope.analysis.recorder import Recorder
from emoscope.analysis.settings import Settings
from emoscope.core.types import Frame, FrameResult
from emoscope.pipeline.analyzer import Analyzer


class Recording:
    """Observations on their way into a job's folder."""

    def __init__(self, job: Any, settings: Settings) -> None:
        """Open the files.

        Args:
            job: what `jobs.create_live` made: an empty folder that becomes a job.
            settings: what to write.
        """
        self.job = job
        self.recorder = Recorder(job.folder, settings, job.name)
        self.first: FrameResult | None = None
        self.last: FrameResult | None = None
        self.n_read = 0

    @property
    def duration_s(self) -> float:
        """Time of the last frame since the first."""
        return self.last.time_s if self.last else 0.0

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take one frame; time and number count from the first one that is recorded."""
        self.first = self.first or result
        # Time that the connection lasted before is no part of the recording.
        moved = dataclasses.replace(
            result, index=result.index - self.first.index, time_s=result.time_s - self.first.time_s
        )
        self.recorder.add(frame, moved)
        self.last = moved
        self.n_read += 1

    def finish(self, analyzer: Analyzer) -> str | None:
        """Write what is known only at the end, the report among it.

        Returns:
            The job's id; None if there was no frame, and nothing is kept.
        """
        try:
            self.recorder.__exit__(None, None, None)
            if self.last is None:
                self.job.discard()
                return None
            self.recorder.finish(analyzer, self._describe(self.last))
        except BaseException:
            self.job.discard()
            raise
        self.job.finish()
        return str(self.job.id)

    def _describe(self, last: FrameResult) -> dict[str, Any]:
        n_frames = last.index + 1
        return {
            "status": "complete",
            "reason": None,
            "message": None,
            "frames_in_source": n_frames,
            "duration_s": last.time_s,
            "settings": {"every": 1, "end_s": None, "dropped": n_frames - self.n_read},
        }
