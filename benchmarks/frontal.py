"""Measure how rightly faces are read by how frontal they are: is there a limit below which readings are no good?

Validation faces (PublicTest) as people labelled them, each enlarged to 192 px in the middle of a grey picture, where
YuNet's points say how frontal it is; the network reads the face itself. FER2013 has no labels of pose and few profiles:
`found` says of how many faces the points are known, `bands` the figures between two values of `frontal`, with 95 %
intervals (Wilson), `neutral_read_sad` what becomes of the neutral ones.
`limit` is what `fit_limits` would set: null where every second face is read rightly down to the lowest value.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from common import create_parser, write_result
from emoscope.core.emotions import EMOTIONS
from emoscope.faces.detect import create_detector
from emoscope.faces.quality import compute_frontal
from emoscope.faces.recognize import Recognizer
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split
from emoscope.study.measuring.degrade import find_limit
from turned import FACE_PX, SIDE_PX, place

EDGES = (0.0, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0)
NEUTRAL, SAD = EMOTIONS.index("neutral"), EMOTIONS.index("sad")


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    rows = create_official_split(dataset).validation
    pixels, labels, recognizer = dataset.pixels[rows], dataset.emotion[rows], Recognizer()
    probabilities, frontal = recognizer.predict(list(pixels)), measure_frontal(pixels)
    predictions, known = probabilities.argmax(axis=1), np.isfinite(frontal)
    is_right, uncertain = predictions == labels, probabilities.max(axis=1) < recognizer.calibration.uncertain_below
    bands = []
    for low, high in pairwise(EDGES):
        inside = known & (frontal >= low) & ((frontal < high) | (high == EDGES[-1]))
        neutral = inside & (labels == NEUTRAL)
        interval = binomtest(int(is_right[inside].sum()), int(inside.sum())).proportion_ci(0.95, method="wilson")
        bands.append(
            {
                "frontal": [low, high],
                "n": int(inside.sum()),
                "accuracy": round(float(is_right[inside].mean()), 4),
                "interval_95": [round(float(interval.low), 4), round(float(interval.high), 4)],
                "mean_probability": round(float(probabilities.max(axis=1)[inside].mean()), 4),
                "uncertain": round(float(uncertain[inside].mean()), 4),
                "labelled_sad": round(float((labels == SAD)[inside].mean()), 4),
                "read_sad": round(float((predictions == SAD)[inside].mean()), 4),
                "n_neutral": int(neutral.sum()),
                "neutral_read_sad": round(float((predictions == SAD)[neutral].mean()), 4),
            }
        )
    facts = {"model": recognizer.spec.name, "n": len(labels), "found": round(float(known.mean()), 4)}
    unknown = {"n": int((~known).sum()), "accuracy": round(float(is_right[~known].mean()), 4)}
    limit = find_limit(frontal[known], is_right[known])
    write_result("frontal", {**facts, "limit": limit, "bands": bands, "not_found": unknown})


def measure_frontal(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how frontal each face is (n,), NaN where it is not found."""
    detector, values = create_detector("yunet", SIDE_PX).detector, np.full(len(pixels), np.nan)
    for i, face in enumerate(pixels):
        faces = detector.detect(place(face, 0))
        centres = (faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2
        inside = np.flatnonzero((np.abs(centres - SIDE_PX / 2) < FACE_PX / 4).all(axis=1))
        if len(inside) and faces.landmarks is not None:
            values[i] = compute_frontal(faces.landmarks[inside[:1]])[0]
    return values


if __name__ == "__main__":
    main()
