"""Paired tests of systems on the same queries. Seeds are fixed: the same values, the same result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kis_bench.records import Float32s, Float64s
from kis_bench.statistics.clusters import number_clusters, sum_clusters, whole_flip_tests
from kis_bench.statistics.intervals import (
    CHUNK_VALUES,
    NEAR_VALUES,
    as_row,
)
from kis_bench.threads import one_blas_thread

PATTERNS_AT_ONCE = (
    2**12
)  #: sign patterns held at once: few enough for their sums to stay in the processor's cache

ROWS_AT_ONCE = 128  #: differences whose sums under these patterns are looked at together


def paired_randomization_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    permutations: int = 100_000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> float:
    """Two-sided p-value of the mean difference of two systems on the same queries, values ``[q]`` of each.

    Under the hypothesis that the systems are alike the sign of each query's difference is a coin (R. A. Fisher, The
    Design of Experiments, 1935; M. Smucker, J. Allan, B. Carterette, CIKM 2007). All sign patterns of the differences
    that aren't 0 are gone through where there are not more than ``permutations``; else that many are drawn, and p is
    (as extreme + 1) / (drawn + 1), which is never 0. Without any difference p is 1. With ``clusters`` the coin is
    thrown for all differences of a cluster together.

    >>> paired_randomization_test([1, 1, 1, 1], [0, 0, 0, 0])
    0.125
    """
    a, b = as_row(first), as_row(second)
    if len(a) != len(b):
        raise ValueError(
            f"{len(a)} and {len(b)} values: a paired test needs both on the same queries"
        )
    if not (np.isfinite(a) & np.isfinite(b)).all():
        raise ValueError("a paired test needs finite values")
    return float(
        sign_flip_tests((a - b)[None], permutations=permutations, seed=seed, clusters=clusters)[0]
    )


def sign_flip_tests(
    differences: Float64s,
    *,
    permutations: int = 100_000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Float64s:
    """p-values ``[c]`` of the randomization test for c rows of paired differences ``[c, q]``, all over the same draws.

    A row's p depends on its own values only, not on the other rows. Memory does not grow with ``permutations``. Sums
    that equal the observed one up to rounding are as extreme as it. Of ``clusters`` the sums are flipped.
    """
    d = np.asarray(differences, np.float64)
    d = sum_clusters(d, number_clusters(clusters, d.shape[1]))
    if permutations < 1:
        raise ValueError(f"{permutations} permutations: at least 1 is needed")
    counts = (d != 0).sum(axis=1)
    found = np.ones(len(d))
    few = (counts > 0) & (counts <= math.log2(permutations))
    for row in np.flatnonzero(few):
        found[row] = enumerate_signs(d[row][d[row] != 0])
    many = np.flatnonzero((counts > 0) & ~few)
    if not len(many):
        return found
    # Scaled so that float32 sums are off by far less than what is taken for equal.
    scale = np.abs(d[many]).sum(axis=1)
    values = (d[many] / scale[:, None]).T.astype(np.float32)
    observed = (np.abs(values.sum(axis=0, dtype=np.float64)) - 1e-6).astype(np.float32)
    extreme = np.zeros(len(many), np.int64)
    with one_blas_thread(CHUNK_VALUES * min(len(many), ROWS_AT_ONCE)):
        for signs in draw_signs(d.shape[1], permutations, seed):
            for start in range(0, len(many), ROWS_AT_ONCE):
                some = slice(start, start + ROWS_AT_ONCE)
                sums = signs @ values[:, some]
                extreme[some] += np.count_nonzero(np.abs(sums, out=sums) >= observed[some], axis=0)
    found[many] = (extreme + 1) / (permutations + 1)
    return found


def enumerate_signs(differences: Float64s) -> float:
    """Share of the 2^n sign patterns of n differences whose sum is at least as far from 0 as the observed one."""
    sums = differences[:1]  # with a minus before the first, every sum comes once more, mirrored
    for one in differences[1:]:
        sums = np.concatenate([sums + one, sums - one])
    limit = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    return float(np.mean(np.abs(sums) >= limit))


def draw_signs(n: int, patterns: int, seed: int) -> Iterator[Float32s]:
    """Rows of n random signs, ``[r, n]`` at a time, the same for the same n, number and seed."""
    rng = np.random.default_rng(seed)
    width = -(-n // 8)
    near = max(1, NEAR_VALUES // n)
    # All eight signs that a byte stands for, looked up at once.
    each = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) * 2 - 1
    step = max(1, min(PATTERNS_AT_ONCE, CHUNK_VALUES // n))
    for start in range(0, patterns, step):
        size = min(step, patterns - start)
        bits = np.frombuffer(rng.bytes(size * width), np.uint8).reshape(size, width)
        for first in range(0, size, near):
            some = bits[first : first + near]
            signs = np.take(each, some, axis=0, mode="clip")  # all are in range
            yield signs.reshape(len(some), 8 * width)[:, :n]


def mcnemar_exact(
    first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None
) -> float:
    """Two-sided p-value for hits 0 or 1 of two systems on the same queries ``[q]``, as `mcnemar_tests`.

    Two numbers instead of rows are those of the queries that only the first finds and that only the second finds. With
    ``clusters`` it is the test of `kis_bench.statistics.clusters.whole_flip_tests`, which without is McNemar's.

    >>> mcnemar_exact(1, 8), mcnemar_exact([1, 1, 0], [0, 1, 0])
    (0.0390625, 1.0)
    """
    if np.ndim(first) == 0 and np.ndim(second) == 0:
        if clusters is not None:
            raise ValueError("clusters need the hits of each query, not their number")
        counts = np.array([first, second], np.float64)
        if not (np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))).all():
            raise ValueError(f"{counts.tolist()} are not numbers of queries")
        return float(mcnemar_tests(*counts))
    hits = as_row(first), as_row(second)
    if len(hits[0]) != len(hits[1]):
        raise ValueError(
            f"{len(hits[0])} and {len(hits[1])} hits: a paired test needs both on the same queries"
        )
    if not all(np.isin(each, (0, 1)).all() for each in hits):
        raise ValueError(
            "hits are 0 or 1; where ties make them shares, use paired_randomization_test"
        )
    return float(hit_tests((hits[0] - hits[1])[None], clusters)[0])


def hit_tests(differences: Float64s, clusters: ArrayLike | None = None) -> Float64s:
    """p-values ``[c]`` of `mcnemar_exact` for c rows of differences -1, 0, 1 ``[c, q]``."""
    totals = sum_clusters(differences, number_clusters(clusters, differences.shape[-1]))
    found = mcnemar_tests((totals > 0).sum(axis=-1), (totals < 0).sum(axis=-1))
    several = (np.abs(totals) > 1).any(axis=-1)
    found[several] = whole_flip_tests(totals[several])
    return found


def paired_tests(
    differences: Float64s,
    exact: NDArray[np.bool_],
    *,
    permutations: int = 100_000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Float64s:
    """p-values ``[r, c]`` of rows ``[r, c, q]``: `hit_tests` where ``exact [r, c]``, else by sign flips."""
    p = np.empty(exact.shape)
    p[exact] = hit_tests(differences[exact], clusters)
    if not exact.all():
        p[~exact] = sign_flip_tests(
            differences[~exact], permutations=permutations, seed=seed, clusters=clusters
        )
    return p


def mcnemar_tests(gained: ArrayLike, lost: ArrayLike) -> Float64s:
    """p-values of the exact test of Q. McNemar (Psychometrika 12, 1947) from numbers b and c of discordant queries.

    Only the queries count that one finds and the other doesn't: under the hypothesis each falls to either side with
    1/2, so p is ``min(1, 2 P(X <= min(b, c)))`` with X binomial(b + c, 1/2). It is conservative: it rejects equals in
    less than 5% of cases, the less often the fewer such queries there are.
    """
    from scipy.special import bdtr

    b, c = np.asarray(gained, np.float64), np.asarray(lost, np.float64)
    return np.asarray(
        np.minimum(1.0, 2 * bdtr(np.minimum(b, c), (b + c).astype(np.int64), 0.5)), np.float64
    )


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


def adjust_known(p_values: ArrayLike) -> Float64s:
    """`holm` of the p-values that are known; NaN, where nothing was tested, stays and doesn't count."""
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    adjusted[known] = holm(p[known])
    return adjusted
