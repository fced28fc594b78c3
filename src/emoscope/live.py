"""Live: a running camera in; a view while it runs, the same outputs as a video's afterwards."""

import contextlib
import datetime
import logging
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import emoscope
from emoscope.analysis import OUTPUT_NAMES, Analysis
from emoscope.camera import Camera
from emoscope.emotions import EMOTIONS
from emoscope.errors import InputError
from emoscope.files import open_atomic_folder
from emoscope.observations import SCHEMA_VERSION, Observations, ObservationsWriter
from emoscope.pipeline import Analyzer
from emoscope.summary import compute_summary
from emoscope.types import Frame, FrameResult

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
    frames_per_s: float = 0.0
    people: dict[int, Person] = field(default_factory=dict)
    """The recent ones by track_id."""
    people_count: int = 0

    def update(self, result: FrameResult, dropped: int, latency_s: float) -> None:
        """Take one frame's result."""
        elapsed = result.time_s - self.time_s
        if self.frames and elapsed > 0:
            share = min(1.0, elapsed / RATE_SECONDS)
            self.frames_per_s += (1 / elapsed - self.frames_per_s) * (share if self.frames > 1 else 1.0)
        self.time_s, self.dropped, self.latency_s = result.time_s, dropped, latency_s
        self.frames += 1
        self.faces += len(result.faces)
        self.frames_with_face += len(result.faces) > 0
        shown = result.probabilities if result.faces.smoothed is None else result.faces.smoothed
        for i, track_id in enumerate([] if result.faces.track_id is None else result.faces.track_id.tolist()):
            best = int(shown[i].argmax())
            emotion, probability = EMOTIONS[best], float(shown[i, best])
            known = self.people.get(track_id)
            self.people_count = max(self.people_count, track_id)
            self.people[track_id] = Person(
                track_id,
                known.first_s if known else result.time_s,
                result.time_s,
                emotion,
                probability,
                bool(result.uncertain[i]),
            )
        self.people = {k: p for k, p in self.people.items() if self.time_s - p.last_s <= RECENT_S}


class View(Protocol):
    """Shows what is read while it is read."""

    is_closed: bool
    """Whether the user closed it, which ends the run."""

    def show(self, frame: Frame, result: FrameResult, state: LiveState) -> None:
        """Show one frame's result."""
        ...

    def idle(self) -> None:
        """Look after the view while no frame comes."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


class StopSignal:
    """Turns the first Ctrl-C, or a polite kill, into the normal end of a run; a context."""

    def __init__(self) -> None:
        self.count = 0
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        # Python lets only the main thread take signals.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        # A nervous second Ctrl-C must not throw away what the first one asked to be written.
        if self.count == 2:
            log.warning("writing the results; press Ctrl-C once more to throw them away")
        elif self.count > 2:
            raise KeyboardInterrupt


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
    for_s: float | None = None,
    smoothing_s: float = 0.0,
    anonymous: bool = False,
    with_report: bool = True,
) -> LiveResult:
    """Read a camera until Ctrl-C, the view's end, the camera's end or a time.

    Frames that come while another is analysed are dropped, so that what is shown is never older than one analysis.

    Args:
        camera: not yet started.
        analyzer: fresh.
        view: shown each result.
        folder: where the outputs go; None keeps nothing.
        for_s: seconds after which the run ends by itself.
        smoothing_s: the analyzer's time constant, for the settings; above 0 the table gets its columns.
        anonymous: leave face boxes out of the table.
        with_report: also write the report.

    Raises:
        InputError: the camera cannot be opened or gives no picture.
        OutputError: the folder cannot be written.
    """
    run = _Run(camera, analyzer, view, for_s, smoothing_s, anonymous)
    with StopSignal() as stop:
        if folder is None:
            run.read(stop, None)
        else:
            # Opened before the camera starts: a place that cannot be written must not cost a recording.
            with open_atomic_folder(folder, OUTPUT_NAMES) as temporary:
                run.read(stop, temporary / "observations.parquet")
                _conclude(run, temporary).write_into(temporary, with_report)
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
    smoothing_s: float
    anonymous: bool
    state: LiveState = field(default_factory=LiveState)
    size_wh: tuple[int, int] = (0, 0)
    wall_s: float = 0.0

    def read(self, stop: StopSignal, place: Path | None) -> None:
        """Read the camera to its end, every result into the view and, where there is a place, into the table there."""
        start = time.perf_counter()
        with contextlib.ExitStack() as stack:
            stack.callback(self.view.close)
            table = None
            if place is not None:
                table = stack.enter_context(ObservationsWriter(place, self.smoothing_s > 0, not self.anonymous))
            with self.camera:
                for frame in self._take_frames(stop):
                    result = self.analyzer.analyze(frame)
                    if table is not None:
                        table.add(result)
                    latency_s = self.camera.elapsed_s - frame.time_s
                    self.state.update(result, self.camera.frames_dropped, latency_s)
                    self.size_wh = result.size_wh
                    self.view.show(frame, result, self.state)
        self.wall_s = time.perf_counter() - start
        if self.state.frames == 0:
            raise InputError(f"stopped before {self.camera.name} gave a picture; nothing was written")

    def _take_frames(self, stop: StopSignal) -> Iterator[Frame]:
        camera = self.camera
        while not (stop.count or self.view.is_closed or (self.for_s is not None and camera.elapsed_s >= self.for_s)):
            frame = camera.take(POLL_S)
            if frame is not None:
                yield frame
            elif camera.is_over:
                return
            else:
                self.view.idle()


def _conclude(run: _Run, folder: Path) -> Analysis:
    """Summarise a finished run."""
    camera, analyzer = run.camera, run.analyzer
    facts = {
        "schema_version": SCHEMA_VERSION,
        "source": camera.name,
        "kind": "live",
        "status": "incomplete" if camera.problem else "complete",
        "reason": "damaged" if camera.problem else None,
        "message": camera.problem,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "frames_in_source": camera.frames_read,
        "duration_s": camera.duration_s,
        "size_wh": list(run.size_wh),
        "settings": {
            "every": 1,
            "start_s": 0.0,
            "end_s": run.for_s,
            "dropped": camera.frames_dropped,
            "detector": analyzer.detector.name,
            "detector_reason": analyzer.detector_reason,
            "max_side_px": analyzer.max_side_px,
            "model": analyzer.recognizer.spec.name,
            "views": analyzer.recognizer.n_views,
            "balanced": analyzer.recognizer.balanced,
            "smoothing_s": run.smoothing_s,
            "baseline": "off",
            "thumbnails": "none",
            "anonymous": run.anonymous,
            "emoscope": emoscope.__version__,
            "wall_s": round(run.wall_s, 3),
        },
        "model": analyzer.recognizer.describe(),
    }
    observations = Observations(folder / "observations.parquet")
    return Analysis(observations, compute_summary(observations, facts))
