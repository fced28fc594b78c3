"""The pipeline: Frame in, FrameResult out. Detect, track, crop, preprocess, recognise."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from emoscope.crop import crop_faces
from emoscope.detect import create_detector
from emoscope.recognize import Recognizer
from emoscope.track import Tracker
from emoscope.types import Frame, FrameResult

PICTURE_SIDE_PX = 1280
"""Detection size of pictures: group photos have small faces, and there is time."""
VIDEO_SIDE_PX = 640
"""Detection size of video."""


class Analyzer:
    """Reads the emotions of every face, frame by frame; keeps who is who between frames."""

    def __init__(
        self,
        detector: str = "auto",
        model: str | Path = "default",
        n_views: int = 1,
        balanced: bool = False,
        max_side_px: int = VIDEO_SIDE_PX,
    ) -> None:
        """Load detector and network.

        Args:
            detector: `auto`, `yunet` or `haar`.
            model: name of an embedded network, or an ONNX file that `emoscope export` made.
            n_views: 1, 2 or 10 views averaged per face.
            balanced: use the operating point with the higher macro F1.
            max_side_px: a larger image is reduced to this for detection; faces are read at full resolution.

        Raises:
            InputError: an unknown detector or model.
            ModelError: a model file that is damaged or not to be had.
        """
        self.recognizer = Recognizer(model, n_views, balanced)
        choice = create_detector(detector, max_side_px)
        self.detector, self.detector_reason = choice.detector, choice.reason
        self.max_side_px = max_side_px
        self.tracker = Tracker()

    def analyze(self, frame: Frame) -> FrameResult:
        """Read one frame; frames of one video must come in their order."""
        faces = self.tracker.update(self.detector.detect(frame.image), frame.time_s, frame.image)
        crops = crop_faces(frame.image, faces.xyxy, self.recognizer.spec.crop_margin)
        faces = faces.replace(probabilities=self.recognizer.predict(crops))
        uncertain_below = self.recognizer.calibration.uncertain_below
        return FrameResult(frame.index, frame.time_s, frame.source, frame.size_wh, faces, uncertain_below)

    def analyze_frames(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, FrameResult]]:
        """Read frame after frame; a frame of another file begins anew, nobody is carried over."""
        source = None
        for frame in frames:
            if frame.source != source:
                source = frame.source
                self.tracker.forget()
            yield frame, self.analyze(frame)
