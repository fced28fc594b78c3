"""Sources: a picture, a folder of pictures or a video file in, a generator of Frame out."""

import bisect
import dataclasses
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emoscope.core.errors import InputError
from emoscope.core.headers import is_animated, is_cut_off
from emoscope.core.picture import load_picture
from emoscope.core.timecode import Every
from emoscope.core.types import Frame
from emoscope.media.video import Converter, explain, find_length_s, find_stream, open_container, seek

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

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
EVERY_FRAME = Every()
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
    name: str = ""
    """What results call a video, where that is not its path."""
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

    def __getstate__(self) -> dict[str, object]:
        """Leave `stop` behind: an event belongs to its process."""
        return {key: value for key, value in self.__dict__.items() if key != "stop"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take another process's source over, with a `stop` of this one."""
        self.__dict__.update(state, stop=threading.Event())

    @property
    def label(self) -> str:
        """What results and messages call it."""
        return self.name or str(self.path)

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
        with open_container(self.path) as container:
            stream = find_stream(self.path, container)
            self.frames_announced = stream.frames or None
            self.length_s = find_length_s(container, stream)
            self.frame_rate = float(stream.average_rate) if stream.average_rate else None
            yield from self._decode(container, stream)

    def _decode(self, container: "InputContainer", stream: "VideoStream") -> "Iterator[Frame]":
        import av

        convert = Converter(self.path)
        index, given_s = -1, None
        earlier_pts = self._seek(container, stream)
        decoded = container.decode(stream)
        while not self.stop.is_set():
            try:
                picture = next(decoded)
                index = index + 1 if index >= 0 else bisect.bisect_left(earlier_pts, picture.pts or 0)
                time_s = float(picture.time) if picture.time is not None else index / (self.frame_rate or 25.0)
                if self.end_s is not None and time_s >= self.end_s:
                    break
                self.frames_read, self.duration_s = index + 1, time_s
                if time_s < self.start_s or not self.every.is_due(index, time_s, given_s):
                    continue
                given_s = time_s
                image = convert(picture)
            except StopIteration:
                self._check_end()
                break
            except (av.FFmpegError, OSError, ValueError, InputError) as e:
                if self.frames_read == 0:
                    raise explain(self.path, e) from e
                reason = getattr(e, "strerror", None) or e
                self.problems.append(
                    f"{self.label} is damaged after {self.duration_s:.2f} s ({reason}); everything before was analysed"
                )
                break
            yield Frame(image, index, time_s, self.label)
        if given_s is None and self.frames_read and not self.stop.is_set():
            raise InputError(
                f"{self.label} shows nothing from {self.start_s:g} s on (its last frame is at "
                f"{self.duration_s:.2f} s); choose an earlier --start"
            )

    def _seek(self, container: "InputContainer", stream: "VideoStream") -> list[int]:
        import av

        try:
            return seek(container, stream, self.start_s)
        except (av.FFmpegError, OSError, ValueError) as e:
            raise explain(self.path, e) from e

    def _check_end(self) -> None:
        if self.frames_read == 0:
            raise InputError(f"{self.label} holds no frame that can be decoded; expected a playable video")
        announced = self.frames_announced
        if announced and self.frames_read < announced * (1 - MISSING_SHARE) - 1:
            self.problems.append(
                f"{self.label} ends after {self.frames_read} of {announced} frames (it is cut off); "
                "everything before was analysed"
            )
        elif is_cut_off(self.path):
            self.problems.append(
                f"{self.label} is cut off after {self.duration_s:.2f} s; everything before was analysed"
            )


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
