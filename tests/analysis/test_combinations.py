"""What combinations gain, and whether advice holds on other queries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.analysis.combinations import (
    ADVICE,
    COMBINED_GAINS,
    advice,
    combinations,
    gains,
    word_advice,
)
from kis_bench.analysis.conditions import Condition
from kis_bench.fusion import complement, switching_cost
from kis_bench.metrics import mean_reciprocal_rank, recall_at_k
from kis_bench.report.sections.combinations import name_method, show_combinations
from kis_bench.results.columns import FUSED
from kis_bench.statistics import holm, paired_randomization_test

NONE = pd.DataFrame(columns=FUSED)


def condition(best):
    best = np.asarray(best)
    queries = tuple(f"q{i}" for i in range(best.shape[1]))
    return Condition("d", "s", tuple(f"m{i}" for i in range(len(best))), queries, best, best, 1000)


def noise(seed, models=4, queries=80):
    rng = np.random.default_rng(seed)
    return np.exp(rng.uniform(0, 5, (models, queries))).astype(np.int64) + 1


def fused(one, ranks, method="rrf", members=("m0", "m1", None)):
    table = pd.DataFrame(
        {"query_id": one.queries, "rank_best": ranks, "rank_worst": ranks, "rank": ranks}
    )
    table = table.assign(dataset="d", label_set="s", method=method, parameter=np.nan)
    return table.assign(model_1=members[0], model_2=members[1], model_3=members[2])[FUSED]


def with_combinations(one, lists):
    """A condition with its combinations, those of fused lists among them."""
    return one, combinations(one, lists)


def test_the_oracle_is_a_bound_and_nothing_else_is():
    one = condition(noise(0))
    table = gains(*with_combinations(one, fused(one, noise(1)[0])))
    assert list(table.columns) == COMBINED_GAINS
    assert set(table[table.method == "oracle"].kind) == {"bound"}
    assert set(table[table.method != "oracle"].kind) == {"achievable"}
    row = table[
        (table.method == "oracle")
        & (table.k == 10)
        & (table.model_1 == "m0")
        & (table.model_2 == "m2")
        & table.model_3.isna()
    ].iloc[0]
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
    found = advice(*with_combinations(one, fused(one, both))).set_index("size")
    assert list(found.columns) == [c for c in ADVICE if c != "size"]
    pair = found.loc[2]
    assert (pair.model_1, pair.model_2, pair.method) == ("m0", "m1", "rrf")
    assert 0 < pair.honest_low < pair.honest_gain < pair.honest_high
    assert pair.p < 0.01
    assert pair.advice.startswith("Best pair: m0 and m1 by reciprocal rank fusion: ")


def test_a_combination_of_no_use_is_not_advised():
    best = noise(3, models=2)
    one = condition(np.stack([np.maximum(1, best[0] // 4), best[1]]))
    found = advice(*with_combinations(one, fused(one, best[1])))
    assert found.advice.str.startswith("No pair is worth it").all()
    assert "Stay with m0" in found.advice.iloc[0]
    assert found.honest_low.iloc[0] <= 0
    assert "[\N{MINUS SIGN}" in found.advice.iloc[0]
    assert "-0." not in found.advice.iloc[0]


def test_advice_on_a_single_combination_allows_for_no_others():
    one = condition(noise(2)[:2])
    best = next(c for c in combinations(one, fused(one, noise(2)[0])) if c.kind == "achievable")
    about = {"gain": 0.1, "honest_gain": 0.1, "honest_low": 0.05, "honest_high": 0.2, "p": 0.02}
    said = word_advice(best, "m0", about | {"tried": 1}, "pair")
    assert "(p = 0.020)" in said
    assert "allowing for the 12 combinations tried" in word_advice(
        best, "m0", about | {"tried": 12}, "pair"
    )


def test_the_best_triple_has_its_own_advice():
    """Each model finds a third of the queries."""
    best = np.random.default_rng(6).integers(100, 900, (4, 90))
    for i in range(3):
        best[i, 30 * i : 30 * (i + 1)] = 1
    one = condition(best)
    three = complement(*best[:3])
    rows = [
        fused(one, three, "comb_sum", ("m0", "m1", "m2")),
        fused(one, best[3] + 1, "rrf", ("m0", "m1", "m3")),
    ]
    found = advice(*with_combinations(one, pd.concat(rows))).set_index("size")
    triple = found.loc[3]
    assert (triple.method, triple.model_3, triple.tried) == ("comb_sum", "m2", 2)
    assert triple.honest_gain > found.loc[2].honest_gain > 0
    assert triple.advice.startswith("Best triple: m0, m1 and m2 by CombSUM")


def test_gains_are_tested_on_the_same_queries():
    one = condition(noise(0))
    rows = pd.concat([fused(one, noise(1)[0]), fused(one, noise(1)[1], members=("m1", "m2", "m3"))])
    table = gains(*with_combinations(one, rows))
    single = max(one.best, key=mean_reciprocal_rank)
    row = table[(table.metric == "mrr") & (table.method == "rrf") & table.model_3.isna()].iloc[0]
    assert row.gain == pytest.approx(
        mean_reciprocal_rank(noise(1)[0]) - mean_reciprocal_rank(single)
    )
    assert row.p == pytest.approx(paired_randomization_test(1 / noise(1)[0], 1 / single), abs=0.01)
    assert table[table.kind == "bound"][["p", "p_holm"]].isna().all(axis=None)
    for _, family in table[table.kind == "achievable"].groupby(["metric", "k"], dropna=False):
        assert family.p_holm.to_numpy() == pytest.approx(holm(family.p))


def test_when_to_switch_is_chosen_on_other_queries():
    """The first model finds half of them within 10 pictures, the other one the rest soon; one odd query."""
    best = np.array([[8] * 20 + [900] * 20, [700] * 20 + [40] * 20])
    best[:, 0] = 90, 60
    one = condition(best)
    found = {(c.method, *c.models): c for c in combinations(one, NONE)}
    forth = found["switch", "m0", "m1"]
    assert forth.rank.tolist() == switching_cost(*best, 10).tolist()
    assert forth.parameter == 10
    assert (
        "switch",
        "m1",
        "m0",
    ) not in found  # to look at once where half of them are first is better
    assert found["interleave", "m0", "m1"].rank[:3].tolist() == [120, 15, 15]


def tied(models, n_items=1000):
    """A condition of rows of (best, worst)."""
    best, worst = np.moveaxis(np.array(models), 2, 0)
    names, queries = (
        tuple(f"{letter}{i}" for i in range(n)) for letter, n in zip("mq", best.shape, strict=True)
    )
    return Condition("d", "s", names, queries, best, worst, n_items)


def of(table, method, metric, k=None):
    rows = table[(table.method == method) & (table.metric == metric)]
    return rows[rows.k.isna() if k is None else rows.k == k].iloc[0]


def test_each_model_breaks_its_own_ties():
    table = gains(
        *with_combinations(tied([[(1, 2), (5, 6), (20, 21)], [(2, 3), (9, 10), (30, 31)]]), NONE)
    )
    assert of(table, "oracle", "recall", 1).value == pytest.approx(0.5 / 3)
    # Of 1 or 2 and 2 or 3 the smaller is 1, 1, 2, 2. In turn, the first list's odd places, the second one's even ones.
    assert of(table, "oracle", "mrr").value == pytest.approx(np.mean([1 / 1.5, 1 / 5.5, 1 / 20.5]))
    costs = [np.mean([1, 1, 3, 3]), np.mean([9, 9, 11, 11]), np.mean([39, 39, 41, 41])]
    assert of(table, "interleave", "mrr").value == pytest.approx(np.mean(1 / np.array(costs)))


def test_a_model_that_knows_nothing_is_found_by_luck_only():
    """One target at rank 20 of 1,000, beside a constant model: it is among ten pictures once in a hundred times."""
    constant = [(1, 1000)] * 4
    table = gains(*with_combinations(tied([[(20, 20)] * 4, constant]), NONE))
    assert of(table, "oracle", "recall", 10).value == pytest.approx(0.01)
    assert of(table, "oracle", "mrr").value == pytest.approx(
        1000 / sum(min(20, r) for r in range(1, 1001))
    )


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), min_size=2, max_size=12),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), min_size=12, max_size=12),
)
@settings(max_examples=20, deadline=None)
def test_a_partner_that_never_helps_gains_exactly_nothing(own, behind):
    """One whose best place is at or behind the other's last: no bound and no switch is a bit above the model."""
    first = [(best, best + width) for best, width in own]
    second = [
        (last + far, last + far + width)
        for (_, last), (far, width) in zip(first, behind, strict=False)
    ]
    table = gains(*with_combinations(tied([first, second]), NONE))
    assert (table[table.method == "oracle"][["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    assert (table.gain <= 0).all()
    assert "switch" not in set(table.method)  # never to switch is never worse


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=5, max_size=5),
        min_size=2,
        max_size=3,
    )
)
@settings(max_examples=20, deadline=None)
def test_no_choice_between_lists_exceeds_the_oracle(rows):
    """Of any query under any measure."""
    found = combinations(
        tied([[(best, best + width) for best, width in row] for row in rows]), NONE
    )
    oracle = {one.models: one for one in found if one.method == "oracle"}
    for one in found:
        for k in (1, 10, 100):
            assert (one.hits(k) <= oracle[tuple(sorted(one.models))].hits(k) + 1e-12).all()


def test_a_constant_partner_is_never_advised():
    """Half of the targets among the first, none behind the middle: switching to chance can only lose."""
    rng = np.random.default_rng(7)
    best = np.concatenate([rng.integers(1, 10, 50), rng.integers(10, 500, 50)])
    one = tied([list(zip(best, best, strict=True)), [(1, 1000)] * 100])
    table = gains(*with_combinations(one, NONE))
    achievable = table[table.kind == "achievable"]
    assert set(achievable.method) == {"interleave"}
    assert (achievable[achievable.metric == "mrr"].gain < 0).all()
    assert advice(*with_combinations(one, NONE)).advice.str.startswith("No pair is worth it").all()


def test_what_is_one_model_alone_is_no_combination():
    one = condition(noise(0))
    weighted = fused(one, noise(1)[0], "weighted")
    half = np.where(np.arange(len(weighted)) % 2 == 0, 0.5, 0.4)
    tables = [
        weighted.assign(parameter=0.0),
        weighted.assign(parameter=1.0),
        weighted.assign(parameter=half),
        fused(one, one.best[1]),
        fused(one, one.best[2]),  # that of another model is a list of its own
    ]
    assert [
        any(c.method in ("weighted", "rrf") for c in combinations(one, table)) for table in tables
    ] == [
        False,
        False,
        True,
        False,
        True,
    ]
    perfect = condition(np.stack([np.ones(20, int), noise(1)[0, :20]]))
    assert {c.method for c in combinations(perfect, NONE)} == {"oracle"}
    assert advice(*with_combinations(perfect, NONE)).empty
    shown = show_combinations(
        gains(*with_combinations(perfect, NONE)), advice(*with_combinations(perfect, NONE))
    )
    assert any(
        "oracle: the better rank of each query" in line and "1.000" in line for line in shown
    )


def test_a_switch_after_one_picture_is_in_the_singular():
    assert name_method({"method": "switch", "parameter": 1.0}) == "switch after 1 picture"
    assert name_method({"method": "switch", "parameter": 20.0}) == "switch after 20 pictures"


def test_the_honest_gain_of_pure_luck_is_none():
    """Forty combinations of the same quality as the models: the best looks better, on other queries it isn't."""
    naive, honest, covered, misled = [], [], [], []
    for seed in range(40):
        one = condition(noise(seed, models=2, queries=60))
        rng = np.random.default_rng(1000 + seed)
        rows = [
            fused(one, np.exp(rng.uniform(0, 5, 60)).astype(np.int64) + 1, f"way {i}")
            for i in range(40)
        ]
        pair = advice(*with_combinations(one, pd.concat(rows))).iloc[0]
        naive.append(pair.gain)
        honest.append(pair.honest_gain)
        covered.append(pair.honest_low <= 0 <= pair.honest_high)
        misled.append(pair.p < 0.05)
    assert np.mean(naive) > 0.02
    assert abs(np.mean(honest)) < 0.02
    assert np.mean(covered) >= 0.85
    assert np.mean(misled) <= 0.05 + 0.05  # and what chance does to 40 runs


@pytest.mark.parametrize("queries", [1, 2, 3])
def test_few_queries_and_one_model(queries):
    one = condition(noise(5, models=3, queries=queries))
    assert {*gains(*with_combinations(one, NONE)).method} >= {"oracle", "interleave"}
    without_lists = advice(*with_combinations(one, NONE))
    assert without_lists["size"].tolist() == ([2] if queries > 1 else [])  # no triple can be built
    assert without_lists.empty or "Stay with" in without_lists.advice.iloc[0]
    alone = condition(noise(5, models=1, queries=queries))
    assert gains(*with_combinations(alone, NONE)).empty
    assert advice(*with_combinations(alone, NONE)).empty
    assert list(gains(*with_combinations(alone, NONE)).columns) == COMBINED_GAINS
