"""Ranks of unit vectors, whatever the blocks and threads; wrong input."""

import numpy as np
import pytest

from kis_bench.errors import BadVector
from kis_bench.ranking import target_ranks


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
