"""Animated WebP: a file in, its frames as a video that FFmpeg reads out; FFmpeg itself reads still WebP only."""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.picture import check_size
from emoscope.core.types import Image

if TYPE_CHECKING:
    from av.video.stream import VideoStream

BLOCK_PIXELS = 1 << 24
"""So many pixels are decoded at once, 0.07 GB and as much again within OpenCV; a larger frame is refused."""
MAX_BLOCKS = 16
"""For each block OpenCV decodes everything before it again, so the time grows with the square of their number."""


def convert_animation(path: Path) -> IO[bytes]:
    """Write an animation without loss into a temporary file that goes with the returned handle.

    Raises:
        InputError: it is damaged from the beginning, too large or too long.
    """
    import av

    # A name is not needed, and without one nothing is left behind.
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    writer: VideoStream | None = None
    time_ms = 0
    try:
        with av.open(file, "w", format="nut") as out:
            for image, duration_ms in _read_frames(path):
                if writer is None:
                    # Larger files than FFV1's, but that needs 80 bytes of memory for a pixel.
                    writer = out.add_stream("utvideo", rate=25)
                    writer.height, writer.width = image.shape[:2]
                    writer.pix_fmt = "gbrp"
                    # Each thread would take frames of its own.
                    writer.codec_context.thread_count = 1
                    writer.codec_context.time_base = Fraction(1, 1000)
                picture = av.VideoFrame.from_ndarray(image, format="bgr24")
                picture.pts, picture.time_base = time_ms, Fraction(1, 1000)
                out.mux(writer.encode(picture.reformat(format="gbrp")))
                # Some animations say 0; browsers show these frames for a tenth of a second.
                time_ms += duration_ms or 100
            out.mux([] if writer is None else writer.encode())
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _read_frames(path: Path) -> Iterator[tuple[Image, int]]:
    """Yield each frame, BGR, and for how many milliseconds it is shown."""
    data = np.fromfile(path, np.uint8)[None]
    # The canvas, each side less one, in three bytes (RFC 9649, section 2.7).
    width, height = (int.from_bytes(data[0, at : at + 3].tobytes(), "little") + 1 for at in (24, 27))
    check_size(path, width, height, BLOCK_PIXELS)
    step = max(1, BLOCK_PIXELS // (width * height))
    n = 0
    for block in range(MAX_BLOCKS + 1):
        try:
            is_read, animation = cv2.imdecodeanimation(data, block * step, step)
        except cv2.error:
            break
        if not is_read or len(animation.frames) == 0:
            break
        if block == MAX_BLOCKS:
            raise InputError(f"{path} has more than {n} frames of {width} x {height} pixels; convert it to mp4 first")
        for image, duration_ms in zip(animation.frames, animation.durations, strict=True):
            yield np.ascontiguousarray(image[:, :, :3], np.uint8), int(duration_ms)
        n += len(animation.frames)
        if len(animation.frames) < step:
            break
    if n == 0:
        raise InputError(f"{path} cannot be decoded as an animation; expected a complete webp file")
