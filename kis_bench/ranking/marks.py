"""Finds the score that items are compared with: that of the best of some items, decided exactly for each query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from kis_bench.ranking.decisions import Mark, score_pairs
from kis_bench.ranking.equal_items import find_copies
from kis_bench.ranking.exact_scores import (
    CHUNK_VECTORS,
    SLACK,
    U64,
    ExactScores,
    bound_lengths,
    float32_bound,
    gamma,
    gather,
    require_finite,
    require_no_overflow,
)
from kis_bench.records import Float32s, Float64s, Int64s

#: Items of a set up to which each is looked at in float64 at once, and pairs of an item and a query that has the set.
FEW_ITEMS, FEW_PAIRS = 8, 96
POOL_VECTORS = 4096  #: of larger sets, multiplied together
HELD_NUMBERS = 2**20  #: of vectors of small sets


@dataclass(frozen=True)
class ItemSets:
    """Some items for each of q queries, distinct and ascending."""

    owner: Int64s  # [p] the query of each, ascending
    positions: Int64s  # [p] the items
    q: int

    @classmethod
    def check(
        cls, sets: Sequence[Sequence[int]], q: int, n: int, *, may_lack: bool = False
    ) -> ItemSets:
        """Reads lists of positions below ``n``. Raises ValueError for those that don't fit."""
        if len(sets) != q:
            raise ValueError(f"{len(sets)} lists of targets for {q} queries")
        sizes = np.fromiter(map(len, sets), np.int64, q)
        if not may_lack and not sizes.all():
            raise ValueError(f"query {sizes.argmin()} has no target")
        owner = np.repeat(np.arange(q), sizes)
        positions = np.fromiter(chain.from_iterable(sets), np.int64, len(owner))
        wrong = np.flatnonzero((positions < 0) | (positions >= n))
        if len(wrong):
            i, target = owner[wrong[0]], positions[wrong[0]]
            raise ValueError(f"query {i}: target {target} is not among the {n} items")
        if (sizes > 1).any():
            owner, positions = np.divmod(np.unique(owner * n + positions), n)
        return cls(owner, positions, q)

    def slice(self, start: int, stop: int) -> ItemSets:
        """Those of the queries from ``start`` to before ``stop``."""
        first, last = np.searchsorted(self.owner, [start, stop])
        return ItemSets(self.owner[first:last] - start, self.positions[first:last], stop - start)

    def equal(self, other: ItemSets) -> bool:
        return np.array_equal(self.owner, other.owner) and np.array_equal(
            self.positions, other.positions
        )

    def split(self) -> tuple[Contenders, list[SharedSet]]:
        """The items of small sets, and the larger ones, each with all queries that have it."""
        sizes = np.bincount(self.owner, minlength=self.q)
        few = sizes <= FEW_ITEMS
        pools: dict[bytes, tuple[list[int], Int64s]] = {}
        ends = np.cumsum(sizes)
        for i in np.flatnonzero(~few).tolist():
            some = self.positions[ends[i] - sizes[i] : ends[i]]
            pools.setdefault(some.tobytes(), ([], some))[0].append(i)
        shared = []
        for rows, some in pools.values():
            if len(rows) * len(some) > FEW_PAIRS:
                shared.append(SharedSet(np.array(rows), some))
            else:
                few[rows] = True
        small = few[self.owner]
        owner, positions = self.owner[small], self.positions[small]
        return Contenders(owner, positions, np.ones(len(owner), np.int64)), shared


@dataclass(frozen=True)
class SharedSet:
    """A set of items that several queries have."""

    rows: Int64s  # the queries
    positions: Int64s  # ascending


@dataclass(frozen=True)
class Contenders:
    """Items that may be the best of a query's set; parallel arrays ``[c]``."""

    owner: Int64s
    positions: Int64s
    weights: Int64s  # how many equal items of the set each stands for


def split_groups(sets: ItemSets, codes: Int64s) -> tuple[Contenders, list[SharedSet]]:
    """All items of the groups in which a query has one, as `ItemSets.split` gives them; ``codes [n]``: of each."""
    groups = int(codes.max(initial=-1)) + 1
    owner, code = np.divmod(np.unique(sets.owner * groups + codes[sets.positions]), max(1, groups))
    sizes = np.bincount(codes, minlength=groups)
    ends, members = np.cumsum(sizes), np.argsort(codes, kind="stable")
    queries = np.bincount(code, minlength=groups)  # that have one of the group
    few_pairs = sizes * queries <= FEW_PAIRS
    small = ((sizes <= FEW_ITEMS) | few_pairs)[code]
    counts = sizes[code[small]]
    inner = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat((ends - sizes)[code[small]], counts) + inner
    few = Contenders(np.repeat(owner[small], counts), members[places], np.ones_like(places))
    by_code = np.flatnonzero(~small)[np.argsort(code[~small], kind="stable")]
    starts = np.flatnonzero(np.diff(code[by_code], prepend=-1))
    pools = [
        SharedSet(
            owner[some], members[ends[code[some[0]]] - sizes[code[some[0]]] : ends[code[some[0]]]]
        )
        for some in np.split(by_code, starts[1:])
        if len(some)
    ]
    return few, pools


def find_mark(
    queries: Float32s,
    lengths: Float64s,
    items: Any,
    few: Contenders,
    pools: list[SharedSet],
    first: int,
) -> Mark:
    """The best item of each query's set and its score, decided exactly.

    Args:
        queries: ``[q, d]``, of lengths ``[q]``.
        items: ``[n, (v,) d]``.
        few: the items of small sets.
        pools: larger sets.
        first: position of the first query, for messages.
    """
    found = [few, *(narrow_pool(queries, lengths, items, pool, first) for pool in pools)]
    owner, positions, weights = (
        np.concatenate([getattr(each, name) for each in found])
        for name in ("owner", "positions", "weights")
    )
    order = np.argsort(owner, kind="stable")
    owner, positions, weights = owner[order], positions[order], weights[order]
    v, d = items.shape[1] if len(items.shape) == 3 else 1, queries.shape[1]
    scores, bounds = np.empty((2, len(owner), v))
    for start in range(0, len(owner), max(1, HELD_NUMBERS // (v * d))):
        part = slice(start, start + max(1, HELD_NUMBERS // (v * d)))
        block = gather(items, positions[part]).reshape(-1, d)
        who = np.repeat(owner[part], v)
        sizes = bound_lengths(block)
        require_finite(sizes, "item", np.repeat(positions[part], v))
        require_no_overflow(lengths[who], sizes, first + who, np.repeat(positions[part], v))
        scores[part] = score_pairs(queries, block, who, np.arange(len(who))).reshape(-1, v)
        bounds[part] = (gamma(d, U64) * lengths[who] * sizes * SLACK).reshape(-1, v)
    return choose_best(queries, items, Contenders(owner, positions, weights), scores, bounds)


def narrow_pool(
    queries: Float32s, lengths: Float64s, items: Any, pool: SharedSet, first: int
) -> Contenders:
    """The items of a pool that float32 scores can't tell from the best; of equal ones in a block the first."""
    rows = [np.zeros(0, np.int64)]
    positions, weights, high = [rows[0]], [rows[0]], [np.zeros(0)]
    v, d = items.shape[1] if len(items.shape) == 3 else 1, queries.shape[1]
    asked, step = queries[pool.rows], max(1, POOL_VECTORS // v)
    floor = np.full(len(asked), -np.inf)
    for start in range(0, len(pool.positions), step):
        some = pool.positions[start : start + step]
        block = gather(items, some)
        sizes = bound_lengths(block.reshape(-1, d))
        require_finite(sizes, "item", np.repeat(some, v))
        longest, query = sizes.max(), lengths[pool.rows].argmax()
        require_no_overflow(
            lengths[pool.rows[query]], longest, first + pool.rows[query], some[sizes.argmax() // v]
        )
        alike = np.ones(len(some), np.int64)
        if (copies := find_copies(block)) is not None:
            block, some, alike = block[copies[0]], some[copies[0]], np.bincount(copies[1])
        rough = (block.reshape(-1, d) @ asked.T).reshape(len(some), v, -1).max(axis=1)
        error = float32_bound(lengths[pool.rows], float(longest), d)
        floor = np.maximum(floor, np.nextafter(rough.max(axis=0) - error, -np.inf))
        item, row = np.nonzero(np.nextafter(rough + error, np.inf) >= floor)
        rows.append(row)
        positions.append(some[item])
        weights.append(alike[item])
        high.append(np.nextafter(rough[item, row] + error[row], np.inf))
    row = np.concatenate(rows)
    kept = np.concatenate(high) >= floor[row]
    return Contenders(
        pool.rows[row[kept]], np.concatenate(positions)[kept], np.concatenate(weights)[kept]
    )


def choose_best(
    queries: Float32s, items: Any, candidates: Contenders, scores: Float64s, bounds: Float64s
) -> Mark:
    """The best of each query's candidates, whose vectors have the scores ``[c, v]``, good to ``bounds [c, v]``."""
    q, owner = len(queries), candidates.owner
    top, bound = np.full(q, -np.inf), np.zeros(q)
    np.maximum.at(top, owner, scores.max(axis=1))
    np.maximum.at(bound, owner, bounds.max(axis=1))
    place, inner = np.nonzero(scores >= (top - 2 * bound * SLACK)[owner][:, None])
    rows = owner[place]
    near = np.bincount(rows, minlength=q)
    winner = np.full(q, -1)
    winner[rows[::-1]] = np.arange(len(rows))[::-1]  # the first
    level = np.zeros(q, np.int64)
    level[rows] = candidates.weights[place]
    for i in np.flatnonzero(near > 1).tolist():
        some = winner[i] + np.arange(near[i])
        exact = ExactScores(queries[i])
        vectors = gather(items, candidates.positions[place[some]])
        keys = [exact.vector_key(each[j]) for each, j in zip(vectors, inner[some], strict=True)]
        best = max(keys)
        tied = some[[key == best for key in keys]]
        winner[i] = tied[0]
        level[i] = candidates.weights[np.unique(place[tied])].sum()
    known = np.flatnonzero(winner >= 0)
    taken = winner[known]
    chosen, of_item, marks = np.full(q, -1), np.zeros(q, np.int64), np.full(q, np.inf)
    chosen[known], of_item[known] = candidates.positions[place[taken]], inner[taken]
    marks[known] = scores[place[taken], inner[taken]]
    vectors = np.zeros_like(queries)
    for start in range(0, len(known), CHUNK_VECTORS):
        some = known[start : start + CHUNK_VECTORS]
        vectors[some] = gather(items, chosen[some])[np.arange(len(some)), of_item[some]]
    return Mark(marks, np.where(winner >= 0, bound, 0), vectors, chosen, of_item, level)
