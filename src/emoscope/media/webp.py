"""Animated WebP: a file in, its frames as a video that FFmpeg reads out; FFmpeg itself reads still WebP only."""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.picture import check_size
from emoscope.core.types import Image

if TYPE_CHECKING:
    from av.video.stream import VideoStream

MAX_PIXELS = 1 << 24
"""A larger frame is refused."""
MAX_TOTAL_PIXELS = 1 << 32
"""Of all frames: so much is written to the disk for a while."""


def convert_animation(path: Path) -> IO[bytes]:
    """Write an animation without loss into a temporary file that goes with the returned handle.

    Raises:
        InputError: it is damaged or too large.
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
    from PIL.WebPImagePlugin import WebPImageFile

    try:
        # Not Image.open: its limits are for all of the process.
        animation = WebPImageFile(path)
        check_size(path, *animation.size, MAX_PIXELS)
        if animation.n_frames * animation.width * animation.height > MAX_TOTAL_PIXELS:
            raise InputError(f"{path} is an animation of {animation.n_frames} frames; convert it to mp4 first")
        for n in range(animation.n_frames):
            animation.seek(n)
            pixels = np.asarray(animation.convert("RGB"))
            yield np.ascontiguousarray(pixels[:, :, ::-1], np.uint8), int(animation.info.get("duration", 0))
    except (OSError, SyntaxError, ValueError, EOFError) as e:
        raise InputError(f"{path} cannot be decoded as an animation; expected a complete webp file") from e
