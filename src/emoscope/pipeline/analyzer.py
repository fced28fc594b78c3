"""The pipeline: Frame in, FrameResult out. Detect, track, crop, preprocess, recognise, smooth."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np

from emoscope.core.frame_result import FrameResult
from emoscope.core.native import count_cores
from emoscope.core.picture import Picture, to_image
from emoscope.core.types import Faces, Frame
from emoscope.faces.detect import VideoDetector, create_detector
from emoscope.faces.mesh import Mesh
from emoscope.faces.recalibration import Recalibration
from emoscope.faces.recognize import Recognizer
from emoscope.faces.upright import Cutter
from emoscope.pipeline.keeping import Keeper
from emoscope.pipeline.prefetch import MAX_BYTES, Ahead
from emoscope.tracking.smooth import Smoother
from emoscope.tracking.track import Tracker

PICTURE_SIDE_PX = 1280
"""Detection size of pictures: group photos have small faces, and there is time."""
VIDEO_SIDE_PX = 640
"""Detection size of video."""
FRAMES_AT_ONCE = 8
"""Frames whose faces are recognised together: eight take half the time of singles (results/recognition.json)."""

Look = tuple[Frame, Faces]
"""A frame and its faces with their track_id."""


class Analyzer:
    """Reads the emotions of every face, frame by frame; keeps who is who between frames.

    Examples:
        >>> analyzer = emoscope.Analyzer(smooth=0.5)
        >>> for i in range(3):
        ...     result = analyzer.analyze(emoscope.Frame(image, index=i, time_s=i / 25))
        >>> [(face.track_id, face.emotion) for face in result]
        [(1, 'happy')]
    """

    def __init__(
        self,
        detector: str = "auto",
        model: str | Path = "default",
        views: int = 1,
        balanced: bool = False,
        max_side_px: int = VIDEO_SIDE_PX,
        smooth: float = 0.0,
        set_90: bool = False,
        attention: bool = False,
        calibration: Recalibration | None = None,
        reading: Literal["every", "adaptive"] = "every",
        device: str = "auto",
    ) -> None:
        """Load detector and network.

        Args:
            detector: `auto`, `yunet` or `own`.
            model: name of an embedded network, or an ONNX file that `emoscope export` made.
            views: 1, 2 or 10 views averaged per face.
            balanced: use the operating point with the higher macro F1.
            max_side_px: a larger image is reduced to this for detection; faces are read at full resolution.
            smooth: time constant in seconds of the smoothed probabilities that stand beside the raw ones; 0 for none.
            set_90: also give for each face the emotions among which the right one is in nine of ten faces.
            attention: also tell how heads are held and whether eyes are closed.
            calibration: a project's own, made for this model, these views and this operating point.
            reading: `every` face of every frame, or `adaptive`: faces that hardly change keep their last reading.
            device: where networks run, see emoscope.faces.devices.

        Raises:
            InputError: an unknown detector or model, an impossible number, or a model that knows no sets.
            ModelError: a model file that is damaged or not to be had; the mesh has not been fetched.
        """
        self.recognizer = Recognizer(model, views, balanced, calibration, device)
        self.set_ratio = self.recognizer.find_set_ratio() if set_90 else None
        self.cutter = Cutter(self.recognizer.spec.crop_margin, self.recognizer.spec.limits)
        self.mesh = Mesh() if attention else None
        choice = create_detector(detector, max_side_px, device)
        self.detector, self.detector_reason = VideoDetector(choice.detector), choice.reason
        self.max_side_px = max_side_px
        self.smooth_s = smooth
        self.is_adaptive = reading == "adaptive"
        # What is kept depends on what was read before, and other devices than processors take one call at a time.
        self.n_readers = 1 if self.is_adaptive or self.recognizer.device.name != "cpu" else min(count_cores(), 4)
        self.begin()

    def __repr__(self) -> str:
        return f"Analyzer({self.detector.name!r}, {self.recognizer.spec.name!r}, views={self.recognizer.n_views})"

    def begin(self) -> None:
        """Forget everybody: what comes next is another recording, whose people are counted from 1."""
        self.tracker = Tracker()
        self.detector.forget()
        self.smoother = Smoother(self.smooth_s) if self.smooth_s else None
        self.keeper = Keeper(len(self.recognizer.spec.labels)) if self.is_adaptive else None
        self.source: str | None = None

    def analyze(self, picture: Frame | Picture) -> FrameResult:
        """Read one frame, or one picture that stands alone.

        Args:
            picture: a Frame: those of one video must come in their order, one of another file begins anew. Or a
                picture as analyze_image takes it: nobody is carried over to it, nor from it to what comes next.

        Raises:
            InputError: it is no picture.
        """
        if not isinstance(picture, Frame):
            frame = to_frame(picture)
            self.begin()
            try:
                return self.analyze(frame)
            finally:
                self.begin()
        [(_, result)] = self._complete(self._read([self._look(picture)]))
        return result

    def analyze_frames(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, FrameResult]]:
        """Read frame after frame as analyze does; decoding, detection and recognition run at the same time.

        Args:
            frames: taken in a thread of their own, unless they are `read_ahead()` already.
        """
        with (
            contextlib.nullcontext(frames) if isinstance(frames, Ahead) else read_ahead(frames) as decoded,
            Ahead(self._follow(decoded), lambda look: look[0].raster.nbytes) as looks,
            ThreadPoolExecutor(self.n_readers) as readers,
        ):
            # Several faces take longer to read than all else: cores that are left read the next frames meanwhile.
            reading: deque[tuple[int, Future[list[Look]]]] = deque()
            is_over = False
            while not is_over:
                batch = looks.take(FRAMES_AT_ONCE)
                n_bytes, is_over = sum(frame.raster.nbytes for frame, _ in batch), not batch
                while reading and (is_over or len(reading) > self.n_readers or _is_full(reading, n_bytes)):
                    yield from self._complete(reading.popleft()[1].result())
                if batch:
                    reading.append((n_bytes, readers.submit(self._read, batch)))
                del batch

    def _follow(self, frames: Iterable[Frame]) -> Iterator[Look]:
        for frame in frames:
            yield self._look(frame)
            del frame

    def _look(self, frame: Frame) -> Look:
        """Find and follow the faces of one frame."""
        if frame.source != self.source:
            # Another file: nobody is carried over.
            self.source = frame.source
            self.tracker.forget()
            self.detector.forget()
        expected_xyxy = self.tracker.predict(frame.time_s)
        faces = self.detector.detect(frame.raster, frame.time_s, expected_xyxy)
        if not isinstance(frame.raster, np.ndarray):
            # Each is looked at by the tracker, and cut out.
            frame.raster.prepare(2 * len(faces))
        return frame, self.tracker.update(faces, frame.time_s, frame.raster, frame.n_breaks, frame.is_blend)

    def _read(self, looks: list[Look]) -> list[Look]:
        """Cut out and read the faces of several frames at once; several threads may be at it unless some are kept."""
        cut = self.cutter.cut_all([(frame.raster, faces) for frame, faces in looks])
        crops = [crop for _, crops in cut for crop in crops]
        kept = None
        if self.keeper is None:
            probabilities = self.recognizer.predict(crops)
        else:
            times = [(frame.time_s, faces) for frame, faces in looks]
            probabilities, kept = self.keeper.read(times, crops, self.recognizer.predict)
        read, first = [], 0
        for (frame, _), (faces, _) in zip(looks, cut, strict=True):
            part = slice(first, first := first + len(faces))
            parts = {} if kept is None else {"kept": kept[part]}
            read.append((frame, faces.replace(probabilities=probabilities[part], **parts)))
        return read

    def _complete(self, looks: list[Look]) -> list[tuple[Frame, FrameResult]]:
        """Add what follows people from frame to frame, in the order of time."""
        results = []
        for frame, faces in looks:
            if self.mesh is not None:
                faces = self.mesh.measure(frame.image, faces)
            if self.smoother is not None and faces.track_id is not None and faces.probabilities is not None:
                smoothed = self.smoother.update(faces.track_id, faces.probabilities, frame.time_s)
                faces = faces.replace(smoothed=smoothed)
            uncertain_below = self.recognizer.calibration.uncertain_below
            place, classes = (frame.index, frame.time_s, frame.source, frame.size_wh), self.recognizer.spec.labels
            result = FrameResult(*place, faces, uncertain_below, frame.shot, self.set_ratio, classes)
            results.append((frame, result))
        return results


def _is_full(reading: Iterable[tuple[int, object]], more_bytes: int) -> bool:
    return more_bytes + sum(n_bytes for n_bytes, _ in reading) > 2 * MAX_BYTES


def read_ahead(frames: Iterable[Frame]) -> Ahead[Frame]:
    """Return frames that are decoded from now on, a bounded number ahead; a context that ends this."""
    return Ahead(iter(frames), lambda frame: frame.raster.nbytes)


def to_frame(picture: Picture) -> Frame:
    """Return a single picture as a Frame; its source is the file's name, where it has one.

    Raises:
        InputError: it is no picture.
    """
    return Frame(to_image(picture), source=str(picture) if isinstance(picture, str | PathLike) else "")
