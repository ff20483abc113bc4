"""The order of pictures by similarity against exact fractions."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from kis_bench.ranking import similar_items
from kis_bench.ranking.relevance import average_vectors
from kis_bench.ranking.similar_items import iterate_orders, order_by_similarity


def unit(rng, *shape):
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def order_slowly(vectors, target, pool):
    def product(item):
        pairs = zip(vectors[target].tolist(), vectors[item].tolist(), strict=True)
        return sum(Fraction(a) * Fraction(b) for a, b in pairs)

    return sorted((i for i in pool if i != target), key=lambda i: (-product(i), i))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_real_products_and_equals_stand_by_position(seed, monkeypatch):
    monkeypatch.setattr(similar_items, "HELD_LINES", 7)
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 40, 5)
    vectors[20:30] = vectors[3]  # copies, of the target too
    vectors[31] = vectors[32] + np.float32([6e-8, 0, 0, 0, 0])  # less than float32 can tell
    vectors[33:36, 1:] = 0  # three on one line, of which two are the same
    pool = np.array([i for i in range(40) if i % 5 != 2])
    targets = np.array([3, 20, 31, 33])
    found = order_by_similarity(vectors[:, None], targets, pool)
    for target, row in zip(targets, found.tolist(), strict=True):
        assert row == order_slowly(vectors, target, pool.tolist())


def test_sums_that_float64_cannot_tell_apart_are_settled_exactly():
    big = np.float32(2.0**40)
    vectors = np.float32([[1, 1, 1], [big, -big, 2**-30], [big, -big, 2**-29], [0, 0, 2**-29]])
    found = order_by_similarity(vectors, np.array([0]), np.arange(4))
    assert found.tolist() == [[2, 3, 1]]


def test_of_several_vectors_the_mean_is_compared():
    rng = np.random.default_rng(5)
    vectors = unit(rng, 12, 3, 4)
    found = order_by_similarity(vectors, np.arange(12), np.arange(12))
    lines = average_vectors(vectors)
    assert found.tolist() == [order_slowly(lines, i, range(12)) for i in range(12)]


def test_targets_come_in_blocks_of_bounded_memory(monkeypatch):
    vectors = unit(np.random.default_rng(6), 30, 4)
    whole = order_by_similarity(vectors, np.arange(30), np.arange(30))
    monkeypatch.setattr(similar_items, "HELD_SCORES", 70)
    parts = list(iterate_orders(vectors, np.arange(30), np.arange(30)))
    assert np.array(parts).tolist() == whole.tolist()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_targets(monkeypatch):
    monkeypatch.setattr(similar_items, "HELD_SCORES", 2**20)  # of 34 targets
    vectors = unit(np.random.default_rng(7), 30_000, 1, 32)
    pool, peaks = np.arange(30_000), []
    for n in (68, 170):
        tracemalloc.start()
        for order in iterate_orders(vectors, pool[:n], pool):
            assert len(order) == 29_999
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0] < 60e6
