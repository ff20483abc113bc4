"""Figures of known-item search from ranks. Per-query values first; every mean is a mean of those."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def hits_at_k(best: ArrayLike, worst: ArrayLike, k: int) -> NDArray[np.float64]:
    """For each query the chance that its target is among the first k, ties broken at random.

    ``clip((k - best + 1) / (worst - best + 1), 0, 1)``, shape ``[q]``.

    >>> hits_at_k([1, 2, 5], [1, 5, 5], 3).tolist()
    [1.0, 0.5, 0.0]
    """
    first, last = np.asarray(best, float), np.asarray(worst, float)
    share: NDArray[np.float64] = np.clip((k - first + 1) / (last - first + 1), 0, 1)
    return share


def recall_at_k(best: ArrayLike, worst: ArrayLike, k: int) -> float:
    """Mean of :func:`hits_at_k`. With one target per query also called Success@k or hit rate.

    >>> recall_at_k([1, 2, 5], [1, 5, 5], 3)
    0.5
    """
    return float(hits_at_k(best, worst, k).mean())


def mean_reciprocal_rank(rank: ArrayLike) -> float:
    """Mean of 1 / rank (MRR).

    >>> mean_reciprocal_rank([1, 2, 4])
    0.5833333333333334
    """
    return float((1 / np.asarray(rank, float)).mean())


def cumulative_curve(best: ArrayLike, worst: ArrayLike, max_rank: int) -> NDArray[np.float64]:
    """recall@1 ... recall@max_rank, float64 ``[max_rank]``.

    >>> cumulative_curve([1, 3], [1, 4], 4).tolist()
    [0.5, 0.5, 0.75, 1.0]
    """
    first, last = np.asarray(best, np.int64), np.asarray(worst, np.int64)
    share = 1 / (last - first + 1)
    gain = np.zeros(max(int(last.max(initial=0)), max_rank) + 2)  # what each rank adds, as steps up and down
    np.add.at(gain, first, share)
    np.add.at(gain, last + 1, -share)
    curve: NDArray[np.float64] = np.cumsum(np.cumsum(gain))[1 : max_rank + 1] / max(len(first), 1)
    return np.clip(curve, 0, 1)


def rank_quantile(rank: ArrayLike, q: float) -> float:
    """The q-quantile of the ranks, linear between neighbours; 0.5 is the median.

    >>> rank_quantile([1, 3, 9, 20], 0.5)
    6.0
    """
    return float(np.quantile(np.asarray(rank, float), q))
