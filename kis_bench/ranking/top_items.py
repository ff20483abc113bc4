"""The best items of each query while blocks of float32 scores pass by, in exact order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kis_bench.ranking.blocks import Block
from kis_bench.ranking.decisions import score_pairs
from kis_bench.ranking.engines import find_true
from kis_bench.ranking.equal_items import MOST_NUMBERS, EqualItems
from kis_bench.ranking.exact_scores import (
    SLACK,
    U64,
    ItemKeys,
    gamma,
    gather,
    round_down,
)
from kis_bench.ranking.score_order import order_scores
from kis_bench.ranking.whole_order import WholeOrder
from kis_bench.records import Float32s, Float64s, Int64s

SPARE_CANDIDATES = (
    2**20
)  #: candidates of a block of queries, beyond k each, before they are settled exactly
ALIGNED_SCORES = 2**18  #: which stay in the cache
LOOSE = 2  #: so many times k candidates are kept before they are sorted again
FIRST_BLOCK_PARTS = (
    4  #: times k, of a first block, of which the best scores say how high the k best are
)
BAND_NUMBERS = 2**18  #: of scores that are compared at once
#: Up to so many times the candidates of a query all queries' candidates are multiplied by it, which is quicker.
ALL_SHARE = 12
SCORED_VECTORS = 2**10  #: at once, where each query has its own candidates


@dataclass
class Candidates:
    """Items that may be among the best of a block of queries; parallel arrays ``[c]``."""

    row: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    item: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    low: Float64s = field(
        default_factory=lambda: np.zeros(0)
    )  # the exact score is surely not below
    high: Float64s = field(default_factory=lambda: np.zeros(0))  # nor above

    def take(self, index: Any) -> Candidates:
        return Candidates(self.row[index], self.item[index], self.low[index], self.high[index])

    def join(self, other: Candidates) -> Candidates:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Candidates(*(np.concatenate(pair) for pair in pairs))


class TopItems:
    """The ``k`` best items of a block of queries, those of ``rows``.

    An item stays a candidate while its score can reach the floor: the k-th highest lower bound seen so far.
    """

    def __init__(self, equal: EqualItems, lengths: Float64s, rows: slice, k: int) -> None:
        self.k, self.items, self.queries, self.lengths = (
            k,
            equal.items,
            equal.queries[rows],
            lengths[rows],
        )
        self.floor = np.full(len(self.queries), -np.inf)
        self.kept, self.longest = Candidates(), 0.0

    @property
    def wants_scores(self) -> bool:
        """Whether `add` has to be called: not where nothing is named."""
        return self.k > 0

    def add(self, items: Int64s, scores: Float32s, error: Float64s, longest: float) -> None:
        """Takes float32 ``scores [b, q]`` of some ``items [b]``, each good to ``error [q]``, up to a length."""
        q = scores.shape[1]
        self.longest = max(self.longest, longest)
        if not np.isfinite(self.floor).any():  # else a first block would be kept whole
            self.floor = find_floor(scores, self.k, error)
        column, row = np.divmod(find_high(scores, round_down(self.floor - error)), q)
        found, slack = scores[column, row].astype(np.float64), error[row]
        # Outward steps, because the sums of score and error are rounded.
        low = np.nextafter(found - slack, -np.inf)
        high = np.nextafter(found + slack, np.inf)
        self.keep(Candidates(row, items[column], low, high))

    def tell(self) -> tuple[Candidates, float]:
        """The candidates that are left, with the length of the longest vector, for `take` of another."""
        if self.wants_scores:
            self.prune()
        return self.kept, self.longest

    def take(self, best: Candidates, longest: float) -> None:
        """Takes what is left of other items, whose vectors are up to a length."""
        self.longest = max(self.longest, longest)
        self.keep(best)

    def keep(self, some: Candidates) -> None:
        """Adds candidates, and drops what can't be among the best once there are many."""
        self.kept = self.kept.join(some)
        wanted = len(self.queries) * self.k
        if len(self.kept.row) > min(wanted * LOOSE, wanted + SPARE_CANDIDATES):
            self.prune()
        if len(self.kept.row) > wanted + SPARE_CANDIDATES:
            self.settle()

    def prune(self) -> None:
        """Raises the floors and drops what lies below them."""
        self.kept = self.kept.take(np.lexsort((-self.kept.low, self.kept.row)))
        counts = np.bincount(self.kept.row, minlength=len(self.queries))
        last = np.cumsum(counts) - counts + self.k - 1
        full = counts >= self.k
        self.floor[full] = np.maximum(self.floor[full], self.kept.low[last[full]])
        self.kept = self.kept.take(self.kept.high >= self.floor[self.kept.row])

    def settle(self) -> None:
        """Keeps only the exact best k of what was seen: bounded memory when very many items score the same."""
        best, _ = self.list_best()
        row = np.repeat(np.arange(len(best)), best.shape[1])
        wanted = row * len(self.items) + best.ravel()
        have = self.kept.row * len(self.items) + self.kept.item
        self.kept = self.kept.take(np.isin(have, wanted))

    def list_best(self) -> tuple[Int64s, Float64s]:
        """Positions of the best k items, best first and equals by position, and their scores: ``[q, k]``."""
        if self.k == 0 or len(self.queries) == 0:
            return np.zeros((len(self.queries), self.k), np.int64), np.zeros(
                (len(self.queries), self.k)
            )
        every, kept = np.unique(self.kept.item), len(self.kept.row)
        numbers = len(every) * int(np.prod(self.items.shape[1:]))
        if numbers <= MOST_NUMBERS and len(every) * len(self.queries) <= ALL_SHARE * kept:
            return self.order_all(every)
        order = np.lexsort((self.kept.item, self.kept.row))
        row, items = self.kept.row[order], self.kept.item[order]
        scores = self.score(row, items)
        counts = np.bincount(row, minlength=len(self.queries))
        starts = np.cumsum(counts) - counts
        # Rows of about as many candidates together, in bounded memory.
        shape, left = (len(counts), self.k), np.argsort(-counts)
        found, best = np.empty(shape, np.int64), np.empty(shape)
        while len(left):
            some, left = np.split(left, [max(1, ALIGNED_SCORES // int(counts[left[0]]))])
            width = np.arange(counts[some[0]])
            places = np.minimum(starts[some, None] + width, len(items) - 1)
            found[some], best[some] = self.order_some(
                some, items[places], scores[places], counts[some]
            )
        return found, best

    def order_all(self, items: Int64s) -> tuple[Int64s, Float64s]:
        """What `list_best` returns, of items among which all candidates are: what is none is surely no better."""
        block = Block(0, len(items), [gather(self.items, items)])
        whole = WholeOrder(
            EqualItems(self.queries, block.vectors),
            block,
            self.lengths,
            self.longest,
            self.k,
            scored=True,
        )
        for start in range(0, len(self.queries), whole.step):
            rows = slice(start, start + whole.step)
            whole.order(rows, whole.multiply(rows).best)
        return items[whole.named], whole.scores

    def score(self, rows: Int64s, items: Int64s) -> Float64s:
        """The scores of pairs of a query and an item in float64 ``[c]``."""
        v, d = int(np.prod(self.items.shape[1:-1])), self.queries.shape[1]
        if is_plain(self.items):
            vectors = (items[:, None] * v + np.arange(v)).ravel()
            flat = np.asarray(self.items).reshape(-1, d)
            every = score_pairs(self.queries, flat, rows.repeat(v), vectors)
            best: Float64s = every.reshape(-1, v).max(axis=1)
            return best
        scores, step = np.empty(len(rows)), max(1, SCORED_VECTORS // v)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = gather(self.items, items[part]).reshape(-1, d)
            own = score_pairs(self.queries, block, rows[part].repeat(v), np.arange(len(block)))
            scores[part] = own.reshape(-1, v).max(axis=1)
        return scores

    def order_some(
        self, rows: Int64s, items: Int64s, scores: Float64s, counts: Int64s
    ) -> tuple[Int64s, Float64s]:
        """The best k of some queries' candidates ``[r, w]``, of each row ascending, as many as count: ``[r, k]``."""
        bounds = gamma(self.queries.shape[1], U64) * self.lengths[rows] * self.longest * SLACK
        keys = ItemKeys(self.queries[rows], self.items)

        def find_keys(row: int, columns: Int64s) -> list[tuple[float, ...]] | None:
            return keys.find(row, items[row, columns])

        best = order_scores(scores, bounds, self.k, find_keys, counts=counts)
        return np.take_along_axis(items, best, axis=1), np.take_along_axis(scores, best, axis=1)


def is_plain(items: Any) -> bool:
    """Whether items are one array of float32 in memory, or mapped, from which vectors can be taken as they are."""
    plain = isinstance(items, np.ndarray) and items.dtype == np.float32
    return plain and bool(items.flags.c_contiguous)


def find_floor(scores: Float32s, k: int, error: Float64s) -> Float64s:
    """What at least ``k`` real scores of each query reach surely, by float32 ``scores [b, q]``, ``[q]``; or -inf.

    Each is the best of some items, which differ.
    """
    b, q = scores.shape
    if b < k:
        return np.full(q, -np.inf)
    size = max(1, b // max(1, FIRST_BLOCK_PARTS * k))
    best = scores[: b // size * size].reshape(-1, size, q).max(axis=1)
    found = np.partition(best, len(best) - k, axis=0)[len(best) - k] - error * (1 + 2.0**-20)
    return round_down(found).astype(np.float64)


def find_high(scores: Float32s, floor: Float32s) -> Int64s:
    """Where scores ``[b, q]`` reach the floors ``[q]``, in the flat array."""
    b, q = scores.shape
    step = max(1, BAND_NUMBERS // max(1, q))
    flags, found = np.empty((min(b, step), q), bool), [np.zeros(0, np.int64)]
    for start in range(0, b, step):
        band = scores[start : start + step]
        np.greater_equal(band, floor, out=flags[: len(band)])
        found.append(find_true(flags[: len(band)]) + start * q)
    return np.concatenate(found)
