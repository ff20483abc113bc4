"""Combinations of models: their upper bound, fused lists, and the cost of browsing both.

Lists are arrays over items, one row for each model ``[m, ..., n]``; NaN stands where an item isn't in a list. Ranks
count from 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kis_bench.records import Float64s

RRF_K = 60


def complement(*ranks: ArrayLike) -> NDArray[Any]:
    """The better rank of each query: ``[q]`` from rows ``[q]``, or from one array ``[m, q]``; ``min over m``.

    The oracle: to know which list to look at one has to know the answer. An upper bound of every combination that
    leaves lists as they are, such as switching; a list that is made anew, of ranks or sums of scores, can exceed it.
    For ranks without ties; the smaller of two tied ranks is a distribution: `kis_bench.analysis.tied_ranks`.

    >>> complement([1, 9, 4], [3, 2, 4]).tolist()
    [1, 2, 4]
    """
    whole = len(ranks) == 1 and np.ndim(ranks[0]) == 2
    rows = [np.asarray(row) for row in (np.asarray(ranks[0]) if whole else ranks)]
    require_same_queries("a complement", *rows)
    return np.asarray(np.minimum.reduce(rows))


def reciprocal_rank_fusion(ranks: ArrayLike, k: float = RRF_K) -> Float64s:
    """Scores ``[..., n]`` from ranks ``[m, ..., n]``: the sum of 1 / (k + rank) over the lists that hold an item.

    An item that a list lacks has the rank NaN or infinity there. G. Cormack, C. Clarke, S. Büttcher, SIGIR 2009.

    >>> reciprocal_rank_fusion([[1, 2], [1, np.nan]], k=1).tolist()
    [1.0, 0.3333333333333333]
    """
    each = as_lists(ranks)
    if (each < 1).any():
        raise ValueError("ranks count from 1")
    if not k >= 0:
        raise ValueError(f"k is {k}, and has to be at least 0")
    return np.asarray(np.nansum(1.0 / (k + each), axis=0), np.float64)


def rank_scores(scores: ArrayLike) -> Float64s:
    """Ranks ``[..., n]`` within each list by descending score; equal scores share the middle rank, NaN stays NaN.

    ``1 + #{higher} + (#{equal} - 1) / 2``, an item being equal to itself.

    >>> rank_scores([0.5, 0.9, 0.5, np.nan]).tolist()
    [2.5, 1.0, 2.5, nan]
    """
    each = finite_or_nan(scores)
    found = np.full(each.shape, np.nan)
    if not each.size:
        return found
    for row, into in zip(
        each.reshape(-1, each.shape[-1]), found.reshape(-1, each.shape[-1]), strict=True
    ):
        known = ~np.isnan(row)
        _, level, counts = np.unique(-row[known], return_inverse=True, return_counts=True)
        into[known] = (counts.cumsum() - (counts - 1) / 2)[level]
    return found


def normalise(scores: ArrayLike, how: str = "min-max") -> Float64s:
    """Scores ``[..., n]`` of each list on one scale; a constant list becomes zeros, NaN stays NaN.

    ``min-max``: ``(s - min) / (max - min)``, 0 ... 1; ``z-score``: ``(s - mean) / standard deviation`` (of the list,
    divisor n).
    """
    each = finite_or_nan(scores)
    known = ~np.isnan(each)
    low = np.where(known, each, np.inf).min(axis=-1, keepdims=True, initial=np.inf)
    high = np.where(known, each, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    if how == "min-max":
        shift, scale = low, high - low
    elif how == "z-score":
        count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
        shift = np.where(known, each, 0.0).sum(axis=-1, keepdims=True) / count
        scale = np.sqrt(
            (np.where(known, each - shift, 0.0) ** 2).sum(axis=-1, keepdims=True) / count
        )
    else:
        raise ValueError(f"unknown scale {how!r}: min-max or z-score")
    # By the extremes: the standard deviation of equal numbers need not come out as 0.
    varies = high > low
    shift, scale = np.where(varies, shift, 0.0), np.where(varies, scale, 1.0)
    return np.asarray(np.where(varies | ~known, (each - shift) / scale, 0.0), np.float64)


def comb_sum(scores: ArrayLike, weights: ArrayLike | None = None) -> Float64s:
    """Sum ``[..., n]`` of scores ``[m, ..., n]`` on one scale, weighted ``[m]``; a list adds nothing to what it lacks.

    E. Fox and J. Shaw, TREC-2, 1994.

    >>> comb_sum([[1.0, 0.25], [0.5, np.nan]]).tolist()
    [1.5, 0.25]
    """
    each = as_lists(scores)
    if weights is None:
        return np.asarray(np.nansum(each, axis=0), np.float64)
    weight = np.asarray(weights, np.float64)
    if weight.shape != each.shape[:1] or not np.isfinite(weight).all():
        raise ValueError(
            f"weights of shape {list(weight.shape)} for {len(each)} lists: one finite number for each"
        )
    return np.asarray(np.tensordot(weight, np.nan_to_num(each, nan=0.0), axes=1), np.float64)


def comb_mnz(scores: ArrayLike) -> Float64s:
    """`comb_sum` times the number of lists that hold the item (E. Fox and J. Shaw, TREC-2, 1994).

    >>> comb_mnz([[1.0, 0.25], [0.5, np.nan]]).tolist()
    [3.0, 0.25]
    """
    each = as_lists(scores)
    return np.asarray(comb_sum(each) * (~np.isnan(each)).sum(axis=0), np.float64)


def switching_cost(
    first: ArrayLike, second: ArrayLike, n: int, *, already_seen: ArrayLike | None = None
) -> Float64s:
    """How many pictures a user looks at until the target: n of one list, then another list from its top; ``[q]``.

    ``first`` where that is at most n, else ``n + second - already_seen``. ``already_seen [q]``: how many pictures
    before the target in the second list were among the n; an interface that hides these saves them. With n = 0 it is
    the second list, with n the size of the collection the first one. For ranks without ties, as `complement`.

    >>> switching_cost([3, 50], [8, 2], 10).tolist()
    [3.0, 12.0]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    require_same_queries("switching", a, b)
    if not (math.isfinite(n) and n >= 0 and n == int(n)):
        raise ValueError(f"n is {n}, and has to be a whole number from 0")
    seen = np.zeros_like(a) if already_seen is None else np.asarray(already_seen, np.float64)
    if seen.shape != a.shape or not ((seen >= 0) & (seen <= n) & ((seen < b) | (a <= n))).all():
        raise ValueError(
            "already_seen counts, for each query, some of the n pictures that stand before the target"
        )
    return np.asarray(np.where(a <= n, a, n + b - seen), np.float64)


def interleaving_cost(first: ArrayLike, second: ArrayLike) -> Float64s:
    """How many pictures until the target if one looks at one of each list in turn: ``min(2 first - 1, 2 second)``.

    For ranks without ties, as `complement`.

    >>> interleaving_cost([3, 50], [8, 2]).tolist()
    [5.0, 4.0]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    require_same_queries("alternating", a, b)
    return np.asarray(np.minimum(2 * a - 1, 2 * b), np.float64)


def as_lists(values: ArrayLike) -> Float64s:
    each = np.asarray(values, np.float64)
    if each.ndim < 2 or not len(each):
        raise ValueError(
            f"expected one row for each list, shape [m, ..., n], not {list(each.shape)}"
        )
    return each


def finite_or_nan(scores: ArrayLike) -> Float64s:
    each = np.asarray(scores, np.float64)
    if each.ndim < 1 or np.isinf(each).any():
        raise ValueError("scores are rows of finite numbers, and NaN where a list lacks an item")
    return each


def require_same_queries(what: str, *rows: NDArray[Any]) -> None:
    if not rows or any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        raise ValueError(f"{what} takes rows of ranks of the same queries, shape [q]")
    if not all((row >= 1).all() for row in rows):  # NaN isn't
        raise ValueError(f"{what} takes known ranks, which count from 1")
