"""Pairs of models on the same queries."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.models import (
    COMPARISONS,
    compare,
    effect_size,
    letters,
    queries_needed,
    tiers,
    win_tie_loss,
)
from kis_bench.metrics import MEASURES, compute_values
from kis_bench.statistics import (
    holm,
    mcnemar_exact,
    mcnemar_tests,
    paired_randomization_test,
    sign_flip_tests,
    wilson_interval,
)
from kis_bench.statistics.paired_intervals import difference_intervals, paired_score_intervals


def condition(best, worst=None, n_items=1000):
    best = np.asarray(best)
    names = tuple(f"m{i}" for i in range(len(best)))
    return Condition(
        "d",
        "s",
        names,
        tuple(f"q{i}" for i in range(best.shape[1])),
        best,
        best if worst is None else np.asarray(worst),
        n_items,
    )


def some(seed=0, models=4, queries=60, ties=False):
    rng = np.random.default_rng(seed)
    hard = rng.normal(2, 1.5, queries)
    levels = [np.exp(hard + 0.5 * i + rng.normal(0, 1, queries)) for i in range(models)]
    best = np.clip(np.stack(levels).astype(np.int64) + 1, 1, 990)
    return condition(best, best + rng.integers(0, 5, best.shape) if ties else None)


def under(table, metric, k):
    return table[(table.metric == metric) & (table.k.isna() if k is None else table.k.eq(k))]


@pytest.mark.parametrize("ties", [False, True])
def test_every_row_is_what_the_single_tests_say(ties):
    one = some(ties=ties)
    table = compare(one, permutations=20_000)
    assert list(table.columns) == COMPARISONS
    assert len(table) == 6 * len(MEASURES)
    rank = dict(zip(one.models, one.rank, strict=True))
    for metric, k in MEASURES:
        rows = under(table, metric, k)
        each = dict(zip(one.models, compute_values(one, metric, k), strict=True))
        assert list(zip(rows.model_a, rows.model_b, strict=True)) == list(
            itertools.combinations(one.models, 2)
        )
        assert rows.p_holm.to_numpy() == pytest.approx(holm(rows.p))
        for row in rows.itertuples():
            a, b = each[row.model_a], each[row.model_b]
            exact = metric == "recall" and set(a) | set(b) <= {0, 1}
            assert row.test == ("mcnemar" if exact else "randomization")
            assert row.p == (
                mcnemar_exact(a, b)
                if exact
                else paired_randomization_test(a, b, permutations=20_000)
            )
            assert (row.value_a, row.value_b) == pytest.approx((a.mean(), b.mean()))
            assert row.difference == pytest.approx(row.value_a - row.value_b)
            assert row.ci_low <= row.difference <= row.ci_high
            assert row.wins == (rank[row.model_a] < rank[row.model_b]).sum()
            assert row.losses == (rank[row.model_a] > rank[row.model_b]).sum()
            assert row.wins + row.ties + row.losses == row.n == 60
    assert set(under(table, "recall", 1).test) == ({"randomization"} if ties else {"mcnemar"})


def test_a_pair_without_ties_keeps_its_exact_test():
    """What other models' ranks are like makes no difference to a pair."""
    one = some(models=3)
    worst = one.best.copy()
    worst[2] += 3
    rows = under(compare(condition(one.best, worst)), "recall", 10)
    assert rows.test.tolist() == ["mcnemar", "randomization", "randomization"]
    alone = under(compare(condition(one.best[:2])), "recall", 10)
    columns = ["p", "ci_low", "ci_high", "test", "effect_size", "queries_needed"]
    assert rows[columns].iloc[0].tolist() == alone[columns].iloc[0].tolist()


def test_models_that_find_everything_first_have_no_hits_in_their_mrr():
    table = compare(condition([[1, 1, 1], [1, 1, 1]]))
    assert under(table, "mrr", None).test.tolist() == ["randomization"]
    assert set(under(table, "recall", 1).test) == {"mcnemar"}


def test_the_same_again_and_in_either_order():
    one = some(ties=True)
    there, back = compare(one), compare(one.of(one.models[::-1]))
    assert there.equals(compare(one))
    there, back = (
        table.set_index(["metric", "k", "model_a", "model_b"]) for table in (there, back)
    )
    for (metric, k, a, b), row in there.iterrows():
        other = back.loc[(metric, k, b, a)]
        assert (row.p, row.wins, row.losses) == (other.p, other.losses, other.wins)
        numbers = ["difference", "effect_size", "ci_low", "ci_high"]
        mirrored = [-other.difference, -other.effect_size, -other.ci_high, -other.ci_low]
        assert row[numbers].tolist() == pytest.approx(mirrored)
        assert str(row.queries_needed) == str(other.queries_needed)


RANKS = st.integers(1, 6).flatmap(
    lambda q: st.lists(
        st.lists(st.integers(1, 120), min_size=q, max_size=q), min_size=2, max_size=4
    )
)


@given(RANKS, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_whatever_the_ranks_are(best, tied):
    worst = np.array(best) + tied * (np.array(best) % 2)
    table = compare(condition(best, worst), resamples=50)
    for _, rows in table.groupby(["metric", "k"], dropna=False):
        assert (rows.p_holm >= rows.p).all()
    assert ((table.p > 0) & (table.p <= 1)).all()
    assert (
        (table.ci_low <= table.difference + 1e-9) & (table.difference <= table.ci_high + 1e-9)
    ).all()
    zero = table.difference == 0
    assert (table.p[zero] == 1).all()
    assert (table.effect_size[zero] == 0).all()
    assert table.queries_needed[zero].isna().all()
    sure = table.effect_size.abs() > 0
    assert (np.sign(table.effect_size[sure]) == np.sign(table.difference[sure])).all()
    assert (table.queries_needed[sure] > 0).all()


def test_one_model_has_nobody_to_be_compared_with():
    table = compare(condition([[1, 2, 3]]))
    assert list(table.columns) == COMPARISONS
    assert len(table) == 0
    assert table.dtypes.equals(compare(condition([[1, 2, 3], [3, 2, 1]])).dtypes)
    assert isinstance(table.k.dtype, pd.Int64Dtype)
    assert tiers(table, "mrr", None) == {}


@pytest.mark.parametrize("queries", [1, 2])
def test_equal_models_and_few_queries(queries):
    table = compare(condition([[3] * queries, [3] * queries]))
    assert (table.p == 1).all()
    assert (table.difference == 0).all()
    assert (table.effect_size == 0).all()
    assert table.queries_needed.isna().all()
    assert (table.ci_high[table.metric == "recall"] > 0.5).all()  # so few say nothing about others
    table = compare(condition([[1] * queries, [200] * queries]))
    assert (table.p == {1: 1.0, 2: 0.5}[queries]).all()
    assert table.effect_size.isna().all()  # differences don't vary
    assert table.queries_needed[table.metric == "mrr"].isna().all()


def test_differences_that_cancel_out_up_to_rounding():
    """Thirds and sixths: their sum is not 0 in floating point."""
    table = compare(
        condition([[1, 1, 3], [1, 2, 2]], [[3, 6, 3], [6, 4, 2]]), measures=[("recall", 1)]
    )
    assert compute_values(condition([[1, 1]], [[3, 6]]), "recall", 1).tolist() == [[1 / 3, 1 / 6]]
    shares = np.array([[0.1, 0.2, -0.3], [1 / 3, -1 / 6, -1 / 6]])
    assert shares.sum(axis=1).any()
    assert effect_size(shares).tolist() == [0, 0]
    assert np.isnan(queries_needed(shares, hits=True)).all()
    assert np.isnan(queries_needed(shares, hits=False)).all()
    assert table.difference.iloc[0] == pytest.approx((1 / 3 - 1 / 6 + 1 / 6) / 3)


@pytest.mark.parametrize(("metric", "k"), [("recall", None), ("mrr", 10), ("median_rank", None)])
def test_what_is_no_measure(metric, k):
    with pytest.raises(ValueError, match="is no measure"):
        compute_values(some(), metric, k)


def constrained_likelihood_interval(b, c, n):
    """Tango's definition: the score with the share of lost queries that is likeliest by numerical search."""

    def score(d):
        def unlikelihood(lost):
            parts = [(b, lost + d), (c, lost), (n - b - c, 1 - 2 * lost - d)]
            return -sum(count * math.log(max(p, 1e-300)) for count, p in parts if count)

        s = scipy.optimize.minimize_scalar(
            unlikelihood,
            bounds=(max(0.0, -d), (1 - d) / 2),
            method="bounded",
            options={"xatol": 1e-12},
        ).x
        return (b - c - n * d) / math.sqrt(n * (2 * s + d * (1 - d)))

    middle, z, edge = (b - c) / n, scipy.stats.norm.ppf(0.975), 1e-6
    low = scipy.optimize.brentq(lambda d: score(d) - z, -1 + edge, middle - edge)
    high = scipy.optimize.brentq(lambda d: score(d) + z, middle + edge, 1 - edge)
    return low, high


@pytest.mark.parametrize(
    ("b", "c", "n"), [(10, 2, 100), (7, 7, 40), (1, 0, 50), (0, 3, 20), (30, 25, 60), (2, 1, 5)]
)
def test_score_intervals_are_their_definition(b, c, n):
    found = paired_score_intervals(b, c, n)
    assert found == pytest.approx(constrained_likelihood_interval(b, c, n), abs=2e-5)
    assert found == pytest.approx(-paired_score_intervals(c, b, n)[::-1])


def test_score_intervals_at_the_ends_are_wilsons():
    z2 = scipy.stats.norm.ppf(0.975) ** 2
    assert paired_score_intervals(0, 0, 30) == pytest.approx([-z2 / (30 + z2), z2 / (30 + z2)])
    assert paired_score_intervals(30, 0, 30)[1] == pytest.approx(1)
    assert paired_score_intervals(0, 0, 30)[1] == pytest.approx(wilson_interval(0, 30)[1])
    assert -1 < paired_score_intervals(0, 1, 1)[0] + 1e-9 < paired_score_intervals(0, 1, 1)[1] < 1


def test_intervals_of_means_are_the_wider_of_two():
    rng = np.random.default_rng(0)
    d = rng.normal(0.1, 1, (3, 40)) ** 3
    d[2] = 0.25
    found = difference_intervals(d, resamples=20_000)
    for row, (low, high) in zip(d[:2], found, strict=False):
        student = scipy.stats.ttest_1samp(row, 0).confidence_interval()
        drawn = scipy.stats.bootstrap(
            (row,), np.mean, method="percentile", n_resamples=20_000, random_state=1
        )
        wider = (
            min(student.low, drawn.confidence_interval.low),
            max(student.high, drawn.confidence_interval.high),
        )
        assert (low, high) == pytest.approx(wider, abs=0.03)
        assert low <= student.low + 1e-12
        assert high >= student.high - 1e-12
    assert found[2].tolist() == [0.25, 0.25]


def test_wins_ties_and_losses_add_up():
    one = some(models=3)
    matrix = win_tie_loss(one)
    assert matrix.dtype == np.int64
    assert (matrix.sum(axis=2) == 60).all()
    for i, j in itertools.product(range(3), repeat=2):
        assert matrix[i, j].tolist() == [
            (one.rank[i] < one.rank[j]).sum(),
            (one.rank[i] == one.rank[j]).sum(),
            (one.rank[i] > one.rank[j]).sum(),
        ]


@given(st.integers(1, 7), st.data())
def test_models_share_a_letter_unless_they_can_be_told_apart(m, data):
    names = [f"model {i}" for i in range(m)]
    pairs = [frozenset(pair) for pair in itertools.combinations(names, 2)]
    apart = data.draw(st.fixed_dictionaries({pair: st.booleans() for pair in pairs}))
    found = letters(names, apart)
    for a, b in itertools.combinations(names, 2):
        assert bool({*found[a]} & {*found[b]}) != apart[frozenset((a, b))]
    used = "".join(found.values())
    assert {*used} == {*"abcdefghijklmnopqrstuvwxyz"[: len({*used})]}
    assert found[names[0]][0] == "a"
    # No tier lies inside another, so none can go.
    tier = {letter: {name for name in names if letter in found[name]} for letter in used}
    assert not any(tier[a] < tier[b] for a, b in itertools.permutations(tier, 2))


@pytest.mark.parametrize("m", [30, 60])
def test_more_tiers_than_letters(m):
    names = [f"m{i}" for i in range(m)]
    found = letters(names, {frozenset(pair): True for pair in itertools.combinations(names, 2)})
    assert (found["m0"], found["m25"], found["m26"]) == ("a", "z", "A")
    assert all(len(letter) == 1 for letter in found.values())
    assert len({*found.values()}) == m


def test_tiers_come_from_the_table():
    best = np.tile(np.arange(1, 101), (3, 1))
    best[0] += 400
    table = compare(condition(best))
    assert tiers(table, "recall", 100) == {"m1": "a", "m2": "a", "m0": "b"}
    assert tiers(table, "recall", 100, alpha=0.0) == {"m1": "a", "m2": "a", "m0": "a"}


def test_the_number_of_queries_needed_has_the_power_it_promises():
    """Simulated at that number, about 80% of tests see the difference."""
    rng = np.random.default_rng(0)
    pilot = rng.normal(0, 1, 4000)
    pilot = (pilot - pilot.mean()) / pilot.std() + 0.3
    n = int(queries_needed(pilot[None], hits=False)[0])
    p = sign_flip_tests(rng.normal(0.3, 1, (2000, n)), permutations=2_000)
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.04)
    # Hits: 30% only a, 15% only b.
    pilot = np.array([1] * 30 + [-1] * 15 + [0] * 55, float)
    n = int(queries_needed(pilot[None], hits=True)[0])
    hits = rng.choice([1, -1, 0], (2000, n), p=[0.3, 0.15, 0.55])
    p = mcnemar_tests((hits == 1).sum(axis=1), (hits == -1).sum(axis=1))
    assert np.mean(p < 0.05) == pytest.approx(
        0.78, abs=0.06
    )  # the exact test is a little conservative


def test_numbers_of_queries_by_their_formulas():
    z = scipy.stats.norm.ppf([0.975, 0.8])
    d = np.array([[0.5, 0.1, -0.2, 0.3, 0.0]])
    assert queries_needed(d, hits=False)[0] == math.ceil((z.sum() * d.std(ddof=1) / d.mean()) ** 2)
    d = np.array([[1.0] * 12 + [-1.0] * 5 + [0.0] * 83])
    assert queries_needed(d, hits=True)[0] == math.ceil(
        ((z @ [0.17**0.5, (0.17 - 0.07**2) ** 0.5]) / 0.07) ** 2
    )


def test_effect_sizes():
    found = effect_size(np.array([[1.0, 3.0], [1.0, 1.0], [0.0, 0.0], [1.0, -1.0], [0.1, 0.1]]))
    assert found == pytest.approx([2 / np.sqrt(2), np.nan, 0, 0, np.nan], nan_ok=True)
