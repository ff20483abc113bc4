"""Figures of known-item search as pure functions of ranks; ranks count from 1, arrays hold one entry per query.

Names clash in the literature: with one target per query, recall@k is also called Success@k, hit rate or R@k. With
several targets, of which the best-placed counts, it stays Success@k; it is not the share of the targets found.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kis_bench.records import Float64s

Number = TypeVar("Number", bound=np.generic)


def hits_at_k(best: ArrayLike, worst: ArrayLike, k: ArrayLike) -> Float64s:
    """Chance of each query's target to be among the first k when ties are broken at random: float64 ``[q]``.

    ``clip((k - best + 1) / (worst - best + 1), 0, 1)``: the target stands at any of the places ``best`` to ``worst``
    with the same probability (F. McSherry and M. Najork, ECIR 2008, on metrics under ties). k may be ``[q]``.

    >>> hits_at_k([1, 2, 5], [1, 5, 5], 3).tolist()
    [1.0, 0.5, 0.0]
    """
    first, last = np.asarray(best, dtype=np.float64), np.asarray(worst, dtype=np.float64)
    share: Float64s = np.clip((np.asarray(k) - first + 1) / (last - first + 1), 0.0, 1.0)
    return share


def recall_at_k(best: ArrayLike, worst: ArrayLike, k: int) -> float:
    """Mean of :func:`hits_at_k`: recall@k, the same as Success@k here (see the note on names above).

    >>> recall_at_k([1, 2, 5], [1, 5, 5], 3)
    0.5
    """
    return float(np.mean(some(hits_at_k(best, worst, k))))


def mean_reciprocal_rank(rank: ArrayLike) -> float:
    """Mean of ``1 / rank`` (MRR; E. Voorhees, TREC-8 question answering track, 1999); tied ranks are the middle ones.

    >>> mean_reciprocal_rank([1, 2, 4])
    0.5833333333333334
    """
    return float(np.mean(1.0 / some(np.asarray(rank, dtype=np.float64))))


def cumulative_curve(best: ArrayLike, worst: ArrayLike, max_rank: int) -> Float64s:
    """recall@1, recall@2, ..., recall@max_rank: float64 ``[max_rank]``.

    Each query adds ``1 / (worst - best + 1)`` at each of the places best ... worst. Queries without ties are counted
    in whole numbers; those with ties enter as steps of the slope, so no ``[q, max_rank]`` matrix is made.

    >>> cumulative_curve([1, 3], [1, 4], 4).tolist()
    [0.5, 0.5, 0.75, 1.0]
    """
    first, last = some(np.asarray(best, dtype=np.int64)), np.asarray(worst, dtype=np.int64)
    done = np.bincount(np.minimum(last, max_rank + 1), minlength=max_rank + 2)[
        1 : max_rank + 1
    ].cumsum()
    tied = (last > first) & (first <= max_rank)
    share = 1.0 / (last[tied] - first[tied] + 1)
    slope, level = np.zeros(max_rank + 2), np.zeros(max_rank + 2)
    end = np.minimum(last[tied], max_rank + 1)  # where the query is done, and counted as 1 above
    np.add.at(slope, first[tied], share)
    np.add.at(slope, end, -share)
    np.add.at(level, end, share * (end - first[tied]))
    ramps = slope.cumsum().cumsum() - level.cumsum()
    curve: Float64s = np.clip((done + ramps[1 : max_rank + 1]) / len(first), 0.0, 1.0)
    return curve


def rank_quantile(rank: ArrayLike, q: float) -> float:
    """The q-quantile of the ranks, linear between neighbours (R. Hyndman and Y. Fan, 1996, type 7); 0.5: the median.

    >>> rank_quantile([1, 3, 9, 20], 0.5)
    6.0
    """
    return float(np.quantile(some(np.asarray(rank, dtype=np.float64)), q))


def some(values: NDArray[Number]) -> NDArray[Number]:
    """The values, if there are any: a mean over no query is no number."""
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"expected the ranks of at least one query, shape [q], not shape {list(values.shape)}"
        )
    return values
