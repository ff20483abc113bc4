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

SHORT_BITS = 14  #: of a column, up to which 32 bits hold it and enough of the score
BOUNDS_A_STEP = 8  #: at least, of the whole numbers
TINY = 2.0**-900  #: less than any product of float32s
FULL_SORT = 1 / 2  #: of the columns, from which on all are sorted

SORTED_AT_ONCE = 2**16  #: scores, which stay in the cache

ExactKeys = Callable[[int, Int64s], list[Any] | None]


def order_scores(
    scores: Float64s,
    bounds: Float64s,
    k: int,
    find_keys: ExactKeys,
    number: Int64s | None = None,
    counts: Int64s | None = None,
    *,
    alone: bool = True,
) -> Int64s:
    """The columns of the ``k`` best real scores of each row, best first and equals by column: ``[m, k]``.

    A score s of a row becomes the whole part of u = (top - s) / step, where a step is at least 8 of the row's bounds.
    Rounding takes less than a quarter from u, and keeps its order. So if neighbours in the order of whole numbers
    differ by two or more, those up to the one are above those from the other on by more than half a step in their
    scores, which is four bounds, and hence in their real scores. The same holds of two bounds between neighbours in
    the order of the scores themselves.

    Args:
        scores: ``[m, n]``. Where they can't tell the order they are overwritten by the real ones, rounded once: so
            they don't ascend in what is returned, and are equal where the real ones are.
        bounds: how far they may be off, ``[m]``; where that is 0 all real scores of a row are 0.
        k: at most n, or the least count.
        find_keys: of a row and some columns what sorts as their real scores do, as `exact_scores.exact_key` says it;
            None: these are all equal.
        number: columns that share one have equal scores, in float64, too, ``[n]``; None: none are known.
        counts: how many columns of each row are meant, the first ones, ``[m]``; None: all.
        alone: whether others may be as high as the last of a row, which are then ordered with it.
    """
    m, n = scores.shape
    found, close, last = np.empty((m, k), np.int64), np.zeros((m, k), bool), np.zeros(m, np.int64)
    height = max(1, SORTED_AT_ONCE // max(1, n))
    room = SortRoom(min(m, height), n)
    for start in range(0, m, height):
        part = slice(start, start + height)
        some = None if counts is None else counts[part]
        keys = room.make_keys(scores[part], bounds[part], some)
        last[part] = sort_few(keys, room, number, some, found[part], close[part])
    more = np.flatnonzero(last) if alone else np.zeros(0, np.int64)
    close[more] = False
    starts, ends = find_runs(close.reshape(-1))
    if len(starts):
        sort_runs(found.reshape(-1), k, starts, ends, scores, bounds, find_keys, number)
    if len(more):  # rows in which others may be as high as the last
        wide = k + int(last[more].max())
        asked = None if counts is None else counts[more]

        def find_more(row: int, columns: Int64s) -> list[Any] | None:
            return find_keys(int(more[row]), columns)

        again = scores[more]
        rows = again, bounds[more], wide, find_more, number, asked
        found[more] = order_scores(*rows, alone=False)[:, :k]
        scores[more] = again
    return found


def sort_few(
    keys: NDArray[Any],
    room: SortRoom,
    number: Int64s | None,
    counts: Int64s | None,
    found: Int64s,
    close: NDArray[np.bool_],
) -> Int64s:
    """Sorts rows that are held in the cache, as far as whole numbers tell.

    Args:
        keys: the whole numbers ``[m, n]``, which are overwritten.
        room: made them.
        number: as `order_scores` takes it.
        counts: likewise.
        found: for the columns ``[m, k]``.
        close: for where one is too close to the next to tell ``[m, k]``; stays False at the end of a row.

    Returns:
        How many others may be as high as the last of each row ``[m]``.
    """
    k = found.shape[1]
    more = sort_first(keys, k, room, number)
    first = keys[:, :k]
    np.less(first[:, 1:] - first[:, :-1], room.two, out=close[:, :-1])
    if counts is not None:
        close[:, :-1] &= np.arange(1, k) < counts[:, None]
    first &= room.mask
    found[:] = first
    if number is not None:
        numbers = number[found]
        differ = close[:, :-1] & (numbers[:, 1:] != numbers[:, :-1])
        close &= differ.any(axis=1, keepdims=True)
    return more


def sort_first(keys: NDArray[Any], k: int, room: SortRoom, number: Int64s | None) -> Int64s:
    """Sorts the lowest ``k`` of each row to its front, and counts how many others may be as high: ``[m]``."""
    m, n = keys.shape
    more = np.zeros(m, np.int64)
    few = 0 < k < FULL_SORT * n
    if few:
        keys.partition(k - 1, axis=1)
        keys[:, :k].sort(axis=1)
    else:
        keys.sort(axis=1)
    if 0 < k < n:  # what differs by two or more from the k-th is surely below k others
        last, least = keys[:, k - 1], keys[:, k:].min(axis=1) if few else keys[:, k]
        for row in np.flatnonzero(least < last + room.two).tolist():
            near = keys[row, k:][keys[row, k:] < last[row] + room.two] & room.mask
            # Equal items may stay out only if none of those inside could be lower than they.
            held = keys[row, :k][last[row] - keys[row, :k] < room.two] & room.mask
            alike = number is not None and np.ptp(number[np.append(near, held)]) == 0
            more[row] = 0 if alike else len(near)
    return more


class SortRoom:
    """Memory for whole numbers instead of scores ``[m, n]``, used again and again: fresh memory costs as much."""

    def __init__(self, m: int, n: int) -> None:
        self.shift = max(1, (n - 1).bit_length())  # the lowest bits, which are the column
        short = self.shift <= SHORT_BITS
        self.bits = min((32 if short else 64) - self.shift, 50)
        self.columns: NDArray[Any] = np.arange(n, dtype=np.uint32 if short else np.uint64)
        self.kind = self.columns.dtype.type
        self.mask = self.kind(2**self.shift - 1)
        self.two = self.kind(
            2 << self.shift
        )  # less than that is between scores' numbers next to one another
        self.wide = np.empty((m, n))
        self.keys = np.empty((m, n), np.int32 if short else np.int64)  # to which floats turn faster

    def make_keys(self, scores: Float64s, bounds: Float64s, counts: Int64s | None) -> NDArray[Any]:
        """Whole numbers ``[m, n]`` that are lower for higher scores; valid until others are made."""
        m, n = scores.shape
        wide = self.wide[:m]
        keys: NDArray[Any] = self.keys[:m].view(self.kind)
        beyond = None if counts is None else np.arange(n) >= counts[:, None]
        if beyond is not None:
            scores = np.where(beyond, scores[:, :1], scores)
        top, steps = scores.max(axis=1), 2.0**self.bits
        span = np.maximum(top - scores.min(axis=1), steps * BOUNDS_A_STEP * SLACK * bounds)
        scale = (steps - 8) / np.maximum(span, TINY)
        np.subtract(top[:, None], scores, out=wide)
        wide *= scale[:, None]
        np.copyto(self.keys[:m], wide, casting="unsafe")
        if beyond is not None:
            keys[beyond] = steps - 1  # behind all others
        keys <<= self.kind(self.shift)
        keys |= self.columns
        return keys


def find_runs(close: NDArray[np.bool_], numbers: Int64s | None = None) -> tuple[Int64s, Int64s]:
    """Starts and ends of neighbours that are close to the next one ``[p]``, where not all have one number."""
    at = find_true(close)
    new = np.diff(at, prepend=-2) != 1
    starts, ends = at[new], at[np.append(new[1:], True)[: len(at)]] + 2
    if numbers is not None:
        changes = np.cumsum(np.diff(numbers, prepend=-1) != 0)
        mixed = changes[starts] != changes[ends - 1]
        starts, ends = starts[mixed], ends[mixed]
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
    sort_within(run, sizes, own, found)
    columns[places] = own
    close = np.zeros(len(run), bool)
    bound = bounds[rows[:-1]]
    near = (found[:-1] - found[1:] <= 2 * SLACK * bound) & (bound > 0)
    close[:-1] = near & (run[1:] == run[:-1])
    pairs = find_runs(close, None if number is None else number[own])
    for start, end in zip(*(each.tolist() for each in pairs), strict=True):
        some, row = np.sort(own[start:end]), int(rows[start])
        keys = find_keys(row, some)
        scores[row, some] = scores[row, some[0]] if keys is None else [key[0] for key in keys]
        if keys is not None:
            lowest = sorted(range(len(some)), key=keys.__getitem__, reverse=True)  # stable
            some = some[lowest]
        columns[places[start:end]] = some


def sort_within(run: Int64s, sizes: Int64s, columns: Int64s, scores: Float64s) -> None:
    """Sorts columns and scores ``[c]`` of runs of some sizes in place; of equal scores the lower column is first."""
    first = np.cumsum(sizes) - sizes
    two = first[sizes == 2]  # as nearly all are
    turned = two[scores[two] < scores[two + 1]]
    some = np.flatnonzero((sizes > 2)[run])
    order = np.concatenate(
        [turned + 1, turned, some[np.lexsort((columns[some], -scores[some], run[some]))]]
    )
    into = np.concatenate([turned, turned + 1, some])
    columns[into], scores[into] = columns[order], scores[order]
