"""Sources: a picture, a folder of pictures or a video file in, a generator of Frame out."""

import bisect
import dataclasses
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from emoscope.clock import Every
from emoscope.errors import InputError
from emoscope.structure import find_picture_size, is_animated, is_cut_off, is_encrypted
from emoscope.types import Frame, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".webp",
        ".jp2",
        ".pbm",
        ".pgm",
        ".ppm",
        ".pnm",
        ".avif",
    ]
)
VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
        ".gif",
        ".y4m",
    ]
)
MAX_PICTURE_PIXELS = 1 << 28
"""A larger picture is refused: 200 megapixels are what phones take, decoding them needs about 1 GB."""
MAX_FRAME_PIXELS = 1 << 25
"""A larger video frame is refused: more than 8K, and a small file may announce any size."""
ATTACHED_PICTURE = 0x400
"""FFmpeg's mark of a cover picture within a sound file: no video."""
EVERY_FRAME = Every()
SEEK_FROM_S = 5.0
"""A start before this is reached by decoding."""
MISSING_SHARE = 0.02
"""A video that gives this much less than the frames its header announces counts as cut off; headers err by a few."""


@dataclass
class Source:
    """One thing to analyse; iterate over it once to get its frames."""

    path: Path
    kind: Literal["video", "pictures"]
    pictures: list[Path] = field(default_factory=list)
    """The files, for kind `pictures`."""
    every: Every = EVERY_FRAME
    """Which frames to give."""
    start_s: float = 0.0
    """Leave out what a video shows before."""
    end_s: float | None = None
    """Leave out what a video shows from there on."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Once set, no further frame is given."""
    frames_announced: int | None = None
    """What a video's header says, if it says."""
    length_s: float | None = None
    """Length of a video as its header says, if it says."""
    frame_rate: float | None = None
    """Mean frames per second of a video."""
    frames_read: int = 0
    """Number of the last decoded frame plus one, given or not."""
    duration_s: float = 0.0
    """Presentation time of the last decoded frame."""
    problems: list[str] = field(default_factory=list)
    """What was damaged; the rest was read."""

    @property
    def progress(self) -> float | None:
        """Share that was decoded, 0..1; None where a video's length is not known."""
        if self.kind == "pictures":
            return self.frames_read / len(self.pictures)
        if self.length_s is None:
            return None
        end_s = min(self.length_s, self.end_s or self.length_s)
        return min(max((self.duration_s - self.start_s) / max(end_s - self.start_s, 1e-9), 0.0), 1.0)

    def __iter__(self) -> Iterator[Frame]:
        return self._read_video() if self.kind == "video" else self._read_pictures()

    def _read_pictures(self) -> Iterator[Frame]:
        for index, path in enumerate(self.pictures):
            if self.stop.is_set():
                return
            self.frames_read += 1
            if not self.every.is_due(index, 0.0, None):
                continue
            try:
                image = load_picture(path)
                if is_cut_off(path):
                    self.problems.append(f"{path} is cut off; what is there of the picture was analysed")
            except InputError as e:
                # One bad file among several must not lose the others.
                if len(self.pictures) == 1:
                    raise
                self.problems.append(str(e))
                continue
            yield Frame(image, index, 0.0, str(path))

    def _read_video(self) -> Iterator[Frame]:
        import av

        try:
            # Playlists inside a file must not make the decoder open other files or addresses.
            container = av.open(str(self.path), options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError, ValueError) as e:
            raise _explain_video(self.path, e) from e
        with container:
            stream = _find_stream(self.path, container)
            stream.thread_type = "AUTO"
            self.frames_announced = stream.frames or None
            self.length_s = _find_length_s(container, stream)
            self.frame_rate = float(stream.average_rate) if stream.average_rate else None
            yield from self._decode(container, stream)

    def _decode(self, container: "InputContainer", stream: "VideoStream") -> "Iterator[Frame]":
        import av
        from av.video.reformatter import VideoReformatter

        # One shared reformatter: a new one per frame is eight times slower.
        reformatter = VideoReformatter()
        earlier_pts = seek(container, stream, self.start_s)
        index, given_s = -1, None
        decoded = container.decode(stream)
        while not self.stop.is_set():
            try:
                picture = next(decoded)
                index = index + 1 if index >= 0 else bisect.bisect_left(earlier_pts, picture.pts or 0)
                time_s = float(picture.time) if picture.time is not None else index / (self.frame_rate or 25.0)
                if self.end_s is not None and time_s >= self.end_s:
                    break
                _check_size(self.path, picture.width, picture.height)
                self.frames_read, self.duration_s = index + 1, time_s
                if time_s < self.start_s or not self.every.is_due(index, time_s, given_s):
                    continue
                given_s = time_s
                image = np.asarray(reformatter.reformat(picture, format="bgr24").to_ndarray(), np.uint8)
            except StopIteration:
                self._check_end()
                break
            except (av.FFmpegError, OSError, ValueError, InputError) as e:
                if self.frames_read == 0:
                    raise _explain_video(self.path, e) from e
                reason = getattr(e, "strerror", None) or e
                self.problems.append(
                    f"{self.path} is damaged after {self.duration_s:.2f} s ({reason}); everything before was analysed"
                )
                break
            yield Frame(_turn(image, picture.rotation), index, time_s, str(self.path))
        if given_s is None and self.frames_read and not self.stop.is_set():
            raise InputError(
                f"{self.path} shows nothing from {self.start_s:g} s on (its last frame is at {self.duration_s:.2f} s); "
                "choose an earlier --start"
            )

    def _check_end(self) -> None:
        if self.frames_read == 0:
            raise InputError(f"{self.path} holds no frame that can be decoded; expected a playable video")
        announced = self.frames_announced
        if announced and self.frames_read < announced * (1 - MISSING_SHARE) - 1:
            self.problems.append(
                f"{self.path} ends after {self.frames_read} of {announced} frames (it is cut off); "
                "everything before was analysed"
            )
        elif is_cut_off(self.path):
            self.problems.append(
                f"{self.path} is cut off after {self.duration_s:.2f} s; everything before was analysed"
            )


def _find_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """Return the video to read.

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
    _check_size(path, stream.width, stream.height)
    return stream


def _check_size(path: Path, width: int, height: int, limit: int = MAX_FRAME_PIXELS) -> None:
    if width * height > limit:
        raise InputError(
            f"{path} has {width} x {height} pixels, expected at most {limit / 1e6:.0f} million; reduce it first"
        )


def _find_length_s(container: "InputContainer", stream: "VideoStream") -> float | None:
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


def _turn(image: Image, rotation_deg: float) -> Image:
    # The display matrix says by how much to turn counter-clockwise; phones write multiples of 90.
    quarters = round(rotation_deg / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _explain_video(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    if is_cut_off(path):
        reason = "it is cut off before its first frame or its index"
    return InputError(f"{path} cannot be decoded as video ({reason}); expected a complete video file, for example mp4")


def load_picture(path: Path) -> Image:
    """Read a picture of any depth and colour, upright as its EXIF orientation says.

    Returns:
        (h, w, 3) uint8, BGR.

    Raises:
        InputError: the file is missing, empty, too large or no picture.
    """
    try:
        # Not cv2.imread: it cannot open non-Latin paths on every system.
        data = np.fromfile(path, np.uint8)
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); name an existing picture") from e
    if data.size == 0:
        raise InputError(f"{path} is empty; expected a picture")
    if size_wh := find_picture_size(path):
        _check_size(path, *size_wh, MAX_PICTURE_PIXELS)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as e:
        raise InputError(f"{path} cannot be decoded ({e.err}); expected a picture of at most 2^30 pixels") from e
    if image is None:
        raise InputError(f"{path} cannot be decoded as a picture; expected a complete jpg, png, tiff, webp or bmp file")
    return np.asarray(image, np.uint8)


def to_image(picture: object) -> Image:
    """Return (h, w, 3) uint8 BGR from a caller's array: grey, BGR or BGRA, uint8 or uint16.

    Raises:
        InputError: it is none of these; convert it.
    """
    image = np.asarray(picture)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if (
        image.dtype != np.uint8
        or image.size == 0
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4)))
    ):
        raise InputError(
            f"the image is {image.dtype} of shape {image.shape}, expected uint8 or uint16 of shape "
            "(h, w), (h, w, 3) BGR or (h, w, 4) BGRA; convert it"
        )
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[:, :, :3])


def find_sources(
    paths: list[Path], every: Every = EVERY_FRAME, start_s: float = 0.0, end_s: float | None = None
) -> list[Source]:
    """Turn files and folders into sources: a folder gives its pictures as one source and each video as its own.

    Args:
        paths: files and folders.
        every: which frames to give.
        start_s: where to begin in videos.
        end_s: where to end in videos; None for their end.

    Raises:
        InputError: a path does not exist, or a folder holds no picture or video.
    """
    if end_s is not None and end_s <= start_s:
        raise InputError(f"the end ({end_s:g} s) is not after the start ({start_s:g} s); choose a later end")
    return [
        dataclasses.replace(source, every=every, start_s=start_s, end_s=end_s)
        for path in paths
        for source in _find(path)
    ]


def _find(path: Path) -> Iterator[Source]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        pictures = [p for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
        videos = [p for p in files if p.suffix.lower() in VIDEO_SUFFIXES]
        if not pictures and not videos:
            raise InputError(
                f"the folder {path} holds no picture or video; name a folder with jpg, png, mp4, ... files"
            )
        if pictures:
            yield Source(path, "pictures", pictures)
        yield from (Source(video, "video") for video in videos)
        return
    if not path.exists():
        raise InputError(f"there is no file or folder {path}; check the name")
    if path.stat().st_size == 0 and path.is_file():
        raise InputError(f"{path} is empty; expected a picture or a video")
    if path.suffix.lower() in PICTURE_SUFFIXES and not is_animated(path):
        yield Source(path, "pictures", [path])
    else:
        yield Source(path, "video")
