"""Metrics and intervals against independent ones; and the examples in docstrings."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.metrics import cumulative_curve, hits_at_k, recall_at_k
from kis_bench.statistics import bootstrap_interval, quantile_interval, wilson_interval

MODULES = [
    "kis_bench.metrics",
    "kis_bench.statistics.intervals",
    "kis_bench.statistics.paired",
    "kis_bench.datasets.openmoji.drawings",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 10)), min_size=1, max_size=20),
    st.integers(1, 50),
)
def test_the_curve_is_recall_at_every_rank(pairs, max_rank):
    best, worst = np.array([b for b, _ in pairs]), np.array([b + extra for b, extra in pairs])
    curve = cumulative_curve(best, worst, max_rank)
    np.testing.assert_allclose(
        curve, [recall_at_k(best, worst, k) for k in range(1, max_rank + 1)], atol=1e-9
    )


def test_ties_count_as_random_order_would():
    rng = np.random.default_rng(0)
    places = np.array(
        [rng.permutation(5)[0] + 3 for _ in range(40_000)]
    )  # a target among five ties at ranks 3 to 7
    for k in (2, 4, 7):
        assert hits_at_k([3], [7], k)[0] == pytest.approx((places <= k).mean(), abs=0.01)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (57, 1617)])
def test_wilson_equals_scipy(hits, n):
    from scipy.stats import binomtest

    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_bootstrap_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = 1 / np.random.default_rng(3).integers(1, 50, 200)
    expected = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=1
    ).confidence_interval
    assert bootstrap_interval(values) == pytest.approx((expected.low, expected.high), abs=0.004)


def test_the_quantile_interval_covers_as_promised():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(1000):
        low, high = quantile_interval(rng.uniform(size=101), 0.5)
        covered += low <= 0.5 <= high
    assert 0.935 < covered / 1000 < 0.98


def test_no_values_are_an_error():
    for call in (
        lambda: wilson_interval(0, 0),
        lambda: bootstrap_interval([]),
        lambda: quantile_interval([], 0.5),
    ):
        with pytest.raises(ValueError, match=r"proportion|values"):
            call()
