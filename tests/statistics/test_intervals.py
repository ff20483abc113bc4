import numpy as np
import pytest
import scipy.stats

from kis_bench.statistics import bootstrap_interval, intervals, quantile_interval, wilson_interval


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("successes", "n"), [(0, 1), (1, 1), (0, 50), (3, 50), (25, 50), (50, 50), (999, 1000)]
)
def test_wilson_is_that_of_scipy(successes, n, confidence):
    expected = scipy.stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(successes, n, confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_takes_expectations():
    low, high = wilson_interval(2.5, 10)
    assert wilson_interval(2, 10)[0] < low < wilson_interval(3, 10)[0]
    assert low < 0.25 < high
    assert wilson_interval(np.float64(10 + 1e-12), 10)[1] == 1


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(3).exponential(size=80)
    for statistic in (np.mean, np.std):
        expected = scipy.stats.bootstrap(
            (values,),
            statistic,
            method="percentile",
            n_resamples=10_000,
            random_state=np.random.default_rng(4),
        ).confidence_interval
        assert bootstrap_interval(values, statistic) == pytest.approx(tuple(expected), abs=0.02)


def test_bootstrap_is_repeatable_and_in_order():
    values = np.random.default_rng(5).exponential(size=30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values)
    wide, narrow = (
        bootstrap_interval(values, confidence=0.99),
        bootstrap_interval(values, confidence=0.5),
    )
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


@pytest.mark.parametrize("kept", [2**25, 0])
def test_bootstrap_in_chunks(monkeypatch, kept):
    monkeypatch.setattr(intervals, "KEPT_DRAWS", kept)
    monkeypatch.setattr(intervals, "NEAR_VALUES" if kept else "CHUNK_VALUES", 25)
    sizes = []

    def mean(values, axis):
        sizes.append(values.shape)
        return values.mean(axis=axis)

    bootstrap_interval(np.arange(10.0), mean, resamples=7)
    assert sizes == [(2, 10), (2, 10), (2, 10), (1, 10)]


@pytest.mark.parametrize("n", [1, 5, 20, 101])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantile_interval_by_counting(n, q):
    low, high = quantile_interval(np.random.default_rng(n).permutation(n) + 1, q)
    below = scipy.stats.binom(n, q)
    lower = [k for k in range(1, n + 1) if below.cdf(k - 1) <= 0.025]
    upper = [k for k in range(1, n + 1) if below.cdf(k - 1) >= 0.975]
    assert (low, high) == (max(lower, default=1), min(upper, default=n))


def test_quantile_interval_is_near_the_bootstrap():
    values = np.arange(400.0)
    assert quantile_interval(values, 0.5) == pytest.approx(
        bootstrap_interval(values, np.median), abs=4
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson_interval(0, 0),
        lambda: wilson_interval(3, 2),
        lambda: wilson_interval(-1, 2),
        lambda: wilson_interval(1, 2, confidence=1),
        lambda: bootstrap_interval([]),
        lambda: bootstrap_interval([[1.0]]),
        lambda: bootstrap_interval([1.0, np.nan]),
        lambda: bootstrap_interval([1.0], resamples=0),
        lambda: quantile_interval([], 0.5),
        lambda: quantile_interval([1.0], 1.5),
    ],
)
def test_wrong_input(call):
    with pytest.raises(ValueError, match=r".+"):
        call()
