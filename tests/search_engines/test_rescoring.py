"""Returned items scored again, against plain sums of fractions."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.metrics import hits_at_k
from kis_bench.ranking import target_ranks
from kis_bench.search_engines.rescoring import Rescorer, count_hits


def score_plainly(query, item):
    """The highest exact product of a query with the vectors of an item."""
    return max(
        sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(query, vector, strict=True))
        for vector in item
    )


def place_plainly(query, items, targets, ids):
    """Best and worst place of the best returned target; above and level of the best of all targets."""
    given_ids = [i for i in ids if i >= 0]
    scores = {i: score_plainly(query, items[i]) for i in {*given_ids, *targets}}
    top = max(scores[t] for t in targets)
    above = sum(scores[i] > top for i in given_ids)
    level = sum(scores[i] == top for i in given_ids)
    own = [scores[i] for i in given_ids if i in targets]
    if not own:
        return 0, 0, level, above
    best = 1 + sum(scores[i] > max(own) for i in given_ids)
    return best, sum(scores[i] >= max(own) for i in given_ids), level, above


@st.composite
def searches(draw):
    """Queries, items and targets with many equal and nearly equal scores, and answers of an engine."""
    q, n, v, d = (draw(st.integers(1, most)) for most in (3, 7, 2, 3))
    number = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1 + 2.0**-23, 2.0**-30])

    def fill(*shape):
        size = int(np.prod(shape))
        drawn = draw(st.lists(number, min_size=size, max_size=size))
        return np.array(drawn, np.float32).reshape(shape)

    targets = [
        draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=3, unique=True)) for _ in range(q)
    ]
    k = draw(st.integers(1, n))
    ids = []
    for _ in range(q):
        order = draw(st.permutations(range(n)))[: draw(st.integers(0, k))]
        ids.append([*order, *[-1] * (k - len(order))])
    return fill(q, d), fill(n, v, d), targets, np.array(ids)


@settings(max_examples=200, deadline=None)
@given(searches())
def test_places_are_those_of_exact_sums(search):
    queries, items, targets, ids = search
    found = Rescorer(queries, items, targets).place(ids)
    for i, row in enumerate(ids.tolist()):
        wanted = place_plainly(queries[i], items, targets[i], row)
        assert (found.best[i], found.worst[i], found.level[i], found.above[i]) == wanted


@settings(max_examples=200, deadline=None)
@given(searches(), st.integers(1, 7), st.randoms(use_true_random=False))
def test_an_exact_engine_loses_nothing_however_it_orders_equals(search, k, chance):
    queries, items, targets, _ = search
    k = min(k, len(items))
    rows = []
    for query in queries:
        order = [*range(len(items))]
        chance.shuffle(order)
        rows.append(sorted(order, key=lambda i: -score_plainly(query, items[i]))[:k])
    ranks = target_ranks(queries, items, targets)
    places = Rescorer(queries, items, targets).place(np.array(rows))
    hits = count_hits(places, ranks.worst - ranks.best + 1, k)
    np.testing.assert_allclose(hits, hits_at_k(ranks.best, ranks.worst, k), atol=1e-12)


def test_an_engine_without_the_target_has_no_hit_and_one_with_a_twin_has_its_share():
    items = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]][:, None]  # 0 and 1 are the same
    queries = np.array([[1.0, 0.5, 0.25]], np.float32)
    rescorer, tied = Rescorer(queries, items, [[1]]), np.array([2])
    for row, hits in (([0], 0.5), ([1], 0.5), ([2], 0.0), ([-1], 0.0)):
        assert count_hits(rescorer.place(np.array([row])), tied, 1).tolist() == [hits]


def test_a_lower_target_counts_where_the_best_was_not_returned():
    items = np.array([[3.0], [2.0], [1.0]], np.float32)[:, None]
    rescorer = Rescorer(np.ones((1, 1), np.float32), items, [[0, 2]])
    places = rescorer.place(np.array([[1, 2]]))
    assert (places.best[0], places.worst[0]) == (2, 2)
    hits = [count_hits(places, np.array([1]), k)[0] for k in (1, 2)]
    assert hits == [0.0, 1.0]
