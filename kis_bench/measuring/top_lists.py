"""The first items of a model's lists, which fused lists are made of, with the scores that they are fused by."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.equal_items import MOST_NUMBERS, number_equal
from kis_bench.ranking.exact_scores import (
    SLACK,
    U64,
    bound_lengths,
    gamma,
    gather,
    to_block,
)
from kis_bench.ranking.score_order import find_runs
from kis_bench.ranking.single_scores import true_scores
from kis_bench.records import Float32s, Float64s, Int64s, Ranks

#: Up to so many times the named items all are multiplied, which is quicker than gathering.
NAMED_SHARE = 12
GATHERED_ITEMS = 128  #: at once, into memory that stays in the cache
SCORES_HELD = 2**20  #: in float64

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class TopList:
    """The first k items of one model's list for q queries, and where the targets stand in the whole list."""

    items: NDArray[np.int32]  # [q, k] positions in the collection, best first
    scores: Float64s  # [q, k], descending
    best: Int64s  # [q] ranks
    worst: Int64s
    rank: Float64s

    def move_to_file(self) -> TopList:
        """Returns the same list, mapped from a file without a name, so that many lists take no memory."""
        return replace(self, items=map_copy(self.items), scores=map_copy(self.scores))


def map_copy(array: NDArray[Number]) -> NDArray[Number]:
    """Returns an array's values in a temporary file that vanishes with it."""
    if not array.size:
        return array
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    return mapped


def make_top_list(texts: Float32s, items: Any, ranks: Ranks) -> TopList:
    """Returns the first items that ranks name, with their scores.

    Scores are good to ``gamma_d(2^-53)`` (`kis_bench.ranking.exact_scores`). Where neighbours are closer than that
    tells, they are the real ones, rounded once: so they never ascend, and are equal where the real ones are.

    Args:
        texts: unit vectors of the queries ``[q, d]``.
        items: unit vectors of the items ``[n, v, d]``, in memory or mapped.
        ranks: with ``top_items [q, k]``.
    """
    named = ranks.top_items
    scores, longest = score_named(texts, items, named)
    bounds = gamma(texts.shape[1], U64) * bound_lengths(texts) * longest * SLACK
    close = np.zeros(scores.shape, bool)  # to the next one; the last of a row to none
    gaps = scores[:, :-1] - scores[:, 1:]
    np.less_equal(gaps, (2 * SLACK * bounds)[:, None], out=close[:, :-1])
    flat_named, flat_scores = named.reshape(-1), scores.reshape(-1)
    runs = find_runs(close.reshape(-1))
    for start, end in zip(*(each.tolist() for each in runs), strict=True):
        row = start // named.shape[1]
        vectors = gather(items, flat_named[start:end])
        first, number = number_equal(vectors, texts[row] != 0)
        real = true_scores(texts[row], vectors[first])
        flat_scores[start:end] = real[number]
    return TopList(named.astype(np.int32), scores, ranks.best, ranks.worst, ranks.rank)


def score_named(texts: Float32s, items: Any, named: Int64s) -> tuple[Float64s, float]:
    """Returns scores ``[q, k]`` of the named items in float64, and more than any of their vectors is long."""
    if not named.size:
        return np.empty(named.shape), 0.0
    small = int(np.prod(items.shape)) <= MOST_NUMBERS
    if small and len(items) <= NAMED_SHARE * named.shape[1]:
        return score_among_all(texts, to_block(items[:]), named)
    scores, longest = np.empty(named.shape), 0.0
    wide = np.empty((GATHERED_ITEMS, *to_block(items[:1]).shape[1:]))
    for query, positions, row in zip(texts.astype(np.float64), named, scores, strict=True):
        for start in range(0, len(row), GATHERED_ITEMS):
            part = slice(start, start + GATHERED_ITEMS)
            vectors = wide[: len(row[part])]
            vectors[:] = gather(items, positions[part])
            row[part] = (vectors @ query).max(axis=1)
            numbers = vectors.reshape(-1)
            longest = max(longest, math.sqrt(numbers @ numbers) * SLACK)  # no vector is longer
    return scores, longest


def score_among_all(texts: Float32s, block: Float32s, named: Int64s) -> tuple[Float64s, float]:
    """Returns what `score_named` does, by products of all items ``block [n, v, d]``."""
    n, _, d = block.shape
    vectors, scores = block.reshape(-1, d), np.empty(named.shape)
    wide = vectors.astype(np.float64).T
    step = max(1, SCORES_HELD // wide.shape[1])
    for start in range(0, len(texts), step):
        some = slice(start, start + step)
        every = texts[some].astype(np.float64) @ wide
        best = every.reshape(len(every), n, -1).max(axis=2)
        scores[some] = np.take_along_axis(best, named[some], axis=1)
    return scores, float(bound_lengths(vectors).max())


def count_fused(scores: Float64s, depth: int) -> Int64s:
    """Counts the items of each list ``[q]`` that are fused, of descending scores ``[q, at most depth + 1]``."""
    above = np.count_nonzero(scores > scores[:, -1:], axis=1)
    return above if scores.shape[1] > depth else np.where(above > 0, scores.shape[1], 0)
