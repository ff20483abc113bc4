"""Items that a query can't tell apart, against a comparison of each pair; and ranks with many of them."""

import numpy as np
import pytest

from kis_bench.ranking import equal_items, item_pass, target_ranks
from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.top_items import TopItems


def draw(vectors=1):
    """60 queries of three patterns of zeros, one of them of nothing but zeros, and 70 items with many copies."""
    rng = np.random.default_rng(5)
    queries = rng.standard_normal((60, 6)).astype(np.float32)
    queries[:40, 3:] = 0
    queries[:20] = 0
    items = rng.integers(-1, 2, (70, vectors, 6)).astype(np.float32)
    items[:, :, 0] = np.where(items[:, :, 0] > 0, 0.0, -0.0)  # which are equal
    items[35:, :, :3] = items[:35, :, :3]
    return queries, items[:, 0] if vectors == 1 else items


@pytest.mark.parametrize("vectors", [1, 2])
def test_equal_is_what_is_the_same_wherever_the_query_is_not_zero(vectors):
    queries, items = draw(vectors)
    equal = EqualItems(queries, items)
    assert equal.few
    rng = np.random.default_rng(7)
    rows, others, own = rng.integers(0, 60, 900), rng.integers(0, 70, 900), rng.integers(0, 70, 900)
    block = items.reshape(70, vectors, 6)
    expected = [
        (block[item] == block[other])[:, queries[row] != 0].all()
        for row, item, other in zip(rows, own, others, strict=True)
    ]
    found = equal.find_equal(rows, others, own)
    assert found.tolist() == expected
    assert 0 < found[rows >= 20].sum() < np.count_nonzero(rows >= 20)


@pytest.mark.parametrize("vectors", [1, 2])
def test_looking_for_equal_items_changes_no_rank(vectors, monkeypatch):
    queries, items = draw(vectors)
    rng = np.random.default_rng(6)
    targets = [rng.choice(70, 1 + i % 3, replace=False).tolist() for i in range(60)]
    wider = [[*some, (some[0] + 35) % 70] if i % 4 else [] for i, some in enumerate(targets)]
    groups = (rng.integers(0, 9, 70)).tolist()

    def find(most):
        monkeypatch.setattr(item_pass, "MANY_PAIRS", most)
        ranks = target_ranks(
            queries, items, targets, groups=groups, relevant=[wider], top_k=20, block_items=32
        )
        return {name: np.asarray(values).tolist() for name, values in vars(ranks).items()}

    asked = []
    monkeypatch.setattr(
        EqualItems,
        "find_equal",
        lambda *given, own=EqualItems.find_equal: asked.append(1) or own(*given),
    )
    plain = find(10**9)
    assert not asked
    assert find(0) == plain
    assert asked
    assert max(np.subtract(plain["worst"], plain["best"])) > 30


@pytest.mark.parametrize("chance", [False, True])
def test_numbers_are_those_of_bytes_even_if_all_mix_alike(chance, monkeypatch):
    if chance:
        monkeypatch.setattr(equal_items, "mix_rows", lambda words: np.zeros(len(words), np.uint64))
    items = np.random.default_rng(9).integers(0, 3, (60, 2, 2)).astype(np.float32)
    first, number = equal_items.number_equal(items, np.ones(2, bool))
    same = (items[:, None] == items[None]).all(axis=(2, 3))
    assert ((number[:, None] == number) == same).all()
    assert first.tolist() == [number.tolist().index(i) for i in range(len(first))]


@pytest.mark.parametrize("vectors", [1, 2])
def test_of_equal_items_the_first_are_named_and_no_others_kept(vectors, monkeypatch):
    """2,048 items with 5 different sets of vectors, in blocks; queries are 0 in different places."""
    rng = np.random.default_rng(9)
    queries = rng.integers(-9, 10, (8, 512)).astype(np.float32)
    drawn = rng.integers(-9, 10, (5, vectors, 512)).astype(np.float32)
    items = drawn[rng.integers(0, 5, 2048)]
    given = []
    monkeypatch.setattr(
        TopItems,
        "add",
        lambda top, some, *rest, own=TopItems.add: given.append(some) or own(top, some, *rest),
    )
    asked = items[:, 0] if vectors == 1 else items
    ranks = target_ranks(queries, asked, [[i] for i in range(8)], top_k=20, block_items=1024)
    scores = (items.astype(np.int64) @ queries.T.astype(np.int64)).max(axis=1)  # [n, q], exact
    expected = np.argsort(-scores, axis=0, kind="stable")[:20].T
    assert ranks.top_items.tolist() == expected.tolist()
    assert [len(some) for some in given] == [100, 100]


def test_a_product_less_than_any_number_still_puts_an_item_behind_its_equals():
    """-1e-45 times 1e-45 is 0 even in float64, and yet below 0."""
    queries = np.array([[0, 0], [0, -1e-45]], np.float32)
    items = np.array([[0, 0], [0, 1], [0, 0], [0, 0], [0, 1e-45], [0, 0], [0, 0]], np.float32)
    first = target_ranks(queries, items, [[0], [0]], top_k=5).top_items
    assert first.tolist() == [[0, 1, 2, 3, 4], [0, 2, 3, 5, 6]]
