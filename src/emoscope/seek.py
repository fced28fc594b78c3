"""Seeking: a video file and a few of its frames' times in, these frames out, without decoding all that lies between."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoscope.types import Image

SAME_S = 5e-4
"""Times nearer than this are the same frame's."""
NEAR_S = 3.0
"""So far ahead decoding on is as good as seeking."""


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
            except (av.FFmpegError, OSError, ValueError):
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
        from av.video.reformatter import VideoReformatter

        self.path, self.reformatter = path, VideoReformatter()
        self._open()

    def _open(self) -> None:
        import av

        # As in source.py: playlists inside a file must not make the decoder open others.
        self.container: Any = av.open(str(self.path), container_options={"protocol_whitelist": "file"})
        self.stream = next(s for s in self.container.streams.video if s.codec_context is not None)
        self.stream.thread_type = "AUTO"
        self.pictures: Iterator[Any] = self.container.decode(self.stream)
        self.index: int | None = -1
        self.picture: Any = None

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
        return None if found is None else self._convert(found)

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

    def _read_on(self, number: int, time_s: float) -> Any:
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

    def _convert(self, picture: Any) -> Image:
        image = np.asarray(self.reformatter.reformat(picture, format="bgr24").to_ndarray(), np.uint8)
        # As in source.py: the display matrix says by how much to turn counter-clockwise.
        quarters = round(picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image
