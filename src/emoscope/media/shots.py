"""Shots: a video's frames in, where a film cuts out; at once or by blending one picture into the next."""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Grey = NDArray[np.float32]

SIZE_WH: Final = (32, 18)
"""Frames are compared so small: what moves in a shot changes few cells, a cut changes many."""
SAMPLES: Final = 4
"""Pixels read along each side of a cell; reading all would cost more than it tells."""
HISTORY: Final = 12
"""Steps between frames by which a step is judged."""
CUT_GREY, CUT_TIMES = 3.0, 2.5
"""A cut changes a cell by so much on average, of 255, and by so many times the largest step before it. Cuts between
portraits of one size on one ground change 5 and more, people who move quickly up to 5 but not at once."""
BLEND_GREY, BLEND_TIMES = 1.0, 2.5
"""A blend's steps: smaller than a cut's, above the median of those before."""
BLEND_FRAMES: Final = 75
"""A longer change is a camera that moves."""
BLEND_CHANGED, BLEND_CELL_GREY = 0.5, 6.0
"""A blend changes at least this share of the cells by so much."""


class CutFinder:
    """Follows the frames of a video in their order, every one of them."""

    def __init__(self) -> None:
        self.shot = 0
        """Number of the shot that the last frame belongs to, from 0."""
        self.is_blend = False
        """Whether the last frame may show two shots at once."""
        self._last: Grey | None = None
        self._before_blend: Grey | None = None
        self._n_blend = 0
        self._steps: deque[float] = deque(maxlen=HISTORY)

    def add(self, picture: "VideoFrame") -> bool:
        """Take the next frame; return whether a shot begins with it."""
        small, last = _shrink(picture), self._last
        self._last = small
        if last is None:
            return False
        step = float(np.abs(small - last).mean())
        if step > max(CUT_GREY, CUT_TIMES * max(self._steps, default=0.0)):
            return self._begin_shot()
        if step > max(BLEND_GREY, BLEND_TIMES * float(np.median(self._steps or [0.0]))):
            self._before_blend = last if self._before_blend is None else self._before_blend
            self._n_blend += 1
            self.is_blend = True
            if self._n_blend <= BLEND_FRAMES:
                return False
        begun, n, self._before_blend, self._n_blend, self.is_blend = self._before_blend, self._n_blend, None, 0, False
        self._steps.append(step)
        if begun is None or n < 2:
            return False
        is_other = float((np.abs(small - begun) > BLEND_CELL_GREY).mean()) >= BLEND_CHANGED
        return self._begin_shot() if is_other and n <= BLEND_FRAMES else False

    def _begin_shot(self) -> bool:
        self.shot += 1
        self._before_blend, self._n_blend, self.is_blend = None, 0, False
        return True


def _shrink(picture: "VideoFrame") -> Grey:
    """Return a frame's brightness in SIZE_WH cells, 0 to 255."""
    width, height = SIZE_WH
    part = picture.format.components[0]
    if not picture.format.name.startswith(("yuv", "gray", "nv")) or part.bits not in (8, 10, 12):
        grey: Any = picture.reformat(width=SAMPLES * width, height=SAMPLES * height, format="gray").to_ndarray()
        return np.asarray(cv2.resize(grey, SIZE_WH, interpolation=cv2.INTER_AREA), np.float32)
    plane = picture.planes[0]
    content: Any = plane
    kind = np.dtype(np.uint8 if part.bits == 8 else np.uint16)
    rows = np.frombuffer(content, kind).reshape(-1, plane.line_size // kind.itemsize)
    rows = rows[: picture.height : max(1, picture.height // (SAMPLES * height))]
    samples = np.ascontiguousarray(rows[:, : picture.width : max(1, picture.width // (SAMPLES * width))])
    small = cv2.resize(samples, SIZE_WH, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(1 << (part.bits - 8))
