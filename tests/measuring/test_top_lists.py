"""Scores of the first items against exact sums of exact products."""

import math

import numpy as np
import pytest
from builders import Sliced

from kis_bench.measuring.top_lists import count_fused, make_top_list
from kis_bench.ranking import target_ranks, top_items


def plant(rng, n, v, d):
    """Items with copies far apart, others one bit beside them, -0 for 0, and sums that tie exactly."""
    items = rng.standard_normal((n, v, d)).astype(np.float32)
    items[:, :, 3] = 0
    items /= np.linalg.norm(items, axis=2, keepdims=True)
    items[n // 2 : n // 2 + 40] = items[:40]
    items[-40:] = items[:40]
    items[-40:, :, 3] = -0.0
    items[-60:-40] = items[:20]
    items[-60:-40, :, 5] = np.nextafter(items[-60:-40, :, 5], np.float32(2))
    items[100:130, :, 7] = items[130:160, :, 8]  # of equal coordinates of a query, in another order
    items[100:130, :, 8] = items[130:160, :, 7]
    others = [i for i in range(d) if i not in (7, 8)]
    items[100:130][:, :, others] = items[130:160][:, :, others]
    queries = items[rng.integers(0, 160, 9), 0] + 0.3 * rng.standard_normal((9, d))
    queries[:, 8] = queries[:, 7]
    queries[1, ::2] = 0  # by which fewer items differ
    queries[2] = 0
    queries[3, 1:] = 0
    return queries.astype(np.float32), items


def sum_exactly(query, vectors):
    return max(math.fsum((query.astype(np.float64) * vector).tolist()) for vector in vectors)


@pytest.mark.parametrize("source", [np.asarray, Sliced])
@pytest.mark.parametrize(("width", "share"), [(None, 12), (90, 0), (90, 12)])
@pytest.mark.parametrize(("v", "d"), [(1, 37), (3, 24)])
def test_scores_are_in_the_exact_order(v, d, width, share, source, monkeypatch):
    monkeypatch.setattr(top_items, "ALL_SHARE", share)
    queries, items = plant(np.random.default_rng(v), 700, v, d)
    targets = [[0]] * len(queries)
    given = {"top_k": 600, "top_scores": True, "block_items": width}
    made = make_top_list(target_ranks(queries, source(items), targets, **given))
    ties = 0
    for query, named, scores in zip(queries, made.items, made.scores, strict=True):
        real = np.array([sum_exactly(query, items[i]) for i in named])
        np.testing.assert_allclose(scores, real, rtol=0, atol=1e-14)
        assert (np.diff(scores) <= 0).all()
        assert ((np.diff(real) == 0) == (np.diff(scores) == 0)).all()
        ties += np.count_nonzero(np.diff(real) == 0)
    assert ties > 4 * 80


def test_many_equal_items():
    kinds = np.random.default_rng(0).standard_normal((4, 1, 300)).astype(np.float32)
    items = kinds[np.random.default_rng(1).integers(0, 4, 1500)]
    ranks = target_ranks(kinds[:, 0], items, [[0]] * 4, top_k=1001, top_scores=True)
    made = make_top_list(ranks)
    for query, scores in zip(kinds[:, 0], made.scores, strict=True):
        real = [sum_exactly(query, kind) for kind in kinds]
        assert len({*scores.tolist()}) <= len(kinds)
        assert np.abs(scores[:, None] - real).min(axis=1).max() < 1e-12
    assert (count_fused(made.scores, 1000) < 1001).all()


@pytest.mark.parametrize(("q", "k"), [(0, 3), (2, 0), (2, 1)])
def test_next_to_nothing(q, k):
    queries, items = plant(np.random.default_rng(0), 200, 1, 16)
    ranks = target_ranks(queries[:q], items, [[0]] * q, top_k=k, top_scores=True)
    made = make_top_list(ranks)
    assert made.scores.shape == made.items.shape == (q, k)
