"""Recall against the size of the collection, against drawn parts, exact fractions and scipy."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.analysis import growth as module
from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.growth import (
    GROWTH,
    compute_growth,
    expected_recall,
    extrapolated_recall,
    hits_in_parts,
)
from kis_bench.metrics import recall_at_k
from kis_bench.statistics import wilson_interval
from kis_bench.statistics.clusters import share_intervals


def exact(best, worst, n_items, k, size):
    """The hypergeometric sum in whole numbers, over each rank of the tie."""
    total = sum(
        Fraction(
            comb(rank - 1, better) * comb(n_items - rank, size - 1 - better),
            comb(n_items - 1, size - 1),
        )
        for rank in range(best, worst + 1)
        for better in range(min(k, size, rank))
    )
    return float(total / (worst - best + 1))


@st.composite
def ranks(draw):
    n_items = draw(st.integers(1, 40))
    best = draw(st.integers(1, n_items))
    return n_items, best, draw(st.integers(best, n_items)), draw(st.integers(1, n_items + 2))


def condition(best, worst=None, n_items=1000):
    best = np.atleast_2d(best)
    names = tuple(f"m{i}" for i in range(len(best)))
    queries = tuple(f"q{i}" for i in range(best.shape[1]))
    return Condition(
        "d", "s", names, queries, best, best if worst is None else np.atleast_2d(worst), n_items
    )


@pytest.mark.parametrize("summed", [4096, 0], ids=["place by place", "difference of two sums"])
def test_parts_are_the_sum_over_hypergeometric_terms(summed, monkeypatch):
    monkeypatch.setattr(module, "SUMMED", summed)
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = int(rng.integers(1, 40))
        best = int(rng.integers(1, n + 1))
        worst, k = int(rng.integers(best, n + 1)), int(rng.integers(1, n + 3))
        sizes = range(1, n + 1)
        expected = [exact(best, worst, n, k, size) for size in sizes]
        assert expected_recall([best], [worst], n, k, sizes) == pytest.approx(expected, abs=1e-11)


def test_parts_are_what_drawing_them_gives():
    rng, n, size, k, draws = np.random.default_rng(1), 60, 15, 3, 20_000
    best, worst = np.array([1, 5, 12, 40, 3]), np.array([1, 5, 20, 40, 60])
    place = best + np.floor(rng.random((draws, 5)) * (worst - best + 1)).astype(int)
    better = rng.hypergeometric(place - 1, n - place, size - 1)
    found = hits_in_parts(best, worst, n, k, [size])[0]
    assert found == pytest.approx((better < k).mean(axis=0), abs=4 * 0.5 / np.sqrt(draws))


@given(ranks())
@settings(max_examples=150, deadline=None)
def test_ends_and_directions(case):
    n, best, worst, k = case
    sizes = np.arange(1, n + 1)
    curve = expected_recall([best], [worst], n, k, sizes)
    assert curve[0] == 1
    assert curve[-1] == pytest.approx(recall_at_k([best], [worst], k), abs=1e-12)
    assert (np.diff(curve) <= 1e-12).all()
    assert (expected_recall([best], [worst], n, k + 1, sizes) >= curve - 1e-12).all()
    for prior in (0, 0.5, 1):
        beyond = extrapolated_recall([best], [worst], n, k, [n, n + 1, 2 * n, 50 * n], prior)
        assert beyond[0] == pytest.approx(curve[-1], abs=1e-12)
        assert (np.diff(beyond) <= 1e-12).all()
        assert (
            extrapolated_recall([best], [worst], n, k + 1, [n, n + 1, 2 * n, 50 * n], prior)
            >= beyond - 1e-12
        ).all()


@given(ranks(), st.integers(1, 60), st.sampled_from([0.25, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_beyond_is_the_beta_binomial_distribution_of_scipy(case, new, prior):
    n, best, worst, k = case
    expected = np.mean(
        [
            scipy.stats.betabinom.cdf(k - rank, new, rank - 1 + prior, n - rank + prior)
            if rank <= k
            else 0.0
            for rank in range(best, worst + 1)
        ]
    )
    assert extrapolated_recall([best], [worst], n, k, [n + new], prior)[0] == pytest.approx(
        expected, abs=1e-10
    )


def test_all_tied_is_chance_and_the_uniform_prior_keeps_it_so():
    """A target anywhere among n items is anywhere among any part of them, and, by P. Laplace, of more items."""
    sizes = [10, 100, 5000, 100_000]
    assert expected_recall([1], [100_000], 100_000, 10, sizes) == pytest.approx(
        [1, 0.1, 0.002, 0.0001], rel=1e-9
    )
    everywhere = np.arange(1, 101)
    beyond = extrapolated_recall(everywhere, everywhere, 100, 10, [100, 1000, 10_000], 1)
    assert beyond == pytest.approx([0.1, 0.01, 0.001], rel=1e-9)


def test_what_the_priors_mean_for_a_target_in_first_place():
    sizes = [1000, 2000, 10_000]
    assert extrapolated_recall([1], [1], 1000, 1, sizes, 0).tolist() == [1, 1, 1]
    assert extrapolated_recall([1], [1], 1000, 1, sizes, 1) == pytest.approx(
        [1, 0.5, 0.1]
    )  # n / size
    between = extrapolated_recall([1], [1], 1000, 1, sizes, 0.5)
    assert between == pytest.approx(np.sqrt([1, 0.5, 0.1]), rel=1e-3)
    assert extrapolated_recall([1000], [1000], 1000, 1000, [1000, 1001], 0).tolist() == [
        1,
        0,
    ]  # behind everything


@pytest.mark.parametrize("n", [10**6, 10**7])
def test_large_collections_lose_no_digits_that_matter(n):
    for rank, k, size in [(n // 200, 100, n // 500), (90, 100, n - 5), (n // 2, 1, 3), (n, 100, n)]:
        expected = scipy.stats.hypergeom.cdf(k - 1, n - 1, rank - 1, size - 1)
        assert expected_recall([rank], [rank], n, k, [size])[0] == pytest.approx(expected, abs=1e-6)
    for rank, prior in [(1, 0.5), (1, 1), (2, 1), (50, 0.5)]:
        expected = scipy.stats.betabinom.cdf(
            100 - rank, n - 9566, rank - 1 + prior, 9566 - rank + prior
        )
        assert extrapolated_recall([rank], [rank], 9566, 100, [n], prior)[0] == pytest.approx(
            expected, abs=1e-6
        )


def test_a_long_tie_is_the_sum_over_its_places(monkeypatch):
    for n, within in [(10**4, 1e-9), (10**6, 1e-7), (10**7, 1e-6)]:
        best, sizes = n // 100, [n // 200, n // 100]
        at_once = expected_recall([best], [best + 4500], n, 100, sizes)
        with monkeypatch.context() as patch:
            patch.setattr(module, "SUMMED", 10_000)
            assert at_once == pytest.approx(
                expected_recall([best], [best + 4500], n, 100, sizes), abs=within
            )


def test_extrapolation_of_a_part_finds_the_recall_of_the_whole():
    """Targets of many difficulties among 100,000 items; 5,000 of these are seen, and the whole is foretold."""
    rng, n, part, q = np.random.default_rng(2), 100_000, 5_000, 400
    share = 10 ** rng.uniform(-6, -1, q)  # of items that outrank the target
    seen = rng.binomial(part - 1, share)
    rank, whole = 1 + seen, 1 + seen + rng.binomial(n - part, share)
    for k, width in (
        (1, 0.45),
        (10, 0.3),
        (100, 0.03),
    ):  # of the band; who was never outranked stays unknown
        truth = recall_at_k(whole, whole, k)
        low, high = (extrapolated_recall(rank, rank, part, k, [n], prior)[0] for prior in (1, 0))
        margin = 2 * np.sqrt(truth * (1 - truth) / q)
        assert low - margin <= truth <= high + margin
        assert high - low < width


def test_similarity_scores_of_a_subsample_foretell_the_whole():
    rng, n, part, q = np.random.default_rng(3), 100_000, 5_000, 200
    better = (
        rng.standard_normal(q) + 2.5
    )  # the targets' scores; the rivals' are standard normal, new for each query
    rivals = [np.sort(rng.standard_normal(n - 1)) for _ in range(4)]
    picked = [np.sort(rng.permutation(each)[: part - 1]) for each in rivals]
    full = np.array([1 + n - 1 - np.searchsorted(rivals[i % 4], s) for i, s in enumerate(better)])
    rank = np.array(
        [1 + part - 1 - np.searchsorted(picked[i % 4], s) for i, s in enumerate(better)]
    )
    sizes = [part // 10, part]
    assert expected_recall(full, full, n, 10, sizes) == pytest.approx(
        expected_recall(rank, rank, part, 10, sizes), abs=0.05
    )
    for k in (10, 100):
        low, high = (extrapolated_recall(rank, rank, part, k, [n], prior)[0] for prior in (1, 0))
        assert low - 0.04 <= recall_at_k(full, full, k) <= high + 0.04


def test_the_table():
    best = np.array([[1, 5, 900, 30], [2, 2, 1, 1]])
    table = compute_growth(
        condition(best, best + np.array([[0, 3, 0, 0], [0, 0, 0, 0]])), upto=100_000
    )
    assert list(table) == GROWTH
    assert set(zip(table["model"], table["k"], strict=True)) == {
        (m, k) for m in ("m0", "m1") for k in (1, 10, 100)
    }
    assert table["size"].min() == 10
    assert table["size"].max() == 100_000
    assert (table["extrapolated"] == (table["size"] > 1000)).all()
    inside = table[~table["extrapolated"]]
    assert (inside["low"] == inside["value"]).all()
    assert (inside["high"] == inside["value"]).all()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert ((table["ci_low"] <= table["value"]) & (table["value"] <= table["ci_high"])).all()
    row = table[(table["model"] == "m0") & (table["k"] == 10) & (table["size"] == 1000)].iloc[0]
    assert row["value"] == pytest.approx(0.5)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(wilson_interval(2, 4))
    beyond = table[(table["model"] == "m1") & (table["k"] == 1) & (table["size"] == 100_000)].iloc[
        0
    ]
    assert beyond["low"] == pytest.approx(
        extrapolated_recall(best[1], best[1], 1000, 1, [100_000], 1)[0]
    )
    assert beyond["high"] == pytest.approx(
        extrapolated_recall(best[1], best[1], 1000, 1, [100_000], 0)[0]
    )


def test_collections_of_any_size_and_single_queries():
    for n in (1, 5, 10, 11):
        table = compute_growth(condition([[1]], n_items=n), ks=(1,), upto=n)
        assert table["size"].max() == n
        assert (table["value"] == 1).all()
        assert (table["ci_high"] == 1).all()
        assert table["ci_low"].to_numpy() == pytest.approx(wilson_interval(1, 1)[0])
    table = compute_growth(condition([[1, 7]]), ks=(1,), sizes=[3000, 7, 7])
    assert table["size"].tolist() == [7, 3000]
    assert compute_growth(condition([[1]]), ks=()).empty


def test_intervals_of_hits_are_wilsons_and_of_shares_are_narrower():
    hits = np.repeat([[1.0], [0.0]], [30, 70], axis=0).T
    assert [float(x[0]) for x in share_intervals(hits)] == pytest.approx(wilson_interval(30, 100))
    assert [float(x[0]) for x in share_intervals(np.zeros((1, 9)))] == pytest.approx(
        wilson_interval(0, 9)
    )
    shares = np.linspace(0.2, 0.4, 100)[None]
    low, high = (float(x[0]) for x in share_intervals(shares))
    half = 1.96 * shares.std() / 10
    assert wilson_interval(30, 100)[0] < low < 0.3 - half
    assert 0.3 + half < high < wilson_interval(30, 100)[1]


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 10])
def test_intervals_cover_the_mean_of_all_queries(k):
    """Also where nearly every part finds nearly every target, and what it misses are few queries."""
    rng, n = np.random.default_rng(4), 9566
    everyone = np.clip(np.exp(rng.normal(1.6, 1.8, 40_000)).astype(int) + 1, 1, n)
    chances = hits_in_parts(everyone, everyone, n, k, [10, 30, 100, 300, 1000, 3000, n])
    covered = np.zeros(len(chances))
    for _ in range(1000):
        low, high = share_intervals(chances[:, rng.integers(0, len(everyone), 100)])
        covered += (low <= chances.mean(axis=1)) & (chances.mean(axis=1) <= high)
    assert (covered > 920).all()


@pytest.mark.parametrize(
    ("best", "worst", "k", "sizes", "message"),
    [
        ([0], [1], 1, [1], "whole numbers"),
        ([3], [2], 1, [1], "whole numbers"),
        ([1], [11], 1, [1], "<= 10"),
        ([], [], 1, [1], "at least one"),
        ([1], [1, 2], 1, [1], "same queries"),
        ([1], [1], 0, [1], "k is 0"),
        ([1], [1], 1, [11], "at most 10"),
        ([1], [1], 1, [0], "at least 1"),
        ([1], [1], 1, [1.5], "whole numbers"),
    ],
)
def test_what_cannot_be_asked(best, worst, k, sizes, message):
    with pytest.raises(ValueError, match=message):
        expected_recall(best, worst, 10, k, sizes)


def test_larger_collections_are_not_smaller_ones():
    with pytest.raises(ValueError, match="at least 10"):
        extrapolated_recall([1], [1], 10, 1, [9])
    with pytest.raises(ValueError, match="prior"):
        extrapolated_recall([1], [1], 10, 1, [20], -1)
