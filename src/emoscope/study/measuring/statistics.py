"""Paired scores or predictions of two networks in, whether they differ by more than chance out; all JSON-ready."""

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emoscope.core.errors import InputError

CONFIDENCE = 0.95
"""Of every interval."""


class MeanInterval(TypedDict):
    """Mean and spread of repeats."""

    mean: float
    sd: float | None
    """Sample standard deviation; it and the interval are None for a single repeat."""
    interval_95: list[float] | None
    n: int


class Unknown(TypedDict):
    """Mean and spread of repeats of which some lack the figure."""

    mean: None
    sd: None
    interval_95: None
    n: int
    """Of those that have it."""


class Difference(TypedDict):
    """Whether scores on the same folds differ."""

    mean_difference: float
    interval_95: list[float] | None
    t: float | None
    p: float | None
    n: int


def _compute_interval(mean: float, standard_error: float, n: int) -> list[float]:
    """Return the t interval of a mean of n values."""
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * standard_error
    return [mean - half, mean + half]


def _compute_sd(values: NDArray[np.float64]) -> float:
    """Return the sample standard deviation, exactly 0 where values differ by no more than rounding does."""
    sd = float(values.std(ddof=1))
    return 0.0 if sd <= 1e-12 * float(np.abs(values).max()) else sd


def compute_mean_interval(values: Sequence[float]) -> MeanInterval:
    """Compute mean and spread of repeats.

    Args:
        values: one score per repeat.

    Returns:
        mean, sd (sample), interval_95 (t), n; sd and interval_95 are None for a single repeat.

    Raises:
        InputError: no values; pass at least one.
    """
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise InputError(f"scores have the shape {scores.shape}, expected (n,) with n > 0; pass one score per repeat")
    mean, n = float(scores.mean()), len(scores)
    if n == 1:
        return {"mean": mean, "sd": None, "interval_95": None, "n": 1}
    sd = _compute_sd(scores)
    return {"mean": mean, "sd": sd, "interval_95": _compute_interval(mean, sd / n**0.5, n), "n": n}


def widen_by_images(repeats: MeanInterval, deviation: float) -> list[float] | None:
    """Return the interval of a mean over repeats for other repeats on other test images.

    Both move the mean independently of each other, so the halves of their intervals add by their squares (recovery of
    variance estimates: Zou and Donner, Construction of confidence limits about effect measures, 2008).

    Args:
        repeats: of scores on the same images.
        deviation: standard deviation of that mean over other images.

    Returns:
        Both ends; None for a single repeat.
    """
    if repeats["interval_95"] is None:
        return None
    half = (repeats["interval_95"][1] - repeats["interval_95"][0]) / 2
    half = math.hypot(half, float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * deviation)
    return [repeats["mean"] - half, repeats["mean"] + half]


def compute_corrected_t_test(ours: Sequence[float], theirs: Sequence[float], n_train: int, n_test: int) -> Difference:
    """Test whether two networks' scores on the same folds differ: the corrected resampled t-test.

    Training parts of folds overlap, so their scores are not independent and the plain paired t-test finds differences
    where there are none. The correction widens the variance of the mean by n_test / n_train (Nadeau and Bengio,
    Inference for the generalization error, Machine Learning 52, 2003, section 3).

    Args:
        ours: one score per fold.
        theirs: the other network's, on the same folds in the same order.
        n_train: images in a fold's training part.
        n_test: images in the part that it is measured on.

    Returns:
        mean_difference (ours - theirs), interval_95, t, p (two-sided), n (folds). A single fold shows no spread: then
        interval_95, t and p are None. Differences that are all equal take the limit: p is 1 where they are 0; else p
        is 0 and t, being infinite, None.

    Raises:
        InputError: scores are not paired or a part is empty; pass one score of each network per fold.
    """
    scores = [np.asarray(values, np.float64) for values in (ours, theirs)]
    if scores[0].ndim != 1 or scores[0].shape != scores[1].shape or len(scores[0]) == 0:
        shapes = f"{scores[0].shape} and {scores[1].shape}"
        raise InputError(f"scores have the shapes {shapes}, expected (n,) twice; pass one of each network per fold")
    if n_train < 1 or n_test < 1:
        raise InputError(f"n_train is {n_train} and n_test {n_test}, expected at least 1; pass the parts' image counts")
    differences = scores[0] - scores[1]
    mean, n = float(differences.mean()), len(differences)
    result: Difference = {"mean_difference": mean, "interval_95": None, "t": None, "p": None, "n": n}
    if n == 1:
        return result
    # Rounding is that of the scores, which may be much larger than their differences.
    largest = max(float(np.abs(s).max()) for s in scores)
    sd = float(differences.std(ddof=1))
    if sd <= 1e-12 * largest:
        is_zero = abs(mean) <= 1e-12 * largest
        return {**result, "interval_95": [mean, mean], "t": 0.0 if is_zero else None, "p": 1.0 if is_zero else 0.0}
    standard_error = sd * (1 / n + n_test / n_train) ** 0.5
    t = mean / standard_error
    interval = _compute_interval(mean, standard_error, n)
    return {**result, "interval_95": interval, "t": t, "p": float(2 * stats.t.sf(abs(t), n - 1))}


def compute_mcnemar(ours_right: NDArray[np.bool_], theirs_right: NDArray[np.bool_]) -> dict[str, float]:
    """Test whether two networks' accuracies on the same images differ: McNemar's exact test.

    Only images that one of the two gets right say anything; were both equally good, each would be as likely as the
    other to be the one (McNemar, 1947; recommended for a single test set by Dietterich, 1998).

    Args:
        ours_right: (n,) bool, whether our prediction is right.
        theirs_right: (n,) bool, the other network's, of the same images.

    Returns:
        b (images that only ours gets right), c (only theirs), p (exact binomial, two-sided; 1 without such images),
        n (images).

    Raises:
        InputError: the two are not paired; pass predictions of the same images.
    """
    ours, theirs = np.asarray(ours_right, bool), np.asarray(theirs_right, bool)
    if ours.ndim != 1 or ours.shape != theirs.shape:
        raise InputError(f"shapes are {ours.shape} and {theirs.shape}, expected (n,) twice; pass the same images")
    b, c = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    p = float(stats.binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0
    return {"b": b, "c": c, "p": p, "n": len(ours)}
