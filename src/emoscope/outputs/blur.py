"""Hiding: an image and face boxes in, an image out in which these faces cannot be recognised."""

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Image

SAMPLES = 6
"""Values that are left across a face: where eyes and mouth are can be guessed, who it is cannot."""
HALF_WIDTH, HALF_HEIGHT, LIFT = 0.78, 0.86, 0.06
"""Half axes of the hidden ellipse and how far it is moved up, in widths and heights of the box: hair, ears and chin
tell who someone is, and the corners of the box lie within."""
HOLD_S = 0.5
"""For so long the place of someone who is no longer found stays hidden: the face may just have been missed."""
HOLD_GROWTH = 0.5
"""By this share of its side a held box has grown at the end: the person may have moved."""


def blur(image: Image, n_samples: int) -> Image:
    """Return the image with all detail removed: about n_samples values are left along its longer side."""
    h, w = image.shape[:2]
    scale = n_samples / max(h, w)
    small_wh = max(1, min(w, round(w * scale))), max(1, min(h, round(h * scale)))
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA)
    # The Gaussian takes the grid away, which would show as blocks.
    small = cv2.GaussianBlur(small, (3, 3), 0.6, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), np.uint8)


def blur_in_place(image: Image, xyxy: NDArray[np.float32]) -> None:
    """Make an ellipse without features of every face.

    Args:
        image: (h, w, 3) uint8 BGR.
        xyxy: (n, 4) boxes in pixels, anywhere.
    """
    h, w = image.shape[:2]
    for x1, y1, x2, y2 in limit_boxes(xyxy, (w, h)):
        width, height = x2 - x1, y2 - y1
        x, y = (x1 + x2) / 2, (y1 + y2) / 2 - LIFT * height
        # One pixel more: a box of no size still hides what is under it.
        a, b = HALF_WIDTH * width + 1, HALF_HEIGHT * height + 1
        left, right = (int(np.clip(v, 0, w)) for v in (x - a, x + a + 1))
        top, bottom = (int(np.clip(v, 0, h)) for v in (y - b, y + b + 1))
        if right <= left or bottom <= top:
            continue
        part = image[top:bottom, left:right]
        face_px = max(width, height, 1.0)
        n_samples = max(1, round(SAMPLES * max(part.shape[:2]) / face_px))
        mask = np.zeros(part.shape[:2], np.uint8)
        cv2.ellipse(mask, ((x - left, y - top), (2 * a, 2 * b), 0), 255, cv2.FILLED)
        cv2.copyTo(blur(part, n_samples), mask, part)


def limit_boxes(xyxy: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Return (n, 4) finite boxes in order that reach at most one picture's size beyond the picture."""
    boxes = np.nan_to_num(np.asarray(xyxy, np.float64).reshape(-1, 4), nan=0.0)
    size = np.array(size_wh * 2, np.float64)
    boxes = np.clip(boxes, -size, 2 * size)
    return np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])


class FaceHider:
    """Says frame by frame which places to hide: the faces that are there and those that just were."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self.hold_s = hold_s
        self.seen: dict[int, tuple[float, NDArray[np.float32]]] = {}
        self.source = ""

    def update(self, result: FrameResult) -> NDArray[np.float32]:
        """Take the next frame's faces and return (n, 4) boxes to hide in that frame."""
        time_s, faces = result.time_s, result.faces
        if result.source != self.source:
            self.seen, self.source = {}, result.source
        # Without person numbers a face takes the place of the one that stood there in the list.
        ids = range(len(faces)) if faces.track_id is None else faces.track_id.tolist()
        for track_id, box in zip(ids, faces.xyxy, strict=True):
            self.seen[track_id] = time_s, box
        self.seen = {k: v for k, v in self.seen.items() if 0 <= time_s - v[0] <= self.hold_s}
        boxes = [self._grow(box, time_s - since_s) for since_s, box in self.seen.values()]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def _grow(self, box: NDArray[np.float32], age_s: float) -> NDArray[np.float32]:
        if age_s == 0:
            return box
        more = HOLD_GROWTH / 2 * age_s / self.hold_s * np.array([box[2] - box[0], box[3] - box[1]])
        return np.concatenate([box[:2] - more, box[2:] + more]).astype(np.float32)
