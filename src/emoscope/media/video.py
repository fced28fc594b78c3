"""Video files: a path in, an open stream, its frames upright, and single frames again out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.headers import is_animated, is_cut_off, is_encrypted
from emoscope.core.picture import check_size
from emoscope.core.types import Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS = 1 << 25
"""A larger video frame is refused: more than 8K, and a small file may announce any size."""
ATTACHED_PICTURE = 0x400
"""FFmpeg's mark of a cover picture within a sound file: no video."""
SEEK_FROM_S = 5.0
"""A start before this is reached by decoding."""
SAME_S = 5e-4
"""Times nearer than this are the same frame's."""
NEAR_S = 3.0
"""So far ahead decoding on is as good as seeking."""


def open_container(path: Path) -> "InputContainer":
    """Open a media file.

    Raises:
        InputError: it is none.
    """
    import av

    try:
        if path.suffix.lower() == ".webp" and is_animated(path):
            from emoscope.media.webp import convert_animation

            return av.open(convert_animation(path), "r", format="nut")
        # Playlists inside a file must not make the decoder open other files or addresses. Not `options`: with these,
        # PyAV 17 and older crash on damaged MPEG transport streams.
        return av.open(str(path), container_options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError, ValueError) as e:
        raise explain(path, e) from e


def find_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """Return the video to read, decoded by several threads.

    Raises:
        InputError: there is none, it is encrypted, or its frames are too large.
    """
    streams = container.streams.video
    stream = next((s for s in streams if s.codec_context is not None and not s.disposition & ATTACHED_PICTURE), None)
    if stream is None:
        raise InputError(f"{path} has no video in it; expected a video file or a picture")
    # Decoders do not notice: some fail, others show coloured noise.
    if is_encrypted(path):
        raise InputError(f"{path} is encrypted (DRM); expected a video that plays without a key")
    check_size(path, stream.width, stream.height, MAX_FRAME_PIXELS)
    stream.thread_type = "AUTO"
    return stream


class Converter:
    """Turns decoded frames into upright images."""

    def __init__(self, path: Path) -> None:
        from av.video.reformatter import VideoReformatter

        self.path = path

        # One for all frames: a new one per frame is eight times slower.
        self.reformatter = VideoReformatter()

    def __call__(self, picture: "VideoFrame") -> Image:
        """Return (h, w, 3) uint8 BGR.

        Raises:
            InputError: the frame is too large; it may be larger than the file announces.
        """
        check_size(self.path, picture.width, picture.height, MAX_FRAME_PIXELS)
        image = np.asarray(self.reformatter.reformat(picture, format="bgr24").to_ndarray(), np.uint8)
        # The display matrix says by how much to turn counter-clockwise; phones write multiples of 90.
        quarters = round(picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def find_length_s(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Return the presentation time at which a video ends as its header says, None where it does not."""
    if stream.duration and stream.time_base:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def seek(container: "InputContainer", stream: "VideoStream", time_s: float) -> list[int]:
    """Go to the last key frame at or before a time; return the stamps of all frames before that time, rising.

    By these a frame's number in the video is known without decoding what comes before it.
    """
    if time_s <= SEEK_FROM_S or stream.time_base is None:
        return []
    limit = time_s / stream.time_base
    stamps: list[int] = []
    key: int | None = None
    for packet in container.demux(stream):
        # Frames come out of order, but never so far.
        if packet.dts is not None and packet.dts > limit + 10 / stream.time_base:
            break
        if packet.size == 0:
            continue
        if packet.pts is None:
            # No stamps, no seeking: everything is decoded.
            stamps, key = [], None
            break
        if packet.pts <= limit and not packet.is_discard:
            stamps.append(packet.pts)
            key = packet.pts if packet.is_keyframe and (key is None or packet.pts > key) else key
    container.seek(stream.start_time or 0 if key is None else key, stream=stream)
    return sorted(stamps) if key is not None else []


def explain(path: Path, error: Exception) -> InputError:
    """Return the error that says why a video cannot be read."""
    reason = getattr(error, "strerror", None) or error
    if is_cut_off(path):
        reason = "it is cut off before its first frame or its index"
    return InputError(f"{path} cannot be decoded as video ({reason}); expected a complete video file, for example mp4")


def load_frames(path: Path, wanted: Sequence[tuple[int, float]]) -> Iterator[tuple[int, Image]]:
    """Decode single frames.

    Args:
        path: video file.
        wanted: (number, time_s) of each frame as the observations have them, in the order of time.

    Yields:
        (position in wanted, (h, w, 3) uint8 BGR upright); frames that cannot be found again are left out.
    """
    import av

    reader: _Reader | None = None
    try:
        for i, (number, time_s) in enumerate(wanted):
            try:
                reader = reader or _Reader(path)
                image = reader.find(number, time_s)
            except (av.FFmpegError, OSError, ValueError, InputError):
                # After damage a decoder's state means nothing.
                if reader is not None:
                    reader.container.close()
                reader = None
                continue
            if image is not None:
                yield i, image
    finally:
        if reader is not None:
            reader.container.close()


class _Reader:
    """An open video and where it stands."""

    def __init__(self, path: Path) -> None:
        self.path, self.convert = path, Converter(path)
        self._open()

    def _open(self) -> None:
        self.container = open_container(self.path)
        self.stream = find_stream(self.path, self.container)
        self.pictures = self.container.decode(self.stream)
        self.index: int | None = -1
        self.picture: VideoFrame | None = None

    def find(self, number: int, time_s: float) -> Image | None:
        """Return the frame, or None where the file does not give it again."""
        now_s = -np.inf if self.picture is None else self.picture.time
        if now_s is None or not time_s - NEAR_S < now_s <= time_s + SAME_S:
            self._seek(time_s)
        found = self._read_on(number, time_s)
        if found is None:
            # Some formats cannot seek, or land behind: from the beginning then.
            self.container.close()
            self._open()
            found = self._read_on(number, time_s)
        return None if found is None else self.convert(found)

    def _seek(self, time_s: float) -> None:
        import av

        try:
            self.container.seek(int(time_s * av.time_base), backward=True)
        except (av.FFmpegError, OSError):
            self.container.close()
            self._open()
            return
        self.pictures = self.container.decode(self.stream)
        self.index, self.picture = None, None

    def _read_on(self, number: int, time_s: float) -> "VideoFrame | None":
        """Return the picture, decoding on from here, or None at the end or past its time."""
        while True:
            picture = self.picture
            if picture is not None and picture.time is not None:
                if abs(picture.time - time_s) <= SAME_S:
                    return picture
                if picture.time > time_s:
                    return None
            # Some files have no time stamps: then only counting from the beginning helps.
            elif picture is not None and (self.index is None or self.index >= number):
                return picture if self.index == number else None
            self.picture = next(self.pictures, None)
            if self.picture is None:
                return None
            self.index = None if self.index is None else self.index + 1
