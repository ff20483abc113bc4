"""Fused lists against ranx, and browsing against a user who looks at one picture after the other."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.fusion import (
    comb_mnz,
    comb_sum,
    complement,
    interleaving_cost,
    normalise,
    rank_scores,
    reciprocal_rank_fusion,
    switching_cost,
)


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50)),
        min_size=1,
        max_size=20,
    )
)
def test_the_complement_is_the_better_rank(rows):
    ranks = np.array(rows).T
    assert complement(*ranks).tolist() == [min(row) for row in rows]
    assert complement(ranks).tolist() == [min(row) for row in rows]
    assert (complement(*ranks) <= ranks).all()


def truncated(rng, lists=3, items=40, depth=25):
    """Scores of the first ``depth`` items of each list, NaN for the others."""
    scores = rng.random((lists, items))
    cut = np.sort(scores, axis=1)[:, -depth]
    return np.where(scores >= cut[:, None], scores, np.nan)


@pytest.mark.filterwarnings("ignore:.*unsafe cast:Warning")  # numba's, in ranx
@pytest.mark.parametrize(("method", "ours"), [("rrf", "rrf"), ("sum", "sum"), ("mnz", "mnz")])
def test_like_ranx(method, ours):
    from ranx import Run, fuse

    rng = np.random.default_rng(0)
    scores = truncated(rng)
    runs = [
        Run({"q": {str(i): float(s) for i, s in enumerate(row) if not np.isnan(s)}})
        for row in scores
    ]
    theirs = fuse(runs, norm="min-max", method=method)["q"]
    ranks = np.where(np.isnan(scores), np.nan, (-scores).argsort(axis=1).argsort(axis=1) + 1.0)
    found = {
        "rrf": lambda: reciprocal_rank_fusion(ranks),
        "sum": lambda: comb_sum(normalise(scores)),
        "mnz": lambda: comb_mnz(normalise(scores)),
    }[ours]()
    for item, score in theirs.items():
        assert found[int(item)] == pytest.approx(score)
    assert {i for i in range(40) if not np.isnan(scores[:, i]).all()} == {
        int(item) for item in theirs
    }


def test_weights_and_shapes():
    scores = np.random.default_rng(1).random((2, 3, 5))
    assert comb_sum(scores, [0.25, 0.75]) == pytest.approx(0.25 * scores[0] + 0.75 * scores[1])
    assert (
        comb_sum(scores).shape
        == comb_mnz(scores).shape
        == reciprocal_rank_fusion(scores + 1).shape
        == (3, 5)
    )
    assert normalise([[2.0, 2.0]]).tolist() == [[0, 0]]
    z = normalise(scores, "z-score")
    assert z.mean(axis=-1) == pytest.approx(0)
    assert z.std(axis=-1) == pytest.approx(1)


def a_user(first, second, target, n, *, hide):
    """Looks at n pictures of the first list, then goes down the second one; how many pictures until the target."""
    looked, seen = 0, set()
    for item in first[:n]:
        looked += 1
        seen.add(item)
        if item == target:
            return looked
    for item in second:
        if hide and item in seen:
            continue
        looked += 1
        if item == target:
            return looked
    raise AssertionError("the target is in every list")


@given(st.integers(1, 12), st.data())
def test_switching_costs_what_a_user_looks_at(size, data):
    order = st.permutations(range(size))
    first, second, target = data.draw(order), data.draw(order), data.draw(st.integers(0, size - 1))
    n = data.draw(st.integers(0, size + 2))
    ranks = [[first.index(target) + 1], [second.index(target) + 1]]
    assert switching_cost(*ranks, n).tolist() == [a_user(first, second, target, n, hide=False)]
    before = [len({*first[:n]} & {*second[: second.index(target)]}) if ranks[0][0] > n else 0]
    assert switching_cost(*ranks, n, already_seen=before).tolist() == [
        a_user(first, second, target, n, hide=True)
    ]


@given(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 8))
def test_looking_at_both_lists_in_turn(first, second, target):
    shown = [item for pair in zip(first, second, strict=True) for item in pair]
    cost = interleaving_cost([first.index(target) + 1], [second.index(target) + 1])
    assert cost.tolist() == [shown.index(target) + 1]


@given(st.integers(1, 12), st.data())
def test_a_user_who_never_or_at_once_switches(size, data):
    first, second = (
        data.draw(st.lists(st.integers(1, size), min_size=3, max_size=3)) for _ in range(2)
    )
    assert switching_cost(first, second, 0).tolist() == second
    assert switching_cost(first, second, size).tolist() == first


def test_ties_have_the_middle_rank():
    scores = np.random.default_rng(2).integers(0, 5, (2, 3, 12)).astype(float)
    ranks = rank_scores(scores)
    for row, of in zip(scores.reshape(-1, 12), ranks.reshape(-1, 12), strict=True):
        assert of.tolist() == scipy.stats.rankdata(-row).tolist()
    scores[0, 0, :4] = math.nan
    assert (
        rank_scores(scores)[0, 0, 4:].tolist() == scipy.stats.rankdata(-scores[0, 0, 4:]).tolist()
    )
    assert np.isnan(rank_scores(scores)[0, 0, :4]).all()
    assert rank_scores(np.empty((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("how", ["min-max", "z-score"])
def test_constant_and_empty_lists_are_zeros_and_nothing(how):
    assert normalise([[0.1] * 3, [0.1, 0.1, math.nan]], how)[0].tolist() == [0, 0, 0]
    assert normalise([0.1, math.nan, 0.1], how)[[0, 2]].tolist() == [0, 0]
    assert np.isnan(normalise([[math.nan] * 2, [1.0, 2.0]], how)[0]).all()
    assert comb_sum(normalise([[math.nan] * 2, [1.0, 2.0]], "min-max")).tolist() == [0, 1]
    assert reciprocal_rank_fusion([[1, math.inf], [math.nan, math.inf]]).tolist() == [1 / 61, 0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: complement([1, 2], [1]), "same queries"),
        (lambda: complement([0], [1]), "count from 1"),
        (lambda: complement([1.0, math.nan], [1, 1]), "known ranks"),
        (lambda: complement(), "same queries"),
        (lambda: reciprocal_rank_fusion([[0.5]]), "count from 1"),
        (lambda: reciprocal_rank_fusion([[1]], k=math.nan), "at least 0"),
        (lambda: reciprocal_rank_fusion(np.empty((0, 3))), "one row for each list"),
        (lambda: normalise([1.0, math.inf]), "finite numbers"),
        (lambda: comb_sum([[1.0]], [math.inf]), "finite number"),
        (lambda: interleaving_cost([1, 2], [1]), "same queries"),
        (lambda: interleaving_cost([1], [math.nan]), "known ranks"),
        (lambda: switching_cost([1], [math.nan], 3), "known ranks"),
        (lambda: switching_cost([1], [1], math.nan), "whole number from 0"),
        (lambda: switching_cost([1], [1], 2.5), "whole number from 0"),
        (lambda: reciprocal_rank_fusion([1, 2]), "one row for each list"),
        (lambda: reciprocal_rank_fusion([[1]], k=-1), "at least 0"),
        (lambda: comb_sum([[1.0]], [1, 2]), "for 1 lists"),
        (lambda: normalise([[1.0]], "max"), "min-max or z-score"),
        (lambda: switching_cost([1], [1, 2], 3), "same queries"),
        (lambda: switching_cost([1], [1], -1), "whole number from 0"),
        (lambda: switching_cost([9], [3], 2, already_seen=[3]), "already_seen"),
    ],
)
def test_wrong_input_says_what(call, said):
    with pytest.raises(ValueError, match=said):
        call()
