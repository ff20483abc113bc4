"""Do 95% intervals hold the truth in 95%, and are tests at 5% wrong in 5%? Simulated queries, 2,000 times each."""

from typing import NamedTuple

import numpy as np
import pytest

from kis_bench.metrics import hits_at_k
from kis_bench.statistics import bootstrap_means, mcnemar_tests, sign_flip_tests, wilson_interval
from kis_bench.statistics.paired_intervals import (
    count_gained_and_lost,
    difference_intervals,
    paired_score_intervals,
)

pytestmark = pytest.mark.slow
SIMULATIONS, QUERIES, N_ITEMS, RESAMPLES = 2_000, 100, 9_413, 1_000


class Collection(NamedTuple):
    """Normal logarithms of ranks: some queries are hard for all models, and each model has its own luck with each."""

    mean: float
    spread: float
    own: float

    def ranks(self, rng, simulations=SIMULATIONS, gap=0.0, queries=QUERIES):
        """Of two models, the second worse by the gap: ``[2, simulations, queries]``."""
        hard = rng.normal(self.mean, self.spread, (simulations, queries))
        levels = np.stack([hard, hard + gap]) + rng.normal(0, self.own, (2, simulations, queries))
        return np.clip(np.exp(levels).astype(np.int64) + 1, 1, N_ITEMS)


# MRR of the better model 0.54, 0.23, 0.09; its recall@10 83%, 47%, 20%. Ranks of the two correlate by 0.65 to 0.73.
EASY, MIDDLE, HARD = Collection(0.5, 1.5, 1.1), Collection(2.5, 1.8, 1.1), Collection(4.0, 1.8, 1.1)
COLLECTIONS = pytest.mark.parametrize(
    "collection", [EASY, MIDDLE, HARD], ids=["easy", "middle", "hard"]
)
GAPS = pytest.mark.parametrize("gap", [0.0, 0.4], ids=["alike", "better"])


def differences(ranks, k=None):
    each = 1 / ranks if k is None else hits_at_k(ranks, ranks, k)
    return each[0] - each[1]


def share_held(intervals, truth):
    return np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1]))


def in_parts(intervals_of, rows):
    """New draws for every 50 rows: rows that share their draws err together."""
    parts = (rows[start : start + 50] for start in range(0, len(rows), 50))
    return np.concatenate(
        [intervals_of(part, resamples=RESAMPLES, seed=i) for i, part in enumerate(parts)]
    )


def true_mean(collection, gap, k=None):
    return differences(collection.ranks(np.random.default_rng(1), 10_000, gap), k).mean()


@GAPS
@COLLECTIONS
def test_intervals_of_differences_of_mrr(collection, gap):
    rows = differences(collection.ranks(np.random.default_rng(2), gap=gap))
    assert share_held(
        in_parts(difference_intervals, rows), true_mean(collection, gap)
    ) == pytest.approx(0.95, abs=0.015)


def test_the_percentile_bootstrap_alone_would_hold_too_few_differences_of_mrr():
    """What Student's t is for: with heavy tails and 100 queries the resampled means vary too little."""
    rows = differences(HARD.ranks(np.random.default_rng(3)))
    assert share_held(in_parts(bootstrap_means, rows), 0.0) < 0.94
    assert share_held(in_parts(difference_intervals, rows), 0.0) > 0.94


@GAPS
@pytest.mark.parametrize(
    ("collection", "k"),
    [(EASY, 1), (EASY, 10), (MIDDLE, 10), (MIDDLE, 100), (HARD, 10), (HARD, 100)],
)
def test_intervals_of_differences_of_recall(collection, k, gap):
    rows = differences(collection.ranks(np.random.default_rng(4), gap=gap), k)
    held = share_held(
        paired_score_intervals(*count_gained_and_lost(rows), QUERIES), true_mean(collection, gap, k)
    )
    assert held == pytest.approx(0.95, abs=0.015)


@GAPS
@pytest.mark.parametrize(("collection", "k"), [(EASY, 100), (MIDDLE, 1), (HARD, 1)])
def test_intervals_of_differences_of_recall_near_0_and_1(collection, k, gap):
    """Few queries differ, whose number jumps: more than 95% may be held, but not less, as a bootstrap would."""
    rows = differences(collection.ranks(np.random.default_rng(5), gap=gap), k)
    truth = true_mean(collection, gap, k)
    held = share_held(paired_score_intervals(*count_gained_and_lost(rows), QUERIES), truth)
    assert held > 0.95 - 0.015
    assert share_held(in_parts(bootstrap_means, rows), truth) < min(held, 0.945)


@COLLECTIONS
def test_the_randomization_test_is_wrong_in_five_percent(collection):
    p = sign_flip_tests(
        differences(collection.ranks(np.random.default_rng(6))), permutations=10_000
    )
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("queries", [6, 10, 15])
def test_the_randomization_test_of_few_queries_is_never_wrong_more_often(queries):
    """All sign patterns are gone through, so that p is exact; p has few values, which makes it conservative."""
    p = sign_flip_tests(differences(MIDDLE.ranks(np.random.default_rng(7), queries=queries)))
    assert np.mean(p < 0.05) <= 0.05 + 0.015


@COLLECTIONS
@pytest.mark.parametrize("k", [1, 10, 100])
def test_mcnemar_is_wrong_in_five_percent_at_most(collection, k):
    """Conservative: with few queries that differ, the exact test is wrong in far less than 5%."""
    p = mcnemar_tests(
        *count_gained_and_lost(differences(collection.ranks(np.random.default_rng(8)), k))
    )
    assert np.mean(p < 0.05) <= 0.05 + 0.015
    assert np.mean(p < 0.05) > 0 or (collection, k) in [(EASY, 100), (HARD, 1)]


def test_intervals_of_recall():
    """Wilson's, as in metrics.csv, of many recalls: for a single one the share jumps, as hits are whole numbers."""
    rng = np.random.default_rng(9)
    recall = rng.uniform(0.05, 0.95, SIMULATIONS)
    intervals = np.array(
        [wilson_interval(float(hits), QUERIES) for hits in rng.binomial(QUERIES, recall)]
    )
    assert share_held(intervals, recall) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("collection", "expected"),
    [(EASY, 0.95), (MIDDLE, 0.95), (HARD, 0.925)],
    ids=["easy", "middle", "hard"],
)
def test_intervals_of_mrr(collection, expected):
    """The percentile bootstrap, as in metrics.csv; it holds less below 0.1, where few queries make most of the MRR."""
    rows = 1 / collection.ranks(np.random.default_rng(10))[0]
    truth = (1 / collection.ranks(np.random.default_rng(11), 10_000)[0]).mean()
    assert share_held(in_parts(bootstrap_means, rows), truth) == pytest.approx(expected, abs=0.015)
