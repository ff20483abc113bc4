"""nDCG with one target against every order of ties, and against two other implementations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from kis_bench.gate.rules import Rules
from kis_bench.gate.thresholds import wrong_metric
from kis_bench.metrics import NDCG, RankPlaces, compute_values, measure_words

SCORES = st.lists(st.integers(0, 3), min_size=2, max_size=6)


def placed(*pairs):
    return RankPlaces(*np.array(pairs, np.int64).T)


@given(SCORES, st.integers(1, 7), st.data())
@settings(deadline=None, max_examples=60)
def test_ties_count_as_the_mean_over_all_orders(scores, k, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    gains = []
    for order in itertools.permutations(range(len(scores))):
        by_score = sorted(order, key=lambda item: -scores[item])  # stable: ties stay in this order
        place = 1 + by_score.index(target)
        gains.append(1 / math.log2(1 + place) if place <= k else 0.0)
    best = 1 + sum(score > scores[target] for score in scores)
    worst = sum(score >= scores[target] for score in scores)
    mine = compute_values(placed((best, worst)), NDCG.name, k)
    assert mine.tolist() == pytest.approx([np.mean(gains)])
    relevant = [[int(item == target) for item in range(len(scores))]]
    assert mine[0] == pytest.approx(ndcg_score(relevant, [scores], k=k))


def test_equals_ir_measures_without_ties():
    ir_measures = pytest.importorskip("ir_measures")
    from ir_measures import nDCG

    ranks = np.random.default_rng(0).integers(1, 30, 40)
    qrels = [ir_measures.Qrel(f"q{i}", f"d{rank}", 1) for i, rank in enumerate(ranks)]
    found = [
        ir_measures.ScoredDoc(f"q{i}", f"d{place}", 100.0 - place)
        for i in range(len(ranks))
        for place in range(1, 31)
    ]
    theirs = ir_measures.calc_aggregate([nDCG @ 10], qrels, found)[nDCG @ 10]
    assert NDCG.figure(RankPlaces(ranks, ranks), 10) == pytest.approx(theirs, abs=1e-12)


def test_it_is_known_everywhere_and_tested_only_when_named():
    assert (wrong_metric("ndcg@10"), wrong_metric("ndcg@7")) == ("", "")
    assert "such as ndcg@10" in wrong_metric("ndcg")
    assert measure_words("ndcg", 10) == "nDCG@10"
    assert "ndcg@10" not in Rules().measures
    assert Rules(measures=("ndcg@10",)).measures == ("ndcg@10",)
