"""One call: a picture or a video in, a FrameResult or an Analysis out."""

import dataclasses
import functools
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

from emoscope.analysis.one import Analysis, Progress, analyze_source, create_analyzer, create_reporter
from emoscope.analysis.recorder import KIND, OUTPUT_NAMES
from emoscope.analysis.result_folders import identify
from emoscope.analysis.settings import Detector, Reading, Settings, Thumbnails
from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.owned import open_owned
from emoscope.core.picture import Picture, Pictures
from emoscope.core.timecode import Baseline
from emoscope.faces.devices import DeviceName
from emoscope.faces.recalibration import Recalibration
from emoscope.faces.registry import YUNET
from emoscope.media.find import find_sources
from emoscope.pipeline.analyzer import PICTURE_SIDE_PX, Analyzer
from emoscope.tables.events import Event

ANALYZERS_KEPT = 4
"""Analyzers that analyze_image keeps, each with other options; 20 to 60 MB each."""


# A text is a sequence of texts, too: it is the first that counts.
@overload
def analyze_image(  # type: ignore[overload-overlap]
    picture: Picture,
    *,
    detector: Detector = ...,
    model: str | Path = ...,
    views: int = ...,
    balanced: bool = ...,
    set_90: bool = ...,
    max_side_px: int = ...,
    device: DeviceName = ...,
) -> FrameResult: ...


@overload
def analyze_image(
    picture: Pictures,
    *,
    detector: Detector = ...,
    model: str | Path = ...,
    views: int = ...,
    balanced: bool = ...,
    set_90: bool = ...,
    max_side_px: int = ...,
    device: DeviceName = ...,
) -> list[FrameResult]: ...


def analyze_image(
    picture: Picture | Pictures,
    *,
    detector: Detector = "auto",
    model: str | Path = "default",
    views: int = 1,
    balanced: bool = False,
    set_90: bool = False,
    max_side_px: int = PICTURE_SIDE_PX,
    device: DeviceName = "auto",
) -> FrameResult | list[FrameResult]:
    """Read the faces of one picture, or of each in a list.

    Detector and network are kept for the next call with the same options; calls from several threads take turns.

    Args:
        picture: a file's name, its content, an open file, a Pillow picture, or an array: grey (h, w), BGR (h, w, 3)
            or BGRA (h, w, 4), uint8 or uint16. Or a list of these.
        detector: `auto`, `yunet` or `own`.
        model: name of an embedded network, or an ONNX file that `emoscope export` made.
        views: 1, 2 or 10 views averaged per face.
        balanced: name rare emotions more often: higher macro F1.
        set_90: also tell for each face the emotions among which the right one is in nine of ten.
        max_side_px: a larger picture is reduced to this for detection; faces are read at full resolution.
        device: where networks run: `auto`, `cpu`, `cuda`, `openvino`, `coreml` or `directml`.

    Returns:
        What was read; for a list, a list in its order.

    Examples:
        >>> result = emoscope.analyze_image("portrait.png")
        >>> for face in result:
        ...     print(face.emotion, face.uncertain)
        happy False
        >>> with open("portrait.png", "rb") as file:
        ...     [len(result) for result in emoscope.analyze_image([file, image, "wall.png"])]
        [1, 1, 0]

    Raises:
        InputError: no such file, no picture, or an impossible option.
        ModelError: a model that is damaged or not to be had.
    """
    options = locals()
    settings = Settings.model_validate({name: options[name] for name in Settings.model_fields if name in options})
    path = Path(model)
    # What else the choice of files depends on: a model may be exported again, YuNet may have been fetched meanwhile.
    state = path.stat().st_mtime_ns if path.is_file() else 0, YUNET.path if YUNET.path.is_file() else None
    analyzer, lock = _keep_analyzer(settings, state)
    with lock:
        if isinstance(picture, list | tuple):
            return [analyzer.analyze(one) for one in picture]
        return analyzer.analyze(picture)  # type: ignore[arg-type]


@functools.lru_cache(ANALYZERS_KEPT)
def _keep_analyzer(settings: Settings, state: object) -> tuple[Analyzer, threading.Lock]:
    return create_analyzer(settings, is_video=False), threading.Lock()


def analyze_video(
    path: str | Path,
    *,
    every: int | str = 1,
    start: float | str = 0.0,
    end: float | str | None = None,
    sequence: float | None = None,
    smooth: float = 0.0,
    baseline: str | Baseline = "off",
    exclude: bool = False,
    attention: bool = False,
    event_columns: str | None = None,
    event_tiers: str | Sequence[str] = (),
    events: str | Path | Sequence[Event] = (),
    detector: Detector = "auto",
    model: str | Path = "default",
    views: int = 1,
    balanced: bool = False,
    set_90: bool = False,
    reading: Reading = "every",
    device: DeviceName = "auto",
    calibration: str | Path | Recalibration | None = None,
    max_side_px: int | None = None,
    report: bool = True,
    formats: str | Sequence[str] = (),
    annotate: bool = False,
    blur_faces: bool = False,
    thumbnails: Thumbnails = "none",
    explain: bool = False,
    anonymous: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Analysis:
    """Read a video file, or a folder of pictures; the options are those of `emoscope analyze`.

    Args:
        path: the file or folder; a folder must not hold both pictures and videos, or several videos.
        every: read only every n-th frame, or with a text such as `0.2s` at most one frame in so many seconds.
        start: leave out what comes before: seconds, or a clock time such as `1:30`.
        end: leave out what comes from there on; None reads to the end.
        sequence: pictures per second, where path is a folder of a film's numbered frames (frame1.png, ...).
        smooth: time constant in seconds of the smoothed probabilities beside the raw ones; 0 for none.
        baseline: `auto`, a span such as `12-20` or `event:NAME`: each person's resting face as the zero line; or `off`.
        exclude: leave faces beyond the model's limits (too dark, small, blurred, flat) out of all numbers.
        attention: also tell how heads are held and whether eyes are closed; `emoscope models --fetch` fetches the mesh.
        event_columns: which columns of a log hold its events, such as `name=stimulus,start=onset,end=offset,unit=ms`.
        event_tiers: which tiers of an ELAN document or a TextGrid are events.
        events: marked segments to compare: a table with name, start_s, end_s, a file of BIDS, BORIS, ELAN or Praat, a
            log, or a list of Event.
        detector: `auto`, `yunet` or `own`.
        model: name of an embedded network, or an ONNX file that `emoscope export` made.
        views: 1, 2 or 10 views averaged per face.
        balanced: name rare emotions more often: higher macro F1.
        set_90: also tell for each face the emotions among which the right one is in nine of ten.
        reading: `every` face of every frame, or `adaptive`: a face that hardly changes keeps its reading; the table's
            column `kept` marks it.
        device: where networks run: `auto`, `cpu`, `cuda`, `openvino`, `coreml` or `directml`.
        calibration: a file of `emoscope agree --write-calibration`: probabilities as people saw these recordings.
        max_side_px: a larger frame is reduced to this for detection; None: larger for pictures than for video.
        report: make report.html.
        formats: more files of the observations: `jsonl`, `eaf` (ELAN), `vtt` (subtitles).
        annotate: make annotated.mp4, or a picture each.
        blur_faces: hide who the people are there, and in explanations.
        thumbnails: faces shown in the report: `none`, `clear` or `blurred`.
        explain: show for some moments what the network looked at; keeps pictures of these faces.
        anonymous: write no face boxes and no clear face.
        on_progress: called with how far it is after every frame.

    Examples:
        >>> analysis = emoscope.analyze_video("clip.mp4", every="0.2s", end="0:01", smooth=0.5)
        >>> analysis.summary.frames, analysis.summary.people_count
        (5, 1)
        >>> analysis.save("clip-emoscope").name
        'clip-emoscope'

    Raises:
        InputError: no such file, nothing in it that can be decoded, or an impossible option.
        ModelError: a model that is damaged or not to be had.
    """
    options = locals()
    settings = Settings.model_validate({name: options[name] for name in Settings.model_fields})
    sources = find_sources([Path(path)], settings.every, settings.start, settings.end, settings.sequence)
    if len(sources) != 1:
        raise InputError(f"{path} holds {len(sources)} sources, expected one; call analyze_video for each")
    settings.check_baseline()
    settings = settings.select_events(sources[0].path)
    temporary = tempfile.TemporaryDirectory(prefix="emoscope-")
    on_frame = create_reporter(sources[0], 1, 1, on_progress)
    folder = Path(temporary.name)
    with open_owned(folder, KIND, identify(sources[0]), OUTPUT_NAMES) as working:
        analyze_source(sources[0], working, settings, on_frame)
    return dataclasses.replace(Analysis.load(folder), temporary=temporary)
