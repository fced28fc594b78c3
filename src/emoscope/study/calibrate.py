"""Calibration: validation logits and labels in, temperature and threshold out."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from emoscope.recognize import compute_probabilities

TARGET_ACCURACY = 0.75
"""What a prediction that is not `uncertain` should reach on validation images."""


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al., 2017).

    Args:
        logits: (n, 7) of validation images.
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
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    is_right = (probabilities.argmax(axis=1) == labels)[order]
    accuracy = np.cumsum(is_right) / np.arange(1, len(labels) + 1)
    enough = np.flatnonzero(accuracy >= TARGET_ACCURACY)
    if len(enough) == 0:
        return 1.0, 0.0
    return float(confidence[order][enough[-1]]), float((enough[-1] + 1) / len(labels))
