"""The best items of each query while blocks of float32 scores pass by, in exact order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import (
    SLACK,
    U64,
    ItemKeys,
    bound_lengths,
    gamma,
    gather,
    round_down,
)
from kis_bench.ranking.score_order import order_scores
from kis_bench.records import Float32s, Float64s, Int64s

SPARE_CANDIDATES = (
    2**20
)  #: candidates of a block of queries, beyond k each, before they are settled exactly
ALIGNED_SCORES = 2**18  #: which stay in the cache
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

    @property
    def wants_scores(self) -> bool:
        """Whether `add` has to be called: not where nothing is named."""
        return self.k > 0

    def add(self, items: Int64s, scores: Float32s, error: Float64s) -> None:
        """Takes float32 ``scores [b, q]`` of some ``items [b]``, each good to ``error [q]``."""
        b, q = scores.shape
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
        self.kept = self.kept.join(Candidates(row, items[column], low, high))
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
        found = np.zeros((len(self.queries), self.k), np.int64)
        order = np.lexsort((self.kept.item, self.kept.row))
        items = self.kept.item[order]
        counts = np.bincount(self.kept.row, minlength=len(self.queries))
        starts = np.cumsum(counts) - counts
        # Rows of about as many candidates together, in bounded memory.
        left = np.argsort(-counts) if self.k else np.zeros(0, np.int64)
        while len(left):
            some, left = np.split(left, [max(1, ALIGNED_SCORES // max(1, int(counts[left[0]])))])
            found[some] = self.order_some(some, items, starts[some], counts[some])
        return found

    def order_some(self, rows: Int64s, items: Int64s, starts: Int64s, counts: Int64s) -> Int64s:
        """The best k of candidates that lie together in ``items``, of each row ascending: ``[r, k]``."""
        width, d = int(counts.max()), self.queries.shape[1]
        places = np.minimum(starts[:, None] + np.arange(width), len(items) - 1)
        positions, scores = items[places], np.zeros((len(rows), width))
        longest = np.zeros(len(rows))
        for i, (row, count) in enumerate(zip(rows.tolist(), counts.tolist(), strict=True)):
            block = gather(self.items, positions[i, :count])
            flat = block.reshape(-1, d)
            wide = flat.astype(np.float64) @ self.queries[row].astype(np.float64)
            scores[i, :count] = wide.reshape(count, -1).max(axis=1)
            longest[i] = bound_lengths(flat).max()
        bounds = gamma(d, U64) * bound_lengths(self.queries[rows]) * longest * SLACK
        keys = ItemKeys(self.queries[rows], self.items)

        def find_keys(row: int, columns: Int64s) -> list[tuple[float, ...]] | None:
            return keys.find(row, positions[row, columns])

        best = order_scores(scores, bounds, self.k, find_keys, counts=counts)
        return np.take_along_axis(positions, best, axis=1)
