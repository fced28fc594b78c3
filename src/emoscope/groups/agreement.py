"""Agreement: two readings of the same moments in; Cohen's kappa with its interval, confusion and calibration out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

N_BINS: Final = 10
"""Of the reliability curve: coded moments are some dozens or hundreds."""
MIN_PARTICIPANTS: Final = 5
"""From so many on an interval speaks of participants like these; benchmarks/agreement.py measures what it holds."""
MIN_MOMENTS: Final = 30
"""From so many single moments on there is an interval that speaks of further moments of the same few people."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa (A coefficient of agreement for nominal scales, 1960); 0 is chance, 1 full agreement."""

    value: float | None
    """None where it is not defined: both said one and the same emotion throughout, or there are no moments."""
    low: float | None = None
    high: float | None = None
    """95 % interval; None where it is withheld."""
    holds_for: Literal["participants like these", "moments of these people"] | None = None
    """What the interval speaks of."""


@dataclass(frozen=True)
class Comparison:
    """One reading against another."""

    n: int
    agreed: float | None
    """Share of the moments."""
    kappa: Kappa
    confusion: tuple[tuple[int, ...], ...]
    """(classes, classes) counts; rows are what the first said."""
    emotions: dict[str, dict[str, int | float | None]]
    """Of each: coded, read, precision (of what was read so, coded so), recall and F1."""


@dataclass(frozen=True)
class Bin:
    """One point of the reliability curve."""

    n: int
    stated: float
    """Mean of the largest probabilities."""
    right: float
    """Share of them that a person saw so."""


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be taken at their word, on these very recordings."""

    n: int
    ece: float
    """Expected calibration error (Guo et al., 2017)."""
    brier: float
    """Sum over the emotions of squared differences, from 0 to 2 (Brier, 1950)."""
    log_loss: float
    curve: tuple[Bin, ...]


def count_confusion(first: Ints, second: Ints, n_classes: int) -> Ints:
    """Return (classes, classes) counts of what two said of the same n moments; rows are the first's."""
    return np.bincount(first * n_classes + second, minlength=n_classes**2).reshape(n_classes, n_classes)


def compute_kappa(confusion: NDArray[np.number]) -> float | None:
    """Return Cohen's kappa of counts (k, k), None where it is not defined."""
    n = confusion.sum()
    if n == 0:
        return None
    shares = confusion / n
    expected = float(shares.sum(axis=0) @ shares.sum(axis=1))
    return None if expected > 1 - 1e-12 else float((np.trace(shares) - expected) / (1 - expected))


def compute_kappa_error(confusion: NDArray[np.number]) -> float:
    """Return kappa's standard error where moments are independent.

    Fleiss, Cohen and Everitt, Large sample standard errors of kappa and weighted kappa, 1969, equation 13.
    """
    n, kappa = confusion.sum(), compute_kappa(confusion)
    if kappa is None:
        return float("nan")
    p = confusion / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    expected = rows @ columns
    same = np.diag(p)
    on = (same * (1 - (rows + columns) * (1 - kappa)) ** 2).sum()
    # In the cell (i, j): how often the second says i and the first j.
    both = (columns[:, None] + rows[None, :]) ** 2
    off = (1 - kappa) ** 2 * ((p * both).sum() - (same * np.diag(both)).sum())
    return float(np.sqrt(max(on + off - (kappa - expected * (1 - kappa)) ** 2, 0) / n) / (1 - expected))


def estimate_kappa(first: Ints, second: Ints, participants: Ints, n_classes: int, are_moments: bool = True) -> Kappa:
    """Return kappa with its 95 % interval.

    Of MIN_PARTICIPANTS or more it is a jackknife over participants with Student's t (Efron and Tibshirani, An
    introduction to the bootstrap, 1993, chapter 11); of fewer the asymptotic one over single moments, which speaks of
    these people alone; otherwise it is withheld.

    Args:
        first: (n,) class indices.
        second: (n,) of the same moments.
        participants: (n,) whose each moment is, by a number.
        n_classes: how many there are.
        are_moments: whether all are single moments; seconds of one stretch are not independent.
    """
    from scipy.stats import norm, t

    confusion = count_confusion(first, second, n_classes)
    value = compute_kappa(confusion)
    people = np.unique(participants)
    if value is None or value == 1:
        return Kappa(value)
    if len(people) >= MIN_PARTICIPANTS:
        left_out = [
            compute_kappa(confusion - count_confusion(first[p], second[p], n_classes))
            for p in (participants == i for i in people)
        ]
        known = np.array([one for one in left_out if one is not None])
        if len(known) < len(people):
            return Kappa(value)
        n = len(people)
        # Pseudo-values' mean takes kappa's bias off.
        centre = n * value - (n - 1) * known.mean()
        half = t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((known - known.mean()) ** 2).sum())
        if half > 0:
            low, high = max(-1.0, float(centre - half)), min(1.0, float(centre + half))
            return Kappa(value, min(low, value), max(high, value), "participants like these")
        return Kappa(value)
    error = compute_kappa_error(confusion)
    if are_moments and len(first) >= MIN_MOMENTS and error > 0:
        half = norm.ppf(0.975) * error
        return Kappa(value, max(-1.0, value - half), min(1.0, value + half), "moments of these people")
    return Kappa(value)


def compare(
    first: Ints, second: Ints, participants: Ints, classes: Sequence[str], are_moments: bool = True
) -> Comparison:
    """Compare what two said of the same n moments; arguments are those of estimate_kappa(), and the classes' names."""
    confusion = count_confusion(first, second, len(classes))
    kappa = estimate_kappa(first, second, participants, len(classes), are_moments)
    said, read, both = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    emotions: dict[str, dict[str, int | float | None]] = {}
    for i, name in enumerate(classes):
        n_either = said[i] + read[i]
        emotions[name] = {
            "coded": int(said[i]),
            "read": int(read[i]),
            "precision": float(both[i] / read[i]) if read[i] else None,
            "recall": float(both[i] / said[i]) if said[i] else None,
            "f1": float(2 * both[i] / n_either) if n_either else None,
        }
    n = len(first)
    counts = tuple(tuple(row) for row in confusion.tolist())
    return Comparison(n, float(both.sum() / n) if n else None, kappa, counts, emotions)


def measure_reliability(probabilities: Floats, labels: Ints) -> Reliability:
    """Compare probabilities (n, classes) with what a person saw (n,); n is 1 or more."""
    stated, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.clip((stated * N_BINS).astype(int), 0, N_BINS - 1)
    curve = [
        Bin(int(b.sum()), float(stated[b].mean()), float(is_right[b].mean()))
        for b in (bins == i for i in range(N_BINS))
        if b.any()
    ]
    ece = sum(b.n * abs(b.right - b.stated) for b in curve) / len(labels)
    brier = float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1).mean())
    chosen = probabilities[np.arange(len(labels)), labels]
    return Reliability(len(labels), ece, brier, float(-np.log(np.maximum(chosen, 1e-12)).mean()), tuple(curve))


def number_names(names: Sequence[str]) -> Ints:
    """Return (n,) a number for each name, the same for the same."""
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64)
