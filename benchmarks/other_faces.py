"""Measure networks on a stand-in for other people's pictures: validation faces framed, lit and recorded otherwise.

FER2013's own faces say how well a network knows FER2013; a user's faces come from another detector's frame, another
light, another camera. No second labelled set may be shipped or chosen on, so validation images are changed at random
(seeded, face by face): the frame, the light, the camera, and all three together in several draws. Beside accuracy
stands the mean recall of the classes, because posed or invited expressions are not as rare as FER2013's disgust is.
Networks' names and ONNX files; several files joined by `+` are averaged as probabilities.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer, calibrate
from emoscope.faces.spec import Calibration
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.measuring.robustness import CHANGES

Face = NDArray[np.uint8]
N_DRAWS = 3
"""Draws of all changes together."""
WORSE = ("as they are", "noise, 10 %", "16 px wide")
"""Rows of robustness that an embedded network's bars name."""


def reframe(face: Face, rng: np.random.Generator) -> Face:
    """Cut the face as another detector would: tighter or a little wider, off the middle, not quite upright."""
    h, w = face.shape
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), rng.uniform(-7, 7), rng.uniform(0.95, 1.2))
    matrix[:, 2] += rng.uniform(-0.05, 0.05, 2) * (w, h)
    return np.asarray(cv2.warpAffine(face, matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def relight(face: Face, rng: np.random.Generator) -> Face:
    """Light the face from a side, with another contrast curve, and perhaps evened out as phones do."""
    if rng.random() < 0.3:
        face = np.asarray(cv2.createCLAHE(2.0, (3, 3)).apply(face), np.uint8)
    h, w = face.shape
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    light = 1 + strength * (np.cos(angle) * x + np.sin(angle) * y)
    values = np.clip(face / 255 * light, 0, 1) ** np.exp(rng.uniform(-0.6, 0.6))
    low, high = rng.uniform(0, 0.25), rng.uniform(0.75, 1)
    return np.rint(255 * (low + (high - low) * values)).astype(np.uint8)


def record(face: Face, rng: np.random.Generator) -> Face:
    """Pass the face through another camera: 64 to 200 px, soft or sharpened, a little noise, JPEG."""
    side = int(np.exp(rng.uniform(np.log(64), np.log(200))))
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    soft = cv2.GaussianBlur(large, (0, 0), side / 48 * rng.uniform(0.3, 0.9))
    values = soft if rng.random() < 0.5 else large + rng.uniform(0, 1) * (large - soft)
    values = values + rng.normal(0, 255 * rng.uniform(0, 0.03), values.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))]
    _, data = cv2.imencode(".jpg", np.clip(np.rint(values), 0, 255).astype(np.uint8), quality)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


OTHERS: Final[Mapping[str, Callable[[Face, np.random.Generator], Face]]] = {
    "other frame": reframe,
    "other light": relight,
    "other camera": record,
    **{
        f"all three, draw {i + 1}": lambda face, rng: record(relight(reframe(face, rng), rng), rng)
        for i in range(N_DRAWS)
    },
}


def change(faces: NDArray[np.uint8], name: str) -> list[Face]:
    """Return every face (n, 48, 48) after a change of OTHERS or of the robustness table, seeded by change and face."""
    if name in CHANGES:
        return list(CHANGES[name](faces))
    seed = list(OTHERS).index(name)
    return [OTHERS[name](face, np.random.default_rng([seed, i])) for i, face in enumerate(faces)]


def describe(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, float]:
    """Return accuracy and the mean recall of the classes."""
    right = probabilities.argmax(axis=1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    return {"accuracy": float(right.mean()), "mean_recall": float(np.mean(recalls))}


def summarize(rows: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """Return the means over the draws of all three changes."""
    drawn = [row for name, row in rows.items() if name.startswith("all three")]
    return {key: float(np.mean([row[key] for row in drawn])) for key in drawn[0]}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    validation = create_split(dataset, Recognizer().spec).validation
    faces, labels = dataset.pixels[validation], dataset.emotion[validation]
    members = {m: Recognizer(m) for model in arguments.models for m in model.split("+")}
    models: dict[str, Any] = {Path(model).stem: {} for model in arguments.models}
    for name in (*WORSE, *OTHERS):
        crops = change(faces, name)
        plain = {m: calibrate(r.compute_logits(crops), Calibration()) for m, r in members.items()}
        for model in arguments.models:
            mean = np.mean([plain[m] for m in model.split("+")], axis=0)
            models[Path(model).stem][name] = describe(mean, labels)
    for rows in models.values():
        rows["mean of all three"] = summarize(rows)
    write_result("other_faces", {"n": len(labels), "models": models})


if __name__ == "__main__":
    main()
