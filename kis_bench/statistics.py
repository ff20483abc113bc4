"""Intervals. 95% unless told otherwise; every seed is fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

CHUNK = 4 * 2**20  #: values that a bootstrap holds at once


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (E. B. Wilson, 1927). ``successes`` may be fractional, as with ties.

    >>> low, high = wilson_interval(50, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    from scipy.special import ndtri

    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} are no proportion")
    z, p = float(ndtri((1 + confidence) / 2)), successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_interval(
    values: ArrayLike, statistic: Callable[..., Any] = np.mean, *,
    confidence: float = 0.95, resamples: int = 10_000, seed: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """Percentile bootstrap over queries (B. Efron, 1979). ``statistic`` takes ``axis``.

    >>> bootstrap_interval([0.5, 0.5, 0.5])
    (0.5, 0.5)
    """
    data = np.asarray(values, float)
    if data.ndim != 1 or len(data) == 0:
        raise ValueError("a bootstrap needs a row of values")
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // len(data))
    parts = [
        np.asarray(statistic(data[rng.integers(0, len(data), (min(at_once, resamples - i), len(data)))], axis=1))
        for i in range(0, resamples, at_once)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
    return float(low), float(high)


def quantile_interval(values: ArrayLike, q: float, confidence: float = 0.95) -> tuple[float, float]:
    """Distribution-free interval of a quantile from order statistics (W. J. Conover, 1999, section 3.2).

    It is what a bootstrap of a sample quantile tends to with ever more resamples.

    >>> quantile_interval(range(1, 101), 0.5)
    (40.0, 61.0)
    """
    from scipy.special import bdtr

    data = np.sort(np.asarray(values, float))
    n = len(data)
    if n == 0:
        raise ValueError("a quantile needs values")
    below = bdtr(np.arange(n), n, q)  # chance that at most k of n lie below the quantile
    tail = (1 - confidence) / 2
    low = int(np.searchsorted(below, tail))
    high = int(np.searchsorted(below, 1 - tail))
    return float(data[max(low - 1, 0)]), float(data[min(high, n - 1)])
