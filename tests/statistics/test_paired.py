"""Paired tests against scipy and against every sign pattern."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.statistics import (
    bootstrap_interval,
    bootstrap_means,
    mcnemar_exact,
    mcnemar_tests,
    paired,
    paired_randomization_test,
    resampled_means,
    sign_flip_tests,
)
from kis_bench.statistics.paired import draw_signs

VALUES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0]), min_size=1, max_size=9)


def every_pattern(a, b):
    d = np.subtract(a, b)
    sums = [abs(np.dot(signs, d)) for signs in itertools.product((1, -1), repeat=len(d))]
    return np.mean(np.array(sums) >= abs(d.sum()) - 1e-9)


@given(VALUES, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_few_queries_go_through_every_sign_pattern(a, random):
    b = a[:]
    random.shuffle(b)
    p = paired_randomization_test(a, b)
    assert p == pytest.approx(every_pattern(a, b))
    assert p == paired_randomization_test(b, a)
    assert 0 < p <= 1


def test_like_scipy():
    rng = np.random.default_rng(0)
    for n in (8, 11):
        a, b = rng.random(n), rng.random(n)
        theirs = scipy.stats.permutation_test(
            (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
        )
        assert paired_randomization_test(a, b) == pytest.approx(theirs.pvalue)


def test_many_queries_are_drawn_and_never_give_zero():
    rng = np.random.default_rng(1)
    a = rng.random(200)
    b = a - 0.02 * rng.random(200) + 0.004
    p = paired_randomization_test(a, b, permutations=20_000)
    normal = scipy.stats.ttest_rel(a, b).pvalue
    assert p == pytest.approx(normal, abs=0.01)
    assert paired_randomization_test(a + 5, a, permutations=1_000) == pytest.approx(1 / 1_001)
    assert paired_randomization_test(a, a) == 1.0


def test_sums_that_are_equal_up_to_rounding_are_as_extreme():
    """Tenths, whose sums are rounded: the sign test, of which 0 is no different from what is almost 0."""
    a = np.zeros(60)
    a[:20], a[20:40] = 0.1, -0.1
    exact = scipy.stats.binomtest(20, 40).pvalue
    assert paired_randomization_test(a, np.zeros(60), permutations=50_000) == pytest.approx(
        exact, abs=1e-9
    )
    b = a.copy()
    b[39] = 0.1  # 21 against 19
    assert paired_randomization_test(b, np.zeros(60), permutations=50_000) == pytest.approx(
        scipy.stats.binomtest(19, 40).pvalue, abs=0.01
    )


def test_rows_together_are_the_same_as_alone():
    rng = np.random.default_rng(2)
    d = rng.normal(0.1, 1, (5, 70))
    d[3] = 0
    together = sign_flip_tests(d, permutations=5_000)
    alone = [paired_randomization_test(row, np.zeros(70), permutations=5_000) for row in d]
    assert together == pytest.approx(alone)


@given(VALUES, VALUES, st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_neither_side_is_favoured(a, b, permutations):
    a, b = np.resize(a, 12), np.resize(b, 12)
    p = paired_randomization_test(a, b, permutations=permutations)
    assert p == paired_randomization_test(b, a, permutations=permutations)
    assert 1 / (permutations + 1) <= p <= 1


@pytest.mark.parametrize("n", [1, 2, 16])
def test_all_patterns_or_drawn_ones(n):
    """2^n patterns are gone through if so many are allowed, and one less makes them random."""
    a = np.arange(1, n + 1) / 3
    assert paired_randomization_test(a, np.zeros(n), permutations=2**n) == 2 / 2**n
    drawn = paired_randomization_test(a, np.zeros(n), permutations=2**n - 1)
    assert (drawn * 2**n) % 1 == 0
    assert drawn <= 1


def test_queries_where_both_are_equal_do_not_count():
    a, b = np.array([1, 0.5, 0.2, 1, 1]), np.array([0.5, 0.2, 0.1, 0.3, 0.2])
    same = np.linspace(0, 1, 500)
    assert (
        paired_randomization_test(np.r_[a, same], np.r_[b, same])
        == paired_randomization_test(a, b)
        == 2 / 2**5
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_unit_makes_no_difference(scale):
    d = np.random.default_rng(5).normal(0.05, 1, (3, 300))
    expected = sign_flip_tests(d, permutations=5_000)
    assert sign_flip_tests(d * scale, permutations=5_000) == pytest.approx(expected, abs=3e-4)


def test_sums_in_float32_are_as_good_as_exact_ones():
    """Values of which many sums equal the observed one, at the most queries that anybody has."""
    rng = np.random.default_rng(6)
    d = rng.choice([1 / 3, -1 / 3, 1 / 6, 0.5, 0], (4, 2_000))
    found = sign_flip_tests(d, permutations=4_000)
    signs = np.concatenate([*draw_signs(2_000, 4_000, 0)]).astype(np.int64)
    sixths = np.rint(d * 6).astype(np.int64)
    extreme = (np.abs(signs @ sixths.T) >= np.abs(sixths.sum(axis=1))).sum(axis=0)
    assert found == pytest.approx((extreme + 1) / 4_001, abs=1e-12)


def test_signs_are_fair_and_drawn_in_parts(monkeypatch):
    whole = np.concatenate([*draw_signs(13, 5_000, 1)])
    assert whole.shape == (5_000, 13)
    assert set(whole.ravel()) == {-1, 1}
    assert np.abs(whole.mean(axis=0)).max() < 4.5 / np.sqrt(5_000)
    products = whole.T @ whole / 5_000 - np.eye(13)
    assert np.abs(products).max() < 4.5 / np.sqrt(5_000)
    monkeypatch.setattr(paired, "PATTERNS_AT_ONCE", 7)
    assert [len(part) for part in draw_signs(13, 20, 1)] == [7, 7, 6]


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_binomial(b, c):
    expected = scipy.stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected)
    rows = [1] * b + [0] * c + [1, 0], [0] * b + [1] * c + [1, 0]
    assert mcnemar_exact(*rows) == pytest.approx(expected)
    assert (
        mcnemar_exact(*np.array(rows, bool))
        == mcnemar_exact(c, b)
        == mcnemar_tests([[b]], [[c]])[0, 0]
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: paired_randomization_test([1, 2], [1]), "both on the same queries"),
        (lambda: paired_randomization_test([], []), "row of values"),
        (lambda: paired_randomization_test([np.nan], [1.0]), "NaN"),
        (lambda: paired_randomization_test([np.inf], [np.inf]), "finite"),
        (lambda: paired_randomization_test([1.0], [2.0], permutations=0), "at least 1"),
        (lambda: mcnemar_exact([0.5, 1], [0, 1]), "paired_randomization_test"),
        (lambda: mcnemar_exact([1, 1], [0]), "both on the same queries"),
        (lambda: mcnemar_exact([np.nan, 1], [0, 1]), "NaN"),
        (lambda: mcnemar_exact([1, 1], 0), "row of values"),
        (lambda: mcnemar_exact(-1, 3), "not numbers of queries"),
        (lambda: mcnemar_exact(1.5, 3), "not numbers of queries"),
        (lambda: mcnemar_exact(np.inf, 3), "not numbers of queries"),
        (lambda: bootstrap_means(np.ones((1, 2)), resamples=0), "at least 1"),
        (lambda: bootstrap_means(np.ones((1, 2)), confidence=1), "between 0 and 1"),
    ],
)
def test_wrong_input_says_what(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_resampled_means_are_those_of_a_bootstrap():
    rng = np.random.default_rng(3)
    data = rng.random((2, 40))
    drawn = resampled_means(data, resamples=20_000)
    assert drawn.mean(axis=0) == pytest.approx(data.mean(axis=1), abs=0.003)
    assert drawn.std(axis=0) == pytest.approx(data.std(axis=1) / np.sqrt(40), rel=0.03)
    theirs = scipy.stats.bootstrap(
        (data[0],), np.mean, method="percentile", n_resamples=20_000, random_state=1
    )
    low, high = np.quantile(drawn[:, 0], [0.025, 0.975])
    assert (low, high) == pytest.approx(theirs.confidence_interval, abs=0.005)
    # Both rows over the same draws: the difference of equal rows never varies.
    same = resampled_means(np.stack([data[0], data[0]]), resamples=100)
    assert (same[:, 0] == same[:, 1]).all()


def test_bootstrap_intervals_of_many_rows_are_those_of_each():
    data = np.random.default_rng(4).exponential(size=(3, 50))
    data[2] = 0.1
    found = bootstrap_means(data, resamples=4_000, confidence=0.9)
    for row, interval in zip(data, found, strict=True):
        assert interval == pytest.approx(
            bootstrap_interval(row, resamples=4_000, confidence=0.9), abs=0.02
        )
    assert found[2].tolist() == [0.1, 0.1]
