"""Counts the items above and level with each query's target while blocks of items pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from kis_bench.ranking.blocks import Block, choose_width, find_longest, read_block
from kis_bench.ranking.decisions import Decided, Mark, decide_pairs, join_vectors
from kis_bench.ranking.engines import BlockScores, Compared, Engine, MakeEngine, NumpyEngine
from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import float32_bound
from kis_bench.ranking.group_marks import GroupMarks
from kis_bench.ranking.marks import ItemSets, find_mark, split_groups
from kis_bench.ranking.top_items import TopItems
from kis_bench.ranking.whole_order import WholeOrder, suits_whole_order
from kis_bench.records import Float32s, Float64s, Int64s, Ranks
from kis_bench.threads import count_shares, share_out

BLOCK_QUERIES = 1024
#: Pairs that float32 leaves open in a block, from which on there may be many equal items, if they are this share of
#: all, too: four times what targets drawn at random leave open.
MANY_PAIRS, SHARE_OF_PAIRS = 2**10, 1 / 256


class Panel:
    """A block of queries that is compared with all items in one pass."""

    def __init__(
        self,
        queries: Float32s,
        query_lengths: Float64s,
        items: Any,
        targets: ItemSets,
        wider: list[ItemSets],
        codes: Int64s | None,
        first: int,
        make_engine: MakeEngine,
    ) -> None:
        self.queries, self.query_lengths, self.items = queries, query_lengths, items
        self.first = first  # position of the first query, for messages
        self.engine: Engine = make_engine(queries)
        self.equal = EqualItems(queries, items)
        self.used = (queries != 0).any(axis=0)
        self.suspects_copies = False
        self.limits: dict[int, tuple[float, list[tuple[Float32s, Float32s]]]] = {}

        def find(few: Any, pools: Any) -> Mark:
            return find_mark(queries, query_lengths, items, few, pools, first)

        self.marks = [find(*targets.split())]
        self.wider = []  # which mark is that of each wider set
        for some in wider:
            if not some.equal(targets):
                self.marks.append(find(*some.split()))
            self.wider.append(0 if some.equal(targets) else len(self.marks) - 1)
        self.codes = codes
        self.counted = len(self.marks)  # the mark behind these is that of groups
        if codes is not None:
            self.marks.append(find(*split_groups(targets, codes)))

    def ranks(
        self,
        top_k: int,
        block_queries: int | None,
        block_items: int | None,
        advance: Callable[[int], None] | None = None,
        *,
        scored: bool,
    ) -> Ranks:
        """The pass over the items, or over the queries where all items are ordered."""
        q, (n, *inner, d) = len(self.queries), self.items.shape
        v, k = inner[0] if inner else 1, min(top_k, n)
        terms, threads = q * n * v * d, self.engine.threads
        height = block_queries or BLOCK_QUERIES
        self.panels = [slice(i, min(i + height, q)) for i in range(0, q, height)]
        self.tops = [TopItems(self.equal, self.query_lengths, rows, k) for rows in self.panels]
        self.lock = threading.Lock()
        self.whole: WholeOrder | None = None
        counts = np.zeros((len(self.marks), 2, q), np.int64)
        width = block_items or choose_width(n, v, count_shares(terms, threads))
        starts, count = range(0, n, max(1, width)), self.count_block
        own = isinstance(
            self.engine, NumpyEngine
        )  # no other library makes scores in float64 for us
        if own and block_queries is block_items is None and suits_whole_order(self.equal, k):
            block = read_block(self.items, slice(0, n))
            longest = find_longest(block, self.query_lengths, self.first)
            self.whole = WholeOrder(
                self.equal, block, self.query_lengths, longest, k, scored=scored
            )
            width, starts, count = n, range(0, q, self.whole.step), self.count_queries
        self.width = min(width, max(1, n))
        self.groups = None if self.codes is None else GroupMarks(self.codes, self.width, q)
        for found, scores in share_out(count, starts, terms, threads):
            counts += found
            if advance is not None:
                advance(scores)
        return self.make_ranks(counts, k, scored)

    def make_ranks(self, counts: Int64s, k: int, scored: bool) -> Ranks:
        q, (above, level) = len(self.queries), counts[0]
        found = [(np.zeros((0, k), np.int64), np.zeros((0, k)))]
        found += [top.list_best() for top in self.tops] if self.whole is None else [self.whole.best]
        named, named_scores = (np.concatenate(each) for each in zip(*found, strict=True))
        best, worst = 1 + above, above + level
        places = np.zeros((len(self.wider), 2, q), np.int64)  # 0: the query has no wider set
        for place, m in zip(places, self.wider, strict=True):
            known, (higher, alike) = self.marks[m].items >= 0, counts[m]
            own = self.marks[m].level  # which are no rivals of one another
            place[0, known] = (1 + higher)[known]
            place[1, known] = (1 + higher + alike - own)[known]
        group_best = group_worst = middle = None
        if self.groups is not None:
            group_above, group_level = counts[-1] + self.groups.count()
            group_best, group_worst = 1 + group_above, group_above + group_level
            middle = (group_best + group_worst) / 2
        return Ranks(
            best,
            worst,
            (best + worst) / 2,
            middle,
            named,
            self.marks[0].round_scores(self.queries),
            group_best,
            group_worst,
            places[:, 0].T,
            places[:, 1].T,
            named_scores if scored else None,
        )

    def count_block(self, start: int) -> tuple[Int64s, int]:
        """How many items of a block are above each mark of each query, and level, ``[m, 2, q]``; of how many scores."""
        part = slice(start, start + self.width)
        block, longest = read_block(self.items, part), None
        if self.suspects_copies:
            longest = find_longest(block, self.query_lengths, self.first)
            block = block.join_copies(self.used)
        counts = np.zeros((len(self.marks), 2, len(self.queries)), np.int64)
        for number, rows in enumerate(self.panels):
            scores = self.engine.multiply(rows, block.pieces)
            if longest is None:
                longest = find_longest(block, self.query_lengths, self.first)
            compared = self.compare(scores, block, rows, longest)
            many = block.shape[0] * (rows.stop - rows.start) * SHARE_OF_PAIRS
            many = max(MANY_PAIRS, many)
            if block.number is None and max(len(each.rows) for each in compared) > many:
                self.suspects_copies = True  # in the blocks to come, too
                block = block.join_copies(self.used)
                if block.number is not None:
                    scores = self.engine.multiply(rows, block.pieces)
                    compared = self.compare(scores, block, rows, longest)
            counts[:, :, rows] = self.count_marks(block, rows, compared, longest)
            if self.tops[number].wants_scores:
                items, places = block.list_first(self.tops[number].k)
                best, error = scores.read()[places], self.find_error(rows, longest)
                with self.lock:
                    self.tops[number].add(items, best, error, longest)
        return counts, block.size * len(self.queries)

    def count_queries(self, start: int) -> tuple[Int64s, int]:
        """What `count_block` returns, of all items and some queries, whose first items are put in order as well."""
        assert self.whole is not None
        rows = slice(start, min(start + self.whole.step, len(self.queries)))
        block, error = self.whole.block, self.whole.bounds[rows]
        counts = np.zeros((len(self.marks), 2, len(self.queries)), np.int64)
        scores = self.whole.multiply(rows)
        compared = [
            scores.compare(*mark.limits(error, rows), block.weights, keep=m >= self.counted)
            for m, mark in enumerate(self.marks)
        ]
        counts[:, :, rows] = self.count_marks(block, rows, compared, self.whole.longest)
        self.whole.order(rows, scores.best)
        return counts, block.size * (rows.stop - rows.start)

    def count_marks(
        self, block: Block, rows: slice, compared: list[Compared], longest: float
    ) -> Int64s:
        """How many items of a block are above each mark of some queries, and level with it, ``[m, 2, r]``."""
        counts = np.empty((len(compared), 2, rows.stop - rows.start), np.int64)
        for m, (mark, one) in enumerate(zip(self.marks, compared, strict=True)):
            decided = self.decide(mark, block, rows, one, longest)
            if m < self.counted or self.groups is None:
                counts[m] = count_items(block, one, decided)
            else:
                counts[m] = self.groups.add(block, rows, one.above, decided)
        return counts

    def compare(
        self, scores: BlockScores, block: Block, rows: slice, longest: float
    ) -> list[Compared]:
        """What float32 scores of a block say under each mark, if its vectors are no longer than ``longest``."""
        return [
            scores.compare(*limit, block.weights, keep=m >= self.counted)
            for m, limit in enumerate(self.find_limits(rows, longest))
        ]

    def find_error(self, rows: slice, longest: float) -> Float64s:
        """How far float32 scores with vectors up to a length may be off ``[q]``."""
        return float32_bound(self.query_lengths[rows], longest, self.queries.shape[1])

    def find_limits(self, rows: slice, longest: float) -> list[tuple[Float32s, Float32s]]:
        """What `Mark.limits` says under each mark; as a rule what it said of the block before."""
        known, limits = self.limits.get(rows.start, (-1.0, []))
        if known != longest:
            error = self.find_error(rows, longest)
            limits = [mark.limits(error, rows) for mark in self.marks]
            self.limits[rows.start] = longest, limits
        return limits

    def decide(
        self, mark: Mark, block: Block, rows: slice, left: Compared, longest: float
    ) -> Decided:
        """Which of the pairs of a block that float32 scores left open are above or level with a mark."""
        _, v, _ = block.shape
        if len(left.rows) == 0:
            return Decided(left.vectors, left.rows, np.zeros(0, np.int8))
        items, who = left.vectors // v, rows.start + left.rows
        same = block.place(mark.items[rows])
        same = np.where(same < 0, -1, same * v + mark.inner[rows])[left.rows] == left.vectors
        if len(who) > MANY_PAIRS and self.equal.few:
            shown = items if block.first is None else block.first[items]
            same |= self.equal.find_equal(who, mark.items[who], block.start + shown)
        signs = np.zeros(len(who), np.int8)
        if not same.all():
            flat, places = block.find_vectors(left.vectors[~same])
            lengths, who = self.query_lengths, who[~same]
            signs[~same] = decide_pairs(self.queries, lengths, mark, flat, longest, places, who)
        decided = Decided(items, left.rows, signs)
        return decided if v == 1 else join_vectors(decided)


def count_items(block: Block, compared: Compared, decided: Decided) -> Int64s:
    """Items of a block above the mark and level with it, ``[2, q]``."""
    q = len(compared.counts)
    some = decided.signs >= 0
    places = decided.rows[some] + q * (decided.signs[some] == 0)
    weights = None if block.weights is None else block.weights[decided.items[some]]
    found = np.bincount(places, weights, minlength=2 * q).astype(np.int64).reshape(2, q)
    found[0] += compared.counts
    return found
