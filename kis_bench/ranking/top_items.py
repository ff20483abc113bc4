"""The best items of each query while blocks of float32 scores pass by, in exact order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import (
    ExactScores,
    gather,
    round_down,
)
from kis_bench.ranking.whole_order import order_whole, suits_whole_order
from kis_bench.records import Float32s, Float64s, Int64s

SPARE_CANDIDATES = (
    2**20
)  #: candidates of a block of queries, beyond k each, before they are settled exactly
LOOSE = 1.25  #: so many times k candidates are kept before they are sorted again


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

    def __init__(self, equal: EqualItems, rows: slice, k: int) -> None:
        self.equal, self.rows, self.k = equal, rows, k
        self.queries, self.items = equal.queries[rows], equal.items
        self.floor = np.full(len(self.queries), -np.inf)
        self.kept = Candidates()
        self.whole = suits_whole_order(equal, k)

    def add(self, start: int, scores: Float32s, error: Float64s) -> None:
        """Takes the float32 ``scores [b, q]`` of the items from ``start`` on, each good to ``error [q]``."""
        b, q = scores.shape
        if self.k == 0 or q == 0 or self.whole:
            return
        if (
            b >= self.k and not np.isfinite(self.floor).any()
        ):  # else a first block would be kept whole
            self.floor = np.partition(scores, b - self.k, axis=0)[b - self.k] - error * (
                1 + 2.0**-20
            )
            self.floor = round_down(self.floor).astype(np.float64)
        column, row = np.divmod(np.flatnonzero(scores >= round_down(self.floor - error)), q)
        found, slack = scores[column, row].astype(np.float64), error[row]
        # Outward steps, because the sums of score and error are rounded.
        low = np.nextafter(found - slack, -np.inf)
        high = np.nextafter(found + slack, np.inf)
        self.kept = self.kept.join(Candidates(row, start + column, low, high))
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
        best = self.ordered()
        row = np.repeat(np.arange(len(best)), best.shape[1])
        wanted = row * len(self.items) + best.ravel()
        have = self.kept.row * len(self.items) + self.kept.item
        self.kept = self.kept.take(np.isin(have, wanted))

    def ordered(self) -> Int64s:
        """Positions of the best k items, best first and equals by position: ``[q, k]``."""
        if self.whole:
            return order_whole(self.equal, self.rows, self.k)
        found = np.zeros((len(self.queries), self.k), np.int64)
        rows = np.argsort(self.kept.row, kind="stable")
        ends = np.cumsum(np.bincount(self.kept.row, minlength=len(self.queries)))
        for i, positions in enumerate(np.split(self.kept.item[rows], ends[:-1]) if self.k else []):
            found[i] = ExactScores(self.queries[i]).order(positions, gather(self.items, positions))[
                : self.k
            ]
        return found
