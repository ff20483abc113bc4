"""Do 95% intervals hold the truth in 95%, and are tests at 5% wrong in 5%? Simulated queries, 2,000 times each."""

import numpy as np
import pytest

from kis_bench.comparison import compare
from kis_bench.conditions import Condition
from kis_bench.statistics import mcnemar_exact, sign_flip_tests, wilson_interval

pytestmark = pytest.mark.slow
SIMULATIONS, QUERIES = 2_000, 100


def ranks(rng, models, gap=0.0, queries=QUERIES):
    """Of queries of which some are hard for all: realistic ranks among 9,413."""
    hard = rng.normal(2.5, 1.8, queries)
    levels = hard + gap * np.arange(models)[:, None] + rng.normal(0, 1.1, (models, queries))
    return np.clip(np.exp(levels).astype(np.int64) + 1, 1, 9413)


def test_the_randomization_test_is_wrong_in_five_percent():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(SIMULATIONS):
        a, b = 1 / ranks(rng, 2)
        p.append(sign_flip_tests((a - b)[None], permutations=2_000)[0])
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_mcnemar_is_wrong_in_five_percent_at_most():
    rng = np.random.default_rng(2)
    wrong = []
    for _ in range(SIMULATIONS):
        a, b = ranks(rng, 2) <= 10
        wrong.append(mcnemar_exact(a, b) < 0.05)
    assert np.mean(wrong) <= 0.05 + 0.015


@pytest.mark.parametrize("metric", ["mrr", "recall"])
def test_intervals_of_differences_hold_the_truth(metric):
    rng = np.random.default_rng(3)
    k = 10 if metric == "recall" else None

    def of(best):
        return (best <= 10).astype(float) if k else 1 / best

    truth = np.diff(of(ranks(np.random.default_rng(4), 2, 0.4, 1_000_000)).mean(axis=1))[0] * -1
    held = []
    for _ in range(SIMULATIONS):
        best = ranks(rng, 2, 0.4)
        one = Condition("d", "s", ("a", "b"), tuple(map(str, range(QUERIES))), best, best, 9413)
        row = compare(one, resamples=1_000, permutations=10, measures=[(metric, k)]).iloc[0]
        held.append(row.ci_low <= truth <= row.ci_high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.7])
def test_wilson_holds_the_truth(p):
    rng = np.random.default_rng(5)
    hits = rng.binomial(QUERIES, p, SIMULATIONS)
    intervals = {h: wilson_interval(float(h), QUERIES) for h in set(hits.tolist())}
    held = [intervals[h][0] <= p <= intervals[h][1] for h in hits.tolist()]
    # Hits are whole numbers, so that for one p the share jumps around 95%.
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)
