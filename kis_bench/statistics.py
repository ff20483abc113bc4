"""Confidence intervals of figures over queries. Seeds are fixed, so the same values give the same interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

CHUNK = 2**21  #: resampled values held at once


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion, without continuity correction (E. B. Wilson, JASA 22, 1927).

    With p = successes / n and z the normal quantile of (1 + confidence) / 2:
    ``(p + z^2/2n +- z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n)``. ``successes`` may be an expectation, as under ties.

    >>> low, high = wilson_interval(50, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    from scipy.special import ndtri  # here, because it would slow down every start

    check_confidence(confidence)
    if n < 1 or not -1e-9 * n <= successes <= n * (1 + 1e-9):  # sums of shares may be off by rounding
        raise ValueError(f"{successes} successes among {n} are not a proportion")
    p = min(max(successes / n, 0.0), 1.0)
    z = float(ndtri((1 + confidence) / 2))
    weight = z * z / n
    centre = (p + weight / 2) / (1 + weight)
    half = z * math.sqrt(p * (1 - p) / n + weight / (4 * n)) / (1 + weight)
    # At the ends the formula gives exactly 0 and 1; rounding would not.
    return (0.0 if p == 0 else max(0.0, centre - half)), (1.0 if p == 1 else min(1.0, centre + half))


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap over queries (B. Efron, Annals of Statistics 7, 1979).

    ``values [q]`` are drawn with replacement in chunks of bounded memory; ``statistic`` maps ``[r, q]`` with
    ``axis=1`` to ``[r]``.

    >>> bootstrap_interval([0.1, 0.1, 0.1])
    (0.1, 0.1)
    """
    data = row_of(values)
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"{resamples} resamples: at least 1 is needed")
    if (data == data[0]).all():  # every resample is the same, but a mean of equal values can be rounded
        data = data[:1]
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK // len(data))
    drawn = np.empty(resamples)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        picked = data[rng.integers(0, len(data), (size, len(data)), dtype=np.int32)]
        drawn[start : start + size] = statistic(picked, axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def quantile_interval(values: ArrayLike, q: float, confidence: float = 0.95) -> tuple[float, float]:
    """Distribution-free interval of the q-quantile from order statistics (H. A. David and H. N. Nagaraja, 2003, 7.1).

    The number B of values below the quantile is binomial(n, q), so ``[x_(l), x_(u)]`` covers it with probability
    ``P(l <= B < u)``; l is the largest with ``P(B < l) <= tail``, u the smallest with ``P(B < u) >= 1 - tail``. It
    needs no resampling and is, up to neighbouring order statistics, what a bootstrap of the quantile tends to. With
    too few values for such l or u the extremes are given, which cover less.

    >>> quantile_interval(range(1, 101), 0.5)
    (40.0, 61.0)
    """
    from scipy.special import bdtr

    data = np.sort(row_of(values))
    check_confidence(confidence)
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is not between 0 and 1")
    n, tail = len(data), (1 - confidence) / 2
    at_most = bdtr(np.arange(n, dtype=np.float64), n, q)  # P(B <= k) for k = 0 ... n-1
    low = int(np.searchsorted(at_most, tail, side="right"))
    high = int(np.searchsorted(at_most, 1 - tail, side="left")) + 1
    return float(data[max(low, 1) - 1]), float(data[min(high, n) - 1])


def holm(p_values: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """p-values adjusted for their number, in the same order (S. Holm, Scandinavian J. of Statistics 6, 1979).

    The smallest of m counts m-fold, the next (m-1)-fold, and so on, none less than one before it, none more than 1.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values are a row of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def row_of(values: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) == 0 or np.isnan(data).any():
        raise ValueError("an interval needs a row of values, at least one and none of them NaN")
    return data


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
