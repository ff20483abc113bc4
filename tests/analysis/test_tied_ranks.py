"""Where a target is met under ties, against going through every place that each model may give it."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.analysis.tied_ranks import (
    interleaving_hits,
    interleaving_rank,
    smallest_hits,
    smallest_rank,
    switching_hits,
    switching_rank,
)
from kis_bench.fusion import interleaving_cost, switching_cost

SIZE = 14
tie = st.tuples(st.integers(1, SIZE), st.integers(1, SIZE)).map(sorted)


def places(ties):
    """Best and worst [m, 1]."""
    best, worst = np.array(ties).T
    return best[:, None], worst[:, None]


def enumerated(ties, cost):
    """Every outcome's cost, each as likely as any other."""
    return [
        cost(*ranks)
        for ranks in itertools.product(*(range(best, worst + 1) for best, worst in ties))
    ]


def agree(costs, mean, hits):
    """The mean and every hit are those of the enumerated costs."""
    assert mean.shape == (1,)
    assert mean[0] == pytest.approx(float(Fraction(sum(costs), len(costs))), rel=1e-12)
    for k in range(1, 2 * SIZE + 3):
        assert hits(k)[0] == pytest.approx(sum(cost <= k for cost in costs) / len(costs), abs=1e-12)


@given(st.lists(tie, min_size=1, max_size=4))
def test_the_smallest_of_several_ranks(ties):
    best, worst = places(ties)
    costs = enumerated(ties, lambda *ranks: min(ranks))
    agree(costs, smallest_rank(best, worst), lambda k: smallest_hits(best, worst, k))


@given(tie, tie, st.integers(0, SIZE + 2))
def test_switching(first, second, n):
    a, b = (tuple(np.array([side]) for side in each) for each in (first, second))
    costs = enumerated([first, second], lambda x, y: int(switching_cost([x], [y], n)[0]))
    agree(costs, switching_rank(a, b, n), lambda k: switching_hits(a, b, n, k))


@given(tie, tie)
def test_alternating(first, second):
    a, b = (tuple(np.array([side]) for side in each) for each in (first, second))
    costs = enumerated([first, second], lambda x, y: int(interleaving_cost([x], [y])[0]))
    agree(costs, interleaving_rank(a, b), lambda k: interleaving_hits(a, b, k))


@given(tie, st.integers(0, SIZE), st.integers(0, SIZE), st.integers(1, 3 * SIZE))
def test_who_never_comes_first_changes_nothing(own, later, width, k):
    """Not by a bit: neither a partner that is always behind, nor a switch after the last place."""
    best, worst = places([own, (own[1] + later, own[1] + later + width)])
    middle = np.array([sum(own) / 2])
    a, b = ((best[i], worst[i]) for i in range(2))
    assert smallest_rank(best, worst) == smallest_rank(best[::-1], worst[::-1]) == middle
    assert smallest_hits(best[:1], worst[:1], k) == smallest_hits(best, worst, k)
    assert switching_rank(a, b, own[1]) == switching_rank(b, a, 0) == middle
    alone = smallest_hits(best[:1], worst[:1], k)
    assert switching_hits(a, b, own[1], k) == switching_hits(b, a, 0, k) == alone


@given(
    st.lists(st.lists(st.integers(1, 10**7), min_size=3, max_size=3), min_size=1, max_size=5),
    st.integers(0, 10**7),
)
def test_without_ties_they_are_the_ranks(rows, n):
    best = np.array(rows)
    assert (smallest_rank(best, best) == best.min(axis=0)).all()
    first, second = best[0], best[-1]
    pair = (first, first), (second, second)
    assert (switching_rank(*pair, n) == switching_cost(first, second, n)).all()
    assert (interleaving_rank(*pair) == interleaving_cost(first, second)).all()


def test_a_choice_of_each_query():
    first, second = (
        (np.array([1, 5, 9]), np.array([4, 9, 9])),
        (np.array([1, 1, 1]), np.array([9, 3, 1])),
    )
    n = np.array([2, 0, 7])
    for i in range(3):
        own = [tuple(side[i : i + 1] for side in each) for each in (first, second)]
        assert switching_rank(first, second, n)[i] == switching_rank(*own, n[i])[0]
        assert switching_hits(first, second, n, 4)[i] == switching_hits(*own, n[i], 4)[0]


def test_millions_of_items_lose_no_digits():
    """Two and three models that know nothing: the smallest of m uniform ranks, by sums in whole numbers."""
    size = 10**7
    for m in (2, 3):
        exact = {
            2: Fraction((size + 1) * (2 * size + 1), 6 * size),
            3: Fraction((size + 1) ** 2, 4 * size),
        }[m]
        ends = np.ones((m, 1)), np.full((m, 1), size)
        assert smallest_rank(*ends)[0] == pytest.approx(float(exact), rel=1e-14)
