"""Recording: frames with their results in, the files of a result folder out, written as they come."""

import contextlib
import datetime
import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from emoscope.analysis.settings import Settings
from emoscope.core.files import write_json
from emoscope.core.frame_result import FrameResult
from emoscope.core.manifest import CUT_OFF, Manifest
from emoscope.core.owned import open_part
from emoscope.core.page_file import write_page
from emoscope.core.schema import QUALITY
from emoscope.core.texts import make_printable
from emoscope.core.types import Frame
from emoscope.media.source import Source
from emoscope.outputs.annotate import annotate
from emoscope.outputs.formats import FORMATS, TIMED
from emoscope.outputs.thumbnails import ThumbnailKeeper
from emoscope.outputs.video_writer import VideoWriter
from emoscope.pipeline.analyzer import Analyzer
from emoscope.tables.audience import write_audience_csv
from emoscope.tables.baseline import add_changes, compute_baselines
from emoscope.tables.observations import SCHEMA_VERSION, Observations, ObservationsWriter, StreamWriter, convert_stream
from emoscope.tables.summarize import compute_summary, describe_refused
from emoscope.tables.summary import End, Facts, Kind, Summary, UsedSettings

SUMMARY_FILE: Final = "summary.json"
"""Written last: a folder that has it is whole."""
TABLE_FILE: Final = "observations.parquet"
STREAM_FILE: Final = "observations.arrows"
"""The table of a recording while it runs."""
AUDIENCE_FILE: Final = "audience.csv"
REPORT_FILE: Final = "report.html"

ROLL: Final = QUALITY.index("roll_deg")
INVERTED_DEG: Final = 135.0
"""Faces turned by more than this stand on their heads."""
LEAST_FACES: Final = 5
"""Of fewer faces nothing is said: a single one may be a false detection."""

MAX_STEM: Final = 60
"""Characters of a picture's name in that of its annotated copy."""

log = logging.getLogger(__name__)

KIND: Final = "analysis"
"""What manifests call these results."""
OUTPUT_NAMES: Final = (
    SUMMARY_FILE,
    TABLE_FILE,
    "observations.csv",
    AUDIENCE_FILE,
    REPORT_FILE,
    "annotated.mp4",
    "annotated",
    "thumbnails",
    "explanations",
    *(f"observations.{name}" for name in FORMATS),
)
"""Everything that an analysis may leave in its folder."""


class Recorder:
    """Writes what was asked for into a folder; a context that closes the files."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        analyzer: Analyzer,
        name: str,
        kind: Kind = "live",
        source: Source | None = None,
    ) -> None:
        """Open the table.

        Args:
            folder: an empty folder.
            settings: what to write.
            analyzer: what reads the frames.
            name: what the summary calls the source.
            kind: what the source is.
            source: where the frames come from, if they can be read again.
        """
        self.folder, self.settings = folder, settings
        # Not the analyzer itself: its networks need memory, and have done their part before the end.
        self.model, self.used = analyzer.recognizer.describe(), describe_use(analyzer, source)
        self.recognizer = analyzer.recognizer if settings.explain else None
        self.name, self.kind, self.source = name, kind, source
        self.size_wh = (0, 0)
        self.n_faces = self.n_inverted = 0
        self.problems: list[str] = []
        self.stack = contextlib.ExitStack()
        # What a camera saw can never be seen again.
        classes = analyzer.recognizer.spec.labels
        extra = settings.list_extra_columns(classes)
        create, file = (StreamWriter, STREAM_FILE) if kind == "live" else (ObservationsWriter, TABLE_FILE)
        self.table = self.stack.enter_context(create(folder / file, extra, settings.has_boxes, classes))
        self.video: VideoWriter | None = None
        has_faces, blur = settings.thumbnails != "none", settings.thumbnails == "blurred"
        self.thumbnails = ThumbnailKeeper(blur, settings.exclude) if has_faces else None

    def __enter__(self) -> Self:
        return self

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Take one frame; frames come in their order."""
        self.size_wh = result.size_wh
        was_empty = self.table.n_written == 0
        self.table.add(result)
        if self.kind == "live" and was_empty and self.table.n_written:
            end = End(status="incomplete", reason="stopped", duration_s=0.0)
            note_facts(self.folder, self._describe(end, UsedSettings(every=1)))
        if result.faces.quality is not None:
            self.n_faces += len(result)
            self.n_inverted += int((np.abs(result.faces.quality[:, ROLL]) > INVERTED_DEG).sum())
        if self.settings.annotate and self.kind == "pictures":
            self._write_picture(frame, result)
        elif self.settings.annotate:
            self.video = self.video or self._open_video()
            self.video.add(frame, result)
        if self.thumbnails is not None:
            self.thumbnails.add(frame, result)

    def find_inverted(self) -> Iterator[str]:
        """Yield a sentence if most faces stand on their heads."""
        if self.n_faces >= LEAST_FACES and self.n_inverted > self.n_faces / 2:
            yield (
                f"most faces in {self.name} stand on their heads ({self.n_inverted} of {self.n_faces}): "
                "it is probably stored upside down; turn it by 180 degrees and analyse it again"
            )

    def _open_video(self) -> VideoWriter:
        path, source = self.folder / "annotated.mp4", self.source
        if source is None:
            return self.stack.enter_context(VideoWriter(path, None, blur=self.settings.hides_faces))
        return self.stack.enter_context(
            VideoWriter(
                path, source.frame_rate, self._find_film(), source.start_s, source.end_s, self.settings.hides_faces
            )
        )

    def _find_film(self) -> Path | None:
        """Return the film's file, None where it is a camera or a sequence of pictures."""
        return self.source.path if self.source and self.source.sequence is None else None

    def _write_picture(self, frame: Frame, result: FrameResult) -> None:
        import cv2

        folder = self.folder / "annotated"
        folder.mkdir(exist_ok=True)
        encoded = cv2.imencode(".jpg", annotate(frame.image, result, self.settings.hides_faces))[1]
        # The number keeps pictures of the same name in different folders apart; a name has 255 bytes.
        (folder / f"{frame.index:05d}-{Path(frame.source).stem[:MAX_STEM]}.jpg").write_bytes(encoded.tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)
        if self.video is not None:
            self.problems += self.video.problems

    def finish(self, end: End, used: UsedSettings, fingerprint: str | None = None) -> tuple[Observations, Summary]:
        """Write everything that is known only at the end, after the context; the summary last.

        Args:
            end: how the source ended.
            used: settings that only the caller knows: every, end_s, dropped, wall_s.
            fingerprint: of source and settings, where the analysis may be resumed.

        Returns:
            The observations and their summary.
        """
        settings, place = self.settings, self.folder / TABLE_FILE
        if self.kind == "live":
            convert_stream(self.folder / STREAM_FILE, place)
        facts = self._describe(end, used, fingerprint)
        observations, summary = self._measure(facts, place)
        observations.write_csv(self.folder / "observations.csv")
        if self.kind != "pictures":
            write_audience_csv(observations, self.folder / AUDIENCE_FILE)
        for name in settings.formats:
            if self.kind != "pictures" or name not in TIMED:
                FORMATS[name](observations, summary, self.folder / f"observations.{name}", self._find_film())
        if self.thumbnails is not None:
            self.thumbnails.save(self.folder)
        if self.recognizer is not None:
            from emoscope.outputs.explain import explain

            # The table has names that can be shown anywhere; an upload's is its client's.
            files = (self.source.path, *self.source.pictures) if self.source else ()
            places = {make_printable(str(path)): path for path in files}
            places |= {self.name: self.source.path} if self.source else {}
            explain(observations, summary, self.recognizer, self.folder, blur=settings.hides_faces, places=places)
        if settings.report:
            write_report(observations, summary, self.folder / REPORT_FILE, self.folder)
        (self.folder / SUMMARY_FILE).write_text(summary.to_json(), encoding="utf-8")
        if self.kind == "live":
            forget_facts(self.folder)
        return observations, summary

    def _measure(self, facts: Facts, place: Path) -> tuple[Observations, Summary]:
        """Compute all numbers, and write the changes against people's baselines into the table."""
        settings, observations = self.settings, facts.open_table(place)
        baselines = compute_baselines(observations, settings.baseline, settings.events)
        if baselines.lines:
            add_changes(place, baselines.lines)
            observations = facts.open_table(place)
        summary = compute_summary(observations, facts, settings.events, baselines.lines, baselines.refused)
        if refusal := describe_refused(summary):
            log.warning("%s: %s", self.name, refusal)
        return observations, summary

    def _describe(self, end: End, used: UsedSettings, fingerprint: str | None = None) -> Facts:
        return Facts(
            schema_version=SCHEMA_VERSION,
            source=self.name,
            kind=self.kind,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            size_wh=self.size_wh,
            model=self.model,
            fingerprint=fingerprint,
            **vars(end),
            settings=self.settings.complete(replace(used, **self.used)),
        )


def describe_use(analyzer: Analyzer, source: Source | None) -> dict[str, Any]:
    """Return what the settings leave open and an analyzer and a source decided, as of UsedSettings."""
    return {
        "detector": analyzer.detector.name,
        "detector_reason": analyzer.detector_reason,
        "device": analyzer.recognizer.device.name,
        "device_reason": analyzer.recognizer.device.reason,
        "max_side_px": analyzer.max_side_px,
        "model": analyzer.recognizer.spec.name,
        "start_s": source.start_s if source else 0.0,
    }


def note_facts(folder: Path, facts: Facts) -> None:
    """Write down what the table of a recording cannot tell, in case that it is cut off.

    Raises:
        OutputError: the place cannot be written.
    """
    write_json(folder / CUT_OFF, asdict(facts))


def forget_facts(folder: Path) -> None:
    """Take away what is only there for a recording that is cut off, whose result is whole now."""
    (folder / CUT_OFF).unlink(missing_ok=True)
    (folder / STREAM_FILE).unlink(missing_ok=True)


def write_report(
    observations: Observations, summary: Summary, path: Path, folder: Path, overwrite: bool = False
) -> None:
    """Write the report, whole or not at all.

    Args:
        observations: the table.
        summary: its summary.
        path: the HTML file.
        folder: holds the pictures that the report shows, and the video, which it plays if it lies there itself.
        overwrite: whether the report of another source may be replaced.

    Raises:
        OutputError: the place cannot be written, or something else is there.
    """
    from emoscope.report import create_report

    is_beside, manifest = path.parent.resolve() == folder.resolve(), Manifest.load(folder)
    text = create_report(observations, summary, folder, is_beside)
    if manifest is not None and is_beside and path.name == REPORT_FILE:
        with open_part(folder, (REPORT_FILE,), overwrite) as new:
            (new / REPORT_FILE).write_text(text, encoding="utf-8")
    else:
        write_page(path, text, "report", str(manifest.identity if manifest else summary.source), overwrite)
