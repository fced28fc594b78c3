"""Annotation: frames with their results in, pictures or a video with boxes, numbers and emotions out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from emoscope.emotions import COLOURS, EMOTIONS
from emoscope.types import Frame, FrameResult, Image

if TYPE_CHECKING:
    from types import TracebackType

BGR = [tuple(int(c[i : i + 2], 16) for i in (5, 3, 1)) for c in COLOURS]


def annotate(image: Image, result: FrameResult) -> Image:
    """Return a copy of the image with each face's box, person number, emotion and probability."""
    out = image.copy()
    scale = max(0.4, min(image.shape[:2]) / 900)
    thickness = max(1, round(2 * scale))
    for i, box in enumerate(result.faces.xyxy):
        probabilities = result.probabilities[i]
        top = int(probabilities.argmax())
        x1, y1, x2, y2 = (int(np.clip(v, -1e6, 1e6)) for v in box)
        cv2.rectangle(out, (x1, y1), (x2, y2), BGR[top], thickness)
        ids = result.faces.track_id
        text = f"{'' if ids is None else f'{ids[i]} '}{EMOTIONS[top]} {100 * probabilities[top]:.0f}%"
        if result.uncertain[i]:
            text += " ?"
        (w, h), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        y = max(y1, h + baseline + 2)
        cv2.rectangle(out, (x1, y - h - baseline - 2), (x1 + w + 4, y), BGR[top], cv2.FILLED)
        cv2.putText(
            out, text, (x1 + 2, y - baseline), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA
        )
    return out


class VideoWriter:
    """Writes annotated.mp4 (H.264) with the presentation times of the source; a context."""

    TIME_BASE_HZ = 90_000

    def __init__(self, path: Path, frame_rate: float | None) -> None:
        """Prepare; the file is opened with the first frame.

        Args:
            path: the mp4 file.
            frame_rate: frames per second, a hint for players; times come from the frames.
        """
        self.path, self.frame_rate = path, frame_rate or 25.0
        self.container: Any = None
        self.last_pts = -1

    def __enter__(self) -> "VideoWriter":
        return self

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Write one annotated frame."""
        import av

        image = annotate(frame.image, result)
        if self.container is None:
            from fractions import Fraction

            self.container = av.open(str(self.path), "w")
            self.stream = self.container.add_stream("libx264", rate=Fraction(self.frame_rate).limit_denominator(1001))
            # 4:2:0 needs even sides: one row or column more rather than less.
            self.size_wh = image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2
            self.stream.width, self.stream.height = self.size_wh
            self.stream.pix_fmt = "yuv420p"
            self.stream.options = {"crf": "23", "preset": "veryfast"}
            self.stream.codec_context.time_base = Fraction(1, self.TIME_BASE_HZ)
            self.reformatter = av.video.reformatter.VideoReformatter()
        if (image.shape[1], image.shape[0]) != self.size_wh:
            image = np.asarray(cv2.resize(image, self.size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
        picture = av.VideoFrame.from_ndarray(image, format="bgr24")
        picture = self.reformatter.reformat(picture, format="yuv420p")
        self.last_pts = max(self.last_pts + 1, round(frame.time_s * self.TIME_BASE_HZ))
        picture.pts, picture.time_base = self.last_pts, self.stream.codec_context.time_base
        self.container.mux(self.stream.encode(picture))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self.container is not None:
            if kind is None:
                self.container.mux(self.stream.encode())
            self.container.close()
