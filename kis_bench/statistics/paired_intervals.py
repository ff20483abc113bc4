"""Intervals of the mean of paired differences: of hits and of other values, of independent queries and of clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kis_bench.records import Float64s
from kis_bench.statistics.clusters import (
    count_clusters,
    design_effects,
    number_clusters,
    quantile,
    variances,
)
from kis_bench.statistics.intervals import bootstrap_means, check_confidence


def count_gained_and_lost(differences: Float64s) -> tuple[Float64s, Float64s]:
    """Numbers ``[c]`` of queries that only the first system finds, then the second, from rows ``[c, q]``."""
    return np.maximum(differences, 0.0).sum(axis=-1), np.maximum(-differences, 0.0).sum(axis=-1)


def mean_differences(differences: Float64s) -> Float64s:
    """Means ``[c]`` of rows ``[c, q]``; exactly 0 where the values cancel out up to rounding."""
    mean = differences.mean(axis=-1)
    return np.where(np.abs(mean) > 1e-12 * np.abs(differences).mean(axis=-1), mean, 0.0)


def hit_intervals(
    differences: Float64s, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Float64s:
    """Intervals ``[c, 2]`` of the means of differences of hits ``[c, q]``: `paired_score_intervals`.

    With clusters of as many independent queries as tell as much (`kis_bench.statistics.clusters.design_effects`):
    all counts are divided by it, and Student's t takes the place of the normal quantile.
    """
    n = differences.shape[1]
    groups, (gained, lost) = number_clusters(clusters, n), count_gained_and_lost(differences)
    if groups is None:
        return paired_score_intervals(gained, lost, n, confidence)
    effect = design_effects(differences, groups)
    check_confidence(confidence)
    return score_intervals(
        gained / effect, lost / effect, n / effect, quantile(groups, n, confidence)
    )


def paired_score_intervals(
    gained: ArrayLike, lost: ArrayLike, n: int, confidence: float = 0.95
) -> Float64s:
    """Intervals ``[..., 2]`` of the difference of two recalls (T. Tango, Statistics in Medicine 17, 1998).

    The paired form of Wilson's interval. ``gained`` b and ``lost`` c of n queries are found by one model only; they may
    be expectations, as under ties. The interval holds every d with ``|b - c - n d| <= z sqrt(n (2 s + d (1 - d)))``, s
    being the likeliest share of lost queries under d. It covers the truth in 95% also if few queries differ, where a
    bootstrap covers it far less often, and where it gives [0, 0] if none does.

    >>> paired_score_intervals([10, 0], [2, 0], 100).round(3).tolist()
    [[0.014, 0.158], [-0.037, 0.037]]
    """
    check_confidence(confidence)
    b, c = np.asarray(gained, np.float64), np.asarray(lost, np.float64)
    return score_intervals(b, c, n, quantile(None, n, confidence))


def score_intervals(b: Float64s, c: Float64s, n: ArrayLike, z: float) -> Float64s:
    """`paired_score_intervals` of b, c ``[...]`` of n queries, whole numbers or not, for a quantile z."""
    n = np.asarray(n, np.float64)

    def distance(d: Float64s) -> Float64s:
        half = ((2 * n - b + c) * d - b - c) / 2
        share = (np.sqrt(np.maximum(half * half + 2 * n * c * d * (1 - d), 0.0)) - half) / (2 * n)
        spread = np.sqrt(np.maximum(n * (2 * share + d * (1 - d)), 1e-300))
        return np.asarray(np.abs(b - c - n * d) / spread, np.float64)

    ends = []
    for end in (-1.0, 1.0):
        inside, outside = (b - c) / n, np.full_like(b, end)
        for _ in range(52):  # each halves a distance of at most 2
            middle = (inside + outside) / 2
            within = distance(middle) <= z
            inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
        ends.append(outside)
    return np.stack(ends, axis=-1)


def difference_intervals(
    differences: Float64s,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Float64s:
    """Intervals ``[c, 2]`` of the means of differences ``[c, q]``: percentile bootstrap, or Student's t if wider.

    Reciprocal ranks have heavy tails: few queries near the top make most of the mean. At 100 simulated queries, with
    ranks of the two models correlated by about 0.7 and an MRR of 0.04 to 0.5, the percentile bootstrap alone held the
    truth in 91 to 94.5%, BCa and bootstrap-t did no better, Student's t in 94 to 95.5% (the first and the last are in
    ``tests/comparison/test_calibration.py``); it is also what the test by sign flips tends to. It holds less if models
    are nearly the same, or an MRR is below 0.01. All rows share the draws. Equal differences give their value, as
    nothing tells how they vary. With ``clusters`` these are drawn, and Student's t is of their sums; NaN where there is
    but one.
    """
    from scipy.special import stdtrit

    n = differences.shape[1]
    groups, mean = number_clusters(clusters, n), mean_differences(differences)
    found = bootstrap_means(
        differences, confidence=confidence, resamples=resamples, seed=seed, clusters=groups
    )
    if n < 2:
        return found
    if groups is None:
        half = stdtrit(n - 1, (1 + confidence) / 2) * standard_deviation(differences) / np.sqrt(n)
    elif (g := count_clusters(groups, n)) > 1:
        half = quantile(groups, n, confidence) * np.sqrt(
            variances(differences, groups) * g / (g - 1)
        )
    else:
        half = np.full(len(differences), np.nan)
    return np.stack(
        [np.minimum(found[:, 0], mean - half), np.maximum(found[:, 1], mean + half)], axis=1
    )


def standard_deviation(differences: Float64s) -> Float64s:
    """Standard deviations ``[c]`` of rows ``[c, q]``, with q - 1; exactly 0 for one query and for equal values."""
    equal = (differences == differences[:, :1]).all(axis=1)
    return np.where(equal, 0.0, differences.std(axis=1, ddof=min(1, differences.shape[1] - 1)))
