"""A recording of the live socket: results in, a job's result folder out; numbers only, never a picture."""

import dataclasses

from emoscope.analysis.recorder import Recorder
from emoscope.analysis.settings import Settings
from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame
from emoscope.pipeline.analyzer import Analyzer
from emoscope.server.jobs.live_job import LiveJob
from emoscope.tables.summary import End, UsedSettings


class Recording:
    """Observations on their way into a job's folder."""

    def __init__(self, job: LiveJob, settings: Settings, analyzer: Analyzer) -> None:
        """Open the files.

        Args:
            job: what `jobs.create_live` made: an empty folder that becomes a job.
            settings: what to write.
            analyzer: what reads the frames.
        """
        self.job = job
        self.recorder = Recorder(job.folder, settings, analyzer, job.name)
        self.first: FrameResult | None = None
        self.last: FrameResult | None = None
        self.n_read = 0

    @property
    def duration_s(self) -> float:
        """Time of the last frame since the first."""
        return 0.0 if self.last is None else self.last.time_s

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take one frame; time and number count from the first one that is recorded."""
        self.first = result if self.first is None else self.first
        # Time that the connection lasted before is no part of the recording.
        moved = dataclasses.replace(
            result, index=result.index - self.first.index, time_s=result.time_s - self.first.time_s
        )
        self.recorder.add(frame, moved)
        self.last = moved
        self.n_read += 1

    def finish(self) -> str | None:
        """Write what is known only at the end, the report among it; what fails, the server's next start finishes.

        Returns:
            The job's id; None if there was no frame, and nothing is kept.
        """
        self.recorder.__exit__(None, None, None)
        if self.last is None:
            self.job.discard()
            return None
        n_frames = self.last.index + 1
        end = End(status="complete", frames_in_source=n_frames, duration_s=self.last.time_s)
        self.recorder.finish(end, UsedSettings(every=1, dropped=n_frames - self.n_read))
        self.job.finish()
        return str(self.job.id)
