"""All items of a small collection at once, for many queries: one product in float64 says where each item stands."""

from __future__ import annotations

import numpy as np

from kis_bench.ranking.blocks import Block
from kis_bench.ranking.engines import Compared, find_true
from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import SLACK, U64, ItemKeys, gamma
from kis_bench.ranking.score_order import order_scores
from kis_bench.records import Float32s, Float64s, Int64s

#: Looking for candidates first costs a query as much as so many multiplications for each that is wanted; a score costs
#: some to be sorted, too.
TERMS_A_CANDIDATE, TERMS_TO_SORT = 2**16, 128
PRODUCT_SCORES, LEAST_QUERIES = 2**18, 128  #: of a product; fewer queries would cost more each


def suits_whole_order(equal: EqualItems, k: int) -> bool:
    """Whether `WholeOrder` is the quick way to the ``k`` best of the items."""
    n, *inner, d = equal.items.shape
    terms = n * (int(np.prod(inner)) * d + TERMS_TO_SORT)
    if k == 0 or len(equal.queries) == 0 or terms > TERMS_A_CANDIDATE * k:
        return False
    return equal.few


class WholeOrder:
    """Scores of all items in float64, and the order of their ``k`` best.

    Items that are the same where a query isn't 0 are multiplied once, where that holds of all queries, and have one
    score, whatever a product of matrices makes of them.

    Args:
        equal: the queries and the items.
        block: all items.
        lengths: of the queries, or more ``[q]``.
        longest: of the items' vectors, or more.
        k: at most n.
        scored: whether the scores of the best are wanted.
    """

    def __init__(
        self,
        equal: EqualItems,
        block: Block,
        lengths: Float64s,
        longest: float,
        k: int,
        *,
        scored: bool,
    ) -> None:
        self.equal, self.longest, self.k = equal, longest, k
        first, number = equal.numbers[0]
        if len(equal.numbers) == 1 and len(first) < block.size:
            block = block.replace_copies(first, number)
        self.block = block
        #: Positions of the best items ``[q, k]``, best first and equals by position, of rows that were put in order.
        self.named = np.empty((len(lengths), k), np.int64)
        self.scores = np.empty((len(lengths) if scored else 0, k))  # theirs
        b, v, d = block.vectors.shape
        self.wide = block.vectors.reshape(b * v, d).astype(np.float64).T
        self.bounds = gamma(d, U64) * lengths * longest * SLACK
        self.step = max(LEAST_QUERIES, PRODUCT_SCORES // max(1, b * v, block.size))

    @property
    def best(self) -> tuple[Int64s, Float64s]:
        """What is named, and its scores."""
        return self.named, self.scores

    def multiply(self, rows: slice) -> WideScores:
        """Scores of the block's items for some queries, good to their ``bounds``."""
        every = self.equal.queries[rows].astype(np.float64) @ self.wide
        return WideScores(every, self.block.vectors.shape[1])

    def order(self, rows: slice, scores: Float64s) -> None:
        """Fills some rows of ``named`` and ``scores``, by scores ``[r, b]``, which may be overwritten."""
        queries, bounds, own = (
            each[rows] for each in (self.equal.queries, self.bounds, self.equal.patterns[1])
        )
        found = self.named[rows]
        for pattern in np.unique(own).tolist():
            some = own == pattern
            first, number = self.equal.numbers[pattern]
            copies = len(first) < len(number)
            few = scores if some.all() else scores[some]
            if copies:
                few = np.take(
                    few, number if self.block.number is not None else first[number], axis=1
                )
            find = ItemKeys(queries[some], self.equal.block).find
            alike = number if copies else None
            best = found[some] = order_scores(few, bounds[some], self.k, find, alike)
            if self.scores.size:
                self.scores[rows][some] = np.take_along_axis(few, best, axis=1)


class WideScores:
    """Scores of vectors ``every [q, b v]`` in float64 and the best of each item's, ``[q, b]``."""

    def __init__(self, every: Float64s, v: int) -> None:
        self.every, self.v = every, v
        self.best = every if v == 1 else every.reshape(len(every), -1, v).max(axis=2)

    def compare(
        self, low: Float32s, high: Float32s, weights: Int64s | None, *, keep: bool
    ) -> Compared:
        """Compares each item's highest score with the limits of each query, as `BlockScores.compare` does."""
        q, b = self.best.shape
        above = self.best > high.astype(np.float64)[:, None]
        open_ = self.best >= low.astype(np.float64)[:, None]
        open_ ^= above  # what is above is not below
        rows, items = np.divmod(find_true(open_), b)
        if self.v > 1:
            items = (items[:, None] * self.v + np.arange(self.v)).ravel()
            rows = np.repeat(rows, self.v)
            near = self.every[rows, items] >= low[rows]
            rows, items = rows[near], items[near]
        counts = np.array([np.count_nonzero(row) for row in above], np.int64)
        if weights is not None:
            counts = above @ weights
        return Compared(counts, above.T if keep else np.empty((0, q), bool), items, rows)
