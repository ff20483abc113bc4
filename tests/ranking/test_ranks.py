"""Ranks against an oracle in exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.errors import BadVector
from kis_bench.ranking import target_ranks


def exact_scores(query, items):
    def dot(vector):
        return sum(
            Fraction(float(a)) * Fraction(float(b)) for a, b in zip(query, vector, strict=True)
        )

    return [max(dot(vector) for vector in np.atleast_2d(item)) for item in items]


def oracle(queries, items, targets, groups, k):
    rows = []
    for query, wanted in zip(queries, targets, strict=True):
        scores = exact_scores(query, items)
        goal = max(scores[t] for t in wanted)
        best, worst = 1 + sum(s > goal for s in scores), sum(s >= goal for s in scores)
        by_group = {}
        for group, score in zip(groups, scores, strict=True):
            by_group[group] = max(score, by_group.get(group, score))
        mine = max(by_group[groups[t]] for t in wanted)
        group_best = 1 + sum(s > mine for s in by_group.values())
        group_worst = sum(s >= mine for s in by_group.values())
        top = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
        rows.append((best, worst, (group_best + group_worst) / 2, top))
    return rows


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d, v, q = (draw(st.integers(1, most)) for most in (40, 12, 3, 6))
    if draw(st.booleans()):  # small whole numbers: many exact ties
        items = rng.integers(-2, 3, (n, v, d)).astype(np.float32)
        queries = rng.integers(-2, 3, (q, d)).astype(np.float32)
    else:
        items = rng.standard_normal((n, v, d)).astype(np.float32)
        queries = rng.standard_normal((q, d)).astype(np.float32)
        for i in range(1, n):
            kind = rng.integers(0, 4)
            if kind == 0:  # an exact duplicate
                items[i] = items[rng.integers(0, i)]
            elif kind == 1:  # a neighbour one unit in the last place away
                items[i] = items[rng.integers(0, i)]
                spot = (rng.integers(0, v), rng.integers(0, d))
                items[i][spot] = np.nextafter(items[i][spot], np.float32(9))
    if v == 1 and draw(st.booleans()):
        items = items[:, 0]
    targets = [rng.integers(0, n, rng.integers(1, 4)).tolist() for _ in range(q)]
    groups = rng.integers(0, max(1, n // 3), n).tolist()
    return queries, items, targets, groups, draw(st.integers(0, 5))


@settings(deadline=None, max_examples=150)
@given(problems(), st.sampled_from([1, 3, 7, 4096]), st.sampled_from([1, 2, 1024]))
def test_ranks_equal_exact_arithmetic_for_every_block_size(problem, block_items, block_queries):
    queries, items, targets, groups, k = problem
    obtained = target_ranks(
        queries,
        items,
        targets,
        groups=groups,
        top_k=k,
        block_items=block_items,
        block_queries=block_queries,
    )
    expected = oracle(queries, items, targets, groups, min(k, len(items)))
    for i, (best, worst, group_rank, top) in enumerate(expected):
        assert (obtained.best[i], obtained.worst[i]) == (best, worst)
        assert obtained.rank[i] == (best + worst) / 2
        assert obtained.group_rank[i] == group_rank
        assert obtained.top_items[i].tolist() == top


@pytest.mark.parametrize("blocks", [(64, 100), (1024, 4096), (7, 333)])
def test_the_target_is_never_its_own_rival(blocks):
    rng = np.random.default_rng(0)
    items = rng.standard_normal((2000, 512)).astype(np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    items[1000:1100] = items[:100]
    queries = items[:150] + np.float32(0.01) * rng.standard_normal((150, 512)).astype(np.float32)
    ranks = target_ranks(
        queries, items, [[i] for i in range(150)], block_queries=blocks[0], block_items=blocks[1]
    )
    assert (ranks.best == 1).all()
    assert (ranks.worst == np.where(np.arange(150) < 100, 2, 1)).all()


def test_the_number_of_threads_changes_nothing():
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(1)
    items, queries = (rng.standard_normal((n, 256)).astype(np.float32) for n in (3000, 200))
    targets = [[int(t)] for t in rng.integers(0, 3000, 200)]
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(target_ranks(queries, items, targets, top_k=10))
    np.testing.assert_array_equal(results[0].best, results[1].best)
    np.testing.assert_array_equal(results[0].worst, results[1].worst)
    np.testing.assert_array_equal(results[0].top_items, results[1].top_items)


def test_few_queries_at_once_where_groups_are_many(monkeypatch):
    rng = np.random.default_rng(2)
    items, queries = (rng.standard_normal((n, 8)).astype(np.float32) for n in (50, 9))
    targets, groups = [[i] for i in range(9)], list(range(50))
    whole = target_ranks(queries, items, targets, groups=groups, top_k=3)
    monkeypatch.setattr("kis_bench.ranking.ranks.GROUP_MARK_BYTES", 200)
    parts = target_ranks(queries, items, targets, groups=groups, top_k=3)
    np.testing.assert_array_equal(whole.group_rank, parts.group_rank)
    np.testing.assert_array_equal(whole.group_rank, whole.rank)
    np.testing.assert_array_equal(whole.top_items, parts.top_items)


def test_bad_input_is_named():
    items, queries = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[:2]
    with pytest.raises(ValueError, match="query 1 has no target"):
        target_ranks(queries, items, [[0], []])
    with pytest.raises(ValueError, match="query 1: target 4"):
        target_ranks(queries, items, [[0], [4]])
    with pytest.raises(ValueError, match="2 queries"):
        target_ranks(queries, items, [[0]])
    with pytest.raises(ValueError, match="fit"):
        target_ranks(queries[:, :3], items, [[0], [1]])
    items[2, 1] = np.nan
    with pytest.raises(BadVector, match="item 2"):
        target_ranks(queries, items, [[0], [1]])
    queries[1, 1] = np.inf
    with pytest.raises(BadVector, match="query 1"):
        target_ranks(queries, np.eye(4, dtype=np.float32), [[0], [1]])
    with pytest.raises(BadVector, match="overflow"):
        target_ranks(np.full((1, 4), 8e18, np.float32), np.full((2, 4), 8e18, np.float32), [[0]])
