"""Compare ways of calibrating a network by nested cross-validation on validation images; copies stay in one fold.

Outer folds measure, in several draws; what a method has to choose itself (the damping of Dirichlet's map) is chosen
by folds inside. Each method is also tried on faces that were framed, lit and recorded otherwise (other_faces.py),
fitted on other images as they are: a map that learned these images alone falls there. Networks' names and ONNX files;
several joined by `+` are averaged as probabilities.

Temperature: Guo et al., 2017. Vector scaling: the same with a factor and an offset per class. Dirichlet: a 7 x 7 map of
the logarithms with damped off-diagonal weights and offsets (Kull et al., 2019). Beta (Kull et al., 2017), isotonic
(Zadrozny and Elkan, 2002) and histogram (15 bins of equal counts): each class against the rest, then made to sum to 1.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from common import create_parser, write_result
from emoscope.faces.recognize import Recognizer, apply_calibration, calibrate, compute_probabilities
from emoscope.faces.spec import Calibration
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.measuring.calibrate import fit_affine
from emoscope.study.measuring.metrics import compute_metrics
from other_faces import change

Values = NDArray[np.float64]
Map = Callable[[Values], Values]
"""Logarithms of probabilities (n, 7) -> probabilities (n, 7)."""

N_FOLDS, N_DRAWS = 5, 2
DAMPINGS = (0.1, 1.0, 3.0, 10.0)
SHIFT, SHIFT_EVERY = "all three, draw 1", 2
"""The change of other_faces.py that is tried, and on which faces: every second one."""


def through(calibration: Calibration) -> Map:
    return lambda logarithms: apply_calibration(logarithms, calibration)


def fit_none(logarithms: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> Map:
    return through(Calibration())


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al., 2017).

    Args:
        logits: (n, 7) of validation images, or logarithms of their mean probabilities.
        labels: (n,), class index.
    """
    rows = np.arange(len(labels))

    def compute_nll(log_temperature: float) -> float:
        chosen = compute_probabilities(logits, float(np.exp(log_temperature)))[rows, labels]
        return float(-np.log(np.clip(chosen, 1e-12, 1)).mean())

    return float(np.exp(minimize_scalar(compute_nll, bounds=(-3, 3), method="bounded").x))


def fit_scaled(logarithms: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> Map:
    return through(Calibration(fit_temperature(logarithms, labels)))


def fit_vector(logarithms: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> Map:
    return through(Calibration(affine=fit_affine(logarithms, labels, damping=1e3, offset_damping=0)))


def fit_dirichlet(logarithms: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> Map:
    return through(Calibration(affine=fit_affine(logarithms, labels, damping=choose(logarithms, labels, groups))))


def choose(logarithms: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> float:
    """Return the damping with the least negative log-likelihood on folds inside."""
    losses = np.zeros(len(DAMPINGS))
    for train, held in folds(labels, groups, 0):
        for i, damping in enumerate(DAMPINGS):
            fitted = through(Calibration(affine=fit_affine(logarithms[train], labels[train], damping=damping)))
            losses[i] -= np.log(fitted(logarithms[held])[np.arange(len(held)), labels[held]]).sum()
    return DAMPINGS[int(losses.argmin())]


def fit_classes(fit_one: Callable[[Values, NDArray[np.bool_]], Callable[[Values], Values]]) -> Callable[..., Map]:
    """Return a method that calibrates each class against the rest."""

    def fit(logarithms: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]) -> Map:
        maps = [fit_one(np.exp(logarithms[:, i]), labels == i) for i in range(logarithms.shape[1])]

        def apply(values: Values) -> Values:
            mapped = np.stack([m(np.exp(values[:, i])) for i, m in enumerate(maps)], axis=1).clip(1e-6)
            return np.asarray(mapped / mapped.sum(axis=1, keepdims=True))

        return apply

    return fit


def fit_beta(p: Values, is_class: NDArray[np.bool_]) -> Callable[[Values], Values]:
    def expand(q: Values) -> Values:
        q = q.clip(1e-6, 1 - 1e-6)
        return np.stack([np.log(q), -np.log1p(-q)], axis=1)

    model = LogisticRegression(C=1e6, max_iter=1000).fit(expand(p), is_class)
    return lambda q: np.asarray(model.predict_proba(expand(q))[:, 1])


def fit_isotonic(p: Values, is_class: NDArray[np.bool_]) -> Callable[[Values], Values]:
    return IsotonicRegression(out_of_bounds="clip").fit(p, is_class.astype(float)).predict  # type: ignore[no-any-return]


def fit_histogram(p: Values, is_class: NDArray[np.bool_]) -> Callable[[Values], Values]:
    edges = np.quantile(p, np.linspace(0, 1, 16)[1:-1])
    bins = np.searchsorted(edges, p)
    shares = np.array([is_class[bins == i].mean() if (bins == i).any() else 0.0 for i in range(len(edges) + 1)])
    return lambda q: shares[np.searchsorted(edges, q)]


METHODS: dict[str, Callable[..., Map]] = {
    "as it is": fit_none,
    "temperature": fit_scaled,
    "vector scaling": fit_vector,
    "Dirichlet": fit_dirichlet,
    "beta": fit_classes(fit_beta),
    "isotonic": fit_classes(fit_isotonic),
    "histogram": fit_classes(fit_histogram),
}


def folds(
    labels: NDArray[np.integer], groups: NDArray[np.integer], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the rows that fit and those that are held out; copies of an image stand on one side."""
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    yield from splitter.split(labels, labels, groups)


def compare(
    logarithms: Values, shifted: Values, labels: NDArray[np.integer], groups: NDArray[np.integer]
) -> dict[str, dict[str, float]]:
    """Return by method the figures of held-out images, means over the draws.

    Args:
        logarithms: (n, 7) of the images' probabilities.
        shifted: the same of every SHIFT_EVERY-th image, framed, lit and recorded otherwise.
        labels: (n,), class index.
        groups: (n,), the same for copies of an image.
    """
    rows: dict[str, dict[str, float]] = {}
    changed = np.arange(0, len(labels), SHIFT_EVERY)
    for name, method in METHODS.items():
        draws = []
        for seed in range(N_DRAWS):
            plain, other = np.zeros_like(logarithms), np.zeros_like(shifted)
            for train, held in folds(labels, groups, seed):
                fitted = method(logarithms[train], labels[train], groups[train])
                plain[held] = fitted(logarithms[held])
                of_held = np.isin(changed, held)
                other[of_held] = fitted(shifted[of_held])
            draws.append({**describe(plain, labels), **describe(other, labels[changed], "other_")})
        rows[name] = {key: round(float(np.mean([draw[key] for draw in draws])), 4) for key in draws[0]}
    return rows


def describe(probabilities: Values, labels: NDArray[np.integer], prefix: str = "") -> dict[str, float]:
    figures = compute_metrics(probabilities, labels)
    kept = {key: figures[key] for key in ("accuracy", "macro_f1", "ece", "classwise_ece", "nll", "brier")}
    return {f"{prefix}{key}": value for key, value in kept.items()}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    validation = create_split(dataset, Recognizer().spec).validation
    faces, labels, groups = (values[validation] for values in (dataset.pixels, dataset.emotion, dataset.group))
    views = [list(faces), change(faces, SHIFT)[::SHIFT_EVERY]]
    models: dict[str, Any] = {}
    for model in arguments.models:
        members = [Recognizer(member) for member in model.split("+")]
        plain, shifted = (
            np.log(np.mean([calibrate(m.compute_logits(crops), Calibration()) for m in members], axis=0).clip(1e-30))
            for crops in views
        )
        models[" + ".join(m.spec.name for m in members)] = compare(plain, shifted, labels, groups)
    write_result("calibration", {"n": len(labels), "folds": N_FOLDS, "draws": N_DRAWS, "models": models})


if __name__ == "__main__":
    main()
