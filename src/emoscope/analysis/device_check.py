"""A check of devices: frames in, each device's people, probabilities and speed beside the processor's out."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame
from emoscope.faces.crop import crop_faces
from emoscope.pipeline.analyzer import FRAMES_AT_ONCE, Analyzer

ROUNDS: Final = 7
"""Times each part is timed; the median counts."""


@dataclass(frozen=True)
class DeviceRow:
    """One device; the entries of `models --check-device --json`."""

    device: str
    """The one that was asked for."""
    used: str
    """Where the network ran: `cpu` where that one failed."""
    reason: str
    detector_used: str
    """Where the detector ran."""
    people: int
    """Found by it."""
    faces: int
    same_faces: float
    """Share of the processor's faces that were found too: in the same frame, as the same person."""
    same_emotion: float
    """Share of these in which the likeliest emotion is the processor's."""
    max_difference: float
    """Largest difference of a probability to the processor's."""
    ms_per_face: float
    """The network, in batches of eight."""
    ms_per_look: float
    """The detector, a picture at full detection size."""


def check_devices(frames: Sequence[Frame], names: Sequence[str], model: str = "default") -> list[DeviceRow]:
    """Analyse the same frames on several devices, the processor first.

    Args:
        frames: of one video, with faces in them.
        names: devices other than the processor.
        model: as in Settings.

    Raises:
        InputError: no such device or model.
        ModelError: a model that is damaged or not to be had.
    """
    analyzers = {name: Analyzer(model=model, device=name) for name in dict.fromkeys(("cpu", *names))}
    readings = {name: _read(analyzer, frames) for name, analyzer in analyzers.items()}
    return [_compare(name, analyzer, readings[name], readings["cpu"], frames) for name, analyzer in analyzers.items()]


def _read(analyzer: Analyzer, frames: Sequence[Frame]) -> dict[tuple[int, int], FrameResult]:
    results = [result for _, result in analyzer.analyze_frames(frames)]
    return {(r.index, i): r for r in results if r.faces.track_id is not None for i in r.faces.track_id.tolist()}


def _compare(
    name: str,
    analyzer: Analyzer,
    found: dict[tuple[int, int], FrameResult],
    expected: dict[tuple[int, int], FrameResult],
    frames: Sequence[Frame],
) -> DeviceRow:
    both = [place for place in expected if place in found]
    mine, theirs = (
        np.array([_find(readings[p], p[1]) for p in both]).reshape(len(both), -1) for readings in (found, expected)
    )
    recognizer, detector = analyzer.recognizer, analyzer.detector.detector
    crops = [
        crop for p in both[:FRAMES_AT_ONCE] for crop in crop_faces(frames[p[0]].image, found[p].faces.xyxy[:1], 0.0)
    ]
    return DeviceRow(
        device=name,
        used=recognizer.device.name,
        reason=recognizer.device.reason,
        detector_used=detector.device.name,
        people=len({track_id for _, track_id in found}),
        faces=len(found),
        same_faces=len(both) / len(expected) if expected else 1.0,
        same_emotion=float((mine.argmax(axis=1) == theirs.argmax(axis=1)).mean()) if both else 1.0,
        max_difference=float(np.abs(mine - theirs).max(initial=0.0)),
        ms_per_face=_time(lambda: recognizer.predict(crops)) / max(len(crops), 1),
        ms_per_look=_time(lambda: detector.detect(frames[0].image)),
    )


def _find(result: FrameResult, track_id: int) -> list[float]:
    faces = result.faces
    row = 0 if faces.track_id is None else faces.track_id.tolist().index(track_id)
    return [float(p) for p in result.probabilities[row]]


def _time(work: Callable[[], object]) -> float:
    """Return the median time in milliseconds; the first round, which may compile, does not count."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times[1:]), 3)
