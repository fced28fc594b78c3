"""Whether two networks differ; the AUC of hard predictions; the reference study's figures."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.study.measuring.metrics import compute_f1, compute_f1_deviation, compute_metrics, describe_auc
from emoscope.study.measuring.reference import METRICS, compute_headline, find_reference, load_reference
from emoscope.study.measuring.statistics import (
    compute_corrected_t_test,
    compute_mcnemar,
    compute_mean_interval,
    widen_by_images,
)


def draw_answers(n_repeats: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) of seven unequal classes, and answers (n_repeats, n): some images are easy for all."""
    labels = rng.choice(7, n, p=[0.05, 0.1, 0.1, 0.15, 0.15, 0.2, 0.25])
    able, easy = rng.normal(0.5, 0.1, (n_repeats, 1)), rng.normal(0, 1, n)
    is_right = able + easy + rng.normal(0, 0.5, (n_repeats, n)) > 0
    return np.where(is_right, labels, (labels + rng.integers(1, 7, (n_repeats, n))) % 7), labels


@pytest.mark.parametrize("n_repeats", [3, 10])
def test_intervals_over_repeats_and_images_hold_what_they_say(n_repeats: int) -> None:
    rng = np.random.default_rng(0)
    answers, labels = draw_answers(400, 20_000, rng)
    truth = np.mean([compute_f1(a, labels).mean() for a in answers])
    held, held_repeats = 0, 0
    for _ in range(400):
        answers, labels = draw_answers(n_repeats, 700, rng)
        repeats = compute_mean_interval([compute_f1(a, labels).mean() for a in answers])
        both = widen_by_images(repeats, compute_f1_deviation(answers, labels, 100))
        held += both[0] <= truth <= both[1]
        held_repeats += repeats["interval_95"][0] <= truth <= repeats["interval_95"][1]
    # 95 +- 2 % is what 400 draws of a true 95 % show.
    assert 0.93 <= held / 400 <= 0.99
    assert held_repeats < held, "the interval over repeats alone speaks of these images only"


def test_a_single_repeat_has_no_interval() -> None:
    assert widen_by_images(compute_mean_interval([0.5]), 0.1) is None
    both = widen_by_images(compute_mean_interval([0.5, 0.6]), 0.0)
    assert both == pytest.approx(compute_mean_interval([0.5, 0.6])["interval_95"])


scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12)


def test_corrected_t_test_by_hand() -> None:
    # Differences 1, 2, 3, 4 hundredths: mean 0.025, variance 5/3 e-4; (1/4 + 1/4) of it under the root.
    ours, theirs = [0.61, 0.62, 0.63, 0.64], [0.60, 0.60, 0.60, 0.60]
    figures = compute_corrected_t_test(ours, theirs, n_train=400, n_test=100)
    error = math.sqrt(0.5 * 5 / 3) / 100
    assert figures["mean_difference"] == pytest.approx(0.025)
    assert figures["t"] == pytest.approx(0.025 / error) == pytest.approx(2.738613, rel=1e-6)
    # 3.182446 is the table's 97.5 % point of t with three degrees of freedom.
    assert figures["interval_95"] == pytest.approx([0.025 - 3.182446 * error, 0.025 + 3.182446 * error], rel=1e-6)
    assert figures["p"] == pytest.approx(0.0714, abs=1e-4) and figures["n"] == 4
    # A test part that weighs nothing leaves the plain paired t-test.
    plain = compute_corrected_t_test(ours, theirs, n_train=10**15, n_test=1)
    expected = stats.ttest_rel(ours, theirs)
    assert (plain["t"], plain["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert plain["interval_95"] == pytest.approx([interval.low, interval.high])


def test_corrected_t_test_of_cases_without_spread() -> None:
    single = compute_corrected_t_test([0.7], [0.6], 7, 1)
    assert single == {"mean_difference": pytest.approx(0.1), "interval_95": None, "t": None, "p": None, "n": 1}
    same = compute_corrected_t_test([0.7, 0.8], [0.7, 0.8], 7, 1)
    assert (same["mean_difference"], same["t"], same["p"], same["interval_95"]) == (0, 0, 1, [0, 0])
    # 0.1 apart each, but for rounding.
    shifted = compute_corrected_t_test([0.7, 0.8, 0.4], [0.6, 0.7, 0.3], 7, 1)
    assert shifted["t"] is None and shifted["p"] == 0 and shifted["interval_95"] == pytest.approx([0.1, 0.1])
    for arguments in (([0.7], [0.6, 0.5], 7, 1), ([], [], 7, 1), ([0.7], [0.6], 7, 0)):
        with pytest.raises(InputError, match=r"expected .*; pass"):
            compute_corrected_t_test(*arguments)


@given(scores, st.integers(1, 1000), st.integers(1, 1000))
def test_corrected_t_test_is_antisymmetric(pairs: list[tuple[float, float]], n_train: int, n_test: int) -> None:
    ours, theirs = zip(*pairs, strict=True)
    one = compute_corrected_t_test(ours, theirs, n_train, n_test)
    other = compute_corrected_t_test(theirs, ours, n_train, n_test)
    json.dumps(one, allow_nan=False)
    assert one["mean_difference"] == -other["mean_difference"] and one["p"] == other["p"]
    assert one["t"] == (None if other["t"] is None else -other["t"])
    if one["interval_95"] is not None:
        assert one["interval_95"] == pytest.approx([-x for x in reversed(other["interval_95"])])
        assert one["interval_95"][0] <= one["mean_difference"] <= one["interval_95"][1]


def test_corrected_t_test_errs_as_often_as_it_says() -> None:
    """Folds whose scores correlate by the test part's share, as the correction supposes, and no true difference."""
    rng = np.random.default_rng(0)
    n, n_train, n_test = 8, 7, 3
    share = n_test / (n_train + n_test)
    common, own = rng.normal(0, share**0.5, (1500, 1)), rng.normal(0, (1 - share) ** 0.5, (1500, n))
    differences = 0.01 * (common + own)
    zeros = np.zeros(n)
    rate = np.mean([compute_corrected_t_test(d, zeros, n_train, n_test)["p"] < 0.05 for d in differences])
    plain = np.mean(stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05)
    # 1,500 draws scatter by 0.6 percent.
    assert rate == pytest.approx(0.05, abs=0.02) and plain > 0.2


def test_mcnemar_by_hand() -> None:
    ours = np.array([True] * 50 + [True] * 8 + [False] * 2 + [False] * 20)
    theirs = np.array([True] * 50 + [False] * 8 + [True] * 2 + [False] * 20)
    # 2 or fewer of 10 coins: (1 + 10 + 45) / 1024, twice for both sides.
    assert compute_mcnemar(ours, theirs) == {"b": 8, "c": 2, "p": pytest.approx(2 * 56 / 1024), "n": 80}
    assert compute_mcnemar(ours, ours) == {"b": 0, "c": 0, "p": 1, "n": 80}
    with pytest.raises(InputError, match="same images"):
        compute_mcnemar(ours, theirs[:3])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_mcnemar_is_symmetric(pairs: list[tuple[bool, bool]]) -> None:
    ours, theirs = np.array(pairs, bool).reshape(-1, 2).T
    one, other = compute_mcnemar(ours, theirs), compute_mcnemar(theirs, ours)
    assert (one["b"], one["c"], one["p"]) == (other["c"], other["b"], other["p"])
    assert 0 <= one["p"] <= 1 and one["b"] - one["c"] == ours.sum() - theirs.sum()


def test_mean_interval() -> None:
    values = [0.61, 0.64, 0.66, 0.63, 0.67]
    figures = compute_mean_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (figures["mean"], figures["sd"], figures["n"]) == (
        pytest.approx(0.642),
        pytest.approx(math.sqrt(0.00228 / 4)),
        5,
    )
    assert figures["interval_95"] == pytest.approx([expected.low, expected.high])
    assert compute_mean_interval([0.5]) == {"mean": 0.5, "sd": None, "interval_95": None, "n": 1}
    same = compute_mean_interval([0.1] * 3)
    assert same["sd"] == 0 and same["interval_95"] == pytest.approx([0.1, 0.1])
    with pytest.raises(InputError, match="n > 0"):
        compute_mean_interval([])


@given(st.integers(0, 10_000), st.integers(1, 80))
def test_hard_auc_is_that_of_the_one_hot_prediction(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p, labels = rng.dirichlet(np.ones(7), n), rng.integers(0, 7, n)
    figures = compute_metrics(p, labels)
    known = []
    for i, name in enumerate(EMOTIONS):
        value = figures["per_class"][name]["auc_hard"]
        assert (value is None) == (figures["per_class"][name]["auc"] is None)
        if value is not None:
            known.append(roc_auc_score(labels == i, p.argmax(axis=1) == i))
            assert value == pytest.approx(known[-1])
    assert figures["mean_auc_hard"] == (pytest.approx(np.mean(known)) if known else None)
    json.dumps(figures, allow_nan=False)


def test_auc_has_words() -> None:
    words = {0.3: "none", 0.5: "none", 0.51: "poor", 0.7: "acceptable", 0.79: "acceptable", 0.8: "excellent"}
    words |= {0.8999: "excellent", 0.9: "outstanding", 1.0: "outstanding"}
    assert {value: describe_auc(value) for value in words} == words


def test_the_reference_is_whole() -> None:
    table = load_reference()
    assert len(table) == 183 and table["stage"].value_counts().to_dict() == {
        "cross-validation": 104, "final": 50, "search": 29,
    }  # fmt: skip
    assert ((table[list(METRICS)] > 0) & (table[list(METRICS)] < 1)).all(axis=None)
    assert table["index"].isna().equals(table["stage"] == "search")
    assert table["augmentation"].dtype == bool and table["is_f1_only"].sum() == 5
    assert len(find_reference("cross-validation", "vgg", "vgg16")) == 16
    larger = find_reference("final", architecture="densenet201", input_px=175)
    assert larger["index"].tolist() == list(range(10)) and larger.index.tolist() == list(range(10))
    assert find_reference("final", "vgg-branches").empty


def test_the_reference_gives_its_headline_table() -> None:
    headline = compute_headline().set_index(["architecture", "input_px"])
    for key, expected in {
        ("densenet201", 175): (0.6935, 0.6883, 0.6595, 0.6645, 0.8156),
        ("densenet201", 48): (0.6390, 0.6090, 0.6366, 0.6118, 0.7716),
        ("inception_resnet_v2", 48): (0.6332, 0.6092, 0.6296, 0.6083, 0.7911),
        ("vgg16", 48): (0.6203, 0.5843, 0.6168, 0.5889, 0.7882),
        ("resnet152v2", 48): (0.6004, 0.5695, 0.5967, 0.5711, 0.7445),
    }.items():
        assert tuple(headline.loc[key, [*METRICS, "mean_auc_hard"]]) == pytest.approx(expected, abs=6e-5)
    assert (headline["n"] == 10).all() and headline["f1_macro"].is_monotonic_decreasing
