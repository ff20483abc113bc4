"""The exact order of all items of a small collection, or its beginning, for many queries at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import SLACK, U64, ExactScores, bound_lengths, gamma
from kis_bench.records import Float32s, Float64s, Int64s

SHARE_WANTED = 1 / 8  #: of the items, from which on looking for candidates first costs more
SCORES_AT_ONCE = 2**20


def suits_whole_order(equal: EqualItems, k: int) -> bool:
    """Whether `order_whole` is the quick way to the ``k`` best of the items."""
    if k == 0 or len(equal.queries) == 0 or k < SHARE_WANTED * len(equal.items):
        return False
    return equal.few


def order_whole(equal: EqualItems, rows: slice, k: int) -> Int64s:
    """Returns the positions of the ``k`` best items for some queries, best first and equals by position: ``[q, k]``.

    Items that are the same where a query isn't 0 have one score, whatever a product of matrices makes of them; others
    whose scores float64 can't separate are compared exactly.
    """
    queries, block = equal.queries[rows], equal.block
    lengths = bound_lengths(queries)
    found = np.empty((len(queries), k), np.int64)
    patterns, own = equal.patterns
    for pattern in np.unique(own[rows]).tolist():
        columns, (first, number) = patterns[pattern], equal.numbers[pattern]
        some = np.flatnonzero(own[rows] == pattern)
        if not columns.any():
            found[some] = np.arange(k)
            continue
        sizes = np.bincount(number)
        vectors = np.ascontiguousarray(block[first][:, :, columns])
        asked = np.ascontiguousarray(queries[:, columns])
        step = max(1, SCORES_AT_ONCE // len(block))
        for start in range(0, len(some), step):
            few = some[start : start + step]
            levels = find_levels(asked[few], lengths[few], vectors, sizes, k)
            found[few] = np.argsort(levels[:, number], axis=1, kind="stable")[:, :k]
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
