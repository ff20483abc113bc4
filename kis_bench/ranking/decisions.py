"""Decides what float32 scores can't: the one routine that the ranks of every engine go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.exact_scores import (
    CHUNK_VECTORS,
    SLACK,
    U32,
    U64,
    exact_signs,
    gamma,
    round_down,
    round_up,
)
from kis_bench.ranking.single_scores import rounded_sums
from kis_bench.records import Float32s, Float64s, Int64s

PAIRS_AT_ONCE = 64  #: whose vectors are held in float64


@dataclass(frozen=True)
class Mark:
    """The score of each query that items are compared with: that of the best item of some."""

    scores: Float64s  # [q] off by at most ``rounding``; infinite for a query that has none
    rounding: Float64s  # [q]
    vectors: Float32s  # [q, d] whose score it is
    items: Int64s  # [q] to which they belong; -1: none
    inner: Int64s  # [q] which of the item's vectors they are
    level: Int64s  # [q] how many of the items it is the best of have this very score

    def limits(self, error: Float64s, rows: slice) -> tuple[Float32s, Float32s]:
        """Float32 scores below the first are surely below the mark, those above the second surely above: ``[q]``."""
        slack = (error + self.rounding[rows]) * SLACK
        return round_down(self.scores[rows] - slack), round_up(self.scores[rows] + slack)

    def round_scores(self, queries: Float32s) -> Float32s:
        """The scores as float32 ``[q]``: of the real ones, correctly rounded to float64."""
        low, high = (
            np.nextafter(self.scores + sign * self.rounding, sign * np.inf).astype(np.float32)
            for sign in (-1, 1)
        )
        rounded = low + np.float32(0)  # never -0
        some = np.flatnonzero(low != high)
        for start in range(0, len(some), CHUNK_VECTORS):
            part = some[start : start + CHUNK_VECTORS]
            terms = queries[part].astype(np.float64) * self.vectors[part]
            rounded[part] = (rounded_sums(terms) + 0.0).astype(np.float32)
        return rounded


class Decided(NamedTuple):
    """Items that float32 scores left open, and where they stand: parallel arrays."""

    items: Int64s  # place in the block
    rows: Int64s  # query within the block of queries
    signs: NDArray[np.int8]  # 1: above the mark, 0: level with it, -1: below


def decide_pairs(
    queries: Float32s,
    lengths: Float64s,
    mark: Mark,
    block: Float32s,
    longest: float,
    vectors: Int64s,
    rows: Int64s,
) -> NDArray[np.int8]:
    """Signs of the real scores of pairs of a vector and a query minus the query's mark: int8 ``[p]``.

    The mark's score is known, so that one product decides nearly all: two scores that are off by at most a bound and by
    the mark's own rounding differ as they seem to, if by more than both together. The bound is that of rough scores
    first, and for what that leaves open ``gamma_d |query| |vector|`` of float64.

    Args:
        queries: ``[q, d]``, with their lengths ``[q]``.
        block: the vectors ``[b, d]``, with the length of the longest.
        vectors: which of them, ``[p]``.
        rows: and which query, ``[p]``.
    """
    signs = np.zeros(len(rows), np.int8)
    open_, d = np.arange(len(rows)), block.shape[1]
    rough, fine = bound_rough_scores(lengths, longest, d), gamma(d, U64) * lengths * longest
    for is_rough, error in ((True, rough), (False, fine)):
        bound, who = (error + mark.rounding) * SLACK**2, rows[open_]
        scores = score_pairs(queries, block, who, vectors[open_], rough=is_rough)
        difference = scores - mark.scores[who]
        signs[open_] = np.sign(difference)
        open_ = open_[np.abs(difference) <= bound[who]]
    for start in range(0, len(open_), CHUNK_VECTORS):
        some = open_[start : start + CHUNK_VECTORS]
        who = rows[some]
        signs[some] = exact_signs(queries[who], block[vectors[some]], mark.vectors[who])
    return signs


def bound_rough_scores(lengths: Float64s, longest: float, d: int) -> Float64s:
    """Error bound of rough `score_pairs` for queries of lengths ``[q]`` and vectors up to ``longest``: float64 ``[q]``.

    Each product of two numbers is rounded once, which takes at most ``u32`` of it; their sum in float64 is off by
    ``gamma_d(u64)`` of what was rounded. The rest covers what is subnormal, as in `exact_scores.float32_bound`.
    """
    flushed = d * 2.0**-125 * (1 + lengths + longest)
    bound: Float64s = ((U32 + gamma(d, U64)) * SLACK * lengths * longest + flushed) * SLACK
    return bound


def score_pairs(
    queries: Float32s, block: Float32s, rows: Int64s, vectors: Int64s, *, rough: bool = False
) -> Float64s:
    """Scores of pairs of a row of ``queries [q, d]`` and one of ``block [b, d]``, good to gamma_d(2^-53): ``[p]``.

    Those that are ``rough`` take three quarters of the time and are good to `bound_rough_scores`.
    """
    scores, d = np.empty(len(rows)), block.shape[1]
    size = min(len(rows), PAIRS_AT_ONCE)
    left, right = np.empty((2, size, d), np.float32)
    wide_left, wide_right = np.empty((2, 0 if rough else size, d))
    for start in range(0, len(rows), max(1, size)):
        part = slice(start, start + size)
        k = len(rows[part])
        # Into buffers that are kept: fresh memory would cost more than the sums.
        np.take(queries, rows[part], axis=0, out=left[:k], mode="clip")
        np.take(block, vectors[part], axis=0, out=right[:k], mode="clip")
        if rough:
            np.multiply(left[:k], right[:k], out=left[:k])
            np.add.reduce(left[:k], axis=1, dtype=np.float64, out=scores[part])
        else:
            wide_left[:k], wide_right[:k] = left[:k], right[:k]
            np.einsum("ij,ij->i", wide_left[:k], wide_right[:k], out=scores[part])
    return scores


def join_vectors(decided: Decided) -> Decided:
    """Where items stand, from decided pairs of one of their vectors and a query: the best of these counts."""
    order = np.lexsort((decided.rows, decided.items))
    items, rows, signs = decided.items[order], decided.rows[order], decided.signs[order]
    new = (np.diff(items, prepend=-1) != 0) | (np.diff(rows, prepend=-1) != 0)
    starts = np.flatnonzero(new)
    return Decided(items[starts], rows[starts], np.maximum.reduceat(signs, starts))
