"""Compare the embedded detector, and OpenCV's Haar cascade of earlier versions, with YuNet's boxes.

PLACES are pictures, films (every frame counts) and folders of them; each is a row. A box of YuNet is found where
another detector's overlaps it by FOUND_IOU; what lies on none of YuNet's boxes is extra, whether it is a face or not.
Times are processor time per picture, the detectors in turns. At the end the whole command `emoscope analyze CLIP` is
timed with both detectors in turns.

Bars: on every place more of YuNet's boxes than the cascade finds, with no more extra ones.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common import ROOT, create_parser, write_result
from earlier_version import analyze
from emoscope.core.types import Faces, Image
from emoscope.faces.detect import create_detector
from emoscope.faces.own import OwnDetector
from emoscope.media.find import find_sources
from emoscope.media.source import Source

FOUND_IOU = 0.4


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("places", type=Path, nargs="+")
    parser.add_argument("--network", type=Path, help="another ONNX file than the embedded one")
    parser.add_argument("--clip", type=Path, help="film whose whole analysis is timed")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    own = OwnDetector(arguments.network) if arguments.network else create_detector("own").detector
    detectors = {"yunet": create_detector("yunet").detector, "own": own, "haar": Cascade()}
    rows = {place.name: compare(find_sources([place]), detectors) for place in arguments.places}
    values: dict[str, Any] = {"places": rows}
    if arguments.clip:
        values |= {
            "clip": arguments.clip.name,
            "analyze_own_over_yunet": time_command(arguments.clip, arguments.repeats),
        }
    bars = {name: row["own"]["found"] >= row["haar"]["found"] for name, row in rows.items()}
    extra = {name: row["own"]["extra"] <= row["haar"]["extra"] for name, row in rows.items()}
    write_result("own_detector", {**values, "bars": {"finds_as_many": bars, "no_more_extra": extra}})


class Cascade:
    """OpenCV's frontal-face cascade (Viola and Jones, 2001) with the settings of version 0.6.0."""

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self.cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))

    def detect(self, image: Image) -> Faces:
        """Return the faces of one image (h, w, 3) BGR uint8."""
        scale = min(1.0, 640 / max(image.shape[:2]))
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        grey = cv2.equalizeHist(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        boxes, _, weights = self.cascade.detectMultiScale3(grey, 1.1, 9, minSize=(24, 24), outputRejectLevels=True)
        if len(boxes) == 0:
            return Faces()
        xywh = np.asarray(boxes, np.float32) / np.float32(scale)
        centre, side = xywh[:, :2] + xywh[:, 2:] / 2, xywh[:, 2:] * np.float32(1.06)
        score = 1 / (1 + np.exp(-np.asarray(weights, np.float64).ravel() / 2))
        kept = score >= 0.8
        xyxy = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
        return Faces(xyxy[kept], score[kept].astype(np.float32))


def compare(sources: Iterator[Source], detectors: dict[str, Any]) -> dict[str, Any]:
    """Return how many of YuNet's boxes each detector finds, its extra ones and its time per picture."""
    found = {name: {"found": 0, "extra": 0} for name in detectors}
    times_s: dict[str, list[float]] = {name: [] for name in detectors}
    n_pictures = 0
    for frame in (frame for source in sources for frame in source):
        n_pictures += 1
        truth = Faces()
        for name, detector in detectors.items():
            start_s = time.thread_time()
            faces = detector.detect(frame.image)
            times_s[name].append(time.thread_time() - start_s)
            truth = faces if name == "yunet" else truth
            is_same = compute_iou(truth.xyxy, faces.xyxy) >= FOUND_IOU
            found[name]["found"] += int(is_same.any(axis=1).sum())
            found[name]["extra"] += int((~is_same.any(axis=0)).sum())
    rows = {name: {**found[name], "ms": round(1000 * statistics.median(times_s[name]), 1)} for name in detectors}
    return {"pictures": n_pictures, **rows}


def time_command(clip: Path, repeats: int) -> dict[str, float]:
    """Return medians of the whole command's time with the embedded detector over that with YuNet."""
    ratios: dict[str, list[float]] = {"processor_s": [], "elapsed_s": []}
    with tempfile.TemporaryDirectory() as name:
        for i in range(repeats):
            runs = {
                detector: analyze(clip, ROOT, ["--detector", detector], Path(name) / f"{detector}-{i}")
                for detector in ("yunet", "own")
            }
            for value, found in ratios.items():
                found.append(runs["own"][value] / runs["yunet"][value])
    return {value: round(statistics.median(found), 3) for value, found in ratios.items()}


def compute_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return overlap over union (n, m) of boxes."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    size_a, size_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return np.asarray(shared / np.maximum(size_a[:, None] + size_b[None, :] - shared, 1e-6))


if __name__ == "__main__":
    main()
