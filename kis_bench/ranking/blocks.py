"""Blocks of items as they are multiplied: checked, and equal items once where they are many."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.equal_items import find_copies
from kis_bench.ranking.exact_scores import (
    bound_lengths,
    require_finite,
    require_no_overflow,
    to_block,
)
from kis_bench.records import Float32s, Float64s, Int64s


class Block(NamedTuple):
    """Some items of the collection, equal ones once where they are many."""

    start: int
    size: int  # items, with all copies
    vectors: Float32s  # [b, v, d]
    first: Int64s | None  # [b] place of each among all items of the block; None: it has no copies
    number: Int64s | None  # [size] which of the vectors each item has
    weights: Int64s | None  # [b] items that have them

    def place(self, items: Int64s) -> Int64s:
        """The places of items of the collection in the block's vectors; -1 for those of other blocks."""
        inside = items - self.start
        outside = (inside < 0) | (inside >= self.size)
        inside[outside] = 0
        if self.number is not None:
            inside = self.number[inside]
        inside[outside] = -1
        return inside

    def list_first(self, k: int) -> tuple[Int64s, Int64s | slice]:
        """Items of the collection among which the best ``k`` of the block are, and their places in its vectors.

        Of equal items those are the first: each that comes later has k before it that score the same.
        """
        if self.number is None:
            return self.start + np.arange(self.size), slice(None)
        order = np.argsort(self.number, kind="stable")
        ascending = self.number[order]
        before = np.arange(self.size) - np.searchsorted(ascending, ascending)
        first = np.sort(order[before < k])
        return self.start + first, self.number[first]

    def join_copies(self, used: NDArray[np.bool_]) -> Block:
        """The block with equal items once, if many are; only the coordinates ``used [d]`` are compared."""
        copies = find_copies(self.vectors, used)
        return self if copies is None else self.replace_copies(*copies)

    def replace_copies(self, first: Int64s, number: Int64s) -> Block:
        """The block with equal items once, which share a ``number [size]``; ``first [b]`` of each is where."""
        return self._replace(
            vectors=self.vectors[first], first=first, number=number, weights=np.bincount(number)
        )


def read_block(items: Any, part: slice) -> Block:
    """Some of the items ``[n, (v,) d]``, not checked yet."""
    vectors = to_block(items[part])
    return Block(part.start, len(vectors), vectors, None, None, None)


def find_longest(block: Block, query_lengths: Float64s, first: int) -> float:
    """A bound on the lengths of a block's vectors, of which none is left out yet.

    Where they have been multiplied, they lie in the cache, and this takes a third of the time that it would before.

    Args:
        query_lengths: of the queries they are multiplied by, ``[q]``.
        first: position of the first of these, for messages.

    Raises:
        BadVector: NaN or infinity, or vectors so long that a float32 score could overflow.
    """
    _, v, d = block.vectors.shape
    sizes = bound_lengths(block.vectors.reshape(-1, d))
    longest = sizes.argmax()  # of NaN, too
    if not np.isfinite(sizes[longest]):
        require_finite(sizes, "item", block.start + np.arange(len(sizes)) // v)
    if len(query_lengths):
        query = query_lengths.argmax()
        item = block.start + longest // v
        require_no_overflow(query_lengths[query], sizes[longest], first + query, item)
    return round_length(sizes[longest])


def round_length(length: float) -> float:
    """A length that is no shorter and at most a thousandth longer, one for many: what follows from it is known then."""
    mantissa, exponent = math.frexp(length)
    return math.ldexp(math.ceil(mantissa * 2**10), exponent - 10)
