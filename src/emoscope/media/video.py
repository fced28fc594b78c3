"""Video files: a path in, an open stream, its frames upright, and single frames again out."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.headers import is_animated, is_cut_off, is_encrypted
from emoscope.core.native import count_cores
from emoscope.core.picture import check_size, load_picture, turn
from emoscope.core.types import Image, Raster
from emoscope.media.clock import Clock
from emoscope.media.decoder import Decoder
from emoscope.media.planes import Planes, Reformatters, can_defer
from emoscope.media.sequence import find_sequence

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS = 1 << 25
"""A larger video frame is refused: more than 8K, and a small file may announce any size."""
MAX_ASPECT, MIN_STRETCH = 4.0, 0.01
"""Pixels more oblong than this are a fault of the header; those that are square but for so much are left alone."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,asf,flv,live_flv,ogg,gif,apng,"
    "yuv4mpegpipe,ivf,nut,mxf,dv,rm,swf,obu,mjpeg,av1,vc1,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,webp_pipe,j2k_pipe,"
    "wav,w64,mp3,flac,aac,aiff,caf,amr"
)
"""FFmpeg's names of containers that hold their pictures themselves, and of sound, to say what it is. Playlists
(hls, dash, concat) are none of them: they make a decoder open what files they like."""
MAX_THREADS = 16
"""More are not faster, says FFmpeg, and each holds frames."""
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
        # Playlists must not make the decoder open other files or addresses. `file:`, or a name with a colon is taken
        # for an address. Not `options`: with these, PyAV 17 and older crash on damaged MPEG transport streams.
        # With a colour profile FFmpeg takes an animated PNG for a still one.
        kind = "apng" if path.suffix.lower() == ".png" and is_animated(path) else None
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        return av.open(f"file:{path}", format=kind, container_options=options)
    except (av.FFmpegError, OSError, ValueError) as e:
        raise explain(path, e) from e


def find_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """Return the video to read, decoded by several threads.

    Raises:
        InputError: there is none, it is encrypted, it has no decoder, or its frames are too large.
    """
    streams = container.streams.video
    usable = [s for s in streams if s.codec_context is not None and not s.disposition & ATTACHED_PICTURE]
    stream = next(iter(usable), None)
    if stream is not None and stream.frames == 1:
        # Animated AVIF and HEIC hold their first picture by itself, too.
        stream = next((s for s in usable if s.frames > 1), stream)
    # Decoders do not notice: some fail, others show coloured noise.
    if streams and is_encrypted(path):
        raise InputError(f"{path} is encrypted (DRM); expected a video that plays without a key")
    if stream is None and any(s.codec_context is None for s in streams):
        raise InputError(f"{path} holds a video for which there is no decoder; convert it to H.264 in an mp4 file")
    if stream is None:
        raise InputError(f"{path} has no video in it; expected a video file or a picture")
    check_size(path, stream.width, stream.height, MAX_FRAME_PIXELS)
    stream.thread_type = "AUTO"
    # Each holds frames. FFmpeg takes one more than there are cores, which have faces to find meanwhile.
    stream.codec_context.thread_count = min(count_cores(), MAX_THREADS)
    return stream


class Converter:
    """Turns decoded frames into upright images."""

    def __init__(self, path: Path, stream: "VideoStream") -> None:
        self.path, self.aspect = path, find_aspect(stream)
        # They hold no matrix, and PyAV frees the name of a frame's colour profile twice once it was looked at.
        self.has_matrix = stream.codec_context.name not in ("apng", "png")
        # For all frames: a new one per frame is eight times slower.
        self.reformatters = Reformatters()
        self.rotation: int | None = None
        self.orientation = 1

    def __call__(self, picture: "VideoFrame") -> Image:
        """Return (h, w, 3) uint8 BGR.

        Raises:
            InputError: the frame is too large; it may be larger than the file announces.
        """
        check_size(self.path, picture.width, picture.height, MAX_FRAME_PIXELS)
        image = self.reformatters.convert(picture)
        if self.aspect != 1:
            image = stretch(image, self.aspect)
        return turn(image, self._find_orientation(picture)) if self.has_matrix else image

    def defer(self, picture: "VideoFrame") -> Raster:
        """Return the same, not converted yet where that may save time.

        Raises:
            InputError: see __call__.
        """
        if not can_defer(picture) or self.aspect != 1 or not self.has_matrix:
            return self(picture)
        check_size(self.path, picture.width, picture.height, MAX_FRAME_PIXELS)
        return Planes(picture, self.reformatters, self._find_orientation(picture))

    def _find_orientation(self, picture: "VideoFrame") -> int:
        # Not looked for in every frame: one whose side data was looked at belongs to a cycle, and stays in memory until
        # the garbage collector comes. Only a mirror that begins in the middle of a stream does not change the rotation.
        if picture.rotation != self.rotation:
            self.rotation, self.orientation = picture.rotation, find_orientation(picture)
        return self.orientation


def find_aspect(stream: "VideoStream") -> float:
    """Return a pixel's width by its height; 1 where the file says nothing that can be meant."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / MAX_ASPECT <= ratio <= MAX_ASPECT and abs(ratio - 1) >= MIN_STRETCH else 1.0


def stretch(image: Image, aspect: float) -> Image:
    """Make an image's pixels square; the side that is too short grows."""
    h, w = image.shape[:2]
    size_wh = (round(w * aspect), h) if aspect > 1 else (w, round(h / aspect))
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def find_orientation(picture: "VideoFrame") -> int:
    """Return how a frame is to be turned, as EXIF counts it, from its display matrix (ISO/IEC 14496-12, 8.3.2).

    Of angles between, the nearest multiple of 90 counts; a matrix that maps a picture onto a line says nothing.
    """
    from av.sidedata.sidedata import Type

    # PyAV's types say that these are found by text.
    found: Any = picture.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if found is None:
        return 1
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].astype(float)
    if abs(a * d - b * c) < 1e-3 * max(map(abs, (a, b, c, d))) ** 2 or a == b == c == d == 0:
        return 1
    # A column (x, y) goes to (a x + c y, b x + d y).
    if abs(b) + abs(c) > abs(a) + abs(d):
        return {(False, False): 5, (True, False): 6, (True, True): 7, (False, True): 8}[c < 0, b < 0]
    return {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}[a < 0, d < 0]


def find_length_s(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Return the time at which a video ends as its header says, None where it does not."""
    if stream.duration and stream.time_base:
        end_s = float((stream.duration + (stream.start_time or 0)) * stream.time_base)
        return end_s - (container.start_time or 0) / 1e6
    if not container.duration:
        return None
    # Matroska and Flash video count from the stamp 0 on.
    length, start = container.duration, container.start_time or 0
    return (length - start if start < length else length) / 1e6


def find_key(path: Path, time_s: float) -> tuple[int | None, list[int]]:
    """Return where to seek for the last key frame at or before a time, and the stamps of all frames before it, rising.

    Seeking goes by decoding stamps, at least in transport streams. By the presentation stamps a frame's number in the
    video is known without decoding what comes before it. None: decode everything.
    """
    if time_s <= SEEK_FROM_S:
        return None, []
    with open_container(path) as container:
        stream = find_stream(path, container)
        if stream.time_base is None or container.start_time is None:
            return None, []
        limit = (time_s + container.start_time / 1e6) / stream.time_base
        stamps: list[int] = []
        key: tuple[int, int] | None = None
        last_dts: int | None = None
        for packet in Decoder(container, stream, path).read():
            # Frames come out of order, but never so far.
            if packet.dts is not None and packet.dts > limit + 10 / stream.time_base:
                break
            if packet.size == 0:
                continue
            if packet.pts is None or (last_dts is not None and packet.dts is not None and packet.dts < last_dts):
                # No stamps, or stamps that begin anew.
                return None, []
            last_dts = packet.dts
            if packet.pts <= limit and not packet.is_discard:
                stamps.append(packet.pts)
                if packet.is_keyframe and (key is None or packet.pts > key[0]):
                    key = packet.pts, packet.pts if packet.dts is None else packet.dts
    return (None, []) if key is None else (key[1], sorted(stamps))


def explain(path: Path, error: Exception) -> InputError:
    """Return the error that says why a video cannot be read."""
    reason = getattr(error, "strerror", None) or error
    if is_cut_off(path):
        reason = "it is cut off before its first frame or its index"
    return InputError(f"{path} cannot be decoded as video ({reason}); expected a complete video file, for example mp4")


def load_frames(path: Path, wanted: Sequence[tuple[int, float]]) -> Iterator[tuple[int, Image]]:
    """Decode single frames.

    Args:
        path: video file, or the folder of a sequence.
        wanted: (number, time_s) of each frame as the observations have them, in the order of time.

    Yields:
        (position in wanted, (h, w, 3) uint8 BGR upright); frames that cannot be found again are left out.
    """
    import av

    if path.is_dir():
        yield from _load_numbered(path, wanted)
        return
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


def _load_numbered(folder: Path, wanted: Sequence[tuple[int, float]]) -> Iterator[tuple[int, Image]]:
    try:
        pictures = find_sequence(folder)
    except InputError:
        return
    for i, (number, _) in enumerate(wanted):
        try:
            yield i, load_picture(pictures[number])
        except (InputError, IndexError):
            continue


class _Reader:
    """An open video and where it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Seeking goes by stamps, which stand for two moments where they begin anew.
        with open_container(path) as container:
            stamps = [p.dts for p in Decoder(container, find_stream(path, container), path).read() if p.dts is not None]
            is_dated = container.start_time is not None
        self.can_seek = is_dated and all(a <= b for a, b in itertools.pairwise(stamps))
        self._open()

    def _open(self) -> None:
        self.container = open_container(self.path)
        self.stream = find_stream(self.path, self.container)
        self.convert = Converter(self.path, self.stream)
        self._begin(0)

    def _begin(self, index: int | None) -> None:
        self.clock = Clock(self.container, self.stream)
        self.pictures = iter(Decoder(self.container, self.stream, self.path))
        self.index = None if index is None else index - 1
        self.picture: VideoFrame | None = None

    def find(self, number: int, time_s: float) -> Image | None:
        """Return the frame, or None where the file does not give it again."""
        now_s = -np.inf if self.picture is None else self.clock.last_s
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
            if not self.can_seek or self.container.start_time is None:
                raise OSError
            self.container.seek(int(time_s * av.time_base) + self.container.start_time, backward=True)
        except (av.FFmpegError, OSError):
            self.container.close()
            self._open()
            return
        self._begin(None)

    def _read_on(self, number: int, time_s: float) -> "VideoFrame | None":
        """Return the picture, decoding on from here, or None at the end or past its time."""
        while True:
            picture, now_s = self.picture, self.clock.last_s
            if picture is not None and picture.pts is not None and now_s is not None:
                if abs(now_s - time_s) <= SAME_S:
                    return picture
                if now_s > time_s:
                    return None
            # Some files have no time stamps: then only counting from the beginning helps.
            elif picture is not None and (self.index is None or self.index >= number):
                return picture if self.index == number else None
            self.picture = next(self.pictures, None)
            if self.picture is None:
                return None
            self.clock.read(self.picture)
            self.index = None if self.index is None else self.index + 1
