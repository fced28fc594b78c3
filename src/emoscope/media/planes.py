"""Large frames of video: a decoded picture in, its parts as BGR out, converted where they are looked at.

Most of a large frame is never looked at: a face is cut out of it, and the detector sees a small picture. To convert all
of it takes nearly as long as to decode it. Parts are the same to the last digit, for FFmpeg gives every pixel of 8-bit
4:2:0 its own brightness and its block's colour, whatever lies around.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.picture import turn
from emoscope.core.types import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

Plane = NDArray[np.uint8]

FORMATS: Final = ("yuv420p", "yuvj420p")
"""What nearly all films and cameras give: brightness, and two colour differences of each block of 2 x 2 pixels."""
HDR: Final = (16, 18)
"""Transfer characteristics of high dynamic range, PQ and HLG (ITU-T H.273, SMPTE ST 2084 and ARIB STD-B67)."""
SDR: Final = {"dst_color_trc": 1, "dst_color_primaries": 1}
"""Those of standard dynamic range, BT.709, which networks have learned from; as it is stored PQ is flat and grey."""
MIN_PIXELS: Final = 1 << 19
"""Smaller frames are converted as a whole: to make a part takes about 0.1 ms, however small."""
STEP_PX: Final = 32
"""Parts are converted in pictures whose sides are multiples of this: FFmpeg prepares each size anew, which takes longer
than a face."""
MAX_SIZES: Final = 64
"""So many sizes are kept prepared."""
PART_PIXELS: Final = 80_000
"""To convert a part takes as long as so many pixels of a whole frame, or longer."""


class Reformatters(threading.local):
    """What converts pictures, prepared for some sizes; every thread has its own."""

    def __init__(self) -> None:
        self.by_size: dict[tuple[int, int], VideoReformatter] = {}

    def convert(self, picture: "VideoFrame") -> Image:
        """Return (h, w, 3) uint8 BGR."""
        from av.video.reformatter import VideoReformatter

        if len(self.by_size) > MAX_SIZES:
            self.by_size.clear()
        if (reformatter := self.by_size.get(size := (picture.width, picture.height))) is None:
            reformatter = self.by_size[size] = VideoReformatter()
        wanted = SDR if picture.color_trc in HDR else {}
        return np.asarray(reformatter.reformat(picture, format="bgr24", **wanted).to_ndarray(), np.uint8)


class Planes:
    """A decoded frame that is converted where it is looked at; a core.types.Deferred."""

    def __init__(self, picture: "VideoFrame", reformatters: Reformatters, orientation: int = 1) -> None:
        """Take a frame of can_defer().

        Args:
            picture: decoded, as stored.
            reformatters: for all frames of its film.
            orientation: how it is to be turned, as EXIF counts it.
        """
        self.picture, self.reformatters, self.orientation = picture, reformatters, orientation
        self.is_swapped = orientation in (5, 6, 7, 8)
        w, h = picture.width, picture.height
        self.shape = (w, h, 3) if self.is_swapped else (h, w, 3)
        self.nbytes = sum(plane.buffer_size for plane in picture.planes)
        self.whole: Image | None = None

    def prepare(self, n_parts: int) -> None:
        """Convert all of it now if that is faster than so many parts."""
        if n_parts * PART_PIXELS > self.shape[0] * self.shape[1]:
            self._convert_whole()

    def _convert_whole(self) -> Image:
        if self.whole is None:
            self.whole = turn(self.reformatters.convert(self.picture), self.orientation)
        return self.whole

    def __getitem__(self, part: tuple[slice, slice]) -> Image:
        """Return a part (h, w, 3) uint8 BGR, rows and columns as of an array."""
        rows, columns = self._find(part)
        is_all = (len(rows), len(columns)) == self.shape[:2]
        if self.whole is not None or is_all or not (rows and columns) or min(rows.step, columns.step) < 0:
            return self._convert_whole()[part]
        rows, columns = self._find_stored(rows, columns)
        brightness, *colours = self._read()
        if rows.step == columns.step == 1:
            # Whole blocks.
            y, x = rows.start // 2 * 2, columns.start // 2 * 2
            blocks = slice(y // 2, -(-rows.stop // 2)), slice(x // 2, -(-columns.stop // 2))
            found = self._convert(brightness[y : rows.stop, x : columns.stop], *(c[blocks] for c in colours))
            found = found[rows.start - y :, columns.start - x :]
        else:
            # Single pixels: each becomes a block of its own.
            pixels, theirs = np.ix_(rows, columns), np.ix_(np.array(rows) // 2, np.array(columns) // 2)
            found = self._convert(brightness[pixels].repeat(2, 0).repeat(2, 1), *(c[theirs] for c in colours))[::2, ::2]
        return turn(found, self.orientation)

    def reduce(self, part: tuple[slice, slice], step: int, reduce: Callable[[Plane, tuple[int, int]], Plane]) -> Image:
        """Return a part (h / step, w / step, 3) uint8 BGR, made smaller before it is converted.

        Args:
            part: rows and columns, multiples of step.
            step: a power of two, 2 or more.
            reduce: makes one plane (h, w) smaller, to a width and height.
        """
        rows, columns = self._find_stored(*self._find(part))
        brightness, *colours = self._read()
        h, w = max(1, len(rows) // step), max(1, len(columns) // step)
        half_wh = -(-w // 2), -(-h // 2)
        # As many as pairs of pixels, also where the first is half a block: others take many times as long to reduce.
        blocks = tuple(slice(r.start // 2, r.start // 2 + max(1, len(r) // 2)) for r in (rows, columns))
        small = reduce(brightness[rows.start : rows.stop, columns.start : columns.stop], (w, h))
        return turn(self._convert(small, *(reduce(c[blocks], half_wh) for c in colours)), self.orientation)

    def shrink(self, size_wh: tuple[int, int], resize: Callable[[Plane, tuple[int, int]], Plane]) -> Image:
        """Return all of it as a smaller image (h, w, 3) uint8 BGR.

        Args:
            size_wh: of the smaller image; odd sides grow by one.
            resize: makes one plane (h, w) smaller, to a width and height.
        """
        w, h = (-(-side // 2) for side in (size_wh[::-1] if self.is_swapped else size_wh))
        sizes = (2 * w, 2 * h), (w, h), (w, h)
        small = (resize(plane, side_wh) for plane, side_wh in zip(self._read(), sizes, strict=True))
        return turn(self._convert(*small), self.orientation)

    def _find(self, part: tuple[slice, slice]) -> tuple[range, range]:
        rows, columns = (range(*s.indices(side)) for s, side in zip(part, self.shape[:2], strict=True))
        return rows, columns

    def _find_stored(self, rows: range, columns: range) -> tuple[range, range]:
        """Return which rows and columns of the stored picture those of the upright one are; they rise."""
        h, w = self.shape[:2]
        # What turn() does, backwards: mirrored rows, mirrored columns, then rows for columns.
        if self.orientation in (3, 4, 7, 8):
            rows = range(h - 1 - rows[-1], h - rows[0], rows.step)
        if self.orientation in (2, 3, 6, 7):
            columns = range(w - 1 - columns[-1], w - columns[0], columns.step)
        return (columns, rows) if self.is_swapped else (rows, columns)

    def _read(self) -> list[Plane]:
        """Return views of brightness (h, w) and both colour differences (h / 2, w / 2)."""
        w, h = self.picture.width, self.picture.height
        sides = (h, w), (h // 2, w // 2), (h // 2, w // 2)
        return [_view(plane)[:high, :wide] for plane, (high, wide) in zip(self.picture.planes, sides, strict=True)]

    def _convert(self, *planes: Plane) -> Image:
        """Return (h, w, 3) uint8 BGR of brightness (h, w) and colour differences (h / 2, w / 2), rounded up."""
        from av.video.frame import VideoFrame

        h, w = planes[0].shape
        padded_w, padded_h = (-(-side // STEP_PX) * STEP_PX for side in (w, h))
        picture = VideoFrame(padded_w, padded_h, self.picture.format.name)
        # The rest is not looked at.
        for place, values in zip(picture.planes, planes, strict=True):
            _view(place)[: values.shape[0], : values.shape[1]] = values
        # By these colours are converted.
        picture.colorspace, picture.color_range = self.picture.colorspace, self.picture.color_range
        return self.reformatters.convert(picture)[:h, :w]


def can_defer(picture: "VideoFrame") -> bool:
    """Say whether a frame is large, and of a format in which a pixel's colour depends on its own block alone."""
    w, h = picture.width, picture.height
    if w * h < MIN_PIXELS or picture.format.name not in FORMATS or picture.color_trc in HDR:
        return False
    # With odd sides FFmpeg takes another way, in which blocks are blended; those of interlaced pictures lie in fields.
    is_plain = w % 2 == h % 2 == 0 and not picture.interlaced_frame
    return is_plain and all(plane.line_size > 0 for plane in picture.planes)


def _view(plane: Any) -> Plane:
    return np.asarray(memoryview(plane)).reshape(-1, plane.line_size)
