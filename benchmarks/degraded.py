"""Measure what `uncertain` sets aside of faces that are made worse in ten ways, three strengths each.

Validation faces (PublicTest), cut upright as analyses do. A face is set aside where it lies below a limit of the
network (ModelSpec.limits) or its probability below the threshold; `kept_80` keeps the 80 % that are least so, whatever
the threshold. `curve`: accuracy over the share kept of all degraded faces together.
Bar: what is kept of all degraded faces at 80 % is read rightly 4 points more often than all; nine in ten of the
near-black are uncertain, and of the upside-down where they are not read as rightly as the upright.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split
from emoscope.study.measuring.conformal import AS_THEY_ARE, Read, read_degraded

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


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
    threshold = recognizer.calibration.uncertain_below
    found: dict[str, dict[str, Any]] = {}
    certainty, is_right = [], []
    for group, read in read_degraded(recognizer, pixels).items():
        kind, strength = group
        rank, right = rank_faces(read), read.probabilities.argmax(1) == labels
        found.setdefault(kind, {})[strength] = describe(rank, right, read.unreadable, threshold)
        if group != AS_THEY_ARE:
            certainty.append(rank)
            is_right.append(right)
    order, right = np.argsort(-np.concatenate(certainty), kind="stable"), np.concatenate(is_right)
    curve = {share: float(right[order][: round(share * len(right))].mean()) for share in SHARES}
    facts = {"model": recognizer.spec.name, "limits": dict(recognizer.spec.limits), "n": len(labels)}
    write_result("degraded", {**facts, "gain_at_80": round(curve[0.8] - curve[1.0], 4), "curve": curve, "kinds": found})


def rank_faces(read: Read) -> NDArray[np.float64]:
    """Return (n,) how certain each reading is: the largest probability, below 0 beyond the limits."""
    return np.asarray(read.probabilities.max(1) - read.unreadable)


def describe(
    rank: NDArray[np.float64], right: NDArray[np.bool_], beyond: NDArray[np.bool_], threshold: float
) -> dict[str, Any]:
    """Return accuracy of all and of the kept, and what is set aside."""
    uncertain = beyond | (rank < threshold)
    kept = np.argsort(-rank, kind="stable")[: round(0.8 * len(rank))]
    return {
        "accuracy": float(right.mean()),
        "kept_80": float(right[kept].mean()),
        "uncertain": float(uncertain.mean()),
        "beyond_limits": float(beyond.mean()),
        "accuracy_certain": float(right[~uncertain].mean()) if not uncertain.all() else None,
    }


if __name__ == "__main__":
    main()
