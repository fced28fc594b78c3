"""Face detection: an image (h, w, 3) in, Faces out. YuNet through ONNX Runtime, or OpenCV's Haar cascade offline."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.errors import InputError, ModelError
from emoscope.models.registry import YUNET, fetch
from emoscope.recognize import create_session
from emoscope.types import Faces, Image

log = logging.getLogger(__name__)

STRIDES = (8, 16, 32)
SCORE_THRESHOLD = 0.7
"""YuNet score from which a face counts; OpenCV Zoo's demo uses 0.6 to 0.9."""
NMS_IOU = 0.3
"""Boxes that overlap more are one face (OpenCV's default)."""
HAAR_TO_YUNET = 1.06
"""A Haar box of a face is a little smaller than its YuNet box; this enlarges it so that one crop margin fits
both. Measured by benchmarks/crop_margin.py, results/crop_margin.json."""

HAAR_SCORE_THRESHOLD = 0.8
"""Haar faces below this were patterns on clothes and walls more often than faces on the demo clip and on skimage's
astronaut; set by eye on these two, it trades missed faces for false people."""


class Detector(Protocol):
    """Finds faces."""

    name: str

    def detect(self, image: Image) -> Faces:
        """Return the faces of one image, best first."""
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

    def __init__(self, path: Path, max_side_px: int = 640) -> None:
        """Load the network.

        Args:
            path: the ONNX file.
            max_side_px: a larger image is reduced to this before detection.

        Raises:
            ModelError: the file is damaged.
        """
        self.session = create_session(path)
        self.max_side_px = max_side_px
        self.outputs = [f"{part}_{stride}" for part in ("cls", "obj", "bbox") for stride in STRIDES]

    def detect(self, image: Image) -> Faces:
        """Return the faces of one image (h, w, 3) BGR uint8, best first."""
        h, w = image.shape[:2]
        scale = min(1.0, self.max_side_px / max(h, w))
        small_w, small_h = max(1, round(w * scale)), max(1, round(h * scale))
        small = image if scale == 1 else cv2.resize(image, (small_w, small_h), interpolation=cv2.INTER_AREA)
        padded_w, padded_h = -(-small_w // 32) * 32, -(-small_h // 32) * 32
        batch = np.zeros((1, 3, padded_h, padded_w), np.float32)
        batch[0, :, :small_h, :small_w] = small.transpose(2, 0, 1)
        found = self.session.run(self.outputs, {"input": batch})
        cls, obj, bbox = (np.concatenate([part[0] for part in found[i : i + 3]]) for i in (0, 3, 6))
        score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        keep = np.flatnonzero(score >= SCORE_THRESHOLD)
        if len(keep) == 0:
            return Faces()
        corners, strides = _compute_anchors(padded_w, padded_h)
        centre = (corners[keep] + bbox[keep, :2]) * strides[keep]
        size = np.exp(bbox[keep, 2:]) * strides[keep]
        xywh = np.concatenate([centre - size / 2, size], axis=1)
        kept = np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), score[keep].tolist(), SCORE_THRESHOLD, NMS_IOU), np.int64)
        xywh, score = xywh[kept] * np.array([w / small_w, h / small_h] * 2, np.float32), score[keep][kept]
        xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        return Faces(xyxy.astype(np.float32), score.astype(np.float32))


class HaarDetector:
    """OpenCV's frontal-face cascade (Viola and Jones, 2001): always there, slower and less able than YuNet."""

    name = "haar"

    def __init__(self, max_side_px: int = 640) -> None:
        """Load the cascade that OpenCV carries.

        Args:
            max_side_px: a larger image is reduced to this before detection.
        """
        self.max_side_px = max_side_px
        self.cascade = cv2.CascadeClassifier(
            str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")
        )

    def detect(self, image: Image) -> Faces:
        """Return the faces of one image (h, w, 3) BGR uint8, best first."""
        h, w = image.shape[:2]
        scale = min(1.0, self.max_side_px / max(h, w))
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if scale < 1:
            size = max(1, round(w * scale)), max(1, round(h * scale))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        grey = cv2.equalizeHist(grey)
        # minNeighbors 9 rather than 3: a false face in a report is worse than a missed one.
        boxes, _, weights = self.cascade.detectMultiScale3(grey, 1.1, 9, minSize=(24, 24), outputRejectLevels=True)
        if len(boxes) == 0:
            return Faces()
        xywh = np.asarray(boxes, np.float32) / np.float32(scale)
        centre, side = xywh[:, :2] + xywh[:, 2:] / 2, xywh[:, 2:] * np.float32(HAAR_TO_YUNET)
        xyxy = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
        # The cascade's weights have no upper end; the logistic only orders them within 0..1.
        score = 1 / (1 + np.exp(-np.asarray(weights, np.float64).ravel() / 2))
        best = np.argsort(-score, kind="stable")
        best = best[score[best] >= HAAR_SCORE_THRESHOLD]
        return Faces(xyxy[best], score[best].astype(np.float32))


@dataclass(frozen=True)
class Choice:
    """A detector and why it was chosen."""

    detector: Detector
    reason: str


def create_detector(name: str = "auto", max_side_px: int = 640) -> Choice:
    """Create a detector.

    Args:
        name: `yunet`, `haar`, or `auto` for YuNet when it is cached or can be fetched, else Haar.
        max_side_px: a larger image is reduced to this before detection.

    Raises:
        InputError: an unknown name.
        ModelError: `yunet` was asked for and is neither cached nor to be fetched.
    """
    if name == "haar":
        return Choice(HaarDetector(max_side_px), "asked for")
    if name == "yunet":
        return Choice(YuNetDetector(fetch(YUNET), max_side_px), "asked for")
    if name != "auto":
        raise InputError(f"there is no detector {name!r}; choose auto, yunet or haar")
    try:
        return Choice(YuNetDetector(fetch(YUNET), max_side_px), "best available")
    except ModelError as e:
        log.warning("YuNet is not available (%s): using OpenCV's Haar cascade, which misses more faces", e)
        return Choice(HaarDetector(max_side_px), "YuNet was neither cached nor to be fetched")
