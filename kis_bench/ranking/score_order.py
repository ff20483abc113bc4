"""The exact order of items, or its beginning, by scores in float64: of many queries at once.

Scores become whole numbers with the column in their lowest bits, because numbers that carry their column are sorted
several times faster than columns by numbers. What is next to one another and closer than these numbers tell is sorted
again by the scores, and what these can't tell apart by exact sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.engines import find_true
from kis_bench.ranking.exact_scores import SLACK
from kis_bench.records import Float64s, Int64s

SHORT_BITS = 12  #: of a column, up to which 32 bits hold it and enough of the score
BOUNDS_A_STEP = 8  #: at least, of the whole numbers
TINY = 2.0**-900  #: less than any product of float32s
FULL_SORT = 1 / 2  #: of the columns, from which on all are sorted

SORTED_AT_ONCE = 2**17  #: scores, which stay in the cache

ExactKeys = Callable[[int, Int64s], list[Any] | None]


def order_scores(
    scores: Float64s,
    bounds: Float64s,
    k: int,
    find_keys: ExactKeys,
    number: Int64s | None = None,
    counts: Int64s | None = None,
) -> Int64s:
    """The columns of the ``k`` best real scores of each row, best first and equals by column: ``[m, k]``.

    A score s of a row becomes the whole part of u = (top - s) / step, where a step is at least 8 of the row's bounds.
    Rounding takes less than a quarter from u, and keeps its order. So if neighbours in the order of whole numbers
    differ by two or more, those up to the one are above those from the other on by more than half a step in their
    scores, which is four bounds, and hence in their real scores. The same holds of two bounds between neighbours in
    the order of the scores themselves.

    Args:
        scores: ``[m, n]``.
        bounds: how far they may be off, ``[m]``; where that is 0 all real scores of a row are 0.
        k: at most n, or the least count.
        find_keys: of a row and some columns what sorts as their real scores do; None: these are all equal.
        number: columns that share one have equal scores, in float64, too, ``[n]``; None: none are known.
        counts: how many columns of each row are meant, the first ones, ``[m]``; None: all.
    """
    m, n = scores.shape
    found, height = np.empty((m, k), np.int64), max(1, SORTED_AT_ONCE // max(1, n))
    for start in range(0, m, height):
        part = slice(start, start + height)
        some = None if counts is None else counts[part]

        def find_some(row: int, columns: Int64s, start: int = start) -> list[Any] | None:
            return find_keys(start + row, columns)

        found[part] = order_few(scores[part], bounds[part], k, find_some, number, some)
    return found


def order_few(
    scores: Float64s,
    bounds: Float64s,
    k: int,
    find_keys: ExactKeys,
    number: Int64s | None,
    counts: Int64s | None,
) -> Int64s:
    """What `order_scores` does, of rows that are held in the cache."""
    keys, shift = make_keys(scores, bounds, counts)
    two = keys.dtype.type(2 << shift)  # keys whose scores' numbers differ by one differ by less
    keys = sort_first(keys, k, two)
    width = keys.shape[1]
    columns = (keys & keys.dtype.type(2**shift - 1)).astype(np.int64)
    close = np.zeros(keys.shape, bool)  # to the next one; the last of a row to none
    np.less(keys[:, 1:] - keys[:, :-1], two, out=close[:, :-1])
    if counts is not None:
        close[:, :-1] &= np.arange(1, width) < counts[:, None]
    starts, ends = find_runs(close.reshape(-1), columns.reshape(-1), number)
    if len(starts):
        sort_runs(columns.reshape(-1), width, starts, ends, scores, bounds, find_keys, number)
    best: Int64s = columns[:, :k]
    return best


def make_keys(
    scores: Float64s, bounds: Float64s, counts: Int64s | None
) -> tuple[NDArray[Any], int]:
    """Whole numbers ``[m, n]`` that are lower for higher scores; and how many of their lowest bits are the column."""
    n = scores.shape[1]
    shift = max(1, (n - 1).bit_length())
    kind: Any = np.uint32 if shift <= SHORT_BITS else np.uint64
    bits = min(np.iinfo(kind).bits - shift, 50)
    beyond = None if counts is None else np.arange(n) >= counts[:, None]
    if beyond is not None:
        scores = np.where(beyond, scores[:, :1], scores)
    top = scores.max(axis=1)
    span = np.maximum(top - scores.min(axis=1), 2.0**bits * BOUNDS_A_STEP * SLACK * bounds)
    scale = (2.0**bits - 8) / np.maximum(span, TINY)
    wide = np.subtract(top[:, None], scores, order="C")
    wide *= scale[:, None]
    signed: Any = np.int32 if kind is np.uint32 else np.int64  # to which float64 is turned faster
    keys = wide.astype(signed).view(kind)
    if beyond is not None:
        keys[beyond] = 2**bits - 1  # behind all others
    keys <<= kind(shift)
    keys |= np.arange(n, dtype=kind)
    return keys, shift


def sort_first(keys: NDArray[Any], k: int, two: Any) -> NDArray[Any]:
    """The lowest of each row in order, among them all that may belong to the first ``k``: ``[m, k or more]``."""
    few = 0 < k < FULL_SORT * keys.shape[1]
    if few:
        keys.partition(k - 1, axis=1)
    else:
        keys.sort(axis=1)
    if 0 < k < keys.shape[1]:  # what differs by two or more from the k-th is surely below k others
        near = keys[:, k:] < keys[:, k - 1 : k] + two
        more = int(np.count_nonzero(near, axis=1).max(initial=0))
        if few and more:
            keys.partition(k + more - 1, axis=1)
        keys = keys[:, : k + more]
    if few:
        keys.sort(axis=1)
    return keys


def find_runs(
    close: NDArray[np.bool_], columns: Int64s, number: Int64s | None
) -> tuple[Int64s, Int64s]:
    """Starts and ends of neighbours that are close to the next one ``[p]``, where not all have one number."""
    differ = close
    if number is not None:
        numbers = number[columns]
        differ = close.copy()
        differ[:-1] &= numbers[1:] != numbers[:-1]
    at = find_true(close) if differ.any() else np.zeros(0, np.int64)
    new = np.diff(at, prepend=-2) != 1
    starts, ends = at[new], at[np.append(new[1:], True)[: len(at)]] + 2
    if number is not None and len(at):
        some = np.logical_or.reduceat(differ[at], np.flatnonzero(new))
        starts, ends = starts[some], ends[some]
    return starts, ends


def sort_runs(
    columns: Int64s,
    width: int,
    starts: Int64s,
    ends: Int64s,
    scores: Float64s,
    bounds: Float64s,
    find_keys: ExactKeys,
    number: Int64s | None,
) -> None:
    """Sorts runs of ``columns``, rows of ``width`` one after the other, by scores and what these can't tell exactly."""
    sizes = ends - starts
    run = np.repeat(np.arange(len(starts)), sizes)
    places = np.arange(len(run)) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
    rows, own = places // width, columns[places]
    found = scores[rows, own]
    order = np.lexsort((own, -found, run))
    own, found = own[order], found[order]
    columns[places] = own
    close = np.zeros(len(run), bool)
    bound = bounds[rows[:-1]]
    near = (found[:-1] - found[1:] <= 2 * SLACK * bound) & (bound > 0)
    close[:-1] = near & (run[1:] == run[:-1])
    pairs = find_runs(close, own, number)
    for start, end in zip(*(each.tolist() for each in pairs), strict=True):
        some = np.sort(own[start:end])
        keys = find_keys(int(rows[start]), some)
        if keys is not None:
            lowest = sorted(range(len(some)), key=keys.__getitem__, reverse=True)  # stable
            some = some[lowest]
        columns[places[start:end]] = some
