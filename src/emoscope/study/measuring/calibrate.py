"""Calibration: validation logits and labels in; Dirichlet's map, threshold and second operating point out."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from emoscope.faces.recognize import apply_calibration, calibrate, compute_probabilities
from emoscope.faces.spec import Calibration
from emoscope.study.measuring.metrics import compute_f1

TARGET_ACCURACY = 0.75
"""What a prediction that is not `uncertain` should reach on validation images."""

DAMPING = 3.0
"""Of Dirichlet's map. Measured, results/LOG.md: the least negative log-likelihood of held-out images lies
between 1 and 3, and 3 keeps accuracy and macro F1."""

BIASES = np.linspace(-1, 1, 41)
"""Steps in which fit_bias() looks for a class's bias."""


def fit_calibrations(logits: Mapping[int, NDArray[np.floating]], labels: NDArray[np.integer]) -> dict[int, Calibration]:
    """Fit a calibration for every number of views.

    Args:
        logits: (n, views, classes) of validation images, by number of views.
        labels: (n,), class index.
    """
    calibrations = {}
    for n_views, values in logits.items():
        logarithms = np.log(np.maximum(calibrate(values, Calibration()), 1e-30))
        fitted = Calibration(affine=fit_affine(logarithms, labels))
        probabilities = apply_calibration(logarithms, fitted)
        threshold, _ = fit_threshold(probabilities, labels)
        bias = fit_bias(np.log(np.maximum(probabilities, 1e-30)), labels)
        calibrations[n_views] = dataclasses.replace(fitted, uncertain_below=threshold, bias=bias)
    return calibrations


def fit_affine(
    logarithms: NDArray[np.floating],
    labels: NDArray[np.integer],
    damping: float = DAMPING,
    offset_damping: float | None = None,
) -> tuple[tuple[float, ...], ...]:
    """Return the affine map of logarithms of probabilities with the least damped negative log-likelihood.

    Dirichlet calibration with off-diagonal regularisation (Kull et al., Beyond temperature scaling, 2019).

    Args:
        logarithms: (n, classes) of validation images' mean probabilities.
        labels: (n,), class index.
        damping: times the mean square of the weights off the diagonal and of the offsets.
        offset_damping: of the offsets; None: as of the weights.

    Returns:
        A row per class: the weights of the logarithms, and an offset.
    """
    n, n_classes = logarithms.shape
    inputs = np.concatenate([logarithms, np.ones((n, 1))], axis=1)
    one_hot, start = np.eye(n_classes)[labels], np.eye(n_classes, n_classes + 1)
    strength = damping * (1 - start) / (n_classes * (n_classes - 1))
    strength[:, -1] = (damping if offset_damping is None else offset_damping) / n_classes

    def compute_loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        affine = values.reshape(start.shape)
        probabilities = compute_probabilities(inputs @ affine.T)
        loss = -np.log(np.clip(probabilities[one_hot == 1], 1e-12, 1)).mean() + (strength * affine**2).sum()
        return float(loss), ((probabilities - one_hot).T @ inputs / n + 2 * strength * affine).ravel()

    fitted = minimize(compute_loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return tuple(tuple(float(value) for value in row) for row in fitted.reshape(start.shape))


def fit_threshold(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> tuple[float, float]:
    """Find from which largest probability on predictions are right often enough.

    Args:
        probabilities: (n, classes) calibrated, of validation images.
        labels: (n,), class index.

    Returns:
        The lowest threshold at which the kept predictions reach TARGET_ACCURACY (1.0 if none does), and the share of
        images it keeps.
    """
    coverage, accuracy, threshold = compute_coverage(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    enough = np.flatnonzero(accuracy >= TARGET_ACCURACY)
    if len(enough) == 0:
        return 1.0, 0.0
    return float(threshold[enough[-1]]), float(coverage[enough[-1]])


def compute_coverage(
    certainty: NDArray[np.floating], is_right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute how right the most certain predictions are.

    Args:
        certainty: (n,) such as the largest probability.
        is_right: (n,)

    Returns:
        coverage, accuracy and threshold, each (n,): keeping the predictions whose certainty is at least the threshold
        keeps this share of them, and this share of those is right.
    """
    order = np.argsort(-certainty, kind="stable")
    kept = np.arange(1, len(order) + 1)
    return kept / len(order), np.cumsum(is_right[order]) / kept, np.asarray(certainty[order], np.float64)


def fit_bias(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> tuple[float, ...]:
    """Return the biases on calibrated logits (n, classes) that give the highest macro F1, one class after the other."""

    def score(bias: NDArray[np.float64]) -> float:
        return float(compute_f1((logits + bias).argmax(axis=1), labels, n_classes).mean())

    n_classes = logits.shape[1]
    bias = np.zeros(n_classes)
    best = score(bias)
    for _ in range(3):
        for label in range(n_classes):
            for value in BIASES:
                changed = bias.copy()
                changed[label] = value
                if (f1 := score(changed)) > best:
                    best, bias = f1, changed
    return tuple(float(b) for b in bias)
