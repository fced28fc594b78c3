"""A face detector of our own: the network's maps in, Faces out; trained by studies/geometry/detector.yaml."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.types import Faces, Image
from emoscope.faces.preprocess import to_grey
from emoscope.faces.recognize import create_session

STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"map_{stride}" for stride in STRIDES)
"""Each (n, 6, h, w): logit of a face, its centre in cells from the cell's middle (2), logarithm of its side in strides,
sine and cosine of its turn."""
MEAN, STD = 0.45, 0.25
"""Of grey values in 0..1; subtracted and divided by."""
SCORE_THRESHOLD = 0.5
NMS_IOU = 0.3
"""Boxes that overlap more are one face."""


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
    if len(faces) == 0:
        return faces.reshape(0, 6)
    corner = faces[:, :2] - faces[:, 2:3] / 2
    xywh = np.concatenate([corner, faces[:, 2:3], faces[:, 2:3]], axis=1)
    kept = np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), faces[:, 3].tolist(), least, NMS_IOU), np.int64)
    return faces[kept]


class OwnDetector:
    """Finds faces with a network that learned from made-up pictures; needs no download."""

    name = "own"
    turns_deg: tuple[int, ...] = (90, 270, 180)

    def __init__(self, path: Path, max_side_px: int = 480) -> None:
        """Load the network.

        Args:
            path: the ONNX file.
            max_side_px: a larger image is reduced to this before detection.

        Raises:
            ModelError: the file is damaged.
        """
        self.session = create_session(path)
        self.max_side_px = max_side_px

    def detect(self, image: Image, reduce: int = 1) -> Faces:
        """Return the faces of one image (h, w, 3) BGR uint8, best first; see emoscope.faces.detect.Detector."""
        h, w = image.shape[:2]
        scale = min(1.0, self.max_side_px / max(h, w)) / reduce
        small_wh = max(1, round(w * scale)), max(1, round(h * scale))
        grey = cv2.resize(to_grey(image), small_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        padded = np.zeros((1, 1, -(-small_wh[1] // 32) * 32, -(-small_wh[0] // 32) * 32), np.float32)
        padded[0, 0, : small_wh[1], : small_wh[0]] = (np.asarray(grey, np.float32) / 255 - MEAN) / STD
        found = decode([part[0] for part in self.session.run(OUTPUTS, {"input": padded})])
        to_image = np.array([w / small_wh[0], h / small_wh[1]], np.float32)
        centre, half = found[:, :2] * to_image, found[:, 2:3] * to_image / 2
        return Faces(np.concatenate([centre - half, centre + half], axis=1), found[:, 3])
