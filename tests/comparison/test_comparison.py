"""Pairs of models on the same queries."""

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench import comparison
from kis_bench.comparison import (
    COMPARISONS,
    MEASURES,
    compare,
    effect_size,
    letters,
    queries_needed,
    tiers,
    values,
    win_tie_loss,
)
from kis_bench.conditions import Condition
from kis_bench.statistics import holm, mcnemar_exact, paired_randomization_test


def condition(best, worst=None, n_items=1000):
    best = np.asarray(best)
    names = tuple(f"m{i}" for i in range(len(best)))
    return Condition("d", "s", names, tuple(f"q{i}" for i in range(best.shape[1])), best,
                     best if worst is None else np.asarray(worst), n_items)  # fmt: skip


def some(seed=0, models=4, queries=60, ties=False):
    rng = np.random.default_rng(seed)
    hard = rng.normal(2, 1.5, queries)
    levels = [np.exp(hard + 0.5 * i + rng.normal(0, 1, queries)) for i in range(models)]
    best = np.clip(np.stack(levels).astype(np.int64) + 1, 1, 990)
    return condition(best, best + rng.integers(0, 5, best.shape) if ties else None)


def test_the_examples_hold():
    assert doctest.testmod(comparison).failed == 0


@pytest.mark.parametrize("ties", [False, True])
def test_every_row_is_what_the_single_tests_say(ties):
    one = some(ties=ties)
    assert bool((one.best == one.worst).all()) != ties
    table = compare(one, permutations=20_000)
    assert list(table.columns) == COMPARISONS
    assert len(table) == 6 * len(MEASURES)
    for metric, k in MEASURES:
        rows = table[(table.metric == metric) & (table.k.isna() if k is None else table.k.eq(k))]
        each = dict(zip(one.models, values(one, metric, k), strict=True))
        assert rows.p_holm.to_numpy() == pytest.approx(holm(rows.p))
        for row in rows.itertuples():
            a, b = each[row.model_a], each[row.model_b]
            assert row.difference == pytest.approx(a.mean() - b.mean())
            assert row.ci_low <= row.difference <= row.ci_high
            if row.test == "mcnemar":
                assert row.p == pytest.approx(mcnemar_exact(a, b))
            else:
                assert row.p == pytest.approx(paired_randomization_test(a, b, permutations=20_000), abs=1e-9)
            exact = k is not None and bool(np.isin(values(one, metric, k), (0, 1)).all())
            assert (row.test == "mcnemar") == exact
            rank = dict(zip(one.models, one.rank, strict=True))
            assert row.wins == (rank[row.model_a] < rank[row.model_b]).sum()
            assert row.losses == (rank[row.model_a] > rank[row.model_b]).sum()
            assert row.wins + row.ties + row.losses == row.n == 60


def test_one_model_has_nobody_to_be_compared_with():
    table = compare(condition([[1, 2, 3]]))
    assert list(table.columns) == COMPARISONS
    assert len(table) == 0


@pytest.mark.parametrize("queries", [1, 2])
def test_equal_models_and_few_queries(queries):
    table = compare(condition([[3] * queries, [3] * queries]))
    assert (table.p == 1).all()
    assert (table.difference == 0).all()
    assert (table.effect_size == 0).all()
    assert table.queries_needed.isna().all()
    table = compare(condition([[1] * queries, [200] * queries]))
    assert (table.p == {1: 1.0, 2: 0.5}[queries]).all()
    assert table.effect_size.isna().all()  # differences don't vary


def test_wins_ties_and_losses_add_up():
    one = some(models=3)
    matrix = win_tie_loss(one)
    assert (matrix.sum(axis=2) == 60).all()
    assert (matrix[..., 0] == matrix[..., 2].T).all()
    for i, j in itertools.product(range(3), repeat=2):
        assert matrix[i, j].tolist() == [
            (one.rank[i] < one.rank[j]).sum(), (one.rank[i] == one.rank[j]).sum(), (one.rank[i] > one.rank[j]).sum()
        ]  # fmt: skip


@given(st.integers(1, 7), st.data())
def test_models_share_a_letter_unless_they_can_be_told_apart(m, data):
    names = [f"model {i}" for i in range(m)]
    pairs = [frozenset(pair) for pair in itertools.combinations(names, 2)]
    apart = data.draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    found = letters(names, sorted(apart, key=sorted))
    split = {name: set(filter(None, found[name].replace("", " ").split())) for name in names}
    for pair in pairs:
        a, b = pair
        assert bool(split[a] & split[b]) == (pair not in apart)
    assert all(found.values())
    assert "a" in found[names[0]]


def test_more_than_26_letters():
    names = [f"m{i}" for i in range(30)]
    found = letters(names, [frozenset(pair) for pair in itertools.combinations(names, 2)])
    assert found["m0"] == "a"
    assert found["m26"] == "a1"
    assert len({*found.values()}) == 30


def test_tiers_come_from_the_table():
    best = np.tile(np.arange(1, 101), (3, 1))
    best[2] += 400
    found = tiers(compare(condition(best)), "recall", 100)
    assert found == {"m0": "a", "m1": "a", "m2": "b"}


def test_the_number_of_queries_needed_has_the_power_it_promises():
    """Simulated at that number, about 80% of tests see the difference."""
    rng = np.random.default_rng(0)
    pilot = rng.normal(0, 1, 4000)
    pilot = (pilot - pilot.mean()) / pilot.std() + 0.3
    n = int(queries_needed(pilot))
    p = [np.abs(d.mean()) / (d.std(ddof=1) / np.sqrt(n)) > 1.96 for d in rng.normal(0.3, 1, (2000, n))]
    assert np.mean(p) == pytest.approx(0.8, abs=0.04)
    # Hits: 30% only a, 15% only b.
    pilot = np.array([1] * 30 + [-1] * 15 + [0] * 55, float)
    n = int(queries_needed(pilot))
    hits = rng.choice([1, -1, 0], (2000, n), p=[0.3, 0.15, 0.55])
    seen = [mcnemar_exact((h == 1).sum(), (h == -1).sum()) < 0.05 for h in hits]
    assert np.mean(seen) == pytest.approx(0.78, abs=0.06)  # the exact test is a little conservative


def test_effect_sizes():
    assert effect_size(np.array([1.0, 3.0])) == pytest.approx(2 / np.sqrt(2))
    assert np.isnan(effect_size(np.array([1.0, 1.0])))
    assert np.isnan(queries_needed(np.array([1.0, -1.0])))
