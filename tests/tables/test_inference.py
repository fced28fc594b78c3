"""Intervals that hold, tests that are scipy's, and what a sample does not allow is not printed."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from emoscope.tables.curve_inference import correlate_subjects, find_clusters, find_least_p
from emoscope.tables.inference import (
    adjust_holm,
    compute_intervals,
    contrast_independent,
    contrast_paired,
    estimate_means,
)

RNG = np.random.default_rng
# Student's data on two soporific drugs (1908), R's `sleep`.
SLEEP = np.array(
    [[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]]
)


def test_contrasts_are_those_of_the_textbooks() -> None:
    """R: t.test(extra ~ group, data = sleep, paired = TRUE) and without; p.adjust(method = "holm")."""
    [paired] = contrast_paired(SLEEP[0][:, None], SLEEP[1][:, None])
    assert paired.p == pytest.approx(0.00283289, abs=1e-8) and paired.n == 10
    assert paired.difference.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-6)
    [welch] = contrast_independent(SLEEP[0][:, None], SLEEP[1][:, None])
    assert welch.p == pytest.approx(0.07939414, abs=1e-8)
    assert welch.difference.interval == pytest.approx((-3.3654832, 0.2054832), abs=1e-6)
    found = adjust_holm([0.01, None, 0.04, 0.03, 0.005])
    assert found == [pytest.approx(p) if p else None for p in (0.03, None, 0.06, 0.06, 0.02)]


def test_of_three_people_no_interval_of_an_effect_is_printed() -> None:
    for n, is_printed in ((3, False), (4, True)):
        [found] = contrast_paired(np.linspace(0.2, 0.5, n)[:, None], np.linspace(0.1, 0.2, n)[:, None])
        assert found.effect.mean is not None and (found.effect.interval is not None) == is_printed


def test_effects_lie_where_the_noncentral_t_puts_them() -> None:
    [paired] = contrast_paired(SLEEP[0][:, None], SLEEP[1][:, None])
    change, n = SLEEP[0] - SLEEP[1], 10
    d = change.mean() / change.std(ddof=1)
    correction = math.gamma((n - 1) / 2) / (math.sqrt((n - 1) / 2) * math.gamma((n - 2) / 2))
    assert paired.effect.mean == pytest.approx(d * correction)
    assert paired.effect.interval is not None
    for end, share in zip(paired.effect.interval, (0.975, 0.025), strict=True):
        noncentrality = end / correction * math.sqrt(n)
        assert stats.nct.cdf(d * math.sqrt(n), n - 1, noncentrality) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_intervals_hold_what_they_say(n: int) -> None:
    """2,000 samples of each kind: a share of 95 % scatters by half a point."""
    rng = RNG(n)
    # As participants' probabilities are: bounded, skewed to the right.
    kinds = {
        "normal": (rng.normal(0.3, 0.1, (n, 2000)), 0.3),
        "uniform": (rng.uniform(0, 1, (n, 2000)), 0.5),
        "beta": (rng.beta(2, 5, (n, 2000)), 2 / 7),
    }
    for kind, (values, truth) in kinds.items():
        _, low, high = compute_intervals(values)
        assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.975, kind
    [contrast] = contrast_paired(values[:, :1], values[:, 1:2])
    assert contrast.difference.interval is not None
    skewed = rng.exponential(1, (n, 2000))
    _, low, high = compute_intervals(skewed)
    held = np.mean((low <= 1) & (high >= 1))
    mean, half = skewed.mean(axis=0), stats.t.ppf(0.975, n - 1) * skewed.std(axis=0, ddof=1) / math.sqrt(n)
    assert held >= np.mean((mean - half <= 1) & (mean + half >= 1)) + 0.02, "better than t alone"


def test_what_a_sample_does_not_allow_is_withheld() -> None:
    two, alike, nobody = np.array([[0.2], [0.4]]), np.full((5, 1), 0.3), np.empty((0, 1))
    assert estimate_means(two)[0].interval is None and estimate_means(two)[0].mean == pytest.approx(0.3)
    assert estimate_means(alike)[0].interval is None and estimate_means(nobody)[0].mean is None
    for contrast in (*contrast_paired(two, two + 1), *contrast_paired(alike, alike), *contrast_independent(two, alike)):
        assert contrast.p is None and contrast.difference.interval is None and contrast.effect.mean is None
    skewed = np.array([[0.0], [0.01], [0.9]])
    assert estimate_means(skewed, (0.0, 1.0))[0].interval == (0.0, 1.0), "no probability lies beyond"
    missing = np.array([[0.1, np.nan], [0.2, 0.5], [0.4, np.nan], [0.5, 0.6]])
    first, second = estimate_means(missing)
    assert first.interval is not None and second.mean == pytest.approx(0.55) and second.interval is None


@given(arrays(np.float64, st.tuples(st.integers(0, 6), st.integers(1, 3)), elements=st.floats(-1, 1) | st.just(np.nan)))
def test_any_numbers_give_ordered_intervals(values: np.ndarray) -> None:
    for estimate in estimate_means(values):
        if estimate.interval is not None and estimate.mean is not None:
            assert estimate.interval[0] <= estimate.mean <= estimate.interval[1]
    for contrast in (*contrast_paired(values, values[::-1]), *contrast_independent(values, values * 0.5)):
        assert contrast.p is None or 0 <= contrast.p <= (contrast.p_holm or 0) <= 1


def test_clusters_find_what_is_there_and_seldom_what_is_not() -> None:
    rng = RNG(0)

    def draw(n: int) -> np.ndarray:
        # People differ in level, and each moment depends on the last, as faces do.
        return np.asarray(np.cumsum(rng.normal(0, 0.2, (n, 90)), axis=1) + rng.normal(0, 1, (n, 90)))

    planted = draw(12)
    planted[:, 30:40] += 2.5
    [found] = [c for c in find_clusters(planted) if c.p < 0.05]
    assert found.mass > 0 and found.start <= 34 < found.end
    alarms = [any(c.p < 0.05 for c in find_clusters(draw(8))) for _ in range(150)]
    assert np.mean(alarms) <= 0.09
    groups = [any(c.p < 0.05 for c in find_clusters(draw(6), draw(7))) for _ in range(40)]
    assert np.mean(groups) <= 0.15
    assert find_clusters(planted[:5]) == [] and find_least_p(5) > 0.05 > find_least_p(6)
    assert find_least_p(3, 3) == pytest.approx(0.1)


def test_exact_and_drawn_rearrangements_agree() -> None:
    rng = RNG(3)
    curves = rng.normal(0.4, 1, (14, 40))
    drawn = find_clusters(curves)
    # Two-sided sign test of one moment, all rearrangements.
    one = RNG(5).normal(1.2, 1, (10, 1))
    [cluster] = find_clusters(one)
    signs = stats.permutation_test(
        (one[:, 0],), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert cluster.p == pytest.approx(signs.pvalue, abs=0.01) and all(0 < c.p <= 1 for c in drawn)


def test_subjects_who_move_together_correlate() -> None:
    rng = RNG(1)
    shared = np.sin(np.arange(100) / 5)
    curves = shared + rng.normal(0, 0.5, (6, 100))
    curves[2, 10:20] = np.nan
    together = correlate_subjects(curves)
    assert together.min() > 0.6 and np.abs(correlate_subjects(rng.normal(0, 1, (6, 100)))).max() < 0.4
    assert np.isnan(correlate_subjects(np.ones((3, 50)))).all() and np.isnan(correlate_subjects(curves[:1])).all()


def test_a_group_that_is_all_alike_is_compared_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [contrast] = contrast_independent(np.full((9, 1), 0.1), np.linspace(0.1, 0.3, 9)[:, None])
    # Student's t of the second group alone, against 0.1.
    assert contrast.p == pytest.approx(stats.ttest_1samp(np.linspace(0.1, 0.3, 9), 0.1).pvalue)
