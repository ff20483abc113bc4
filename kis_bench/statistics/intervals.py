"""Confidence intervals of figures over queries. Seeds are fixed: the same values, the same result.

``clusters``, everywhere: names or numbers of the queries' targets ``[q]``, see `kis_bench.statistics.clusters`.
Queries of one target aren't independent, so that whole clusters are drawn and flipped. Without, or where each query has
a target of its own, queries are independent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kis_bench.records import Float64s, Int64s
from kis_bench.statistics.clusters import (
    design_effects,
    number_clusters,
    quantile,
    share_intervals,
    sum_clusters,
)
from kis_bench.threads import one_blas_thread

CHUNK_VALUES = 2**21  #: resampled values held at once
NEAR_VALUES = 2**18  #: resampled values that a processor finds again in its cache
KEPT_DRAWS = (
    2**25
)  #: draws of a kind that are kept, a byte or two each; more are drawn anew each time


def wilson_interval(
    successes: ArrayLike,
    n: float | None = None,
    confidence: float = 0.95,
    *,
    clusters: ArrayLike | None = None,
) -> tuple[float, float]:
    """Score interval of a proportion, without continuity correction (E. B. Wilson, JASA 22, 1927).

    With p = successes / n and z the normal quantile of (1 + confidence) / 2:
    ``(p + z^2/2n +- z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n)``. ``successes`` is their number, which may be an
    expectation, as under ties; or the row of hits ``[q]``, which ``clusters`` need. With these it is the interval of as
    many independent queries as tell as much: `kis_bench.statistics.clusters.share_intervals`.

    >>> low, high = wilson_interval(50, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    >>> low, high = wilson_interval([1, 1, 0, 0] * 50, clusters=[*range(100)] * 2)
    >>> round(low, 4), round(high, 4)
    (0.4027, 0.5973)
    """
    from scipy.special import ndtri  # here, because it would slow down every start

    check_confidence(confidence)
    if np.ndim(successes) or n is None:
        hits = as_row(successes)
        if n not in (None, len(hits)):
            raise ValueError(f"{len(hits)} hits of {n} queries: each query needs one")
        if number_clusters(clusters, len(hits)) is not None:
            low, high = share_intervals(hits[None], confidence, clusters=clusters)
            return float(low[0]), float(high[0])
        successes, n = float(hits.sum()), len(hits)
    elif clusters is not None:
        raise ValueError("clusters need the hits of each query, not their number")
    successes = float(successes)  # type: ignore[arg-type]  # a number, as has been seen
    if n < 1 or not -1e-9 * n <= successes <= n * (
        1 + 1e-9
    ):  # sums of shares may be off by rounding
        raise ValueError(f"{successes} successes among {n} are not a proportion")
    p = min(max(successes / n, 0.0), 1.0)
    z = float(ndtri((1 + confidence) / 2))
    weight = z * z / n
    centre = (p + weight / 2) / (1 + weight)
    half = z * math.sqrt(p * (1 - p) / n + weight / (4 * n)) / (1 + weight)
    # At the ends the formula gives exactly 0 and 1; rounding would not.
    return (0.0 if p == 0 else max(0.0, centre - half)), (
        1.0 if p == 1 else min(1.0, centre + half)
    )


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap over queries (B. Efron, Annals of Statistics 7, 1979), or over whole clusters of them.

    ``values [q]`` are drawn with replacement in chunks of bounded memory; ``statistic`` maps ``[r, q]`` with
    ``axis=1`` to ``[r]``. Where clusters are drawn r is 1, as their sizes may differ, but for the mean.

    >>> bootstrap_interval([0.1, 0.1, 0.1])
    (0.1, 0.1)
    """
    data = as_row(values)
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"{resamples} resamples: at least 1 is needed")
    groups = number_clusters(clusters, len(data))
    if (
        data == data[0]
    ).all():  # every resample is the same, but a mean of equal values can be rounded
        data, groups = data[:1], None
    drawn = np.empty(resamples)
    if groups is not None:
        if statistic is np.mean:
            drawn = resampled_means(data[None], resamples=resamples, seed=seed, clusters=groups)[
                :, 0
            ]
        else:
            rng = np.random.default_rng(seed)
            members = np.split(
                data[np.argsort(groups, kind="stable")], np.cumsum(np.bincount(groups))[:-1]
            )
            for i in range(resamples):
                picked = np.concatenate(
                    [members[j] for j in rng.integers(0, len(members), len(members))]
                )
                drawn[i] = np.asarray(statistic(picked[None], axis=1))[0]
    else:
        for start, picks in iterate_picks(len(data), resamples, seed):
            picked = np.take(data, picks, mode="clip")  # which is the quickest; all are in range
            drawn[start : start + len(picks)] = statistic(picked, axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def iterate_picks(
    n: int, resamples: int, seed: int
) -> Iterator[tuple[int, NDArray[np.integer[Any]]]]:
    """Yields positions of what is drawn of n values, ``[r, n]`` a time, and the number of the first resample."""
    if n * resamples > KEPT_DRAWS or n > np.iinfo(np.uint16).max:
        yield from draw_picks(n, resamples, seed)
        return
    kept, step = keep_picks(n, resamples, seed), max(1, NEAR_VALUES // n)
    for start in range(0, resamples, step):
        yield start, kept[start : start + step]


@functools.lru_cache(maxsize=1)  # all means of a label set ask for the same draws
def keep_picks(n: int, resamples: int, seed: int) -> NDArray[np.uint16]:
    """All that `draw_picks` yields, ``[resamples, n]``."""
    found = np.empty((resamples, n), np.uint16)
    for start, picks in draw_picks(n, resamples, seed):
        found[start : start + len(picks)] = picks
    return found


def draw_picks(n: int, resamples: int, seed: int) -> Iterator[tuple[int, NDArray[np.int32]]]:
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK_VALUES // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield start, rng.integers(0, n, (size, n), dtype=np.int32)


def quantile_interval(
    values: ArrayLike, q: float, confidence: float = 0.95, *, clusters: ArrayLike | None = None
) -> tuple[float, float]:
    """Distribution-free interval of the q-quantile from order statistics (H. A. David and H. N. Nagaraja, 2003, 7.1).

    The number B of values below the quantile is binomial(n, q), so ``[x_(l), x_(u)]`` covers it with probability
    ``P(l <= B < u)``; l is the largest with ``P(B < l) <= tail``, u the smallest with ``P(B < u) >= 1 - tail``. It
    needs no resampling and is, up to neighbouring order statistics, what a bootstrap of the quantile tends to. With
    too few values for such l or u the extremes are given, which cover less. With ``clusters`` B varies more: it is
    taken for normal with the `kis_bench.statistics.clusters.design_effects` of the values up to the quantile (R.
    Woodruff, JASA 47, 1952).

    >>> quantile_interval(range(1, 101), 0.5)
    (40.0, 61.0)
    """
    from scipy.special import bdtr

    data = np.sort(as_row(values))
    check_confidence(confidence)
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is not between 0 and 1")
    n, tail = len(data), (1 - confidence) / 2
    if (groups := number_clusters(clusters, n)) is not None:
        effect = float(
            design_effects(
                (np.asarray(values) <= np.quantile(data, q))[None].astype(np.float64), groups
            )[0]
        )
        half = quantile(groups, n, confidence) * math.sqrt(q * (1 - q) * effect * n)
        return float(data[max(0, math.floor(n * q - half) - 1)]), float(
            data[min(n - 1, math.ceil(n * q + half))]
        )
    at_most = bdtr(np.arange(n, dtype=np.float64), n, q)  # P(B <= k) for k = 0 ... n-1
    low = int(np.searchsorted(at_most, tail, side="right"))
    high = int(np.searchsorted(at_most, 1 - tail, side="left")) + 1
    return float(data[max(low, 1) - 1]), float(data[min(high, n) - 1])


def bootstrap_means(
    values: Float64s,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Float64s:
    """Percentile bootstrap intervals ``[c, 2]`` of the means of c rows ``[c, q]``, over the same draws of queries.

    >>> bootstrap_means(np.array([[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]])).tolist()
    [[0.1, 0.1], [1.0, 1.0]]
    """
    check_confidence(confidence)
    data = np.asarray(values, np.float64)
    tail = (1 - confidence) / 2
    drawn = resampled_means(data, resamples=resamples, seed=seed, clusters=clusters)
    found = np.quantile(drawn, [tail, 1 - tail], axis=0).T
    equal = (data == data[:, :1]).all(axis=1)  # a mean of equal values can be rounded
    return np.where(equal[:, None], data[:, :1], found)


def resampled_means(
    values: Float64s, *, resamples: int = 10_000, seed: int = 0, clusters: ArrayLike | None = None
) -> Float64s:
    """Means ``[resamples, c]`` of c rows ``[c, q]`` over queries, or clusters, drawn with replacement, jointly."""
    data = np.asarray(values, np.float64)
    if resamples < 1:
        raise ValueError(f"{resamples} resamples: at least 1 is needed")
    groups = number_clusters(clusters, data.shape[1])
    sizes = np.ones(data.shape[1]) if groups is None else np.bincount(groups) * 1.0
    data = sum_clusters(data, groups)
    n = data.shape[1]
    found = np.empty((resamples, len(data)))
    with one_blas_thread(CHUNK_VALUES * len(data)):
        for start, some in iterate_counts(n, resamples, seed):
            counts = some.astype(np.float64)
            total = n if groups is None else (counts @ sizes)[:, None]
            found[start : start + len(counts)] = counts @ data.T / total
    return found


def iterate_counts(
    n: int, resamples: int, seed: int
) -> Iterator[tuple[int, NDArray[np.integer[Any]]]]:
    """Yields how often each of n is drawn, ``[r, n]``, in some resamples at a time, and the number of the first."""
    if n * resamples > KEPT_DRAWS:
        yield from draw_resamples(n, resamples, seed)
        return
    kept = keep_counts(n, resamples, seed)
    step = max(1, CHUNK_VALUES // n)
    for start in range(0, resamples, step):
        yield start, kept[start : start + step]


@functools.lru_cache(maxsize=3)  # a report asks for the same draws once a table
def keep_counts(n: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """All that `draw_resamples` yields, ``[resamples, n]``; the odds of 256 times one of n are below 1 / 256!."""
    found = np.empty((resamples, n), np.uint8)
    for start, counts in draw_resamples(n, resamples, seed):
        found[start : start + len(counts)] = counts
    return found


def draw_resamples(n: int, resamples: int, seed: int) -> Iterator[tuple[int, Int64s]]:
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK_VALUES // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, n, (size, n), dtype=np.int64) + n * np.arange(size)[:, None]
        yield start, np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)


def as_row(values: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) == 0 or np.isnan(data).any():
        raise ValueError("this needs a row of values, at least one and none of them NaN")
    return data


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
