"""The exact order of all other pictures by how similar they are to one, for many of these in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kis_bench.ranking.exact_scores import SLACK, U64, ExactScores, bound_lengths, gamma
from kis_bench.ranking.relevance import average_vectors
from kis_bench.ranking.score_order import order_scores
from kis_bench.records import Float32s, Int64s

HELD_SCORES = 2**22  #: of some targets with all pictures, in float64
HELD_LINES = 4096  #: pictures whose vectors are held in float64


def iterate_orders(vectors: Any, targets: Int64s, pool: Int64s) -> Iterator[Int64s]:
    """Yields what `order_by_similarity` gives for each target, some targets at a time in bounded memory."""
    step = max(1, HELD_SCORES // len(pool))
    for start in range(0, len(targets), step):
        yield from order_by_similarity(vectors, targets[start : start + step], pool)


def order_by_similarity(vectors: Any, targets: Int64s, pool: Int64s) -> Int64s:
    """The pictures of a pool but for each target, most similar to it first and equals by position: ``[t, p - 1]``.

    Similarities are real products of the stored float32 vectors: float64 decides what it can tell apart, exact
    summation the rest. Of several vectors the mean is compared.

    Args:
        vectors: unit vectors of the collection, float32 ``[n, d]`` or ``[n, v, d]``, perhaps mapped from a file.
        targets: positions ``[t]``, all of them in the pool.
        pool: positions ``[p]``, ascending.
    """
    queries = take_lines(vectors, targets)
    wide, lengths = queries.astype(np.float64), bound_lengths(queries)
    scores, longest = np.empty((len(targets), len(pool))), 0.0
    for start in range(0, len(pool), HELD_LINES):
        block = take_lines(vectors, pool[start : start + HELD_LINES])
        scores[:, start : start + len(block)] = wide @ block.astype(np.float64).T
        longest = max(longest, float(bound_lengths(block).max()))
    scores[np.arange(len(targets)), np.searchsorted(pool, targets)] = (
        scores.max(axis=1) + 1
    )  # comes first
    bounds = gamma(queries.shape[1], U64) * lengths * longest * SLACK

    def find_keys(row: int, columns: Int64s) -> list[tuple[float, ...]]:
        exact = ExactScores(queries[row])
        return [exact.vector_key(line) for line in take_lines(vectors, pool[columns])]

    order = order_scores(scores, bounds, len(pool), find_keys)
    return np.asarray(pool[order[:, 1:]], np.int64)


def take_lines(vectors: Any, places: Int64s) -> Float32s:
    """One vector for each picture at some positions, float32 ``[p, d]``: its own, or the mean of several."""
    taken = np.asarray(vectors[places], np.float32)
    single = taken.ndim == 2 or taken.shape[1] == 1
    return taken.reshape(len(taken), -1) if single else average_vectors(taken)
