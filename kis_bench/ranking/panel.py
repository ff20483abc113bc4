"""Counts the items above and level with each query's target while blocks of items pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.errors import BadVector
from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import (
    LARGEST_LENGTH,
    SLACK,
    U64,
    ExactScores,
    bound_lengths,
    exact_signs,
    float32_bound,
    gamma,
    gather,
    require_finite,
    round_down,
    round_up,
    to_block,
)
from kis_bench.ranking.single_scores import rounded_sums
from kis_bench.ranking.top_items import TopItems
from kis_bench.records import Float32s, Float64s, Int64s, Ranks

BLOCK_VECTORS, BLOCK_QUERIES = 4096, 1024
PAIR_NUMBERS = 2**20  #: of the vectors of undecided pairs that are looked at together
MANY_PAIRS = 2**14  #: undecided, from which on it pays to look for equal items first
MARK_ABOVE, MARK_LEVEL = (
    2,
    1,
)  #: marks of a group with an item above, or level with, the target's group


@dataclass(frozen=True)
class Mark:
    """The vector of each query that the items are compared with."""

    vectors: Float32s  # [q, d]
    scores: Float64s  # [q], the real score correctly rounded
    items: Int64s  # [q] the item it belongs to

    rounding: Float64s  # [q] how far ``scores`` may be off

    def thresholds(self, error: Float64s, rows: slice) -> tuple[Float32s, Float32s]:
        """Float32 scores below the first are surely below the mark, those above the second surely above: ``[q, 1]``."""
        slack = (error + self.rounding[rows]) * SLACK
        return round_down(self.scores[rows] - slack)[:, None], round_up(self.scores[rows] + slack)[
            :, None
        ]


class Wider:
    """Counts of what stands above and level with the best item of each query's wider set."""

    def __init__(self, mark: Mark, sets: list[tuple[int, ...]], n: int) -> None:
        self.mark, self.sets, self.n = mark, sets, n
        self.members = np.array(
            sorted(q * n + item for q, some in enumerate(sets) for item in some), np.int64
        )
        self.above, self.tied = (np.zeros(len(sets), np.int64) for _ in range(2))

    def count(self, rows: slice, higher: NDArray[np.bool_], ties: Int64s, items: Int64s) -> None:
        """Counts the items of a block that are above, bool ``[q, b]``, and level, as (row, item)."""
        self.above[rows] += [np.count_nonzero(row) for row in higher]
        if len(ties) == 0:
            return
        keys = (rows.start + ties) * self.n + items
        place = np.minimum(
            np.searchsorted(self.members, keys), len(self.members) - 1
        )  # members are in order
        rivals = self.members[place] != keys
        self.tied[rows] += np.bincount(ties[rivals], minlength=len(higher))

    def places(self) -> tuple[Int64s, Int64s]:
        """Best and worst rank ``[q]``; 0 for a query without a wider set."""
        known = np.array([len(some) > 0 for some in self.sets], dtype=bool)
        return np.where(known, 1 + self.above, 0), np.where(known, 1 + self.above + self.tied, 0)


class Panel:
    """A block of queries that is compared with all items in one pass."""

    def __init__(
        self,
        queries: Float32s,
        query_lengths: Float64s,
        items: Any,
        targets: list[tuple[int, ...]],
        wider: list[list[tuple[int, ...]]],
        codes: Int64s | None,
        first: int,
    ) -> None:
        self.queries, self.query_lengths, self.items, self.codes = (
            queries,
            query_lengths,
            items,
            codes,
        )
        self.first = first  # position of the first query, for messages
        self.equal = EqualItems(queries, items)
        self.target = self.find_best_of_sets(targets)
        # Sets that are no wider than a single target need no counting of their own.
        alone = all(len(some) == 1 for some in targets)
        self.wider = [
            None
            if alone and some == targets
            else Wider(self.find_best_of_sets(some), some, len(items))
            for some in wider
        ]
        self.group: Mark | None = None
        if codes is not None:
            by_group = np.argsort(codes, kind="stable")
            members = np.split(by_group, np.cumsum(np.bincount(codes))[:-1])
            keys = [tuple(sorted({int(codes[t]) for t in some})) for some in targets]
            self.group = self.find_best(
                keys, {key: np.concatenate([members[g] for g in key]) for key in set(keys)}
            )

    def find_best_of_sets(self, sets: list[tuple[int, ...]]) -> Mark:
        return self.find_best(sets, {key: np.array(key) for key in set(sets)})

    def find_best(
        self, keys: list[tuple[int, ...]], positions: dict[tuple[int, ...], Int64s]
    ) -> Mark:
        """For each query the best-scoring vector of the items ``positions[keys[query]]``, decided exactly.

        Queries that look at the same items share one matrix product.
        """
        vectors, chosen = np.zeros_like(self.queries), np.zeros(len(keys), np.int64)
        one_vector = len(self.items.shape) == 2 or self.items.shape[1] == 1
        single = [one_vector and len(positions[key]) == 1 for key in keys]
        for start in range(0, len(keys), BLOCK_QUERIES):  # where nothing has to be compared
            some = start + np.flatnonzero(single[start : start + BLOCK_QUERIES])
            if len(some):
                chosen[some] = [positions[keys[i]][0] for i in some]
                vectors[some] = gather(self.items, chosen[some])[:, 0]
                require_finite(bound_lengths(vectors[some]), "item", chosen[some])
        rows: dict[tuple[int, ...], list[int]] = {}
        for i in np.flatnonzero(~np.array(single, bool)).tolist():
            rows.setdefault(keys[i], []).append(i)
        for key, together in rows.items():
            if not key:
                continue  # a query that has no wider set: its places are told to be unknown
            for start in range(0, len(positions[key]), BLOCK_VECTORS):
                some = positions[key][start : start + BLOCK_VECTORS]
                items, best = self.find_winners(together, some)
                if start:  # those of the blocks before may be better
                    kept = [
                        is_better(self.queries[i], vectors[i], vector)
                        for i, vector in zip(together, best, strict=True)
                    ]
                    items = np.where(kept, items, chosen[together])
                    best = np.where(np.array(kept)[:, None], best, vectors[together])
                chosen[together], vectors[together] = items, best
        scores = np.zeros(len(keys))
        for start in range(0, len(keys), BLOCK_QUERIES):
            part = slice(start, start + BLOCK_QUERIES)
            terms = self.queries[part].astype(np.float64) * vectors[part]
            scores[part] = rounded_sums(terms) + 0.0  # never -0
        return Mark(
            vectors, scores, chosen, gamma(1, U64) * self.query_lengths * bound_lengths(vectors)
        )

    def find_winners(self, rows: list[int], some: Int64s) -> tuple[Int64s, Float32s]:
        """Of the items ``some`` the best for each query of ``rows``, and its best vector; of equals the first."""
        block = gather(self.items, some)
        flat = block.reshape(-1, block.shape[2])
        owner = np.repeat(some, block.shape[1])
        sizes = bound_lengths(flat)
        require_finite(sizes, "item", owner)
        queries = self.queries[rows]
        rough = queries.astype(np.float64) @ flat.astype(np.float64).T
        bound = gamma(flat.shape[1], U64) * self.query_lengths[rows] * sizes.max() * SLACK
        close = rough >= (rough.max(axis=1) - 2 * bound * SLACK)[:, None]
        winners = close.argmax(axis=1)  # the first; where the bound is 0 all scores are
        for j in np.flatnonzero((close.sum(axis=1) > 1) & (bound > 0)).tolist():
            rivals, exact = np.flatnonzero(close[j]), ExactScores(queries[j])
            shown = flat[rivals][:, queries[j] != 0]
            if not (shown == shown[0]).all():  # else there is nothing to sum
                keys = [exact.vector_key(flat[i]) for i in rivals]
                winners[j] = rivals[keys.index(max(keys))]
        return owner[winners], flat[winners]

    def ranks(
        self,
        top_k: int,
        block_queries: int | None,
        block_items: int | None,
        advance: Callable[[int], None] | None = None,
    ) -> Ranks:
        """The pass over the items."""
        q, (n, *inner, _) = len(self.queries), self.items.shape
        v = inner[0] if inner else 1
        height, width = (
            block_queries or BLOCK_QUERIES,
            min(block_items or max(1, BLOCK_VECTORS // v), max(1, n)),
        )
        panels = [slice(i, min(i + height, q)) for i in range(0, q, height)]
        tops = [TopItems(self.equal, rows, min(top_k, n)) for rows in panels]
        above, tied = np.zeros(q, np.int64), np.zeros(q, np.int64)
        marks = (
            None
            if self.codes is None
            else np.zeros((q, int(self.codes.max(initial=-1)) + 1), np.uint8)
        )
        buffer = np.empty(min(height, q) * width * v, np.float32)
        best = np.empty(min(height, q) * width if v > 1 else 0, np.float32)
        for start in range(0, n, width):
            block = to_block(self.items[start : start + width])
            longest = self.find_longest(block, start)
            for rows, top in zip(panels, tops, strict=True):
                scores = compute_block_scores(self.queries[rows], block, buffer, best)
                error = float32_bound(self.query_lengths[rows], longest, block.shape[2])
                higher, (ties, _) = self.compare(self.target, scores, error, block, rows, start)
                above[rows] += [np.count_nonzero(row) for row in higher]  # faster than axis=1
                tied[rows] += np.bincount(ties, minlength=len(higher))
                top.add(start, scores, error)
                for wide in (w for w in self.wider if w is not None and len(w.members)):
                    higher, (ties, columns) = self.compare(
                        wide.mark, scores, error, block, rows, start
                    )
                    wide.count(rows, higher, ties, start + columns)
                if self.group is not None and self.codes is not None and marks is not None:
                    higher, level = self.compare(self.group, scores, error, block, rows, start)
                    add_marks(marks[rows], self.codes[start : start + width], higher, level)
                if advance is not None:
                    advance(scores.size)
        found = [top.ordered() for top in tops]
        named = np.concatenate([np.zeros((0, min(top_k, n)), np.int64), *found])
        strict = 1 + above, above + tied
        places = [strict if wide is None else wide.places() for wide in self.wider]
        both = np.array(places, np.int64).reshape(len(self.wider), 2, q)
        group_best = None if marks is None else 1 + (marks >= MARK_ABOVE).sum(axis=1)
        group_worst = None if marks is None else (marks >= MARK_LEVEL).sum(axis=1)
        middle = (
            None if group_best is None or group_worst is None else (group_best + group_worst) / 2
        )
        return Ranks(
            *strict,
            (1 + 2 * above + tied) / 2,
            middle,
            named,
            self.target.scores.astype(np.float32),
            group_best,
            group_worst,
            both[:, 0].T,
            both[:, 1].T,
        )

    def find_longest(self, block: Float32s, start: int) -> float:
        """Length of the longest vector of ``block [b, v, d]``. Raises BadVector for one that could overflow."""
        sizes = bound_lengths(block.reshape(-1, block.shape[2]))
        owner = start + np.arange(len(sizes)) // block.shape[1]
        require_finite(sizes, "item", owner)
        if len(self.queries) and self.query_lengths.max() * sizes.max() >= LARGEST_LENGTH:
            query, item = self.first + int(self.query_lengths.argmax()), owner[sizes.argmax()]
            raise BadVector(
                f"query {query} and item {item}: their score could overflow float32; normalise the vectors"
            )
        return float(sizes.max())

    def compare(
        self,
        mark: Mark,
        scores: Float32s,
        error: Float64s,
        block: Float32s,
        rows: slice,
        start: int,
    ) -> tuple[NDArray[np.bool_], tuple[Int64s, Int64s]]:
        """Items above the mark, bool ``[q, b]``, and (row, column) of those level with it.

        The ``block`` of items begins with that of position ``start``.
        """
        low, high = mark.thresholds(error, rows)
        above = scores > high
        open_ = scores >= low
        open_ ^= above
        level = np.zeros_like(open_)
        if np.count_nonzero(open_) > MANY_PAIRS and self.equal.few:
            # Most are copies of the mark's item, as a rule.
            level = self.equal.find_equal(rows, mark.items[rows], start, scores.shape[1])
            level &= open_
            open_ ^= level
        row, column = np.divmod(np.flatnonzero(open_), scores.shape[1])
        signs = np.zeros(len(row), np.int8)
        _, v, d = block.shape
        step = max(1, PAIR_NUMBERS // (v * d))
        for i in range(0, len(row), step):
            some = slice(i, i + step)
            who = np.repeat(rows.start + row[some], v)
            rivals = block[column[some]].reshape(len(who), -1)
            signs[some] = (
                exact_signs(self.queries[who], rivals, mark.vectors[who]).reshape(-1, v).max(axis=1)
            )
        above[row, column] = signs > 0
        level[row, column] = signs == 0
        row, column = np.divmod(np.flatnonzero(level), scores.shape[1])
        return above, (row, column)


def is_better(query: Float32s, before: Float32s, vector: Float32s) -> bool:
    """Whether the real score of ``vector`` is above that of the one before."""
    return bool(exact_signs(query[None], vector[None], before[None])[0] > 0)


def compute_block_scores(
    queries: Float32s, block: Float32s, buffer: Float32s, best: Float32s
) -> Float32s:
    """Float32 scores ``[q, b]`` of ``block [b, v, d]``, each item's best vector, written into the flat buffers."""
    b, v, d = block.shape
    q = len(queries)
    every = buffer[: q * b * v].reshape(q, b * v)
    np.matmul(queries, block.reshape(-1, d).T, out=every)
    if v == 1:
        return every
    scores = best[: q * b].reshape(q, b)
    np.maximum(every[:, 0::v], every[:, 1::v], out=scores)
    for j in range(2, v):
        np.maximum(scores, every[:, j::v], out=scores)
    return scores


def add_marks(
    marks: NDArray[np.uint8], codes: Int64s, above: NDArray[np.bool_], level: tuple[Int64s, Int64s]
) -> None:
    """Notes in ``marks [q, groups]`` which groups have an item above or level, from ``above [q, b]`` and pairs."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    marks[:, present] |= np.logical_or.reduceat(above[:, order], starts, axis=1) * np.uint8(
        MARK_ABOVE
    )
    marks[level[0], codes[level[1]]] |= MARK_LEVEL
