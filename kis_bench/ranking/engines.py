"""Float32 scores of blocks of items, compared with limits: what an engine may do in another way or place.

An engine says which items are surely above a limit and which it can't tell; `kis_bench.ranking.decisions` decides
these. So ranks are the same whatever the engine, as long as its scores keep `exact_scores.float32_bound`: products and
sums of float32, in any order, with or without fused operations, but in no narrower format.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kis_bench.records import Float32s, Int64s

BAND_ITEMS = (
    128  #: of a block of scores that are compared at once; at most 255, for counts of uint8
)


class Compared(NamedTuple):
    """What float32 scores say of the items of a block and a limit of each query."""

    counts: Int64s  # [q] items that are surely above, each counted as often as its weight
    above: NDArray[np.bool_]  # [b, q] which these are; of size 0 unless asked for
    vectors: Int64s  # of pairs that are left to decide: the vector in the block, j of item i being i v + j ...
    rows: Int64s  # ... and the query; the item is not counted above, its other vectors are surely below


class BlockScores(Protocol):
    """Scores of one block of items for some queries, valid until the same thread multiplies again."""

    def compare(
        self, low: Float32s, high: Float32s, weights: Int64s | None, *, keep: bool
    ) -> Compared:
        """Compares each item's highest score with the limits of each query.

        Args:
            low: scores below are surely below the real limit ``[q]``.
            high: scores above are surely above it ``[q]``.
            weights: how often each item counts ``[b]``; None: once.
            keep: whether `Compared.above` is wanted.
        """

    def read(self) -> Float32s:
        """The highest score of each item, ``[b, q]``."""


class Engine(Protocol):
    """Multiplies blocks of items by queries."""

    threads: (
        int | None
    )  #: that may call it at once; None: as many as the library of numpy's products would use

    def multiply(self, rows: slice, block: Float32s) -> BlockScores:
        """Scores of the items ``block [b, v, d]`` for some of the queries that the engine was made with."""


MakeEngine = Callable[[Float32s], Engine]  #: from all queries ``[q, d]``


class NumpyEngine:
    """Scores laid out items by queries, which adds up whole rows where counts are taken.

    The buffers of each thread are kept from block to block.
    """

    threads: int | None = None

    def __init__(self, queries: Float32s) -> None:
        self.queries, self.turned = queries, dict[tuple[int, int], Float32s]()
        self.buffers = threading.local()

    def multiply(self, rows: slice, block: Float32s) -> BlockScores:
        b, v, d = block.shape
        name = (rows.start, rows.stop)
        turned = self.turned.get(name)
        if turned is None:  # threads that come at once make the same
            turned = self.turned[name] = np.ascontiguousarray(self.queries[rows].T)
        q = turned.shape[1]
        every = self.take_buffer("every", b * v * q).reshape(b * v, q)
        np.matmul(block.reshape(-1, d), turned, out=every)
        if v == 1:
            return NumpyScores(every, every)
        best = self.take_buffer("best", b * q).reshape(b, q)
        np.max(every.reshape(b, v, q), axis=1, out=best)
        return NumpyScores(every, best)

    def take_buffer(self, name: str, size: int) -> Float32s:
        kept: Float32s | None = getattr(self.buffers, name, None)
        if kept is None or len(kept) < size:
            kept = np.empty(size, np.float32)
            setattr(self.buffers, name, kept)
        return kept[:size]


class NumpyScores:
    """Scores of vectors ``every [b v, q]`` and of items, their ``best [b, q]``."""

    def __init__(self, every: Float32s, best: Float32s) -> None:
        self.every, self.best = every, best

    def read(self) -> Float32s:
        return self.best

    def compare(
        self, low: Float32s, high: Float32s, weights: Int64s | None, *, keep: bool
    ) -> Compared:
        b, q = self.best.shape
        counts, places = np.zeros(q, np.int64), []
        kept = np.empty((b if keep else min(b, BAND_ITEMS), q), bool)
        padded = np.zeros(-(-min(b, BAND_ITEMS) * q // 8) * 8, bool)  # read by eight below
        for start in range(0, b, BAND_ITEMS):
            scores = self.best[start : start + BAND_ITEMS]
            above = kept[start if keep else 0 :][: len(scores)]
            open_ = padded[: scores.size].reshape(scores.shape)
            np.greater(scores, high, out=above)
            np.greater_equal(scores, low, out=open_)
            np.not_equal(above, open_, out=open_)  # what is above is not below
            if weights is None:
                counts += np.add.reduce(above.view(np.uint8), axis=0, dtype=np.uint8)
            else:
                counts += weights[start : start + len(scores)] @ above
            found = find_true(padded, scores.size)
            if len(found):
                places.append(found + start * q)
        items, rows = np.divmod(np.concatenate([np.zeros(0, np.int64), *places]), q)
        v = len(self.every) // max(1, b)
        if v > 1:
            vectors = (items[:, None] * v + np.arange(v)).ravel()
            rows = np.repeat(rows, v)
            near = self.every[vectors, rows] >= low[rows]
            items, rows = vectors[near], rows[near]
        return Compared(counts, kept if keep else kept[:0], items, rows)


def find_true(flags: NDArray[np.bool_], size: int) -> Int64s:
    """Where the first ``size`` of some flags are True, which few are; the number of all is a multiple of 8."""
    words = np.flatnonzero(flags[: -(-size // 8) * 8].view(np.uint64))
    places = (words[:, None] * 8 + np.arange(8)).ravel()
    places = places[flags[places]]
    inside: Int64s = places[
        : np.searchsorted(places, size)
    ]  # behind it lies what an earlier band left
    return inside
