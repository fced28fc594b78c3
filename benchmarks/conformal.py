"""Measure sets of emotions: how many hold the label, and how large they are, of faces as they are and made worse.

Validation faces (PublicTest), cut upright as analyses do, as they are and made worse in ten ways, three strengths each
(those of benchmarks/degraded.py). Thresholds are fitted on one half of the photographs and measured on the other, both
ways round; what ships is fitted on all. `choices`: other scores (LAC: Sadinle et al. 2019; APS: Romano et al. 2020;
RAPS: Angelopoulos et al. 2021; without their random part) and other ways of fitting: on faces as they are, on all
together, or for each way of making worse, the most careful taken. `unseen`: the least coverage of a kind that was left
out when fitting.
Bar: 88 % of the sets hold the label in every group.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split
from emoscope.study.measuring.conformal import AS_THEY_ARE, Groups, Read, find_ratio, read_degraded
from emoscope.study.measuring.degrade import DEGRADED

Floats = NDArray[np.float64]
Key = tuple[str, str]
Score = Callable[[Floats], Floats]
"""Of probabilities (n, 7): larger values come into a set first."""
Fit = Callable[[Mapping[Key, Floats]], float]
"""Of the labels' scores by group: the threshold."""
Found = dict[Key, tuple[float, float]]
"""Coverage and size by group."""
N_MANY_VIEWS = 200
"""Faces read with ten views: enough to see whether the ratio fitted for one holds."""


def accumulate(p: Floats, penalty: float = 0.0, free: int = 2) -> Floats:
    """Return minus the probability of an emotion and all likelier ones, and a penalty for each beyond the free ones."""
    order = np.argsort(-p, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(p, order, 1), axis=1) + penalty * np.maximum(np.arange(1, 8) - free, 0)
    out = np.empty_like(p)
    np.put_along_axis(out, order, -sums, 1)
    return out


SCORES: Mapping[str, Score] = {
    "ratio to the likeliest": lambda p: p / p.max(1, keepdims=True),
    "LAC": lambda p: p,
    "APS": accumulate,
    "RAPS": lambda p: accumulate(p, 0.05),
}
FITS: Mapping[str, Fit] = {
    "as they are": lambda scores: find_ratio(scores[AS_THEY_ARE]),
    "all together": lambda scores: find_ratio(np.concatenate(list(scores.values()))),
    "each": lambda scores: min(map(find_ratio, scores.values())),
}

OURS = ("ratio to the likeliest", "each")


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["default", "accurate", "fast"])
    parser.add_argument("--readings", type=Path, help="folder in which readings are kept for the next time")
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    rows = create_official_split(dataset).validation
    # Copies of a photograph stand on one side.
    photographs, of_photograph = np.unique(dataset.group[rows], return_inverse=True)
    is_first = (np.random.default_rng(1).permutation(len(photographs)) % 2 == 0)[of_photograph]
    pixels, labels = dataset.pixels[rows], dataset.emotion[rows]
    few = np.sort(np.random.default_rng(0).permutation(len(rows))[:N_MANY_VIEWS])
    networks: dict[str, Any] = {}
    for i, model in enumerate(arguments.models):
        recognizer = Recognizer(model)
        groups, ratio = load_readings(recognizer, pixels, arguments.readings), recognizer.spec.set_ratio
        entry = networks[recognizer.spec.name] = {"set_ratio": ratio, **measure(groups, labels, is_first)}
        if i == 0:
            entry["choices"] = {
                f"{name}, {how}": summarize(cross(score, fit, groups, labels, is_first))
                for name, score in SCORES.items()
                for how, fit in FITS.items()
            }
            score = SCORES[OURS[0]]
            many = load_readings(Recognizer(model, views=10), pixels[few], arguments.readings)
            counts = {key: count(find_sets(score, read, ratio), labels[few]) for key, read in many.items()}
            entry["ten_views"] = {"n": len(few), **summarize(counts)}
    write_result("conformal", {"n": len(labels), "networks": networks})


def load_readings(recognizer: Recognizer, pixels: NDArray[np.uint8], folder: Path | None) -> Groups:
    """Read the faces, or take what was read before."""
    path = folder and folder / f"{recognizer.spec.name}-{recognizer.n_views}-{len(pixels)}.npz"
    if path and path.is_file():
        with np.load(path) as kept:
            keys = [(kind, strength) for kind, strength in kept["keys"].tolist()]
            parts = zip(keys, kept["probabilities"], kept["unreadable"], strict=True)
            return {key: Read(probabilities, unreadable) for key, probabilities, unreadable in parts}
    groups = read_degraded(recognizer, pixels)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        probabilities = np.array([read.probabilities for read in groups.values()])
        unreadable = np.array([read.unreadable for read in groups.values()])
        np.savez(path, keys=np.array(list(groups)), probabilities=probabilities, unreadable=unreadable)
    return groups


def find_sets(score: Score, read: Read, threshold: float) -> NDArray[np.bool_]:
    """Return which emotions are in each face's set (n, 7)."""
    return np.asarray((score(read.probabilities) >= threshold) | read.unreadable[:, None])


def count(sets: NDArray[np.bool_], labels: NDArray[np.integer]) -> tuple[float, float]:
    """Return coverage and size."""
    return float(sets[np.arange(len(labels)), labels].mean()), float(sets.sum(1).mean())


def summarize(found: Found) -> dict[str, Any]:
    """Return coverage and size of faces as they are, of the mean group of worse ones, and of the least covered."""
    worse = np.array([values for key, values in found.items() if key != AS_THEY_ARE])
    least = min(found, key=lambda key: found[key][0])
    return {
        "as_they_are": dict(zip(("coverage", "size"), found[AS_THEY_ARE], strict=True)),
        "made_worse": dict(zip(("coverage", "size"), worse.mean(0).tolist(), strict=True)),
        "least": {"group": " ".join(least).strip(), "coverage": found[least][0]},
    }


def cross(score: Score, fit: Fit, groups: Groups, labels: NDArray[np.integer], is_first: NDArray[np.bool_]) -> Found:
    """Return coverage and size of each group, fitted on one half and measured on the other, both ways round."""
    halves = []
    for half in (is_first, ~is_first):
        of_labels = {key: score_labels(score, read.select(half), labels[half]) for key, read in groups.items()}
        threshold = fit(of_labels)
        halves.append([count(find_sets(score, r.select(~half), threshold), labels[~half]) for r in groups.values()])
    return {key: (float(a), float(b)) for key, (a, b) in zip(groups, np.mean(halves, axis=0), strict=True)}


def score_labels(score: Score, read: Read, labels: NDArray[np.integer]) -> Floats:
    """Return each label's score (n,); infinite where the set holds all seven."""
    return np.where(read.unreadable, np.inf, score(read.probabilities)[np.arange(len(labels)), labels])


def measure(groups: Groups, labels: NDArray[np.integer], is_first: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what the product's own sets hold, nested."""
    score, fit = SCORES[OURS[0]], FITS[OURS[1]]
    found = cross(score, fit, groups, labels, is_first)
    unseen, kinds = {}, dict[str, Any]()
    for kind in DEGRADED:
        without = cross(score, partial(leave_out, kind, fit), groups, labels, is_first)
        unseen[kind] = min(values[0] for key, values in without.items() if key[0] == kind)
    for (kind, strength), (coverage, size) in found.items():
        kinds.setdefault(kind, {})[strength] = {"coverage": coverage, "size": size}
    return {**summarize(found), "unseen": unseen, "kinds": kinds}


def leave_out(kind: str, fit: Fit, scores: Mapping[Key, Floats]) -> float:
    """Fit on all kinds but one."""
    return fit({key: values for key, values in scores.items() if key[0] != kind})


if __name__ == "__main__":
    main()
