"""Where people's curves differ over time: curves in, clusters with their p by permutation out; how alike people are."""

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.tables.inference import MIN_PEOPLE, Floats

MAX_EXACT: Final = 4096
"""Rearrangements that are all tried; of more, so many are drawn."""
N_DRAWN: Final = 2000
SEED: Final = 0
"""The same numbers give the same p."""
CLUSTER_P: Final = 0.05
"""A moment belongs to a cluster where its own t-test is below this, two-sided (Maris and Oostenveld, 2007)."""


@dataclass(frozen=True)
class Cluster:
    """A stretch of a curve that chance between people hardly explains as a whole."""

    start: int
    """First place."""
    end: int
    """One past the last."""
    mass: float
    """Sum of the t values; negative where the first is lower."""
    p: float


def find_least_p(n: int, n_other: int | None = None) -> float:
    """Return the smallest p that a permutation test of so many people can give."""
    if n_other is None:
        return 2.0 ** (1 - n)
    return (2 if n == n_other else 1) / math.comb(n + n_other, n)


def find_clusters(curves: Floats, other: Floats | None = None) -> list[Cluster]:
    """Find stretches of time in which people's curves differ from 0, or two groups from each other.

    Cluster-based permutation test: moments whose t is beyond the two-sided 5 % limit make clusters; a cluster's mass is
    judged by the largest masses that arise when signs (or groups) are dealt anew. It says that there is a difference,
    and roughly where: its edges are not tested (Sassenhagen and Draschkow, 2019).

    Args:
        curves: (n, k) a row of each person; NaN where somebody was not seen. For two conditions of the same people
            their difference.
        other: (m, k) of other people.

    Returns:
        All clusters with their p, in the order of time; none where no p below CLUSTER_P is possible, see find_least_p.
    """
    n, m = len(curves), None if other is None else len(other)
    if n < MIN_PEOPLE or (m is not None and m < MIN_PEOPLE) or find_least_p(n, m) >= CLUSTER_P:
        return []
    t = (
        _compute_t(curves, np.ones((1, n)))
        if other is None
        else _compute_welch(np.vstack([curves, other]), _label(n, m))
    )
    found = _find_runs(t[0])
    if not found:
        return []
    largest = _deal_anew(curves) if other is None else _shuffle(np.vstack([curves, other]), n)
    return [Cluster(start, end, mass, float(np.mean(largest >= abs(mass) - 1e-9))) for start, end, mass in found]


def _deal_anew(curves: Floats) -> Floats:
    """Return the largest cluster mass of each dealing of signs; the one that was found is among them."""
    n = len(curves)
    if 2 ** (n - 1) <= MAX_EXACT:
        # Turning all signs round gives the same masses: half of the dealings will do.
        signs = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=n - 1)], np.float64)
    else:
        signs = np.random.default_rng(SEED).choice((-1.0, 1.0), (N_DRAWN, n))
        signs[0] = 1
    return _find_largest(
        np.vstack([_compute_t(curves, part) for part in np.array_split(signs, max(1, len(signs) // 256))])
    )


def _label(n: int, m: int | None) -> NDArray[np.bool_]:
    return np.arange(n + (m or 0))[None, :] < n


def _shuffle(everyone: Floats, n: int) -> Floats:
    total = len(everyone)
    if math.comb(total, n) <= MAX_EXACT:
        labels = np.zeros((math.comb(total, n), total), np.bool_)
        for row, chosen in zip(labels, itertools.combinations(range(total), n), strict=True):
            row[list(chosen)] = True
    else:
        labels = np.repeat(_label(n, total - n), N_DRAWN, axis=0)
        labels[1:] = np.random.default_rng(SEED).permuted(labels[1:], axis=1)
    parts = np.array_split(labels, max(1, len(labels) // 256))
    return _find_largest(np.vstack([_compute_welch(everyone, part) for part in parts]))


def _compute_t(curves: Floats, signs: Floats) -> Floats:
    """Return t values (dealings, k) less the limit's sign: 0 where not beyond it."""
    from scipy import stats

    is_there = np.isfinite(curves)
    values, n = np.where(is_there, curves, 0), is_there.sum(axis=0)
    sizes = np.maximum(n, 2)
    mean = signs @ values / sizes
    variance = ((values**2).sum(axis=0) - sizes * mean**2) / (sizes - 1)
    return _limit(mean, variance / sizes, stats.t.ppf(1 - CLUSTER_P / 2, sizes - 1), n >= MIN_PEOPLE)


def _compute_welch(everyone: Floats, is_first: NDArray[np.bool_]) -> Floats:
    from scipy import stats

    is_there = np.isfinite(everyone)
    values = np.where(is_there, everyone, 0)
    parts = []
    for chosen in (is_first, ~is_first):
        weight = chosen.astype(np.float64)
        n = np.maximum(weight @ is_there, 2)
        mean = weight @ values / n
        variance = np.maximum(weight @ values**2 - n * mean**2, 0) / (n - 1)
        parts.append((n, mean, variance / n))
    (n, first, a), (m, second, b) = parts
    with np.errstate(invalid="ignore", divide="ignore"):
        df = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    limit = stats.t.ppf(1 - CLUSTER_P / 2, np.where(np.isfinite(df), df, 1))
    return _limit(first - second, a + b, limit, np.minimum(n, m) >= MIN_PEOPLE)


def _limit(mean: Floats, variance: Floats, limit: Floats, holds: NDArray[np.bool_]) -> Floats:
    t = mean / np.sqrt(np.maximum(variance, 1e-24))
    return np.asarray(np.where((np.abs(t) >= limit) & holds & (variance > 1e-24), t, 0))


def _find_runs(t: Floats) -> list[tuple[int, int, float]]:
    """Return start, end and sum of the runs of one sign that is not 0."""
    sign = np.sign(t)
    edges = np.flatnonzero(np.diff(sign, prepend=0, append=0))
    return [
        (int(start), int(end), float(t[start:end].sum()))
        for start, end in itertools.pairwise(edges)
        if sign[start] != 0
    ]


def _find_largest(t: Floats) -> Floats:
    """Return the largest absolute cluster mass of each row."""
    return np.array([max((abs(mass) for _, _, mass in _find_runs(row)), default=0.0) for row in t])


def correlate_subjects(curves: Floats) -> Floats:
    """Return each person's correlation with the mean curve of all others (n,); NaN where there is none.

    Args:
        curves: (n, k) a row of each person; NaN where somebody was not seen.
    """
    is_there = np.isfinite(curves)
    total, count = np.where(is_there, curves, 0).sum(axis=0), is_there.sum(axis=0)
    found = np.full(len(curves), np.nan)
    for i, (curve, seen) in enumerate(zip(curves, is_there, strict=True)):
        shared = seen & (count > 1)
        if shared.sum() < MIN_PEOPLE:
            continue
        others = (total[shared] - curve[shared]) / (count[shared] - 1)
        own = curve[shared]
        if own.std() > 1e-12 and others.std() > 1e-12:
            found[i] = float(np.corrcoef(own, others)[0, 1])
    return found
