"""Annotated video: frames with their results in, an H.264 mp4 with the source's times and sound out."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame, Image
from emoscope.outputs import blur as hide
from emoscope.outputs.annotate import draw_result
from emoscope.outputs.sound import Sound, is_disk_error

TIME_BASE_HZ = 90_000
TAIL_S = 1.0
"""Sound goes on for so long after the last frame, if the source has it."""


class VideoWriter:
    """Writes annotated.mp4 on the time axis of the source; a context. Browsers can seek in it: its index leads."""

    def __init__(
        self,
        path: Path,
        frame_rate: float | None,
        sound_from: Path | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        blur: bool = False,
    ) -> None:
        """Prepare; the file is opened with the first frame.

        Args:
            path: the mp4 file.
            frame_rate: frames per second, a hint for players; times come from the frames.
            sound_from: the source; its first audio stream is kept, copied where mp4 can hold it.
            start_s: sound before it is left out.
            end_s: sound after it is left out.
            blur: hide who the people are, also for half a second after a face was last found.
        """
        self.path, self.frame_rate = path, frame_rate or 25.0
        self.sound_from, self.start_s, self.end_s = sound_from, start_s, end_s
        self.hider = hide.FaceHider() if blur else None
        self.sides: dict[int, int] = {}
        self.problems: list[str] = []
        """What was wrong with the sound; the video is complete."""
        self.container: Any = None
        self.sound: Sound | None = None
        self.last_pts = -1
        self.gap = round(TIME_BASE_HZ / self.frame_rate)

    def __enter__(self) -> Self:
        return self

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Write one annotated frame."""
        import av

        image = frame.image.copy()
        if self.hider is not None:
            hide.blur_in_place(image, self.hider.update(result))
        draw_result(image, result, self.sides)
        if self.container is None:
            self._open(image)
        # OpenCV's conversion is four times as fast as FFmpeg's.
        planes = cv2.cvtColor(_fit(image, self.size_wh), cv2.COLOR_BGR2YUV_I420)
        picture = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        pts = max(self.last_pts + 1, round(frame.time_s * TIME_BASE_HZ))
        if self.last_pts >= 0:
            self.gap = pts - self.last_pts
        self.last_pts = pts
        picture.pts, picture.time_base = pts, Fraction(1, TIME_BASE_HZ)
        # Counts for the last frame only: the others last until the next.
        picture.duration = self.gap
        self._mux(self.stream.encode(picture))
        if self.sound is not None:
            self.sound.advance(pts / TIME_BASE_HZ)

    def _mux(self, packets: list[Any]) -> None:
        import av

        for packet in packets:
            try:
                self.container.mux(packet)
            except (av.FFmpegError, OSError, ValueError) as e:
                # Packets wait until those of the other stream have come: what is wrong with the sound may show here.
                if self.sound is None or self.sound.output is None or is_disk_error(e):
                    raise
                self.sound.give_up(e)

    def _open(self, image: Image) -> None:
        """Open the file, with sound if that can be, in the best way that works."""
        import av

        # 4:2:0 needs even sides: one row or column more rather than less.
        self.size_wh = image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2
        sound = None if self.sound_from is None else Sound(self.sound_from, self.start_s, self.end_s)
        for way in () if sound is None else sound.ways:
            try:
                self._start(sound, way)
                self.sound = sound
                return
            except (av.FFmpegError, OSError, ValueError, RuntimeError) as e:
                if is_disk_error(e):
                    raise
                reason = f"the sound of {self.sound_from} cannot be kept ({getattr(e, 'strerror', None) or e})"
                if self.container is not None:
                    self.container.close()
        if sound is not None:
            self.problems += [*sound.problems, *([reason] if sound.ways else [])]
            sound.close()
        self._start(None, "")

    def _start(self, sound: Sound | None, way: str) -> None:
        import av

        self.container = av.open(f"file:{self.path}", "w", options={"movflags": "+faststart"})
        self.stream = self.container.add_stream("libx264", rate=Fraction(self.frame_rate).limit_denominator(1001))
        self.stream.width, self.stream.height = self.size_wh
        self.stream.pix_fmt = "yuv420p"
        self.stream.options = {"crf": "23", "preset": "veryfast"}
        context = self.stream.codec_context
        context.time_base = Fraction(1, TIME_BASE_HZ)
        # What OpenCV converts to: BT.601, 16 to 235; untagged large video would be taken for BT.709.
        context.color_range, context.colorspace = 1, 6
        if sound is not None:
            sound.add_to(self.container, way)
        self.container.start_encoding()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.container is not None and kind is None:
                self._mux(self.stream.encode())
                if self.sound is not None:
                    self.sound.advance(self.last_pts / TIME_BASE_HZ + max(TAIL_S, self.gap / TIME_BASE_HZ))
        finally:
            if self.sound is not None:
                self.problems += self.sound.problems
                self.sound.close()
            if self.container is not None:
                self.container.close()


def _fit(image: Image, size_wh: tuple[int, int]) -> Image:
    """Bring an image to the video's size: an odd side gets one more pixel, any other size is resized."""
    more_x, more_y = size_wh[0] - image.shape[1], size_wh[1] - image.shape[0]
    if more_x == more_y == 0:
        return image
    if more_x in (0, 1) and more_y in (0, 1):
        return np.asarray(cv2.copyMakeBorder(image, 0, more_y, 0, more_x, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
