"""The order of all items at once against fractions."""

from fractions import Fraction

import numpy as np
import pytest

from kis_bench.ranking.blocks import find_longest, read_block
from kis_bench.ranking.equal_items import MOST_NUMBERS, EqualItems
from kis_bench.ranking.exact_scores import bound_lengths, to_block
from kis_bench.ranking.whole_order import WholeOrder, suits_whole_order


def order_slowly(queries, items, k):
    orders = []
    for query in queries.tolist():
        scores = [
            max(sum(Fraction(a) * Fraction(b) for a, b in zip(query, x, strict=True)) for x in item)
            for item in to_block(items).tolist()
        ]
        orders.append(sorted(range(len(scores)), key=lambda i, s=scores: (-s[i], i))[:k])
    return orders


def draw(kind):
    """Queries and items in which some scores are equal, or differ by less than float64 can tell."""
    rng = np.random.default_rng(3)
    queries = rng.standard_normal((9, 6)).astype(np.float32)
    items = rng.standard_normal((40, 6)).astype(np.float32)
    if kind == "copies":
        items = items[rng.integers(0, 7, 40)]
    if kind == "several vectors":
        return queries, items[rng.integers(0, 9, (40, 3))]
    if kind in ("zeros", "own zeros"):
        queries[:, 2:] *= rng.integers(0, 2, (9, 4 if kind == "own zeros" else 1))
        queries[0] = 0
        items[:20, :2] = items[20:, :2]
        items[:, 0] = np.where(items[:, 0] > 0, 0.0, -0.0)
    if kind == "close":
        queries = np.ones((9, 6), np.float32)
        items = np.float32([1, 2**-60, 0, 0, 0, 0]) * rng.integers(0, 3, (40, 6))
        items = items[:, rng.permutation(6)].astype(np.float32)
    return queries, items


@pytest.mark.parametrize(
    "kind", ["plain", "copies", "several vectors", "zeros", "own zeros", "close"]
)
@pytest.mark.parametrize("k", [1, 7, 40])
def test_it_equals_the_order_of_each_query(kind, k):
    queries, items = draw(kind)
    equal, expected = EqualItems(queries, items), order_slowly(queries, items, k)
    lengths = bound_lengths(queries)
    block = read_block(items, slice(0, 40))
    whole = WholeOrder(equal, block, lengths, find_longest(block, lengths, 0), k, scored=True)
    for rows in (slice(0, 5), slice(5, 9)):
        whole.order(rows, whole.multiply(rows).best)
    assert whole.named.tolist() == expected


def test_few_of_many_items_and_large_collections_are_left_to_candidates():
    def suits(n, d, k):
        items = np.broadcast_to(np.float32(1), (n, d))
        return suits_whole_order(EqualItems(np.ones((20, d), np.float32), items), k)

    assert suits(100, 4, 1)
    assert not suits(100, 4, 0)
    assert suits(10_000, 128, 100)
    assert not suits(10_000, 512, 50)
    assert suits(10_000, 512, 200)
    assert not suits(MOST_NUMBERS, 4, MOST_NUMBERS)
