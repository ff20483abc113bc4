"""What combinations gain, and whether advice holds on other queries."""

import numpy as np
import pandas as pd
import pytest

from kis_bench.complementarity import ADVICE, GAINS, advice, combinations, gains
from kis_bench.conditions import Condition
from kis_bench.fusion import complement
from kis_bench.metrics import recall_at_k
from kis_bench.results import FUSED

NONE = pd.DataFrame(columns=FUSED)


def condition(best):
    best = np.asarray(best)
    queries = tuple(f"q{i}" for i in range(best.shape[1]))
    return Condition("d", "s", tuple(f"m{i}" for i in range(len(best))), queries, best, best, 1000)


def noise(seed, models=4, queries=80):
    rng = np.random.default_rng(seed)
    return np.exp(rng.uniform(0, 5, (models, queries))).astype(np.int64) + 1


def fused(one, ranks, method="rrf", members=("m0", "m1", None)):
    table = pd.DataFrame({"query_id": one.queries, "rank_best": ranks, "rank_worst": ranks, "rank": ranks})
    table = table.assign(dataset="d", label_set="s", method=method, parameter=np.nan)
    return table.assign(model_1=members[0], model_2=members[1], model_3=members[2])[FUSED]


def test_the_oracle_is_a_bound_and_nothing_else_is():
    one = condition(noise(0))
    table = gains(one, fused(one, noise(1)[0]))
    assert list(table.columns) == GAINS
    assert set(table[table.method == "oracle"].kind) == {"bound"}
    assert set(table[table.method != "oracle"].kind) == {"achievable"}
    row = table[(table.method == "oracle") & (table.k == 10) & (table.model_1 == "m0") & (table.model_2 == "m2")
                & table.model_3.isna()].iloc[0]  # fmt: skip
    both = complement(one.best[0], one.best[2])
    assert row.value == pytest.approx(recall_at_k(both, both, 10))
    single = max(recall_at_k(best, best, 10) for best in one.best)
    assert row.gain == pytest.approx(row.value - single)
    assert row.gain_low <= row.gain <= row.gain_high


def test_fused_lists_that_lack_queries_or_models_are_left_out():
    one = condition(noise(0))
    rows = fused(one, noise(1)[0])
    assert any(c.method == "rrf" for c in combinations(one, rows))
    assert not any(c.method == "rrf" for c in combinations(one, rows.iloc[1:]))
    assert not any(c.method == "rrf" for c in combinations(one, rows.assign(model_2="gone")))


def test_models_that_fail_on_different_queries_are_advised():
    rng = np.random.default_rng(2)
    best = rng.integers(100, 900, (3, 60))
    best[0, :30] = 1
    best[1, 30:] = 1
    one = condition(best)
    both = complement(best[0], best[1])
    found = advice(one, fused(one, both)).set_index("size")
    assert list(found.columns) == [c for c in ADVICE if c != "size"]
    pair = found.loc[2]
    assert (pair.model_1, pair.model_2, pair.method) == ("m0", "m1", "rrf")
    assert pair.honest_gain > 0
    assert pair.p < 0.01
    assert pair.advice.startswith("Best pair: m0 and m1 by reciprocal rank fusion: ")


def test_a_combination_of_no_use_is_not_advised():
    best = noise(3, models=2)
    one = condition(np.stack([np.maximum(1, best[0] // 4), best[1]]))
    found = advice(one, fused(one, best[1]))
    assert found.advice.str.startswith("No pair is worth it").all()
    assert "Stay with m0" in found.advice.iloc[0]


def test_the_honest_gain_of_pure_luck_is_none():
    """Forty combinations of the same quality as the models: the best looks better, on other queries it isn't."""
    naive, misled = [], []
    for seed in range(40):
        one = condition(noise(seed, models=2, queries=60))
        rng = np.random.default_rng(1000 + seed)
        rows = [fused(one, np.exp(rng.uniform(0, 5, 60)).astype(np.int64) + 1, f"way {i}") for i in range(40)]
        pair = advice(one, pd.concat(rows)).iloc[0]
        naive.append(pair.gain)
        misled.append(pair.p < 0.05)
    assert np.mean(naive) > 0.02
    assert np.mean(misled) <= 0.05 + 0.05  # and what chance does to 40 runs


@pytest.mark.parametrize("queries", [1, 2, 3])
def test_few_queries_and_one_model(queries):
    one = condition(noise(5, models=3, queries=queries))
    assert {*gains(one, NONE).method} >= {"oracle", "interleave"}
    assert len(advice(one, NONE)) in (0, 1)  # without lists no triple can be built
    alone = condition(noise(5, models=1, queries=queries))
    assert gains(alone, NONE).empty
    assert advice(alone, NONE).empty
    assert list(gains(alone, NONE).columns) == GAINS
