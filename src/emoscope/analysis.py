"""One call per source: a picture or a video in, a FrameResult or an Analysis out."""

import dataclasses
import datetime
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emoscope
from emoscope.annotate import VideoWriter, annotate
from emoscope.errors import InputError
from emoscope.files import open_atomic, open_atomic_folder
from emoscope.observations import SCHEMA_VERSION, Observations, ObservationsWriter
from emoscope.pipeline import PICTURE_SIDE_PX, Analyzer
from emoscope.source import Source, find_sources, load_picture, to_image
from emoscope.summary import compute_summary
from emoscope.types import Frame, FrameResult

if TYPE_CHECKING:
    import pandas as pd

SUMMARY_FILE = "summary.json"
"""Written last: a folder that has it is complete."""

OUTPUT_NAMES = (
    SUMMARY_FILE,
    "observations.parquet",
    "observations.csv",
    "report.html",
    "annotated.mp4",
    "annotated",
)
"""Everything that an analysis may leave in its folder."""


@dataclass(frozen=True)
class Analysis:
    """What was read from one source."""

    table: Observations
    """One row per face and analysed frame, one row for a frame without a face; read in batches."""
    summary: dict[str, Any]
    """Numbers per person and for everyone, settings, the model's spec; JSON-ready."""
    temporary: tempfile.TemporaryDirectory[str] | None = None
    """Where the table lies when no folder was named; it goes with this object."""

    @property
    def observations(self) -> "pd.DataFrame":
        """The whole table in memory."""
        return self.table.to_pandas()

    def report(self, path: str | Path) -> Path:
        """Write the report, one self-contained HTML file.

        Raises:
            OutputError: the place cannot be written.
        """
        from emoscope.report import create_report

        # Faces and video lie beside the table.
        folder = self.table.place.parent if isinstance(self.table.place, Path) else None
        text = create_report(self.table, self.summary, folder, is_beside=folder == Path(path).parent)
        with open_atomic(Path(path)) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return Path(path)

    def save(self, folder: str | Path, with_report: bool = True) -> Path:
        """Write observations.parquet, observations.csv, summary.json and report.html into a folder.

        Files of an earlier analysis there are replaced, others left alone.

        Raises:
            OutputError: the place cannot be written.
        """
        with open_atomic_folder(Path(folder), OUTPUT_NAMES) as temporary:
            self.write_into(temporary, with_report)
        return Path(folder)

    def write_into(self, folder: Path, with_report: bool = True) -> None:
        """Write the files of save() into an existing folder, one after the other."""
        import json

        place = folder / "observations.parquet"
        if isinstance(self.table.place, Path) and self.table.place != place:
            shutil.copyfile(self.table.place, place)
        self.table.write_csv(folder / "observations.csv")
        text = json.dumps(self.summary, indent=2, ensure_ascii=False)
        (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")
        if with_report:
            self.report(folder / "report.html")


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


def analyze_video(path: str | Path, every: int = 1, **options: Any) -> Analysis:
    """Read a video file, or a folder of pictures.

    Args:
        path: the file or folder; a folder must not hold both pictures and videos, or several videos.
        every: read only every n-th frame.
        options: those of Analyzer: detector, model, n_views, balanced, max_side_px.

    Raises:
        InputError: no such file, or nothing in it that can be decoded.
        ModelError: a model that is damaged or not to be had.
    """
    sources = find_sources([Path(path)], every)
    if len(sources) != 1:
        raise InputError(f"{path} holds {len(sources)} sources, expected one; call analyze_video for each")
    temporary = tempfile.TemporaryDirectory(prefix="emoscope-")
    return dataclasses.replace(analyze_source(sources[0], Path(temporary.name), **options), temporary=temporary)


def analyze_source(
    source: Source,
    folder: Path,
    detector: str = "auto",
    with_annotation: bool = False,
    on_frame: Callable[[FrameResult], None] = lambda result: None,
    **options: Any,
) -> Analysis:
    """Read one source to its end.

    Args:
        source: a video or pictures.
        folder: where the table goes, frame by frame.
        detector: `auto`, `yunet` or `haar`.
        with_annotation: also write annotated.mp4, or annotated/ with a picture each.
        on_frame: told each frame's result as it is done.
        options: those of Analyzer.

    Raises:
        InputError: nothing in the source can be decoded.
        ModelError: a model that is damaged or not to be had.
    """
    start = time.perf_counter()
    if source.kind == "pictures":
        options = {"max_side_px": PICTURE_SIDE_PX, **options}
    analyzer = Analyzer(detector=detector, **options)
    place = folder / "observations.parquet"
    size_wh = (0, 0)
    with (
        ObservationsWriter(place) as table,
        VideoWriter(folder / "annotated.mp4", source.frame_rate) as video,
    ):
        for frame, result in analyzer.analyze_frames(source):
            table.add(result)
            size_wh = result.size_wh
            if with_annotation and source.kind == "video":
                video.add(frame, result)
            elif with_annotation:
                _write_picture(folder / "annotated", frame, result)
            on_frame(result)
    observations = Observations(place)
    if table.n_rows == 0:
        raise InputError(f"{source.path}: none of its pictures can be read; first: {source.problems[0]}")
    facts = {
        "schema_version": SCHEMA_VERSION,
        "source": str(source.path),
        "kind": source.kind,
        "status": "incomplete" if source.problems else "complete",
        "message": "; ".join(source.problems) or None,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "frames_in_source": source.frames_announced or source.frames_read,
        "duration_s": source.duration_s,
        "size_wh": list(size_wh),
        "settings": {
            "every": source.every,
            "detector": analyzer.detector.name,
            "detector_reason": analyzer.detector_reason,
            "max_side_px": analyzer.max_side_px,
            "model": analyzer.recognizer.spec.name,
            "views": analyzer.recognizer.n_views,
            "balanced": analyzer.recognizer.balanced,
            "emoscope": emoscope.__version__,
            "wall_s": round(time.perf_counter() - start, 3),
        },
        "model": analyzer.recognizer.describe(),
    }
    return Analysis(observations, compute_summary(observations, facts))


def _write_picture(folder: Path, frame: Frame, result: FrameResult) -> None:
    import cv2

    folder.mkdir(exist_ok=True)
    encoded = cv2.imencode(".jpg", annotate(frame.image, result))[1]
    # The number keeps pictures of the same name in different folders apart.
    (folder / f"{frame.index:05d}-{Path(frame.source).stem}.jpg").write_bytes(encoded.tobytes())
