"""Measure what `uncertain` sets aside of faces that are made worse in ten ways, three strengths each.

Validation faces (PublicTest), cut upright as analyses do. A face is set aside where it lies below a limit of the
network (ModelSpec.limits) or its probability below the threshold; `kept_80` keeps the 80 % that are least so, whatever
the threshold. `curve`: accuracy over the share kept of all degraded faces together.
Bar: what is kept of all degraded faces at 80 % is read rightly 4 points more often than all; nine in ten of the
near-black are uncertain, and of the upside-down where they are not read as rightly as the upright.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.core.types import Faces
from emoscope.faces.recognize import Recognizer
from emoscope.faces.upright import Cutter
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split
from emoscope.study.measuring.robustness import (
    add_noise,
    blur,
    brighten,
    cover,
    dim,
    reduce_contrast,
    rotate,
    shrink,
)

Pixels = NDArray[np.uint8]
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def compress(faces: Pixels, quality: int) -> Pixels:
    """Write and read as JPEG."""
    coded = [cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for face in faces]
    return np.stack([np.asarray(cv2.imdecode(c, cv2.IMREAD_GRAYSCALE), np.uint8) for c in coded])


KINDS: dict[str, tuple[Callable[..., Pixels], tuple[Any, ...]]] = {
    "blurred, sigma in px": (blur, (1, 2, 3)),
    "noisy, share of white": (add_noise, (0.05, 0.1, 0.2)),
    "brighter by": (brighten, (0.2, 0.4, 0.6)),
    "dark, light left": (dim, (0.3, 0.1, 0.03)),
    "contrast left": (reduce_contrast, (0.33, 0.1, 0.04)),
    "eyes covered, from 0.2 to": (lambda faces, end: cover(faces, 0.2, end), (0.3, 0.4, 0.5)),
    "mouth covered, to 0.95 from": (lambda faces, start: cover(faces, start, 0.95), (0.8, 0.7, 0.6)),
    "turned, degrees": (rotate, (20, 45, 180)),
    "small, px": (shrink, (24, 16, 10)),
    "compressed, JPEG quality": (compress, (30, 15, 5)),
}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--faces", type=int, default=3589)
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    rows = np.random.default_rng(0).permutation(create_official_split(dataset).validation)[: arguments.faces]
    pixels, labels = dataset.pixels[rows], dataset.emotion[rows]
    recognizer = Recognizer(arguments.model)
    cutter = Cutter(0.0, recognizer.spec.limits)
    found: dict[str, dict[str, Any]] = {"as they are": {"": read(recognizer, cutter, pixels, labels)}}
    for kind, (change, strengths) in KINDS.items():
        changes = [(str(strength), partial(change, pixels, strength)) for strength in strengths]
        sides = strengths if change is shrink else [pixels.shape[1]] * 3
        found[kind] = {
            name: read(recognizer, cutter, make(), labels, side)
            for (name, make), side in zip(changes, sides, strict=True)
        }
    worse = [values for kind in KINDS for values in found[kind].values()]
    right, rank = (np.concatenate([values.pop(key) for values in worse]) for key in ("right", "rank"))
    found["as they are"][""].pop("right"), found["as they are"][""].pop("rank")
    order = np.argsort(-rank, kind="stable")
    curve = {share: float(right[order][: round(share * len(right))].mean()) for share in SHARES}
    facts = {"model": recognizer.spec.name, "limits": dict(recognizer.spec.limits), "n": len(labels)}
    write_result("degraded", {**facts, "gain_at_80": round(curve[0.8] - curve[1.0], 4), "curve": curve, "kinds": found})


def read(
    recognizer: Recognizer, cutter: Cutter, pixels: Pixels, labels: NDArray[np.uint8], side_px: int = 48
) -> dict[str, Any]:
    """Return accuracy of all and of the kept, what is set aside, and each face's rank among the certain."""
    box = Faces(np.array([[0, 0, *pixels.shape[2:0:-1]]], np.float32), np.ones(1, np.float32))
    crops, beyond = [], np.zeros(len(pixels), bool)
    for i, face in enumerate(pixels):
        image = cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)
        faces, [crop] = cutter.cut(image, box)
        crops.append(crop)
        assert faces.unreadable is not None
        # An enlarged face stands for one that was as small in its picture.
        beyond[i] = faces.unreadable[0] or side_px < cutter.limits.get("size_px", 0.0)
    probabilities = recognizer.predict(crops)
    right, largest = probabilities.argmax(1) == labels, probabilities.max(1)
    rank = largest - beyond
    uncertain = beyond | (largest < recognizer.calibration.uncertain_below)
    kept = np.argsort(-rank, kind="stable")[: round(0.8 * len(rank))]
    return {
        "accuracy": float(right.mean()),
        "kept_80": float(right[kept].mean()),
        "uncertain": float(uncertain.mean()),
        "beyond_limits": float(beyond.mean()),
        "accuracy_certain": float(right[~uncertain].mean()) if not uncertain.all() else None,
        "right": right,
        "rank": rank,
    }


if __name__ == "__main__":
    main()
