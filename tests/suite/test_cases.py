"""What the benchmarks of speed measure is right, or they fail."""

import math
from dataclasses import replace

import numpy as np
import pytest

from kis_bench.suite.fusing_cases import FusingCase
from kis_bench.suite.rank_oracle import compare_with_best
from kis_bench.suite.ranking_cases import PRODUCT_LAYOUTS, Case, Product, Work
from kis_bench.suite.search_peers import sort_tuples

PLAIN = Work("tiny", 20, 60, 16, rounds=1)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"vectors": 3, "noise": math.inf},
        {"groups": 7},
        {"wider": 2},
        {"top_k": 5, "vectors": 2},
        {"threads": 2},
    ],
)
def test_ranks_are_verified(more):
    case = Case(replace(PLAIN, **more))
    row = case.compare()
    assert (row.verified, row.queries, row.items, row.rounds) == (20, 20, 60, 1)
    assert row.ratio > 0
    assert row.note.startswith(PRODUCT_LAYOUTS)
    case.ranks = replace(case.ranks, worst=case.ranks.worst + 1)
    with pytest.raises(AssertionError):
        case.verify()


@pytest.mark.parametrize(
    ("more", "change"),
    [
        ({"groups": 7}, lambda ranks: {"group_rank": ranks.group_rank + 1}),
        ({"wider": 1}, lambda ranks: {"relevant_best": ranks.relevant_best + 1}),
        ({"top_k": 5}, lambda ranks: {"top_items": ranks.top_items[:, ::-1]}),
    ],
)
def test_wrong_ranks_are_found(more, change):
    case = Case(replace(PLAIN, **more))
    case.rank()
    assert case.verify() == 20
    case.ranks = replace(case.ranks, **change(case.ranks))
    with pytest.raises(AssertionError):
        case.verify()


def test_signs_are_exact():
    query = np.float32([1, 1, 2**-30])
    items = np.float32([[1, -1, 0], [1, -1, 2**-40], [1, -1, -(2**-40)], [-1, 1, 0]])
    assert compare_with_best(query, items, [0]).tolist() == [0, 1, -1, 0]
    assert compare_with_best(query, items[:, None], [0, 2, 1]).tolist() == [-1, 0, -1, -1]


@pytest.mark.parametrize("layout", PRODUCT_LAYOUTS)
def test_every_block_is_multiplied(layout, monkeypatch):
    seen = []
    multiply = np.matmul

    def record(left, right, out):
        seen.append(multiply(left, right, out=out).size)

    monkeypatch.setattr(np, "matmul", record)
    case = Case(replace(PLAIN, vectors=2))
    assert Product(layout, 32).measure(case.queries, case.items, "CPU") >= 0
    assert sum(seen) == 20 * 60 * 2
    assert len(seen) == 4


def test_fused_ranks_are_verified():
    case = FusingCase(3, 6, 40, 16)
    rows = case.compare(1)
    assert {row.verified for row in rows} == {3}
    assert [row.against for row in rows] == ["ranks alone"] * 3
    case.table["rank_best"] += 1
    with pytest.raises(AssertionError):
        case.verify()


def test_peers_take_what_they_are_given():
    case = Case(PLAIN)
    assert sort_tuples(case.queries, case.items, case.targets) >= 0
