"""Live: a running camera in; a view while it runs, the same outputs as a video's afterwards."""

import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emoscope.analysis.recorder import KIND, OUTPUT_NAMES, Recorder
from emoscope.analysis.settings import Settings
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.manifest import Identity
from emoscope.core.owned import open_owned
from emoscope.core.types import Frame
from emoscope.executors.interrupts import stop_on_signals
from emoscope.media.camera import Camera
from emoscope.pipeline.analyzer import Analyzer
from emoscope.tables.summary import End, UsedSettings

log = logging.getLogger(__name__)

POLL_S = 0.05
"""How long the loop waits for a picture before it looks after window and signals."""
RECENT_S = 10.0
"""People seen within this time are shown."""
RATE_SECONDS = 2.0
"""Time constant of the frames per second shown."""


@dataclass
class Person:
    """Who is, or was a moment ago, in front of the camera."""

    track_id: int
    first_s: float
    last_s: float
    emotion: str
    probability: float
    uncertain: bool


@dataclass
class LiveState:
    """What a view shows beside the picture."""

    time_s: float = 0.0
    frames: int = 0
    """Analysed frames."""
    frames_with_face: int = 0
    faces: int = 0
    dropped: int = 0
    """Frames that came while another was analysed."""
    latency_s: float = 0.0
    """From a frame's arrival to its result."""
    recent: tuple[float, float] = (0.0, 0.0)
    """Frames and seconds, the older the less."""
    people: dict[int, Person] = field(default_factory=dict)
    """The recent ones by track_id."""
    people_count: int = 0
    classes: tuple[str, ...] = EMOTIONS
    """What the network tells apart."""

    @property
    def frames_per_s(self) -> float:
        """Analysed frames per second of late."""
        frames, seconds = self.recent
        return frames / seconds if seconds > 0 else 0.0

    def update(self, result: FrameResult, dropped: int, latency_s: float) -> None:
        """Take one frame's result."""
        elapsed = result.time_s - self.time_s
        if self.frames:
            # Frames and seconds fade alike: a burst at the start counts for little, unlike in a mean of 1 / elapsed.
            kept = math.exp(-elapsed / RATE_SECONDS)
            self.recent = self.recent[0] * kept + 1, self.recent[1] * kept + elapsed
        self.time_s, self.dropped, self.latency_s = result.time_s, dropped, latency_s
        self.frames += 1
        self.classes = result.classes
        self.faces += len(result.faces)
        self.frames_with_face += len(result.faces) > 0
        reading = result.reading
        for i, track_id in enumerate([] if result.faces.track_id is None else result.faces.track_id.tolist()):
            known = self.people.get(track_id)
            self.people_count = max(self.people_count, track_id)
            self.people[track_id] = Person(
                track_id,
                known.first_s if known else result.time_s,
                result.time_s,
                reading.classes[reading.emotion[i]],
                float(reading.probability[i]),
                bool(reading.uncertain[i]),
            )
        self.people = {k: p for k, p in self.people.items() if self.time_s - p.last_s <= RECENT_S}


class View:
    """Shows what is read while it is read; this one shows nothing."""

    is_closed = False
    """Whether the user closed it, which ends the run."""

    def show(self, frame: Frame, result: FrameResult, state: LiveState) -> None:
        """Show one frame's result."""

    def idle(self) -> None:
        """Look after the view while no frame comes."""

    def close(self) -> None:
        """Take it away."""


@dataclass(frozen=True)
class LiveResult:
    """What became of a live run; `live --json`."""

    source: str
    status: str
    """complete, or incomplete where the camera vanished."""
    frames: int
    dropped: int
    faces: int
    people: int
    coverage: float
    output: str | None = None
    message: str | None = None


def analyze_live(
    camera: Camera,
    analyzer: Analyzer,
    view: View,
    folder: Path | None,
    settings: Settings,
    for_s: float | None = None,
    overwrite: bool = False,
) -> LiveResult:
    """Read a camera until Ctrl-C, the view's end, the camera's end or a time.

    Frames that come while another is analysed are dropped, so that what is shown is never older than one analysis.

    Args:
        camera: not yet started.
        analyzer: fresh, made with these settings.
        view: shown each result.
        folder: where the outputs go; None keeps nothing.
        settings: what to write.
        for_s: seconds after which the run ends by itself.
        overwrite: whether another recording in the folder may be replaced.

    Raises:
        InputError: the camera cannot be opened or gives no picture.
        OutputError: the folder cannot be written.
    """
    start = time.perf_counter()
    run = _Run(camera, analyzer, view, for_s)
    with stop_on_signals() as stop:
        if folder is None:
            run.read(stop, None)
        else:
            # Opened before the camera starts: a place that cannot be written must not cost a recording.
            source = Identity.create_once(camera.name)
            with open_owned(folder, KIND, source, OUTPUT_NAMES, overwrite) as working:
                with Recorder(working, settings, analyzer, camera.name) as recorder:
                    run.read(stop, recorder)
                wall_s = round(time.perf_counter() - start, 3)
                used = UsedSettings(every=1, end_s=for_s, dropped=camera.frames_dropped, wall_s=wall_s)
                recorder.finish(run.describe_end(), used)
    state = run.state
    return LiveResult(
        camera.name,
        "incomplete" if camera.problem else "complete",
        state.frames,
        camera.frames_dropped,
        state.faces,
        state.people_count,
        state.frames_with_face / state.frames,
        None if folder is None else str(folder),
        camera.problem,
    )


@dataclass
class _Run:
    """One run's parts and what it has seen."""

    camera: Camera
    analyzer: Analyzer
    view: View
    for_s: float | None
    state: LiveState = field(default_factory=LiveState)

    def read(self, stop: threading.Event, recorder: Recorder | None) -> None:
        """Read the camera to its end, every result into the view and, where there is one, the recorder."""
        try:
            with self.camera:
                for frame in self._take_frames(stop):
                    result = self.analyzer.analyze(frame)
                    if recorder is not None:
                        recorder.add(frame, result)
                    latency_s = self.camera.elapsed_s - frame.time_s
                    self.state.update(result, self.camera.frames_dropped, latency_s)
                    self.view.show(frame, result, self.state)
        finally:
            self.view.close()
        if self.state.frames == 0:
            raise InputError(f"stopped before {self.camera.name} gave a picture; nothing was written")

    def _take_frames(self, stop: threading.Event) -> Iterator[Frame]:
        camera = self.camera
        while not (stop.is_set() or self.view.is_closed or (self.for_s is not None and camera.elapsed_s >= self.for_s)):
            frame = camera.take(POLL_S)
            if frame is not None:
                yield frame
            elif camera.is_over:
                return
            else:
                self.view.idle()

    def describe_end(self) -> End:
        """Return what the summary says of the end of a finished run."""
        camera = self.camera
        return End(
            status="incomplete" if camera.problem else "complete",
            reason="damaged" if camera.problem else None,
            message=camera.problem,
            frames_in_source=camera.frames_read,
            duration_s=camera.duration_s,
        )
