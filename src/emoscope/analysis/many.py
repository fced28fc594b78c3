"""Several sources in, a folder of results each out; one bad source does not stop the rest."""

import logging
import os
import platform
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from emoscope.analysis.event_marks import set_events
from emoscope.analysis.one import Progress, analyze_source, create_reporter
from emoscope.analysis.recorder import KIND, OUTPUT_NAMES, SUMMARY_FILE
from emoscope.analysis.result_folders import choose_folders, identify
from emoscope.analysis.revising import refresh
from emoscope.analysis.settings import Settings
from emoscope.core.errors import EmoscopeError, InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.owned import open_owned
from emoscope.core.replacing import recover
from emoscope.core.texts import make_printable
from emoscope.executors.executor import Executor, map_unordered
from emoscope.executors.interrupts import heed_file, signal_by_file
from emoscope.faces.registry import YUNET
from emoscope.media.find import find_sources
from emoscope.media.source import Source
from emoscope.tables.event_means import strip_events
from emoscope.tables.events import find_unmatched
from emoscope.tables.people_file import PEOPLE_FILE
from emoscope.tables.summary import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceResult:
    """What became of one source; the entries of `analyze --json`."""

    source: str
    status: Literal["complete", "incomplete", "failed", "stopped"]
    """complete; incomplete (damaged or stopped, but what was read is there); failed (no output); stopped (not
    begun)."""
    frames: int = 0
    frames_unread: int = 0
    """About so many more could not be read; coverage counts them."""
    faces: int = 0
    people: int = 0
    coverage: float = 0.0
    output: str | None = None
    message: str | None = None
    skipped: bool = False
    """Whether it was finished by an earlier analysis."""

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_summary(cls, summary: Summary, output: Path, skipped: bool = False) -> "SourceResult":
        """Take the numbers of a summary."""
        return cls(
            source=summary.source,
            status=summary.status,
            frames=summary.frames,
            frames_unread=summary.frames_unread,
            faces=summary.faces,
            people=summary.people_count,
            coverage=summary.coverage,
            output=str(output),
            message=summary.all_messages,
            skipped=skipped,
        )


def analyze_sources(
    paths: list[Path],
    output: Path | None = None,
    settings: Settings | None = None,
    resume: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    executor: Executor | None = None,
    overwrite: bool = False,
) -> list[SourceResult]:
    """Analyse files and folders, each into a folder of its own.

    Args:
        paths: files and folders.
        output: the folder for one file; below it the sources' folders for more; None puts `<name>-emoscope` into
            the current folder.
        settings: how to read, and what to write.
        resume: leave alone what an earlier analysis with the same settings finished.
        stop: once set, the source at work is ended, what was read of it is written, and no other is begun.
        on_progress: told now and then; with an executor other than this process, after each source.
        executor: does the work, one source at a time each; shares the settings. None works here.
        overwrite: replace another source's result where it lies in the place meant.

    Raises:
        InputError: the baseline is to be taken from an event that there is not.
        OutputError: what an earlier analysis left cannot be put in order.
    """
    settings, stop = settings or Settings(), stop or threading.Event()
    settings.check_baseline()
    sources: list[Source] = []
    results: list[SourceResult] = []
    for path in paths:
        try:
            sources += find_sources([path], settings.every, settings.start, settings.end, settings.sequence)
        except EmoscopeError as e:
            results.append(SourceResult(make_printable(str(path)), "failed", message=str(e)))
    sources = _leave_out_doubles(sources)
    folders = choose_folders(paths, sources, output, overwrite)
    mode = Mode(resume, overwrite)
    for problem in find_unmatched(settings.events, [(s.path, f) for s, f in zip(sources, folders, strict=True)]):
        log.warning("%s", problem)
    if executor is not None and not executor.is_here:
        return results + analyze_elsewhere(executor, sources, folders, settings, mode, stop, on_progress)
    for number, (source, folder) in enumerate(zip(sources, folders, strict=True), 1):
        source.stop = stop
        on_frame = create_reporter(source, number, len(sources), on_progress)
        results.append(analyze_one(source, folder, settings, mode, on_frame))
    return results


def _leave_out_doubles(sources: list[Source]) -> list[Source]:
    """Return the sources, each once, though it was named twice."""
    once = {(source.path.resolve(), source.kind): source for source in reversed(sources)}
    if len(once) < len(sources):
        log.warning("%d of the sources were named twice; each is analysed once", len(sources) - len(once))
    return list(reversed(once.values()))


@dataclass(frozen=True)
class Mode:
    """What to do about results that are there already."""

    resume: bool = False
    """Leave alone what is finished."""
    overwrite: bool = False
    """Replace another source's, too."""


def analyze_elsewhere(
    executor: Executor,
    sources: list[Source],
    folders: list[Path],
    settings: Settings,
    mode: Mode,
    stop: threading.Event,
    on_progress: Callable[[Progress], None],
) -> list[SourceResult]:
    """Analyse sources by an executor that shares the settings; return their results in the sources' order."""
    found: dict[int, SourceResult] = {}
    with signal_by_file(stop, folders[0].resolve().parent if folders else Path()) as stop_file:
        jobs = [
            Job(i, source, folder, mode, Path.cwd(), stop_file)
            for i, (source, folder) in enumerate(zip(sources, folders, strict=True))
        ]
        for job, future in map_unordered(executor, do_job, jobs):
            try:
                result: SourceResult = future.result()
            except EmoscopeError as e:
                result = SourceResult(make_printable(str(job.source.path)), "failed", message=str(e))
            found[job.number] = result
            on_progress(Progress(job.source.path.name, len(found), len(jobs), 1.0, result.frames, result.faces))
    return [found[i] for i in range(len(jobs))]


@dataclass(frozen=True)
class Job:
    """One source for an executor."""

    number: int
    source: Source
    folder: Path
    mode: Mode
    working_folder: Path
    """The caller's: relative names mean the same everywhere, and results tell them as they were given."""
    stop_file: Path
    """Once it is there, the work is to end."""

    def __str__(self) -> str:
        return str(self.source.path)


def do_job(settings: Settings, job: Job) -> SourceResult:
    """Analyse one source in a process that does nothing else meanwhile."""
    import cv2

    cv2.setNumThreads(1)
    try:
        os.chdir(job.working_folder)
    except OSError as e:
        raise InputError(
            f"{platform.node()} does not reach {job.working_folder} ({e.strerror}); put sources and results into a "
            "folder that all machines share, and call emoscope there"
        ) from e
    with heed_file(job.stop_file) as job.source.stop:
        return analyze_one(job.source, job.folder, settings, job.mode)


def analyze_one(
    source: Source,
    folder: Path,
    settings: Settings,
    mode: Mode,
    on_frame: Callable[[FrameResult], None] = lambda result: None,
) -> SourceResult:
    """Analyse one source unless the work is to end; a problem is a result."""
    if source.stop.is_set():
        return SourceResult(make_printable(str(source.path)), "stopped", message=f"{source.path} was not begun")
    try:
        return _analyze(source, folder, settings, mode, on_frame)
    except EmoscopeError as e:
        return SourceResult(make_printable(str(source.path)), "failed", message=str(e))


def _analyze(
    source: Source, folder: Path, settings: Settings, mode: Mode, on_frame: Callable[[FrameResult], None]
) -> SourceResult:
    is_asked = "events" in settings.model_fields_set
    settings = settings.select_events(source.path, folder)
    fingerprint = settings.fingerprint(source.path, source.pictures)
    if mode.resume and (finished := _find_finished(folder, fingerprint, settings.detector)):
        if is_asked and finished.kind != "pictures" and settings.events != strip_events(finished.events):
            finished = set_events(folder, settings.events)
        return SourceResult.from_summary(finished, folder, skipped=True)
    with open_owned(folder, KIND, identify(source), OUTPUT_NAMES, mode.overwrite) as working:
        summary = analyze_source(source, working, settings, on_frame, fingerprint).summary
    if (folder / PEOPLE_FILE).is_file():
        try:
            summary = refresh(folder)
        except EmoscopeError as e:
            log.warning("%s; until then all numbers are of everyone as they were read", e)
    return SourceResult.from_summary(summary, folder)


def _find_finished(folder: Path, fingerprint: str, detector: str) -> Summary | None:
    """Return the summary of a finished analysis with the same settings of the same source, if it lies there.

    What `auto` read by another detector is done anew once YuNet is cached.
    """
    recover(folder)
    try:
        summary = Summary.from_json((folder / SUMMARY_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    if detector == "auto" and summary.settings.detector != "yunet" and YUNET.path.is_file():
        return None
    return summary if summary.fingerprint == fingerprint and summary.reason != "stopped" else None
