"""The exact order of all items of a small collection, or its beginning, for many queries at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kis_bench.ranking.exact_scores import SLACK, U64, ExactScores, bound_lengths, gamma, to_block
from kis_bench.records import Float32s, Float64s, Int64s

SHARE_WANTED = 1 / 8  #: of the items, from which on looking for candidates first costs more
QUERIES_A_PATTERN = (
    8  #: that have to be 0 in the same places for the items to be compared once for all
)
MOST_NUMBERS = 2**23  #: of all items, held in float64
SCORES_AT_ONCE = 2**20


def suits_whole_order(queries: Float32s, shape: tuple[int, ...], k: int) -> bool:
    """Whether `order_whole` is the quick way to the ``k`` best of items of a shape ``[n, d]`` or ``[n, v, d]``."""
    if k == 0 or len(queries) == 0 or k < SHARE_WANTED * shape[0]:
        return False
    if int(np.prod(shape)) > MOST_NUMBERS:
        return False
    patterns = len(np.unique(np.packbits(queries != 0, axis=1), axis=0))
    return patterns * QUERIES_A_PATTERN <= max(len(queries), QUERIES_A_PATTERN)


def order_whole(queries: Float32s, items: Any, k: int) -> Int64s:
    """Returns the positions of the ``k`` best items, best first and equals by position: ``[q, k]``.

    Items that are the same where a query isn't 0 have one score, whatever a product of matrices makes of them; others
    whose scores float64 can't separate are compared exactly.
    """
    block = to_block(items[:])
    lengths = bound_lengths(queries)
    found = np.empty((len(queries), k), np.int64)
    seen, pattern = np.unique(queries != 0, axis=0, return_inverse=True)
    for number, columns in enumerate(seen):
        rows = np.flatnonzero(pattern.reshape(-1) == number)
        part = np.ascontiguousarray(block[:, :, columns])
        flat = part.reshape(len(part), -1) + np.float32(0)  # never -0, which has other bytes
        if not flat.shape[1]:
            found[rows] = np.arange(k)
            continue
        _, first, code = np.unique(
            flat.view(np.dtype((np.void, flat.itemsize * flat.shape[1]))).reshape(-1),
            return_index=True,
            return_inverse=True,
        )
        code, sizes = code.reshape(-1), np.bincount(code.reshape(-1))
        own = np.ascontiguousarray(queries[:, columns])
        step = max(1, SCORES_AT_ONCE // len(block))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            levels = find_levels(own[some], lengths[some], part[first], sizes, k)
            found[some] = np.argsort(levels[:, code], axis=1, kind="stable")[:, :k]
    return found


def find_levels(
    queries: Float32s, lengths: Float64s, vectors: Float32s, sizes: Int64s, k: int
) -> Int64s:
    """Numbers ``[q, u]`` of u different items ``vectors [u, v, d]`` that compare as their scores do, the best lowest.

    Equal scores have equal numbers. Those behind the first ``k``, an item counting ``sizes [u]`` times, may have any.
    """
    u, v, d = vectors.shape
    wide = vectors.reshape(-1, d).astype(np.float64)
    scores = (queries.astype(np.float64) @ wide.T).reshape(len(queries), u, v).max(axis=2)
    bound = gamma(d, U64) * lengths * bound_lengths(vectors.reshape(-1, d)).max() * SLACK
    order = np.argsort(-scores, axis=1, kind="stable")
    places = np.broadcast_to(np.arange(u, dtype=np.int64), order.shape).copy()
    for row, start, end in iterate_runs(np.take_along_axis(scores, order, axis=1), bound):
        if sizes[order[row, :start]].sum() >= k:
            continue
        exact = ExactScores(queries[row])
        keys = [exact.key(vectors[i]) for i in order[row, start:end]]
        ranked = sorted(set(keys), reverse=True)
        place = {key: start + i for i, key in enumerate(ranked)}
        places[row, start:end] = [place[key] for key in keys]
    levels = np.empty_like(places)
    np.put_along_axis(levels, order, places, axis=1)
    kind = np.uint16 if u <= np.iinfo(np.uint16).max else np.int64  # the former are sorted faster
    return levels.astype(kind)


def iterate_runs(scores: Float64s, bound: Float64s) -> Iterator[tuple[int, int, int]]:
    """Yields row, start and end of neighbours in descending ``scores [q, u]`` that the error bound doesn't separate."""
    close = scores[:, :-1] - scores[:, 1:] <= (2 * bound * SLACK)[:, None]
    edges = np.diff(np.pad(close, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.nonzero(edges == 1), np.nonzero(edges == -1)
    for row, start, end in zip(*(each.tolist() for each in (*starts, ends[1])), strict=True):
        yield row, start, end + 1
