"""Probabilities and labels in, numbers out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from emoscope.core.emotions import EMOTIONS
from emoscope.study.measuring.records import Figures

N_BINS = 15
"""Bins of the expected calibration error (Guo et al., 2017)."""


def compute_ece(probabilities: NDArray[np.floating], labels: NDArray[np.integer], n_bins: int = N_BINS) -> float:
    """Compute the expected calibration error of the predicted class.

    Args:
        probabilities: (n, classes), rows sum to 1.
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


def compute_classwise_ece(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Compute the mean over the classes of the calibration error of each class's probability (Kull et al., 2019)."""
    errors = []
    for label, stated in enumerate(probabilities.T):
        gaps = np.bincount((stated * N_BINS).astype(int).clip(0, N_BINS - 1), (labels == label) - stated, N_BINS)
        errors.append(np.abs(gaps).sum() / len(labels))
    return float(np.mean(errors))


def compute_f1(
    predictions: NDArray[np.integer], labels: NDArray[np.integer], n_classes: int = len(EMOTIONS)
) -> NDArray[np.float64]:
    """Compute the F1 of each class; 0 for one that is neither there nor predicted.

    The same as scikit-learn's, a hundred times faster: searches call it thousands of times.
    """
    n = n_classes
    confusion = np.bincount(labels.astype(np.int64) * n + predictions, minlength=n * n).reshape(n, n)
    return compute_f1_of(confusion)


def compute_f1_of(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Compute F1 (..., classes) of confusion counts (..., classes, classes)."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    both = confusion.sum(-1) + confusion.sum(-2)
    return np.asarray(2 * right / np.maximum(both, 1))


def compute_intervals(
    confusion: NDArray[np.integer], n_draws: int = 10_000, present: NDArray[np.bool_] | slice = slice(None)
) -> dict[str, list[float]]:
    """Compute 95 % intervals: Wilson for accuracy, percentile bootstrap over images for macro F1.

    Both figures depend on the counts of (label, prediction) alone, so drawing images with replacement is one
    multinomial draw of the counts.

    Args:
        confusion: (classes, classes) counts, rows are labels.
        n_draws: of the bootstrap; its seed is fixed.
        present: classes, (classes,) bool, whose F1 counts.
    """
    n = int(confusion.sum())
    wilson = binomtest(int(np.trace(confusion)), n).proportion_ci(0.95, method="wilson")
    draws = np.random.default_rng(0).multinomial(n, confusion.reshape(-1) / n, n_draws)
    scores = compute_f1_of(draws.reshape(n_draws, *confusion.shape))[:, present].mean(-1)
    low, high = np.percentile(scores, [2.5, 97.5])
    return {"accuracy": [float(wilson.low), float(wilson.high)], "macro_f1": [float(low), float(high)]}


def compute_f1_deviation(predictions: NDArray[np.integer], labels: NDArray[np.integer], n_draws: int = 500) -> float:
    """Compute how far other test images of the same kind would move the mean macro F1 of repeats: a standard deviation.

    All repeats see the same images, so an image is drawn for all of them at once (bootstrap, its seed is fixed).

    Args:
        predictions: (repeats, n) class index.
        labels: (n,) class index.
        n_draws: of the bootstrap.
    """
    n, n_classes = len(labels), len(EMOTIONS)
    cells = labels.astype(np.int64) * n_classes + predictions
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), n_draws)
    confusion = np.stack([[np.bincount(c, weights, n_classes**2) for c in cells] for weights in draws])
    scores = compute_f1_of(confusion.reshape(n_draws, len(cells), n_classes, n_classes)).mean((1, 2))
    return float(scores.std(ddof=1))


def compute_auc(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> list[float | None]:
    """Compute each class's one-vs-rest area under the ROC curve; None where a class is all or nothing."""
    is_class = labels[:, None] == np.arange(probabilities.shape[1])
    return [
        float(roc_auc_score(is_class[:, i], probabilities[:, i])) if 0 < is_class[:, i].sum() < len(labels) else None
        for i in range(probabilities.shape[1])
    ]


def compute_auc_hard(confusion: NDArray[np.integer]) -> list[float | None]:
    """Compute each class's one-vs-rest AUC of the hard predictions, as the 2022 reference study did.

    Its ROC curve has one point between the corners, so its area is the mean of recall and specificity: it measures one
    operating point and lies below the AUC of good probabilities. For comparison with that study only.

    Args:
        confusion: (classes, classes) counts, rows are labels.

    Returns:
        A value per class; None where a class is all or nothing.
    """
    right, of_class, predicted, n = np.diag(confusion), confusion.sum(1), confusion.sum(0), confusion.sum()
    rest = n - of_class
    return [
        float(1 + r / c - (p - r) / o) / 2 if c > 0 and o > 0 else None
        for r, c, p, o in zip(right, of_class, predicted, rest, strict=True)
    ]


def describe_auc(value: float) -> str:
    """Say how well an AUC discriminates (Hosmer and Lemeshow, Applied logistic regression, 2000, section 5.2.4)."""
    for limit, word in ((0.7, "poor"), (0.8, "acceptable"), (0.9, "excellent")):
        if value < limit:
            return word if value > 0.5 else "none"
    return "outstanding"


def _mean_known(values: list[float | None]) -> float | None:
    """Return the mean of the values that are defined."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def compute_metrics(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], names: Sequence[str] = EMOTIONS
) -> Figures:
    """Compute every number of an evaluation.

    Args:
        probabilities: (n, classes) calibrated, rows sum to 1.
        labels: (n,), class index.
        names: of the classes.

    Returns:
        JSON-ready: accuracy, macro_precision, macro_recall, macro_f1 (unweighted means over the classes; a class
        never predicted counts 0), mean_auc, mean_auc_hard (see compute_auc_hard), ece, classwise_ece, nll, brier, n,
        interval_95 (of accuracy and macro_f1), per_class (by name), confusion (rows are labels, counts).
    """
    classes = np.arange(len(names))
    predictions = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=0
    )
    confusion = confusion_matrix(labels, predictions, labels=classes)
    auc = compute_auc(probabilities, labels)
    auc_hard = compute_auc_hard(confusion)
    chosen = np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)
    one_hot = np.eye(len(names))[labels]
    return {
        "accuracy": float((predictions == labels).mean()),
        "macro_precision": float(np.mean(precision)),
        "macro_recall": float(np.mean(recall)),
        "macro_f1": float(np.mean(f1)),
        "mean_auc": _mean_known(auc),
        "mean_auc_hard": _mean_known(auc_hard),
        "ece": compute_ece(probabilities, labels),
        "classwise_ece": compute_classwise_ece(probabilities, labels),
        "nll": float(-np.log(chosen).mean()),
        "brier": float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        "n": len(labels),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "auc": a, "auc_hard": h, "n": int(s)}
            for name, p, r, f, a, h, s in zip(names, precision, recall, f1, auc, auc_hard, support, strict=True)
        },
        "interval_95": compute_intervals(confusion),
        "confusion": confusion.tolist(),
    }
