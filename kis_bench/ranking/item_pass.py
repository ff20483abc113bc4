"""The pass over blocks of items: counts those above and level with each query's marks, and keeps the best."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kis_bench.ranking.blocks import Block, find_longest, read_block
from kis_bench.ranking.decisions import Decided, Mark, decide_pairs, join_vectors
from kis_bench.ranking.engines import BlockScores, Compared, Engine, MakeEngine
from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import float32_bound
from kis_bench.ranking.group_marks import GroupMarks, SplitGroups
from kis_bench.ranking.shares import BlockRange
from kis_bench.ranking.top_items import Candidates, TopItems
from kis_bench.ranking.whole_order import WholeOrder
from kis_bench.records import Float32s, Float64s, Int64s
from kis_bench.threads import share_out

BLOCK_QUERIES = 1024
#: Pairs that float32 leaves open in a block, from which on there may be many equal items, if they are this share of
#: all, too: four times what targets drawn at random leave open.
MANY_PAIRS, SHARE_OF_PAIRS = 2**10, 1 / 256


@dataclass(frozen=True)
class Tally:
    """What a share of the blocks says of some queries."""

    counts: Int64s  # [m, 2, q] items above each mark, and level with it
    best: list[
        tuple[Candidates, float]
    ]  # of each block of queries, with the longest vector's length
    groups: SplitGroups | None  # that reach over several blocks
    scores: int  # that were compared


@dataclass(frozen=True)
class PanelWork:
    """All that is known of some queries before the items pass; see `kis_bench.ranking.shares.SharedWork`."""

    queries: Float32s  # [q, d]
    query_lengths: Float64s
    first: int  # position of the first query, for messages
    marks: list[Mark]  # the one behind those that are counted is that of groups
    counted: int
    codes: Int64s | None  # [n] the group of each item
    n: int  # items of v vectors each
    v: int
    k: int  # best items that are named
    height: int  # queries in a block
    width: int  # items in a block
    make_engine: MakeEngine

    @property
    def terms(self) -> int:
        return self.queries.size * self.n * self.v

    def count_blocks(self) -> int:
        return -(-self.n // self.width)

    def run(self, items: Any, share: BlockRange) -> Tally:
        equal = EqualItems(self.queries, items)
        one = ItemPass(self, equal, self.make_engine(self.queries))
        one.count(share)
        return one.tell()


class ItemPass:
    """Blocks of items go by, and counts add up: in one process, or in a share of it.

    Args:
        work: what they are compared with.
        equal: the queries and all items.
        engine: multiplies them.
    """

    def __init__(self, work: PanelWork, equal: EqualItems, engine: Engine) -> None:
        self.work, self.equal, self.items, self.engine = work, equal, equal.items, engine
        self.queries, self.query_lengths, self.marks = work.queries, work.query_lengths, work.marks
        q = len(self.queries)
        self.used = (self.queries != 0).any(axis=0)
        self.suspects_copies = False
        self.limits: dict[int, tuple[float, list[tuple[Float32s, Float32s]]]] = {}
        height = work.height
        self.panels = [slice(i, min(i + height, q)) for i in range(0, q, height)]
        self.tops = [TopItems(equal, self.query_lengths, rows, work.k) for rows in self.panels]
        self.lock = threading.Lock()
        self.whole: WholeOrder | None = None
        self.groups = None if work.codes is None else GroupMarks(work.codes, work.width, q)
        self.counts, self.scores = np.zeros((len(self.marks), 2, q), np.int64), 0

    def count(self, share: BlockRange, advance: Callable[[int], None] | None = None) -> None:
        """Counts some blocks of items, in threads, and tells how many scores were compared in each."""
        width = self.work.width
        self.add_up(
            self.count_block, range(share.start * width, share.stop * width, width), advance
        )

    def count_whole(self, whole: WholeOrder, advance: Callable[[int], None] | None) -> None:
        """Counts all items at once, for some queries after the other."""
        self.whole = whole
        self.add_up(self.count_queries, range(0, len(self.queries), whole.step), advance)

    def add_up(
        self,
        count: Callable[[int], tuple[Int64s, int]],
        starts: Iterable[int],
        advance: Callable[[int], None] | None,
    ) -> None:
        for found, scores in share_out(count, starts, self.work.terms, self.engine.threads):
            self.counts += found
            self.scores += scores
            if advance is not None:
                advance(scores)

    def tell(self) -> Tally:
        """What was counted, for `take_all` of another."""
        groups = None if self.groups is None else self.groups.tell()
        return Tally(self.counts, [top.tell() for top in self.tops], groups, self.scores)

    def take_all(
        self,
        tallies: Iterable[tuple[BlockRange, Tally]],
        advance: Callable[[int], None] | None,
    ) -> None:
        """Adds up what was counted in shares, which hold each block once."""
        for _, tally in tallies:
            self.counts += tally.counts
            for top, (best, longest) in zip(self.tops, tally.best, strict=True):
                top.take(best, longest)
            if self.groups is not None and tally.groups is not None:
                self.groups.take(tally.groups)
            self.scores += tally.scores
            if advance is not None:
                advance(tally.scores)

    def list_best(self) -> tuple[Int64s, Float64s]:
        """Positions of the best items of each query, and their scores: ``[q, k]``."""
        if self.whole is not None:
            return self.whole.best
        k = self.work.k
        found = [(np.zeros((0, k), np.int64), np.zeros((0, k)))]
        named, scores = zip(*(found + [top.list_best() for top in self.tops]), strict=True)
        return np.concatenate(named), np.concatenate(scores)

    def count_groups(self) -> Int64s:
        """Groups above and level with the target's best one, ``[2, q]``."""
        assert self.groups is not None
        total: Int64s = self.counts[-1] + self.groups.count()
        return total

    def count_block(self, start: int) -> tuple[Int64s, int]:
        """How many items of a block are above each mark of each query, and level, ``[m, 2, q]``; of how many scores."""
        part = slice(start, start + self.work.width)
        block, longest = read_block(self.items, part), None
        if self.suspects_copies:
            longest = find_longest(block, self.query_lengths, self.work.first)
            block = block.join_copies(self.used)
        counts = np.zeros((len(self.marks), 2, len(self.queries)), np.int64)
        for number, rows in enumerate(self.panels):
            scores = self.engine.multiply(rows, block.pieces)
            if longest is None:
                longest = find_longest(block, self.query_lengths, self.work.first)
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
            scores.compare(*mark.limits(error, rows), block.weights, keep=m >= self.work.counted)
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
            if m < self.work.counted or self.groups is None:
                counts[m] = count_items(block, one, decided)
            else:
                counts[m] = self.groups.add(block, rows, one.above, decided)
        return counts

    def compare(
        self, scores: BlockScores, block: Block, rows: slice, longest: float
    ) -> list[Compared]:
        """What float32 scores of a block say under each mark, if its vectors are no longer than ``longest``."""
        return [
            scores.compare(*limit, block.weights, keep=m >= self.work.counted)
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
