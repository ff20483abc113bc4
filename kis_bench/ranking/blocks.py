"""Blocks of items as they are multiplied: checked, and equal items once where they are many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.equal_items import find_copies
from kis_bench.ranking.exact_scores import (
    LARGEST_LENGTH,
    LEAST_SQUARES,
    MOST_SQUARES,
    bound_lengths,
    bound_roots,
    require_finite,
    require_no_overflow,
    sum_squares,
    to_block,
)
from kis_bench.records import Float32s, Float64s, Int64s

BLOCK_VECTORS, LEAST_VECTORS = 2048, 256  #: of a block of items; the latter where threads share few
SHARE_OF_FEW = 1 / 4  #: of the vectors of a block, which are copied alone


@dataclass(frozen=True)
class Block:
    """Some items of the collection, equal ones once where they are many."""

    start: int
    size: int  # items, with all copies
    pieces: list[Float32s]  # [b, v, d] in parts, as they lie in the source
    first: Int64s | None = None  # [b] place of each in the whole block; None: it has no copies
    number: Int64s | None = None  # [size] which of the vectors each item has
    weights: Int64s | None = None  # [b] items that have them

    @cached_property
    def vectors(self) -> Float32s:
        """All of them, ``[b, v, d]``; copied if they lie in several pieces."""
        return self.pieces[0] if len(self.pieces) == 1 else np.concatenate(self.pieces)

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of the vectors: ``(b, v, d)``."""
        _, v, d = self.pieces[0].shape
        return sum(map(len, self.pieces)), v, d

    def find_vectors(self, places: Int64s) -> tuple[Float32s, Int64s]:
        """Vectors ``[n, d]`` and where those of some ``places [p]`` are among them: in the whole block, or they alone.

        A block of several pieces isn't copied for the sake of a few.
        """
        b, v, d = self.shape
        if len(self.pieces) == 1 or len(places) > b * v * SHARE_OF_FEW:
            return self.vectors.reshape(-1, d), places
        ends = v * np.cumsum([len(piece) for piece in self.pieces])
        number = np.searchsorted(ends, places, side="right")
        found = np.empty((len(places), d), np.float32)
        for i in np.unique(number).tolist():
            some, flat = number == i, self.pieces[i].reshape(-1, d)
            found[some] = flat[places[some] - (ends[i] - len(flat))]
        return found, np.arange(len(places))

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
        pieces, weights = [self.vectors[first]], np.bincount(number)
        return Block(self.start, self.size, pieces, first, number, weights)


def read_block(items: Any, part: slice) -> Block:
    """Some of the items ``[n, (v,) d]``, not checked yet."""
    if hasattr(items, "list_pieces"):  # as a store has them
        stop = min(part.stop, len(items))
        pieces = [to_block(piece) for piece in items.list_pieces(part.start, stop)]
    else:
        pieces = [to_block(items[part])]
    return Block(part.start, sum(map(len, pieces)), pieces)


def find_longest(block: Block, query_lengths: Float64s, first: int) -> float:
    """A bound on the lengths of a block's vectors, of which none is left out yet.

    Where they have been multiplied, they lie in the cache, and this takes a third of the time that it would before.

    Args:
        query_lengths: of the queries they are multiplied by, ``[q]``.
        first: position of the first of these, for messages.

    Raises:
        BadVector: NaN or infinity, or vectors so long that a float32 score could overflow.
    """
    _, v, d = block.shape
    squares = [sum_squares(piece.reshape(-1, d)) for piece in block.pieces]
    most = np.max([each.max(initial=0) for each in squares])  # NaN, if one is
    if LEAST_SQUARES < most < MOST_SQUARES:
        longest = float(bound_roots(np.float64(most), d))
        if longest * query_lengths.max(initial=0) < LARGEST_LENGTH:
            return round_length(longest)
    sizes = bound_lengths(block.vectors.reshape(-1, d))
    require_finite(sizes, "item", block.start + np.arange(len(sizes)) // v)
    if len(query_lengths):
        query, at = query_lengths.argmax(), sizes.argmax()
        item = block.start + at // v
        require_no_overflow(query_lengths[query], sizes[at], first + query, item)
    return round_length(sizes.max())


def round_length(length: float) -> float:
    """A length that is no shorter and at most a thousandth longer, one for many: what follows from it is known then."""
    mantissa, exponent = math.frexp(length)
    return math.ldexp(math.ceil(mantissa * 2**10), exponent - 10)


def choose_width(n: int, v: int, threads: int) -> int:
    """Items in a block: few enough for the cache, and for several blocks for each thread."""
    shared = -(-n * v // (4 * threads)) if threads > 1 else n * v
    return max(1, min(BLOCK_VECTORS, max(shared, LEAST_VECTORS)) // v)
