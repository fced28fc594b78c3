"""One source: its frames in, an Analysis out, which can also be loaded from the folder that it left."""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from emoscope.analysis.recorder import KIND, OUTPUT_NAMES, SUMMARY_FILE, TABLE_FILE, Recorder, write_report
from emoscope.analysis.result_folder import load_result
from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.html import create_table
from emoscope.core.manifest import Identity, Manifest
from emoscope.core.native import return_memory
from emoscope.core.numbers import format_percent
from emoscope.core.owned import open_owned
from emoscope.media.source import Source
from emoscope.outputs.formats import TIMED
from emoscope.pipeline.analyzer import PICTURE_SIDE_PX, VIDEO_SIDE_PX, Analyzer, read_ahead
from emoscope.tables.observations import Observations
from emoscope.tables.people_file import PEOPLE_FILE
from emoscope.tables.summary import End, Summary, UsedSettings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Progress:
    """How far an analysis is."""

    source: str
    number: int
    """Of the source, from 1."""
    n_sources: int
    share: float | None
    """Of the source, 0..1; None where its length is not known."""
    frames: int
    faces: int
    """In the latest frame."""


@dataclass(frozen=True, repr=False)
class Analysis:
    """What was read from one source.

    Examples:
        >>> analysis = emoscope.load_analysis("clip-emoscope")
        >>> [(person.track_id, person.emotion) for person in analysis.summary.people]
        [(1, 'happy')]
        >>> analysis.observations.groupby("track_id")["p_happy"].mean().round() # a pandas table
        track_id
        1    1.0
        Name: p_happy, dtype: float64
        >>> analysis.report("report.html").name
        'report.html'
    """

    table: Observations
    """One row per face and analysed frame, one row for a frame without a face; read in batches."""
    summary: Summary
    """Numbers per person and for everyone, settings, the model's spec."""
    folder: Path
    """Where all results lie."""
    temporary: tempfile.TemporaryDirectory[str] | None = None
    """That folder, when none was named; it goes with this object."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what an earlier analysis left; the source is not read again.

        Raises:
            InputError: no such folder, not one of `emoscope analyze` or `save`, or damaged.
        """
        table, summary = load_result(Path(folder))
        return cls(table, summary, Path(folder))

    @property
    def observations(self) -> "pd.DataFrame":
        """The whole table in memory."""
        return self.table.to_pandas()

    def report(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the report, one self-contained HTML file; an earlier one of the same source is replaced.

        Args:
            path: the file.
            overwrite: also replace the report of another source.

        Raises:
            OutputError: the place cannot be written, or something else is there.
        """
        write_report(self.table, self.summary, Path(path), self.folder, overwrite)
        return Path(path)

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write all results into a folder, new, empty or with an earlier result of the same source, which is replaced.

        Args:
            folder: the folder.
            overwrite: also replace the result of another source.

        Raises:
            OutputError: the place cannot be written, or something else is there.
        """
        folder, manifest = Path(folder), Manifest.load(self.folder)
        if folder.resolve() == self.folder.resolve():
            return folder
        # Results of 0.6.0 have no manifest.
        files = [self.folder / name for name in (manifest.files if manifest else OUTPUT_NAMES)]
        source = manifest.identity if manifest else Identity.create(self.folder / SUMMARY_FILE)
        with open_owned(folder, KIND, source, OUTPUT_NAMES, overwrite) as working:
            for path in files:
                place = working / path.relative_to(self.folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    shutil.copytree(path, place)
                elif path.exists():
                    shutil.copy2(path, place)
        # Whose numbers are in the summary, that file says; one that is there already is a person's own.
        people, place = self.folder / PEOPLE_FILE, folder / PEOPLE_FILE
        if people.is_file() and not os.path.lexists(place):
            shutil.copy2(people, place)
        return folder

    def __repr__(self) -> str:
        return f"Analysis({self._describe()}, folder={str(self.folder)!r})"

    def _describe(self) -> str:
        s = self.summary
        people = f"{s.people_count} {'person' if s.people_count == 1 else 'people'}"
        return f"{s.source!r}: {s.frames} frames, {people}, a face in {format_percent(s.coverage, space='')}"

    def _repr_html_(self) -> str:
        """Show the people as notebooks show it."""
        rows = [(p.track_id, f"{p.first_s:.2f}", f"{p.last_s:.2f}", p.frames, p.emotion) for p in self.summary.people]
        return create_table(self._describe(), ("person", "first_s", "last_s", "frames", "emotion"), rows)


def load_analysis(folder: str | Path) -> Analysis:
    """Load what an earlier analysis left in its result folder; the source is not read again.

    Examples:
        >>> analysis = emoscope.load_analysis("clip-emoscope")
        >>> analysis.summary.kind, analysis.summary.people_count
        ('video', 1)

    Raises:
        InputError: no such folder, not one of `emoscope analyze` or Analysis.save, or damaged.
    """
    return Analysis.load(folder)


def create_reporter(
    source: Source, number: int, n_sources: int, on_progress: Callable[[Progress], None]
) -> Callable[[FrameResult], None]:
    """Return what tells on_progress of each frame's result."""
    name = source.path.name

    def report(result: FrameResult) -> None:
        on_progress(Progress(name, number, n_sources, source.progress, source.frames_read, len(result.faces)))

    return report


def analyze_source(
    source: Source,
    folder: Path,
    settings: Settings,
    on_frame: Callable[[FrameResult], None] = lambda result: None,
    fingerprint: str | None = None,
) -> Analysis:
    """Read one source to its end, or until its `stop` is set.

    Args:
        source: a video or pictures.
        folder: where all results go, an empty folder.
        settings: how to read, and what to write.
        on_frame: told each frame's result as it is done.
        fingerprint: of source and settings, to be noted in the summary.

    Raises:
        InputError: nothing in the source can be decoded.
        ModelError: a model that is damaged or not to be had.
        OSError: the folder cannot be written.
    """
    start = time.perf_counter()
    # What each step loads it loads while others work: the networks while the source is opened, the report's parts while
    # it is read.
    with read_ahead(source) as frames:
        analyzer = create_analyzer(settings, is_video=source.kind == "video")
        with Recorder(folder, settings, analyzer, source.label, source.kind, source) as recorder, prepare_end(settings):
            for frame, result in analyzer.analyze_frames(frames):
                recorder.add(frame, result)
                on_frame(result)
                del frame
    # The end needs memory for the whole table, and no networks any more.
    del analyzer
    return_memory()
    if recorder.table.n_rows == 0 and not source.stop.is_set():
        raise InputError(f"{source.label}: none of its pictures can be read; first: {source.problems[0]}")
    wall_s = round(time.perf_counter() - start, 3)
    used = UsedSettings(every=source.every.setting, end_s=source.end_s, wall_s=wall_s)
    unused = find_timed(settings, source)
    end = describe_end(source, [*recorder.problems, *recorder.find_inverted(), *unused])
    _, summary = recorder.finish(end, used, fingerprint)
    return Analysis(summary.open_table(folder / TABLE_FILE), summary, folder)


@contextlib.contextmanager
def prepare_end(settings: Settings) -> Iterator[None]:
    """Load in a thread of its own what an analysis needs at its end."""
    thread = threading.Thread(target=_load_end, args=(settings.report,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _load_end(has_report: bool) -> None:
    # Whatever is amiss shows again where it is needed.
    with contextlib.suppress(Exception):
        import pyarrow.compute
        import pyarrow.csv
        import pyarrow.parquet  # noqa: F401

        if has_report:
            from emoscope.report import prepare_report

            prepare_report()


def find_timed(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what was asked for and is not there, for pictures have no time."""
    timed = [f"observations.{name}" for name in settings.formats if name in TIMED]
    if source.kind == "pictures" and (timed or settings.events):
        events = ["a comparison of the events"] if settings.events else []
        yield f"{source.label}: pictures have no time, so nothing was written of {', '.join([*timed, *events])}"


def create_analyzer(settings: Settings, is_video: bool = True) -> Analyzer:
    """Load what reads faces as the settings say.

    Raises:
        InputError: an unknown detector or model.
        ModelError: a model that is damaged or not to be had.
    """
    side_px = settings.max_side_px or (VIDEO_SIDE_PX if is_video else PICTURE_SIDE_PX)
    choices = settings.detector, settings.model, settings.views, settings.balanced
    return Analyzer(
        *choices,
        max_side_px=side_px,
        smooth=settings.smooth,
        set_90=settings.set_90,
        attention=settings.attention,
        calibration=settings.calibration,
        reading=settings.reading,
        device=settings.device,
    )


def describe_end(source: Source, more: list[str]) -> End:
    """Return how a source ended.

    Args:
        source: it was read.
        more: further problems, which leave the observations whole.
    """
    problems = list(source.problems)
    reason: Literal["damaged", "stopped"] | None = "damaged" if problems else None
    if source.stop.is_set():
        at = f"after {source.duration_s:.2f} s" if source.kind == "video" else f"after {source.frames_read} pictures"
        problems.append(f"{source.label} was not read to its end: the analysis was stopped {at}; --resume does it anew")
        reason = "stopped"
    return End(
        status="incomplete" if reason else "complete",
        reason=reason,
        message="; ".join([*problems, *source.notes, *more]) or None,
        frames_in_source=source.frames_announced or source.frames_read,
        duration_s=source.duration_s,
        container_start_s=source.container_start_s if source.kind == "video" and source.sequence is None else None,
        cuts=tuple(source.cuts),
        unread=tuple(source.unread),
        frames_unread=source.frames_unread,
    )
