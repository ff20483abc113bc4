"""Scores as single numbers: real dot products of float32 vectors, correctly rounded to float64."""

from __future__ import annotations

import math

import numpy as np

from kis_bench.ranking.exact_scores import (
    SLACK,
    U64,
    bound_lengths,
    gamma,
)
from kis_bench.records import Float32s, Float64s


def true_scores(query: Float32s, vectors: Float32s) -> Float64s:
    """The scores of items ``vectors [k, v, d]``, real dot products correctly rounded: float64 ``[k]``.

    So they are the same wherever they are computed, equal where items tie, and never against the exact order.
    """
    k, _, d = vectors.shape
    terms = vectors.astype(np.float64) * query  # exact: twice 24 bits fit into 53
    rough = terms.sum(axis=2)
    bound = (
        gamma(d, U64)
        * bound_lengths(query[None])[0]
        * bound_lengths(vectors.reshape(-1, d)).max(initial=0)
        * SLACK
    )
    row, column = np.nonzero(rough >= rough.max(axis=1, keepdims=True) - 2 * SLACK * bound)
    scores = np.full(k, -np.inf)
    np.maximum.at(scores, row, rounded_sums(terms[row, column]))
    return scores


def rounded_sums(terms: Float64s) -> Float64s:
    """The sum of each row of ``terms [p, d]``, correctly rounded: float64 ``[p]``.

    The errors of a pairwise sum, exact by TwoSum, are summed beside it, which leaves an error below
    ``2 d^2 2^-106 sum |terms|`` (by N. J. Higham, 2002, section 4.2); where that could matter, ``fsum`` decides.
    """
    high, low = terms, np.zeros(len(terms))
    while high.shape[1] > 1:
        even = np.pad(high, ((0, 0), (0, high.shape[1] % 2)))
        left, right = even[:, 0::2], even[:, 1::2]
        high = left + right
        low += rounding_error(left, right, high).sum(axis=1)
    sums = high[:, 0] + low
    rest = rounding_error(high[:, 0], low, sums)
    half = np.abs(np.nextafter(sums, np.copysign(np.inf, rest)) - sums) / 2
    doubt = 4 * terms.shape[1] ** 2 * U64**2 * np.abs(terms).sum(axis=1)
    for i in np.flatnonzero(half - np.abs(rest) <= doubt):
        sums[i] = math.fsum(terms[i].tolist())
    return sums


def rounding_error(a: Float64s, b: Float64s, total: Float64s) -> Float64s:
    """What rounding took from ``total = a + b``, exactly (TwoSum; D. Knuth, TAOCP vol. 2, section 4.2.2)."""
    part = total - a
    return (a - (total - part)) + (b - part)
