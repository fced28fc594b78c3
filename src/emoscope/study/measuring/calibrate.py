"""Calibration: validation logits and labels in; temperature, threshold and second operating point out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from emoscope.core.emotions import EMOTIONS
from emoscope.faces.recognize import calibrate, compute_probabilities
from emoscope.faces.spec import Calibration
from emoscope.study.measuring.metrics import compute_f1

TARGET_ACCURACY = 0.75
"""What a prediction that is not `uncertain` should reach on validation images."""

BIASES = np.linspace(-1, 1, 41)
"""Steps in which fit_bias() looks for a class's bias."""


def fit_calibrations(logits: Mapping[int, NDArray[np.floating]], labels: NDArray[np.integer]) -> dict[int, Calibration]:
    """Fit a calibration for every number of views.

    Args:
        logits: (n, views, 7) of validation images, by number of views.
        labels: (n,), class index.
    """
    calibrations = {}
    for n_views, values in logits.items():
        logarithms = np.log(np.maximum(calibrate(values, Calibration()), 1e-30))
        temperature = fit_temperature(logarithms, labels)
        threshold, _ = fit_threshold(compute_probabilities(logarithms, temperature), labels)
        calibrations[n_views] = Calibration(temperature, threshold, fit_bias(logarithms / temperature, labels))
    return calibrations


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


def fit_threshold(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> tuple[float, float]:
    """Find from which largest probability on predictions are right often enough.

    Args:
        probabilities: (n, 7) calibrated, of validation images.
        labels: (n,), class index.

    Returns:
        The lowest threshold at which the kept predictions reach TARGET_ACCURACY (1.0 if none does), and the share of
        images it keeps.
    """
    coverage, accuracy, threshold = compute_coverage(probabilities, labels)
    enough = np.flatnonzero(accuracy >= TARGET_ACCURACY)
    if len(enough) == 0:
        return 1.0, 0.0
    return float(threshold[enough[-1]]), float(coverage[enough[-1]])


def compute_coverage(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute how right the most confident predictions are.

    Args:
        probabilities: (n, 7).
        labels: (n,), class index.

    Returns:
        coverage, accuracy and threshold, each (n,): keeping the predictions whose largest probability is at least the
        threshold keeps this share of them, and this share of those is right.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    is_right = (probabilities.argmax(axis=1) == labels)[order]
    kept = np.arange(1, len(labels) + 1)
    return kept / len(labels), np.cumsum(is_right) / kept, np.asarray(confidence[order], np.float64)


def fit_bias(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> tuple[float, ...]:
    """Return the seven biases on calibrated logits (n, 7) that give the highest macro F1, one class after the other."""

    def score(bias: NDArray[np.float64]) -> float:
        return float(compute_f1((logits + bias).argmax(axis=1), labels).mean())

    bias = np.zeros(len(EMOTIONS))
    best = score(bias)
    for _ in range(3):
        for label in range(len(EMOTIONS)):
            for value in BIASES:
                changed = bias.copy()
                changed[label] = value
                if (f1 := score(changed)) > best:
                    best, bias = f1, changed
    return tuple(float(b) for b in bias)
