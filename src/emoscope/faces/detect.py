"""Face detection: an image (h, w, 3) in, Faces out. YuNet, or the embedded detector where YuNet is not to be had."""

import logging
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError, ModelError
from emoscope.core.types import Faces, Raster
from emoscope.faces.devices import CPU, Device, choose_device, open_session
from emoscope.faces.own import OwnDetector
from emoscope.faces.preprocess import shrink
from emoscope.faces.registry import DETECTOR, YUNET, check_sha256, fetch

log = logging.getLogger(__name__)

STRIDES = (8, 16, 32)
SCORE_THRESHOLD = 0.7
"""YuNet score from which a face counts; OpenCV Zoo's demo uses 0.6 to 0.9."""
NMS_IOU = 0.3
"""Boxes that overlap more are one face (OpenCV's default)."""
FULL_LOOK_S = 1.0
"""At least so often a video frame is searched at full detection size: someone small who comes in waits no longer."""
SMALL_FACE_PX = 60
"""A face of this side in the detector's picture is found and placed as well as a larger one: on the clip of
results/detection.json boxes and readings differ from those at full size no more than those of any other size do."""
MAX_REDUCTION = 8
"""Smaller pictures save no time: a look costs about 0.3 ms however small."""


class Detector(Protocol):
    """Finds faces."""

    name: str
    max_side_px: int
    """A larger image is reduced to this before detection."""
    turns_deg: tuple[int, ...]
    """Where no face stands upright, faces turned so far are looked for, one after the other."""
    device: Device
    """Where its network runs."""

    def detect(self, image: Raster, reduce: int = 1) -> Faces:
        """Return the faces of one image, best first.

        Args:
            image: (h, w, 3) uint8 BGR.
            reduce: look at a picture this many times smaller than usual: much faster, blind for small faces.
        """
        ...


@lru_cache(maxsize=16)
def _compute_anchors(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cell corners in cells (k, 2) and strides (k, 1) of all three levels, row-major as YuNet gives them."""
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


class YuNetDetector:
    """YuNet (Wu et al., YuNet: a tiny millisecond-level face detector, 2023) with a decode of our own."""

    name = "yunet"
    turns_deg: tuple[int, ...] = (90, 270, 180, 45, 315, 135, 225)

    def __init__(self, path: Path, max_side_px: int = 640, device: Device = CPU) -> None:
        """Load the network.

        Args:
            path: the ONNX file.
            max_side_px: a larger image is reduced to this before detection.
            device: where it runs.

        Raises:
            ModelError: the file is damaged.
        """
        self.session, self.device = open_session(path, device)
        self.max_side_px = max_side_px
        self.outputs = [f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in STRIDES]

    def detect(self, image: Raster, reduce: int = 1) -> Faces:
        """Return the faces of one image (h, w, 3) BGR uint8, best first; see Detector."""
        h, w = image.shape[:2]
        small = shrink(image, min(1.0, self.max_side_px / max(h, w)) / reduce)
        small_h, small_w = small.shape[:2]
        padded_w, padded_h = -(-small_w // 32) * 32, -(-small_h // 32) * 32
        batch = np.zeros((1, 3, padded_h, padded_w), np.float32)
        for channel, values in zip(batch[0], cv2.split(small), strict=True):
            channel[:small_h, :small_w] = values
        found = self.session.run(self.outputs, {"input": batch})
        cls, obj, bbox, points = (np.concatenate([part[0] for part in found[i : i + 3]]) for i in (0, 3, 6, 9))
        score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        keep = np.flatnonzero(score >= SCORE_THRESHOLD)
        if len(keep) == 0:
            return Faces()
        corners, strides = _compute_anchors(padded_w, padded_h)
        centre = (corners[keep] + bbox[keep, :2]) * strides[keep]
        size = np.exp(bbox[keep, 2:]) * strides[keep]
        xywh = np.concatenate([centre - size / 2, size], axis=1)
        kept = np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), score[keep].tolist(), SCORE_THRESHOLD, NMS_IOU), np.int64)
        to_image = np.array([w / small_w, h / small_h], np.float32)
        xywh, score = xywh[kept] * np.tile(to_image, 2), score[keep][kept]
        xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        best = keep[kept]
        landmarks = (points[best].reshape(-1, 5, 2) + corners[best, None]) * strides[best, None] * to_image
        return Faces(xyxy.astype(np.float32), score.astype(np.float32), landmarks=landmarks.astype(np.float32))


def detect_turned(detector: Detector, image: Raster, turned_deg: int, reduce: int = 1) -> Faces:
    """Find faces that are turned in their picture.

    Args:
        detector: finds upright ones.
        image: (h, w, 3) uint8 BGR.
        turned_deg: how far, clockwise.
        reduce: see Detector.

    Returns:
        The faces in the picture as it is; their boxes are upright all the same.
    """
    if turned_deg == 0:
        return detector.detect(image, reduce)
    h, w = image.shape[:2]
    small = shrink(image, detector.max_side_px / max(h, w))
    small_h, small_w = small.shape[:2]
    matrix = cv2.getRotationMatrix2D(((small_w - 1) / 2, (small_h - 1) / 2), turned_deg, 1.0)
    cos, sin = np.abs(matrix[0, :2])
    side_wh = round(small_w * cos + small_h * sin), round(small_w * sin + small_h * cos)
    matrix[:, 2] += (side_wh[0] - small_w) / 2, (side_wh[1] - small_h) / 2
    upright = np.asarray(cv2.warpAffine(small, matrix, side_wh, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    found = detector.detect(upright, reduce)
    back = cv2.invertAffineTransform(matrix)

    def turn_back(points: NDArray[np.floating]) -> NDArray[np.float32]:
        # Boxes count from the edge of the first pixel, the matrix from its middle.
        moved = (points - 0.5) @ back[:, :2].T + back[:, 2] + 0.5
        return np.asarray(moved * (w / small_w, h / small_h), np.float32)

    centres = turn_back((found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2)
    sides = (found.xyxy[:, 2:] - found.xyxy[:, :2]) * np.float32(w / small_w)
    if turned_deg % 180:
        # A face that lies is as wide as it was high; one in between needs room for both.
        sides = sides[:, ::-1] if turned_deg % 90 == 0 else np.repeat(sides.max(axis=1, keepdims=True), 2, axis=1)
    landmarks = None if found.landmarks is None else turn_back(found.landmarks)
    return found.replace(xyxy=np.concatenate([centres - sides / 2, centres + sides / 2], axis=1), landmarks=landmarks)


def look_all_ways(detector: Detector, image: Raster, likely_deg: int = 0) -> tuple[Faces, int]:
    """Find faces, turned ones where none stands upright: films of a phone that lay on its side, people lying down.

    Args:
        detector: finds upright ones.
        image: (h, w, 3) uint8 BGR.
        likely_deg: how far faces were turned before; looked at next after upright.

    Returns:
        The faces, and how far the picture had to be turned for them.
    """
    faces = Faces()
    for turned_deg in dict.fromkeys((0, likely_deg, *detector.turns_deg)):
        faces = detect_turned(detector, image, turned_deg)
        if len(faces):
            return faces, turned_deg
    return faces, 0


class VideoDetector:
    """Finds the faces of successive frames: a full look now and then, cheap ones in between.

    Between full looks the picture is made so small that the smallest face that is expected stays just large enough.
    When a cheap look finds fewer faces than expected, a full one follows at once.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector, self.name = detector, detector.name
        self.forget()

    def forget(self) -> None:
        """Look in full at the next frame."""
        self.full_at_s = self.all_ways_at_s = -math.inf
        self.turned_deg = 0

    def detect(self, image: Raster, time_s: float, expected_xyxy: NDArray[np.float32]) -> Faces:
        """Return the faces of one frame.

        Args:
            image: (h, w, 3) uint8 BGR.
            time_s: presentation time.
            expected_xyxy: (m, 4) where faces are expected, from the tracker.
        """
        reduce = self._choose_reduction(image, expected_xyxy)
        if reduce > 1 and 0 <= time_s - self.full_at_s < FULL_LOOK_S:
            faces = detect_turned(self.detector, image, self.turned_deg, reduce)
            if len(faces) >= len(expected_xyxy):
                return faces
        self.full_at_s = time_s
        if 0 <= time_s - self.all_ways_at_s < FULL_LOOK_S:
            return detect_turned(self.detector, image, self.turned_deg)
        faces, self.turned_deg = look_all_ways(self.detector, image, self.turned_deg)
        if len(faces) == 0 or self.turned_deg:
            # A picture without a face is looked at all ways once in a while only.
            self.all_ways_at_s = time_s
        return faces

    def _choose_reduction(self, image: Raster, expected_xyxy: NDArray[np.float32]) -> int:
        if len(expected_xyxy) == 0:
            return 1
        scale = min(1.0, self.detector.max_side_px / max(image.shape[:2]))
        sides_px = (expected_xyxy[:, 2:] - expected_xyxy[:, :2]).max(axis=1)
        largest = min(MAX_REDUCTION, sides_px.min() * scale / SMALL_FACE_PX)
        return 1 << int(math.log2(largest)) if largest >= 2 else 1


@dataclass(frozen=True)
class Choice:
    """A detector and why it was chosen."""

    detector: Detector
    reason: str


def create_detector(name: str = "auto", max_side_px: int = 640, device: str = "auto") -> Choice:
    """Create a detector.

    Args:
        name: `yunet`, `own`, or `auto` for YuNet when it is cached or can be fetched, else the embedded one.
        max_side_px: a larger image is reduced to this before detection.
        device: where it runs, see emoscope.faces.devices.

    Raises:
        InputError: an unknown name or device.
        ModelError: `yunet` was asked for and is neither cached nor to be fetched.
    """
    place = choose_device(device)
    if name == "own":
        return Choice(_create_own(max_side_px, place), "asked for")
    if name == "yunet":
        return Choice(YuNetDetector(fetch(YUNET), max_side_px, place), "asked for")
    if name != "auto":
        raise InputError(f"there is no detector {name!r}; choose auto, yunet or own")
    try:
        return Choice(YuNetDetector(fetch(YUNET), max_side_px, place), "best available")
    except ModelError as e:
        _warn_of_own(str(e))
        return Choice(_create_own(max_side_px, place), "YuNet was neither cached nor to be fetched")


def _create_own(max_side_px: int, device: Device) -> OwnDetector:
    return OwnDetector(check_sha256(DETECTOR), max_side_px, device=device)


@cache
def _warn_of_own(reason: str) -> None:
    """Say so once, not for each of a folder's recordings."""
    log.warning("YuNet is not available (%s): using the embedded detector, which misses more faces", reason)
