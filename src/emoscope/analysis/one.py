"""One call per source: a picture or a video in, a FrameResult or an Analysis out."""

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emoscope.analysis.recorder import OUTPUT_NAMES, Recorder, write_report
from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.files import open_atomic_folder
from emoscope.core.picture import load_picture, to_image
from emoscope.core.timecode import parse_every
from emoscope.core.types import Frame, FrameResult
from emoscope.media.source import Source, find_sources
from emoscope.pipeline.analyzer import PICTURE_SIDE_PX, VIDEO_SIDE_PX, Analyzer
from emoscope.tables.observations import Observations
from emoscope.tables.summary import End, Summary, UsedSettings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Analysis:
    """What was read from one source."""

    table: Observations
    """One row per face and analysed frame, one row for a frame without a face; read in batches."""
    summary: Summary
    """Numbers per person and for everyone, settings, the model's spec."""
    folder: Path
    """Where all results lie."""
    temporary: tempfile.TemporaryDirectory[str] | None = None
    """That folder, when none was named; it goes with this object."""

    @property
    def observations(self) -> "pd.DataFrame":
        """The whole table in memory."""
        return self.table.to_pandas()

    def report(self, path: str | Path) -> Path:
        """Write the report, one self-contained HTML file.

        Raises:
            OutputError: the place cannot be written.
        """
        write_report(self.table, self.summary, Path(path), self.folder)
        return Path(path)

    def save(self, folder: str | Path) -> Path:
        """Write all results into a folder; those of an earlier analysis there are replaced, other files left alone.

        Raises:
            OutputError: the place cannot be written.
        """
        with open_atomic_folder(Path(folder), OUTPUT_NAMES) as temporary:
            shutil.copytree(self.folder, temporary, dirs_exist_ok=True)
        return Path(folder)


def analyze_image(picture: "str | Path | Any", **options: Any) -> FrameResult:
    """Read the faces of one picture.

    Args:
        picture: a file, or an array: grey (h, w), BGR (h, w, 3) or BGRA (h, w, 4), uint8 or uint16.
        options: those of Analyzer: detector, model, n_views, balanced, max_side_px.

    Raises:
        InputError: no such file, or no picture.
        ModelError: a model that is damaged or not to be had.
    """
    is_path = isinstance(picture, str | Path)
    image = load_picture(Path(picture)) if is_path else to_image(picture)
    analyzer = Analyzer(**{"max_side_px": PICTURE_SIDE_PX, **options})
    return analyzer.analyze(Frame(image, source=str(picture) if is_path else ""))


def analyze_video(
    path: str | Path, every: int | str = 1, start_s: float = 0.0, end_s: float | None = None, **settings: Any
) -> Analysis:
    """Read a video file, or a folder of pictures.

    Args:
        path: the file or folder; a folder must not hold both pictures and videos, or several videos.
        every: read only every n-th frame, or with a text such as `0.2s` at most one frame in so many seconds.
        start_s: leave out what comes before.
        end_s: leave out what comes from there on; None reads to the end.
        settings: those of Settings: detector, model, smoothing_s, baseline, events, ...

    Raises:
        InputError: no such file, nothing in it that can be decoded, or an impossible setting.
        ModelError: a model that is damaged or not to be had.
    """
    chosen = Settings.create(**settings)
    sources = find_sources([Path(path)], parse_every(str(every)), start_s, end_s)
    if len(sources) != 1:
        raise InputError(f"{path} holds {len(sources)} sources, expected one; call analyze_video for each")
    temporary = tempfile.TemporaryDirectory(prefix="emoscope-")
    return dataclasses.replace(analyze_source(sources[0], Path(temporary.name), chosen), temporary=temporary)


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
    analyzer = create_analyzer(settings, is_video=source.kind == "video")
    with Recorder(folder, settings, source.label, source.kind, source) as recorder:
        for frame, result in analyzer.analyze_frames(source):
            recorder.add(frame, result)
            on_frame(result)
    if recorder.table.n_rows == 0 and not source.stop.is_set():
        raise InputError(f"{source.label}: none of its pictures can be read; first: {source.problems[0]}")
    wall_s = round(time.perf_counter() - start, 3)
    used = UsedSettings(every=source.every.setting, end_s=source.end_s, wall_s=wall_s)
    _, summary = recorder.finish(analyzer, describe_end(source, recorder.problems), used, fingerprint)
    return Analysis(Observations(folder / "observations.parquet"), summary, folder)


def create_analyzer(settings: Settings, is_video: bool = True) -> Analyzer:
    """Load what reads faces as the settings say.

    Raises:
        InputError: an unknown detector or model.
        ModelError: a model that is damaged or not to be had.
    """
    side_px = settings.max_side_px or (VIDEO_SIDE_PX if is_video else PICTURE_SIDE_PX)
    choices = settings.detector, settings.model, settings.n_views, settings.balanced
    return Analyzer(*choices, max_side_px=side_px, smoothing_s=settings.smoothing_s)


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
        message="; ".join([*problems, *more]) or None,
        frames_in_source=source.frames_announced or source.frames_read,
        duration_s=source.duration_s,
    )
