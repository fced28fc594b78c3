"""A face detector of our own: the network's maps in, Faces out; trained by studies/geometry/detector.yaml."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Faces, Raster
from emoscope.faces.devices import CPU, Device, open_session
from emoscope.faces.preprocess import shrink, to_grey

STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"map_{stride}" for stride in STRIDES)
"""Each (n, 6, h, w): logit of a face, its centre in cells from the cell's middle (2), logarithm of its side in strides,
sine and cosine of its turn."""
MEAN, STD = 0.45, 0.25
"""Of grey values in 0..1; subtracted and divided by."""
SCORE_THRESHOLD = 0.75
"""From this on it shows no more on the pictures of benchmarks/own_detector.py than the cascade that it replaces."""
COARSER, SMALLEST_PX = 3, 64
"""Every look is followed by one at a picture so many times smaller, until that is as small as this: FER2013's faces are
48 px wide, and no large ones are sharp in what the network learned from."""
MAX_SHARED = 0.45
"""Boxes that share more, of the smaller one's area, are one face: seen whole, or a part of it seen closely."""
SAME_IOU = 0.7
"""Boxes that overlap more are averaged."""
PEAK_GREY, MAX_GAIN = 160.0, 32.0
"""A picture whose brightest hundredth is darker is lit up to this, at most so many times."""


def decode(maps: "list[NDArray[np.float32]]", least: float = SCORE_THRESHOLD) -> NDArray[np.float32]:
    """Turn the maps of one picture into faces.

    Args:
        maps: (6, h, w) of every stride.
        least: score from which a face counts.

    Returns:
        (n, 6): centre x and y, side, in pixels of the network's picture; score; sine and cosine of the turn; best
        first, one of every face.
    """
    parts = []
    for stride, found in zip(STRIDES, maps, strict=True):
        rows, columns = np.nonzero(found[0] > np.log(least / (1 - least)))
        logit, dx, dy, size, sine, cosine = found[:, rows, columns]
        middle = np.stack([columns + 0.5 + dx, rows + 0.5 + dy, np.exp(np.clip(size, -4, 4))])
        parts.append(np.concatenate([middle * stride, [1 / (1 + np.exp(-logit)), sine, cosine]]).T)
    faces = np.concatenate(parts).astype(np.float32)
    return _keep_best(faces.reshape(-1, 6))


def _light(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    at = grey.size - 1 - grey.size // 100
    peak = float(np.partition(grey, at, axis=None)[at])
    if peak >= PEAK_GREY:
        return grey
    return np.asarray(cv2.convertScaleAbs(grey, alpha=min(PEAK_GREY / max(peak, 1), MAX_GAIN)))


def _keep_best(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return faces (n, 6) best first, without those that share most of the smaller box with a better one.

    Those that lie nearly as it does have a say in where it is: it jumps less from frame to frame.
    """
    faces = faces[np.argsort(-faces[:, 3], kind="stable")]
    low, high = faces[:, :2] - faces[:, 2:3] / 2, faces[:, :2] + faces[:, 2:3] / 2
    kept: list[int] = []
    placed = faces.copy()
    for i in range(len(faces)):
        shared = np.clip(np.minimum(high[i], high) - np.maximum(low[i], low), 0, None).prod(axis=1)
        smaller = np.minimum(faces[i, 2], faces[:, 2]) ** 2
        if (shared[kept] > MAX_SHARED * smaller[kept]).any():
            continue
        kept.append(i)
        is_same = shared / (faces[i, 2] ** 2 + faces[:, 2] ** 2 - shared) >= SAME_IOU
        placed[i, :3] = np.average(faces[is_same, :3], axis=0, weights=faces[is_same, 3])
    return placed[kept]


class OwnDetector:
    """Finds faces with a network that learned from made-up pictures; needs no download."""

    name = "own"
    turns_deg: tuple[int, ...] = (90, 270, 180)

    def __init__(
        self, path: Path, max_side_px: int = 640, least: float = SCORE_THRESHOLD, device: Device = CPU
    ) -> None:
        """Load the network.

        Args:
            path: the ONNX file.
            max_side_px: a larger image is reduced to this before detection.
            least: score from which a face counts.
            device: where it runs.

        Raises:
            ModelError: the file is damaged.
        """
        self.session, self.device = open_session(path, device)
        self.max_side_px = max_side_px
        self.least = least

    def detect(self, image: Raster, reduce: int = 1) -> Faces:
        """Return the faces of one image (h, w, 3) BGR uint8, best first; see emoscope.faces.detect.Detector."""
        h, w = image.shape[:2]
        grey = shrink(to_grey(image[:, :]), min(1.0, self.max_side_px / max(h, w)) / reduce)
        parts: list[NDArray[np.float32]] = []
        while not parts or max(grey.shape) >= SMALLEST_PX:
            found = self._look(_light(grey))
            across, down = w / grey.shape[1], h / grey.shape[0]
            found[:, :3] *= np.array([across, down, max(across, down)], np.float32)
            parts.append(found)
            size_wh = max(1, grey.shape[1] // COARSER), max(1, grey.shape[0] // COARSER)
            grey = np.asarray(cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        found = _keep_best(np.concatenate(parts))
        centre, half = found[:, :2], found[:, 2:3] / 2
        return Faces(np.concatenate([centre - half, centre + half], axis=1), found[:, 3])

    def _look(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        h, w = grey.shape
        padded = np.zeros((1, 1, -(-h // 32) * 32, -(-w // 32) * 32), np.float32)
        padded[0, 0, :h, :w] = (grey.astype(np.float32) / 255 - MEAN) / STD
        return decode([part[0] for part in self.session.run(OUTPUTS, {"input": padded})], self.least)
