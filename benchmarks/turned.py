"""Measure how turned faces are found, straightened and read; validation faces (PublicTest), the embedded network.

`faces`: each face enlarged to 192 px, turned, read as it lies and as it is straightened. `pictures`: the same in the
middle of a grey picture of 480 x 480, found and read by analyze_image. `roll`: errors of the roll network alone, on
faces at random angles, zoomed and shifted as in its training. FER2013's faces lean a little themselves, so
that some of the error is theirs, and straightening them pays: `gain_95` is half of the 95 % interval of what
straightening gains or costs. `roll_by_eyes` are errors against the angle of the line through both eyes, which YuNet
tells of the face before it is turned, where it finds it; `lean` is how far these lines are turned.
Bar: straightened within 1 point of upright at every angle, upright not more than 0.2 points worse than read as it lies;
found in 0.95 and right within 3 points of upright at every angle; median error 4.5 degrees, 90 % within 15, 0.4 % the
wrong way up, 0.15 ms a face.
"""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.core.types import Faces, Frame
from emoscope.faces.crop import crop_faces
from emoscope.faces.detect import create_detector
from emoscope.faces.preprocess import to_grey
from emoscope.faces.quality import LEFT_EYE, RIGHT_EYE
from emoscope.faces.recognize import Recognizer
from emoscope.faces.upright import Cutter, RollNetwork
from emoscope.pipeline.analyzer import PICTURE_SIDE_PX, Analyzer
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split
from emoscope.study.geometry.roll import WRONG_WAY_DEG, RollTask, describe_errors

ANGLES = (0, 5, 10, 15, 20, 30, 45, 90, 135, 180)
PICTURE_ANGLES = (0, 20, 45, 90, 180)
ROLL_ANGLES = (0, 45, 90, 180)
SIDE_PX, FACE_PX = 480, 192
BOX = np.array([[144, 144, 336, 336]], np.float32)


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--faces", type=int, default=3589)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--detector", default="auto")
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    rows = np.random.default_rng(0).permutation(create_official_split(dataset).validation)
    pixels, labels = dataset.pixels[rows], dataset.emotion[rows]
    faces = {angle: read_faces(pixels[: arguments.faces], labels[: arguments.faces], angle) for angle in ANGLES}
    chosen = slice(arguments.pictures)
    analyzer = Analyzer(arguments.detector, max_side_px=PICTURE_SIDE_PX)
    pictures = {angle: read_pictures(analyzer, pixels[chosen], labels[chosen], angle) for angle in PICTURE_ANGLES}
    write_result(
        "turned",
        {
            "detector": analyzer.detector.name,
            "n_faces": len(labels[: arguments.faces]),
            "n_pictures": len(labels[chosen]),
            "faces": faces,
            "pictures": pictures,
            "roll": measure_roll(pixels),
            **measure_roll_by_eyes(pixels),
        },
    )


def place(face: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """Return a picture (SIDE_PX, SIDE_PX, 3) with a face of FACE_PX in its middle, turned clockwise."""
    scale = FACE_PX / face.shape[0]
    matrix = cv2.getRotationMatrix2D(((face.shape[1] - 1) / 2, (face.shape[0] - 1) / 2), -angle, scale)
    matrix[:, 2] += (SIDE_PX - 1) / 2 - (face.shape[0] - 1) / 2
    size, border = (SIDE_PX, SIDE_PX), cv2.BORDER_CONSTANT
    picture = cv2.warpAffine(face, matrix, size, flags=cv2.INTER_CUBIC, borderMode=border, borderValue=128)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)


def read_faces(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], angle: float) -> dict[str, float]:
    """Return the accuracy of faces whose place is known, as they lie, straightened, and the share turned back."""
    recognizer = Recognizer()
    cutter, box = Cutter(0.0, {}), Faces(BOX, np.ones(1, np.float32))
    as_they_lie, straight, turned = [], [], 0
    for face in pixels:
        picture = place(face, angle)
        as_they_lie += [to_grey(crop) for crop in crop_faces(picture, BOX, 0.0)]
        _, [crop] = cutter.cut(picture, box)
        straight.append(crop)
        turned += not np.array_equal(as_they_lie[-1], crop)
    lying, righted = (recognizer.predict(crops).argmax(1) == labels for crops in (as_they_lie, straight))
    gain = righted.astype(float) - lying
    return {
        "as_it_lies": float(lying.mean()),
        "straightened": float(righted.mean()),
        "turned_back": turned / len(labels),
        # Of the mean gain, by the normal approximation for pairs.
        "gain_95": 1.96 * float(gain.std()) / len(gain) ** 0.5,
    }


def read_pictures(
    analyzer: Analyzer, pixels: NDArray[np.uint8], labels: NDArray[np.uint8], angle: float
) -> dict[str, float]:
    """Return the share of pictures with a face found in its place, and of those that are read rightly."""
    found = right = extra = 0
    start = time.perf_counter()
    for i, (face, label) in enumerate(zip(pixels, labels, strict=True)):
        result = analyzer.analyze(Frame(place(face, angle), source=f"{angle}-{i}.png"))
        centres = (result.faces.xyxy[:, :2] + result.faces.xyxy[:, 2:]) / 2
        inside = np.flatnonzero((np.abs(centres - SIDE_PX / 2) < FACE_PX / 4).all(axis=1))
        extra += len(result) - min(1, len(inside))
        if len(inside):
            found += 1
            right += int(result.reading.emotion[inside[0]] == label)
    ms = 1000 * (time.perf_counter() - start) / len(labels)
    return {"found": found / len(labels), "right": right / len(labels), "extra": extra, "ms": round(ms, 1)}


def measure_roll(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return errors in degrees and the time of one face, in rows of eight."""
    task, network = RollTask(pixels[:1], pixels), RollNetwork()
    x, targets = task.turn_at_random(task.validation, torch.Generator().manual_seed(0), with_worse=False)
    batch = x.numpy()
    outputs, times = [], []
    for i in range(0, len(batch), 8):
        start = time.perf_counter()
        outputs.append(network.session.run(None, {"input": batch[i : i + 8]})[0])
        times.append((time.perf_counter() - start) / len(batch[i : i + 8]))
    values: dict[str, Any] = describe_errors(np.concatenate(outputs), targets.numpy())
    return {**values, "ms_per_face": round(1000 * min(times), 3), "n": len(batch)}


def measure_roll_by_eyes(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Return how far faces lean by their eyes, and the network's errors against that, by how far they are turned."""
    detector, network = create_detector("yunet").detector, RollNetwork()
    lean_deg = np.full(len(pixels), np.nan)
    for i, face in enumerate(pixels):
        found = detector.detect(place(face, 0))
        if len(found) and found.landmarks is not None:
            across = found.landmarks[0, LEFT_EYE] - found.landmarks[0, RIGHT_EYE]
            lean_deg[i] = np.degrees(np.arctan2(across[1], across[0]))
    has_eyes = np.isfinite(lean_deg)
    errors = {}
    for angle in ROLL_ANGLES:
        crops = [to_grey(crop_faces(place(face, angle), BOX, 0.0)[0]) for face in pixels[has_eyes]]
        told = np.concatenate([network.estimate(crops[i : i + 64])[0] for i in range(0, len(crops), 64)])
        errors[angle] = describe((told - angle - lean_deg[has_eyes] + 180) % 360 - 180)
    return {"roll_by_eyes": errors, "lean": {**describe(lean_deg[has_eyes]), "n": int(has_eyes.sum())}}


def describe(errors_deg: NDArray[np.float64]) -> dict[str, float]:
    """Return median, nine tenths and how many are the wrong way up, as describe_errors() names them."""
    size = np.abs(errors_deg)
    median, most = np.quantile(size, [0.5, 0.9])
    return {"median_deg": float(median), "p90_deg": float(most), "wrong_way": float((size > WRONG_WAY_DEG).mean())}


if __name__ == "__main__":
    main()
