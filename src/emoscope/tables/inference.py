"""What holds beyond these participants: numbers of n people in; means, contrasts and curves with their certainty out.

The unit is always the participant: one number of each, never frames, of which a minute has a thousand alike.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float | Floats, float | Floats]
EVERY: Final[Range] = (-math.inf, math.inf)

LEVEL: Final = 0.95
MIN_PEOPLE: Final = 3
"""Of fewer, no interval holds what it says."""
MIN_EFFECT_DF: Final = 3
"""With fewer degrees of freedom intervals of effect sizes hold 92 % (benchmarks/interval_coverage.py): not printed."""
METHODS: Final = {
    "interval": "the wider of Student's t interval and Hall's transformation of it for skewed samples (Hall, 1992)",
    "paired": "paired t-tests, and Hedges' g of the differences (d_z, corrected for small samples)",
    "independent": "Welch's t-tests (Welch, 1947), and Hedges' g (Hedges, 1981)",
    "effect": "intervals of effect sizes from the noncentral t distribution (Cumming and Finch, 2001)",
    "holm": "p-values of what is shown together corrected by Holm's step-down procedure (Holm, 1979)",
    "cluster": "cluster-based permutation tests over time (Maris and Oostenveld, 2007)",
    "isc": "inter-subject correlation, each participant with the mean of all others (Hasson et al., 2004; Nastase et "
    "al., 2019)",
}
REFERENCES: Final = {
    "interval": "Hall, P. (1992). On the removal of skewness by transformation. Journal of the Royal Statistical "
    "Society B, 54(1), 221-228.",
    "independent": "Welch, B. L. (1947). The generalization of 'Student's' problem when several different population "
    "variances are involved. Biometrika, 34(1/2), 28-35.",
    "paired": "Hedges, L. V. (1981). Distribution theory for Glass's estimator of effect size and related estimators. "
    "Journal of Educational Statistics, 6(2), 107-128.",
    "effect": "Cumming, G., & Finch, S. (2001). A primer on the understanding, use, and calculation of confidence "
    "intervals that are based on central and noncentral distributions. Educational and Psychological Measurement, "
    "61(4), 532-574.",
    "holm": "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
    "Statistics, 6(2), 65-70.",
    "cluster": "Maris, E., & Oostenveld, R. (2007). Nonparametric statistical testing of EEG- and MEG-data. Journal of "
    "Neuroscience Methods, 164(1), 177-190.",
    "isc": "Nastase, S. A., Gazzola, V., Hasson, U., & Keysers, C. (2019). Measuring shared responses across subjects "
    "using intersubject correlation. Social Cognitive and Affective Neuroscience, 14(6), 667-685.",
}


@dataclass(frozen=True)
class Estimate:
    """A mean over people with its 95 % interval."""

    mean: float | None = None
    """null where nobody was seen."""
    low: float | None = None
    """null with fewer than three people, or where all are alike, as `high`."""
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends; None where one is not known."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Contrast:
    """A difference between two events or conditions, or between two groups of people."""

    n: int
    """People: those seen in both, or those of the first group."""
    n_other: int | None
    """Those of the second group; null where the same people are compared with themselves."""
    difference: Estimate
    p: float | None = None
    """Two-sided; null where the sample allows no test."""
    p_holm: float | None = None
    """Corrected for all that are shown together."""
    effect: Estimate = Estimate()
    """Hedges' g: the difference in standard deviations, corrected for small samples."""


def compute_intervals(values: Floats, range_: Range = EVERY) -> tuple[Floats, Floats, Floats]:
    """Return means and 95 % intervals of many quantities of the same people at once.

    The interval is the wider of Student's t interval and Hall's cubic transformation of it, which holds where samples
    are skewed; measured coverage stands in results/interval_coverage.json.

    Args:
        values: (n, k); NaN where a person has none.
        range_: smallest and largest possible value, of all or of each (k,): no interval says more than that.

    Returns:
        Means, lower and upper ends (k,); NaN where nobody has one, ends also where there are fewer than MIN_PEOPLE or
        all are alike.
    """
    from scipy import special

    is_there = np.isfinite(values)
    n = is_there.sum(axis=0).astype(np.float64)
    sizes = np.maximum(n, 1)
    mean = np.where(is_there, values, 0).sum(axis=0) / sizes
    away = np.where(is_there, values - mean, 0)
    deviation = np.sqrt((away**2).sum(axis=0) / np.maximum(n - 1, 1))
    holds = (n >= MIN_PEOPLE) & (deviation > 1e-12)
    root, spread = np.sqrt(sizes), np.where(holds, deviation, 1.0)
    t = special.stdtrit(np.maximum(n - 1, 1), (1 + LEVEL) / 2)
    # The skewness of the sample, with the deviation that divides by n.
    skew = (away**3).sum(axis=0) / sizes / np.where(holds, (away**2).sum(axis=0) / sizes, 1.0) ** 1.5
    skew = np.where(np.abs(skew) < 1e-6, 1e-6, skew)

    def transform(y: Floats) -> Floats:
        return np.asarray(3 * root / skew * (np.cbrt(1 + skew / root * (y - skew / (6 * root))) - 1))

    step = spread / root
    low = np.maximum(mean - np.maximum(t, transform(t)) * step, range_[0])
    high = np.minimum(mean - np.minimum(-t, transform(-t)) * step, range_[1])
    return np.where(n > 0, mean, np.nan), np.where(holds, low, np.nan), np.where(holds, high, np.nan)


def estimate_means(values: Floats, range_: Range = EVERY) -> list[Estimate]:
    """Return mean and interval of each column; see compute_intervals.

    Args:
        values: (n, k); NaN where a person has none.
        range_: see compute_intervals.
    """
    rows = zip(*(part.tolist() for part in compute_intervals(values, range_)), strict=True)
    return [Estimate(*(None if math.isnan(x) else x for x in row)) for row in rows]


def contrast_paired(first: Floats, second: Floats) -> list[Contrast]:
    """Compare the same people in two events or conditions.

    Args:
        first: (n, k); NaN where a person has none.
        second: (n, k), of the same people in the same order.

    Returns:
        k contrasts, first less second, corrected together.
    """
    contrasts = [_contrast_one(column[np.isfinite(column)]) for column in (first - second).T]
    return correct(contrasts)


def contrast_independent(first: Floats, second: Floats) -> list[Contrast]:
    """Compare two groups of people.

    Args:
        first: (n, k); NaN where a person has none.
        second: (m, k)

    Returns:
        k contrasts, first less second, corrected together.
    """
    pairs = zip(first.T, second.T, strict=True)
    return correct([_contrast_two(a[np.isfinite(a)], b[np.isfinite(b)]) for a, b in pairs])


def _contrast_one(change: Floats) -> Contrast:
    n = len(change)
    if n == 0:
        return Contrast(0, None, Estimate())
    mean, deviation = float(change.mean()), float(change.std(ddof=1)) if n > 1 else 0.0
    if n < MIN_PEOPLE or deviation <= 1e-12:
        return Contrast(n, None, Estimate(mean))
    from scipy import stats

    found = stats.ttest_1samp(change, 0.0)
    ends = found.confidence_interval(LEVEL)
    effect = _estimate_effect(float(found.statistic), n - 1, math.sqrt(1 / n))
    return Contrast(n, None, Estimate(mean, float(ends.low), float(ends.high)), float(found.pvalue), None, effect)


def _contrast_two(first: Floats, second: Floats) -> Contrast:
    from scipy import stats

    n, m = len(first), len(second)
    if n == 0 or m == 0:
        return Contrast(n, m, Estimate())
    difference = float(first.mean() - second.mean())
    variances = [float(part.var(ddof=1)) if len(part) > 1 else 0.0 for part in (first, second)]
    if min(n, m) < MIN_PEOPLE or sum(variances) <= 1e-24:
        return Contrast(n, m, Estimate(difference))
    with warnings.catch_warnings():
        # Where one group is all alike: the other's spread decides, and is enough.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.ttest_ind(first, second, equal_var=False)
    ends = found.confidence_interval(LEVEL)
    pooled = math.sqrt(((n - 1) * variances[0] + (m - 1) * variances[1]) / (n + m - 2))
    scale = math.sqrt(1 / n + 1 / m)
    effect = _estimate_effect(difference / (pooled * scale), n + m - 2, scale)
    return Contrast(n, m, Estimate(difference, float(ends.low), float(ends.high)), float(found.pvalue), None, effect)


def _estimate_effect(t: float, df: int, scale: float) -> Estimate:
    """Return Hedges' g and its interval from a t value, whose noncentrality is the effect divided by `scale`."""
    from scipy import optimize, special, stats

    # Hedges' exact correction of small samples (1981, equation 6e).
    correction = (
        math.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / math.sqrt(df / 2) if df > 1 else 1.0
    )

    if t < 0:
        # The distribution is computed less far on this side.
        other = _estimate_effect(-t, df, scale)
        return Estimate(*(None if x is None else -x for x in (other.mean, other.high, other.low)))

    if df < MIN_EFFECT_DF:
        return Estimate(t * scale * correction)

    def find(share: float) -> float:
        # The noncentrality of which `share` lies below what was found: nearly normal, with this deviation.
        reach = 8 * math.sqrt(1 + t**2 / (2 * df))
        return float(optimize.brentq(lambda nc: stats.nct.cdf(t, df, nc) - share, t - reach, t + reach, xtol=1e-9))

    try:
        low, high = find((1 + LEVEL) / 2), find((1 - LEVEL) / 2)
    except ValueError:
        # Beyond what the distribution can be computed for.
        return Estimate(t * scale * correction)
    return Estimate(t * scale * correction, low * scale * correction, high * scale * correction)


def adjust_holm(p: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for being looked at together; None stays None and counts for nothing.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    order = sorted((value, i) for i, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, (value, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * value))
        adjusted[i] = highest
    return adjusted


def correct(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return contrasts that are shown together with their p_holm."""
    adjusted = adjust_holm([contrast.p for contrast in contrasts])
    return [replace(contrast, p_holm=p) for contrast, p in zip(contrasts, adjusted, strict=True)]
