"""Shots: a video's frames in, where a film cuts out; at once or by blending one picture into the next."""

import statistics
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
CELL_GREY: Final = 8.0
"""Cells that change by less, of 255, say nothing of a cut: noise and a camera that shakes."""
CUT_GREY, CUT_TIMES = 2.0, 2.5
"""A cut changes cells by so much more than that, on average, and by so many times the largest step before it."""
STEP_TIMES: Final = 2.0
"""And by so many times the last step: who comes in, or a camera that begins to pan, changes more with every frame."""
BLEND_GREY, BLEND_TIMES = 1.0, 2.5
"""A blend's steps: smaller than a cut's, above the median of those before."""
BLEND_END: Final = 0.5
"""A blend is over with a step of less than this share of its largest."""
BLEND_FRAMES: Final = 75
"""A longer change is a camera that moves."""
BLEND_CHANGED: Final = 0.5
"""A blend changes at least this share of the cells by CELL_GREY, other light left aside."""

MIX_AWAY: Final = 0.2
"""A blend's middle is off a mix of both ends by at most this share of what lies between them: blends of moving heads by
0.13, people who come in and a camera that pans by 0.27 and more."""
MOVED: Final = 0.8
"""Phase correlation of a picture with itself moved: 0.9 and more; of blended pictures 0.6 and less."""


class CutFinder:
    """Follows the frames of a video in their order, every one of them."""

    def __init__(self) -> None:
        self.n_breaks = 0
        """So many times all of the picture has changed; more often than shots, where one change goes on after a cut."""
        self.is_blend = False
        """Whether the last frame may show two shots at once."""
        self._last: Grey | None = None
        self._change: list[Grey] = []
        """The frame before a change that goes on, and those since."""
        self._largest, self._is_told, self._step = 0.0, False, 0.0
        self._steps: deque[tuple[float, float]] = deque(maxlen=HISTORY)

    def add(self, picture: "VideoFrame") -> bool:
        """Take the next frame; return whether it is the first of which a new shot is known."""
        small, last = _shrink(picture), self._last
        self._last = small
        if last is None:
            return False
        # OpenCV's means: numpy's take longer to begin than to add up so few cells.
        away = cv2.absdiff(small, last)
        step, jump = cv2.mean(away)[0], cv2.mean(np.maximum(away, np.float32(CELL_GREY)))[0] - CELL_GREY
        if not self._steps:
            # How much is usual nobody knows yet.
            self._steps.append((step, jump))
            return False
        steps, jumps = zip(*self._steps, strict=True)
        is_jump = jump > max(CUT_GREY, CUT_TIMES * max(jumps)) and step > STEP_TIMES * self._step
        self._step = step
        usual = BLEND_TIMES * statistics.median(steps)
        if not is_jump and step <= max(BLEND_GREY, usual, BLEND_END * self._largest):
            self._steps.append((step, jump))
            return self._end_change(small)
        self._change = self._change or [last]
        self._change.append(small)
        self._largest = max(self._largest, step)
        if is_jump and not self._is_told:
            self.n_breaks, self._is_told, self.is_blend = self.n_breaks + 1, True, False
            return True
        self.is_blend = True
        if len(self._change) > BLEND_FRAMES:
            self._steps.append((step, jump))
            return self._end_change(small)
        return False

    def _end_change(self, small: Grey) -> bool:
        """See whether a change that went over several frames led to another shot, of which nobody was told."""
        change, is_told = self._change, self._is_told
        self._change, self._largest, self._is_told, self.is_blend = [], 0.0, False, False
        if not 3 <= len(change) <= BLEND_FRAMES or _compute_changed(small, change[0]) < BLEND_CHANGED:
            return False
        is_mix = _is_mix(change[0], change[len(change) // 2], small) and not _is_moved(change[0], small)
        if not (is_told or is_mix or _is_faded(change)):
            return False
        self.n_breaks += 1
        return not is_told


def _compute_changed(small: Grey, before: Grey) -> float:
    """Return the share of cells that differ by more than CELL_GREY once the earlier picture is lit as the later one."""
    # numpy's median is the same, but loads all of numpy.ma first.
    gain = statistics.median((small / np.maximum(before, 1)).ravel().tolist())
    return float((np.abs(small - gain * before) > CELL_GREY).mean())


def _is_mix(before: Grey, between: Grey, after: Grey) -> bool:
    """Return whether a picture is a mix of two: what moves or nears is in the middle where neither has it."""
    way, half = after - before, between - before
    share = float((half * way).mean()) / max(float((way**2).mean()), 1e-6)
    return float(np.abs(half - share * way).mean()) < MIX_AWAY * float(np.abs(way).mean())


def _is_moved(before: Grey, after: Grey) -> bool:
    """Return whether a picture is another one moved by little, which its middle is a mix of, too."""
    window = cv2.createHanningWindow(SIZE_WH, cv2.CV_32F)
    # Copies: it multiplies what it is given by the window.
    return cv2.phaseCorrelate(before.copy(), after.copy(), window)[1] > MOVED


def _is_faded(pictures: list[Grey]) -> bool:
    """Return whether one of the pictures shows nothing: a blend by way of black or white."""
    return min(float(picture.std()) for picture in pictures) < CELL_GREY / 2


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
