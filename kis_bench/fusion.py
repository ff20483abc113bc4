"""Two or more models asked the same: the bound that nobody reaches, fused lists, and what browsing both costs.

Lists are arrays over items, one row for each model ``[m, ..., n]``; NaN stands where an item isn't in a list. Ranks
count from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RRF_K = 60


def complement(*ranks: ArrayLike) -> NDArray[Any]:
    """The better rank of each query: ``[q]`` from rows ``[q]``, or from one array ``[m, q]``.

    The oracle: to know which list to look at one has to know the answer. An upper bound of every combination that
    leaves lists as they are.

    >>> complement([1, 9, 4], [3, 2, 4]).tolist()
    [1, 2, 4]
    """
    rows = [np.asarray(row) for row in (ranks[0] if len(ranks) == 1 else ranks)]  # type: ignore[union-attr]
    if not rows or any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        raise ValueError("a complement takes rows of ranks of the same queries, shape [q]")
    checked_ranks(*rows)
    return np.asarray(np.minimum.reduce(rows))


def reciprocal_rank_fusion(ranks: ArrayLike, k: float = RRF_K) -> Floats:
    """Scores ``[..., n]`` from ranks ``[m, ..., n]``: the sum of 1 / (k + rank) over the lists that hold an item.

    G. Cormack, C. Clarke, S. Büttcher, SIGIR 2009.

    >>> reciprocal_rank_fusion([[1, 2], [1, np.nan]], k=1).tolist()
    [1.0, 0.3333333333333333]
    """
    each = lists(ranks)
    checked_ranks(each)
    if k < 0:
        raise ValueError(f"k is {k}, and has to be at least 0")
    return np.asarray(np.nansum(1.0 / (k + each), axis=0), np.float64)


def normalised(scores: ArrayLike, how: str = "min-max") -> Floats:
    """Scores ``[..., n]`` of each list on one scale, ``min-max`` 0 ... 1 or ``z-score``; of a constant list zeros."""
    each = np.asarray(scores, np.float64)
    if how == "min-max":
        shift = np.nanmin(each, axis=-1, keepdims=True)
        scale = np.nanmax(each, axis=-1, keepdims=True) - shift
    elif how == "z-score":
        shift, scale = np.nanmean(each, axis=-1, keepdims=True), np.nanstd(each, axis=-1, keepdims=True)
    else:
        raise ValueError(f"unknown scale {how!r}: min-max or z-score")
    return np.asarray((each - shift) / np.where(scale > 0, scale, 1.0), np.float64)


def comb_sum(scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Sum ``[..., n]`` of scores ``[m, ..., n]`` on one scale, weighted ``[m]``; a list adds nothing to what it lacks.

    E. Fox and J. Shaw, TREC-2, 1994.

    >>> comb_sum([[1.0, 0.25], [0.5, np.nan]]).tolist()
    [1.5, 0.25]
    """
    each = lists(scores)
    if weights is None:
        return np.asarray(np.nansum(each, axis=0), np.float64)
    weight = np.asarray(weights, np.float64)
    if weight.shape != each.shape[:1] or np.isnan(weight).any():
        raise ValueError(f"{weight.shape} weights for {len(each)} lists")
    return np.asarray(np.tensordot(weight, np.nan_to_num(each, nan=0.0), axes=1), np.float64)


def comb_mnz(scores: ArrayLike) -> Floats:
    """:func:`comb_sum` times the number of lists that hold the item (E. Fox and J. Shaw, TREC-2, 1994).

    >>> comb_mnz([[1.0, 0.25], [0.5, np.nan]]).tolist()
    [3.0, 0.25]
    """
    each = lists(scores)
    return np.asarray(comb_sum(each) * (~np.isnan(each)).sum(axis=0), np.float64)


def switching_cost(first: ArrayLike, second: ArrayLike, n: int, *, already_seen: ArrayLike | None = None) -> Floats:
    """How many pictures a user looks at until the target: n of one list, then another list from its top; ``[q]``.

    ``first`` where that is at most n, else ``n + second``. ``already_seen [q]``: how many pictures before the target in
    the second list were among the n; an interface that hides these saves them.

    >>> switching_cost([3, 50], [8, 2], 10).tolist()
    [3.0, 12.0]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError("switching takes two rows of ranks of the same queries, shape [q]")
    checked_ranks(a, b)
    if n < 0 or n != int(n):
        raise ValueError(f"n is {n}, and has to be a whole number from 0")
    seen = np.zeros_like(a) if already_seen is None else np.asarray(already_seen, np.float64)
    if seen.shape != a.shape or not ((seen >= 0) & (seen <= n) & ((seen < b) | (a <= n))).all():
        raise ValueError("already_seen counts, for each query, some of the n pictures that stand before the target")
    return np.asarray(np.where(a <= n, a, n + b - seen), np.float64)


def interleaving_cost(first: ArrayLike, second: ArrayLike) -> Floats:
    """How many pictures until the target if one looks at one of each list in turn: ``min(2 first - 1, 2 second)``.

    >>> interleaving_cost([3, 50], [8, 2]).tolist()
    [5.0, 4.0]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    checked_ranks(a, b)
    return np.asarray(np.minimum(2 * a - 1, 2 * b), np.float64)


def lists(values: ArrayLike) -> Floats:
    each = np.asarray(values, np.float64)
    if each.ndim < 2:
        raise ValueError(f"expected one row for each list, shape [m, ..., n], not {list(each.shape)}")
    return each


def checked_ranks(*rows: NDArray[Any]) -> None:
    if any((row[~np.isnan(row)] < 1).any() for row in (np.asarray(row, np.float64) for row in rows)):
        raise ValueError("ranks count from 1")
