"""Measure where a face is at rest: the probability of neutral on validation faces, and made-up people by the rule.

Thresholds are compared by Youden's index: the share of faces labelled neutral at or above less that of faces labelled
sad, the emotion that resting faces are most often taken for. A made-up person is one validation face, or two, framed,
lit and recorded otherwise in each of N_FRAMES frames (other_faces.py): FER2013 has no second picture of anybody.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.core.emotions import EMOTIONS
from emoscope.faces.recognize import Recognizer
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.tables.baseline import MIN_OBSERVATIONS, MIN_REST, MIN_REST_SHARE, NEUTRAL
from other_faces import record, reframe, relight

THRESHOLDS: Final = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
N_FRAMES: Final = 60
N_PEOPLE: Final = 100
PEOPLE: Final = {
    "rests throughout": {"neutral": 1.0},
    "smiles, rests 15 % of the time": {"happy": 0.85, "neutral": 0.15},
    "sad, rests 15 % of the time": {"sad": 0.85, "neutral": 0.15},
    **{f"{name} throughout": {name: 1.0} for name in ("sad", "angry", "fear", "happy", "surprise")},
}
"""What made-up people show, and for how much of their time."""
Faces = NDArray[np.uint8]


def read_person(shown: dict[str, float], faces: dict[str, Faces], model: Recognizer, seed: int) -> NDArray[np.float64]:
    """Return the probability of neutral in each frame of a made-up person (N_FRAMES,)."""
    rng = np.random.default_rng(seed)
    frames = []
    for name, share in shown.items():
        face = faces[name][rng.integers(len(faces[name]))]
        n = round(share * N_FRAMES)
        frames += [record(relight(reframe(face, rng), rng), rng) for _ in range(n)]
    return np.asarray(model.predict(frames)[:, NEUTRAL])


def has_rest(neutral: NDArray[np.float64]) -> bool:
    """Tell what the rule of `--baseline auto` says."""
    return bool((neutral >= MIN_REST).sum() >= max(MIN_OBSERVATIONS, np.ceil(MIN_REST_SHARE * len(neutral))))


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    dataset, model = Dataset.load(arguments.data), Recognizer()
    validation = create_split(dataset, model.spec).validation
    pixels, labels = dataset.pixels[validation], dataset.emotion[validation]
    faces = {name: pixels[labels == i] for i, name in enumerate(EMOTIONS)}
    neutral = {name: model.predict(list(own))[:, NEUTRAL] for name, own in faces.items()}
    thresholds: dict[str, Any] = {}
    for least in THRESHOLDS:
        shares = {name: round(float((own >= least).mean()), 4) for name, own in neutral.items()}
        thresholds[str(least)] = {**shares, "youden": round(shares["neutral"] - shares["sad"], 4)}
    people = {
        what: float(np.mean([has_rest(read_person(shown, faces, model, seed)) for seed in range(N_PEOPLE)]))
        for what, shown in PEOPLE.items()
    }
    rule = {"min_rest": MIN_REST, "min_rest_share": MIN_REST_SHARE}
    write_result("rest", {"n": len(labels), "thresholds": thresholds, "rule": rule, "rest_found": people})


if __name__ == "__main__":
    main()
