"""Probabilities and labels in, numbers out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from emoscope.emotions import EMOTIONS

N_BINS = 15
"""Bins of the expected calibration error (Guo et al., 2017)."""


def compute_ece(probabilities: NDArray[np.floating], labels: NDArray[np.integer], n_bins: int = N_BINS) -> float:
    """Compute the expected calibration error of the predicted class.

    Args:
        probabilities: (n, 7), rows sum to 1.
        labels: (n,), class index.
        n_bins: equal bins over 0..1.

    Returns:
        Mean of |accuracy - confidence| over bins, weighted by their share of the images.
    """
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    bins = np.clip((confidence * n_bins).astype(int), 0, n_bins - 1)
    gaps = [abs(float((is_right[b].astype(float) - confidence[b]).sum())) for b in (bins == i for i in range(n_bins))]
    return sum(gaps) / len(labels)


def compute_metrics(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, Any]:
    """Compute every number of an evaluation.

    Args:
        probabilities: (n, 7) calibrated, rows sum to 1.
        labels: (n,), class index.

    Returns:
        JSON-ready: accuracy, macro_precision, macro_recall, macro_f1 (unweighted means over the classes; a class
        never predicted counts 0), ece, nll, brier, n, per_class (by name), confusion (rows are labels, counts).
    """
    classes = np.arange(len(EMOTIONS))
    predictions = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=0
    )
    chosen = np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)
    one_hot = np.eye(len(EMOTIONS))[labels]
    return {
        "accuracy": float((predictions == labels).mean()),
        "macro_precision": float(np.mean(precision)),
        "macro_recall": float(np.mean(recall)),
        "macro_f1": float(np.mean(f1)),
        "ece": compute_ece(probabilities, labels),
        "nll": float(-np.log(chosen).mean()),
        "brier": float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        "n": len(labels),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "n": int(s)}
            for name, p, r, f, s in zip(EMOTIONS, precision, recall, f1, support, strict=True)
        },
        "confusion": confusion_matrix(labels, predictions, labels=classes).tolist(),
    }
