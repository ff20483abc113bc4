"""Image similarity as people judge it: how often does an encoder choose the same candidate?

A triplet asks which of two candidates is more similar to a target; a person's choice is -1 (candidate 1), 1
(candidate 2) or 0 (no difference). The margin of an encoder is its similarity of target and candidate 1 minus that of
target and candidate 2: positive, if it takes candidate 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kis_bench.choices import VECTOR_RULES
from kis_bench.metrics import NORMALISATIONS
from kis_bench.ranking.relevance import average_vectors
from kis_bench.records import Collection, Float64s, Int64s, Triplet

PROTOCOLS = ("default", "published")
BLOCK_TRIPLETS = 1024  #: triplets at once
LEAST_DISTANCE = 1e-5  #: what the study takes for candidates without distance


def positions(triplets: Sequence[Triplet], collection: Collection) -> Int64s:
    """Places in the collection of target, candidate 1 and candidate 2, int64 ``[t, 3]``; -1: the image is missing."""
    find = collection.position.get
    found = [[find(t.target, -1), find(t.candidate1, -1), find(t.candidate2, -1)] for t in triplets]
    return np.array(found, np.int64).reshape(-1, 3)


def cosine_distances(vectors: Any, places: Int64s, rule: str = "mean") -> tuple[Float64s, Float64s]:
    """Distances ``[t, 3]`` (target-candidate 1, target-candidate 2, candidate 1-candidate 2) and margins ``[t]``.

    A distance is 1 minus the cosine, computed in float64 from stored float32 vectors, and at least 0, which rounded
    vectors may miss. The margin is not the difference of two rounded distances: it is 0 for equal similarities only,
    and changes just its sign when the candidates change places. NaN where an image is missing.

    Args:
        vectors: unit vectors of the collection, float32 ``[n, d]`` or ``[n, v, d]``, perhaps mapped from a file.
        places: as `positions` gives them.
        rule: for v > 1 ``mean``, the cosine of the mean vectors, or ``max``, the best pair of one vector each. The
            first compares images as wholes; the second is to pairs what search does for a text. What was said of the
            margin holds for the mean vectors as rounded to float32; with ``max`` it is a difference in float64.
    """
    if rule not in VECTOR_RULES:
        raise ValueError(f"rule {rule!r}: choose {' or '.join(VECTOR_RULES)}")
    several = vectors.ndim == 3 and vectors.shape[1] > 1 and rule == "max"
    distances, margins = np.full((len(places), 3), np.nan), np.full(len(places), np.nan)
    whole = np.flatnonzero((places >= 0).all(axis=1))
    for start in range(0, len(whole), BLOCK_TRIPLETS):
        block = whole[start : start + BLOCK_TRIPLETS]
        used, inside = np.unique(places[block], return_inverse=True)
        taken = np.asarray(vectors[used], np.float32)
        single = taken.ndim == 2 or taken.shape[1] == 1
        own = (
            taken.reshape(len(taken), -1)
            if single
            else taken
            if several
            else average_vectors(taken)
        )
        target, first, second = own[inside.reshape(-1, 3)].swapaxes(0, 1).astype(np.float64)
        similarity = multiply_best_pairs if several else multiply_rows
        for column, (a, b) in enumerate(((target, first), (target, second), (first, second))):
            distances[block, column] = 1.0 - similarity(
                a, b
            )  # also below 0, until margins are made of them
        if several:
            margins[block] = distances[block, 1] - distances[block, 0]
            margins[block[(first == second).all(axis=(1, 2))]] = 0.0
        else:
            margins[block] = exact_margins(target, first, second)
    return np.maximum(distances, 0.0), margins


def multiply_rows(a: Float64s, b: Float64s) -> Float64s:
    """Dot products of rows ``[t, d]`` -> ``[t]``."""
    products: Float64s = np.einsum("td,td->t", a, b)
    return products


def multiply_best_pairs(a: Float64s, b: Float64s) -> Float64s:
    """The largest product of any two vectors, ``[t, v, d]`` -> ``[t]``."""
    best: Float64s = (a @ b.swapaxes(1, 2)).max(axis=(1, 2))
    return best


def exact_margins(target: Float64s, first: Float64s, second: Float64s) -> Float64s:
    """``target . first - target . second`` for rows of float32 numbers ``[t, d]``, with the sign that is true.

    Where float64 might err, all products, which float64 holds exactly, are summed without rounding.
    """
    terms = target * (first - second)
    margins: Float64s = terms.sum(axis=1)
    doubt = np.abs(margins) <= 2.0**-50 * target.shape[1] * np.abs(terms).sum(axis=1)
    for row in np.flatnonzero(doubt):
        margins[row] = math.fsum([*(target[row] * first[row]), *(-target[row] * second[row])])
    return margins


def agreement(
    margins: ArrayLike, choices: ArrayLike, *, protocol: str = "default", left: ArrayLike | int = 1
) -> Float64s:
    """Whether an encoder chose as people did, float64 ``[j]``: 1 yes, 0 no; NaN: not to be counted.

    Equal similarities count 0.5, what guessing would earn. Left out (NaN) are judgments without a preference and those
    on triplets without margin.

    Args:
        margins: of each judgment's triplet ``[j]``; positive: candidate 1 is more similar.
        choices: -1, 0 or 1 ``[j]``; -1: candidate 1.
        protocol: ``published``: equal similarities count as a choice of the left option (the study's notebook).
        left: which candidate was shown on the left, 1 or 2; only for ``published``.

    >>> agreement([0.2, -0.1, 0.0], [-1, -1, 1])
    array([1. , 0. , 0.5])
    >>> agreement([0.0, 0.0], [-1, 1], protocol="published")
    array([1., 0.])
    """
    margin, choice = np.asarray(margins, np.float64), np.asarray(choices, np.float64)
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r}: choose {' or '.join(PROTOCOLS)}")
    if margin.shape != choice.shape:
        raise ValueError(f"{margin.shape} margins for {choice.shape} choices")
    own: Float64s = -np.sign(margin)
    if protocol == "published":
        own = np.where(own == 0, np.where(np.asarray(left) == 1, -1.0, 1.0), own)
    agreed = (1.0 + own * choice) / 2
    agreed[choice == 0] = np.nan
    return agreed


def consistency(agreed: ArrayLike) -> float:
    """The mean of what counts of `agreement`; NaN if nothing does.

    >>> consistency([1.0, 0.0, 0.5, float("nan")])
    0.5
    """
    values = np.asarray(agreed, np.float64)
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else math.nan


def majority(choices: ArrayLike, triplets: Int64s, n_triplets: int, least: int = 2) -> Int64s:
    """What most people chose on each triplet, int64 ``[t]``: the sign of the sum of their choices.

    0: no preference, or fewer than ``least`` judgments, those without preference among them.

    Args:
        choices: -1, 0 or 1 ``[j]``.
        triplets: place of each judgment's triplet ``[j]``.
    """
    total = np.bincount(triplets, np.asarray(choices, np.float64), n_triplets)
    enough = np.bincount(triplets, minlength=n_triplets) >= least
    return np.asarray(np.sign(total) * enough, np.int64)


def ceiling(choices: ArrayLike, triplets: Int64s) -> float:
    """The largest `consistency` with decided judgments that a model can reach, which has one choice per triplet.

    That of whoever chooses as most people did on each triplet. Below 1 where people contradict each other, or
    themselves; NaN without judgments.

    >>> ceiling([-1, -1, 1, 1], np.array([0, 0, 0, 1]))
    0.75

    Args:
        choices: -1 or 1 ``[j]``.
        triplets: a number of each judgment's triplet ``[j]``.
    """
    choice = np.asarray(choices, np.float64)
    if not len(choice):
        return math.nan
    most = (np.bincount(triplets) + np.abs(np.bincount(triplets, choice))) / 2
    return float(most.sum() / len(choice))


def normalise_margins(distances: Float64s, margins: Float64s | None = None) -> dict[str, Float64s]:
    """How much more similar candidate 1 is, in the three ways of the study, float64 ``[t]`` each.

    ``difference`` d2 - d1 of the distances to the target; ``max_normalised`` divided by the larger of both, -1 to 1;
    ``candidates_normalised`` divided by the distance between the candidates, for which 1e-5 is taken if it is 0.
    """
    first, second, between = distances.T
    difference = second - first if margins is None else margins
    larger = np.maximum(first, second)
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # both at 0: any difference is as large as can be
        relative = np.clip(
            np.where(larger <= 0, np.sign(difference), difference / larger), -1.0, 1.0
        )
    apart = difference / np.where(between == 0, LEAST_DISTANCE, between)
    return dict(zip(NORMALISATIONS, (difference, relative, apart), strict=True))


def pearson(x: Float64s, y: Float64s) -> float:
    """Pearson's correlation of ``[j]`` and ``[j]`` where both are known; NaN if either is constant.

    Of `midranks` it is Spearman's.
    """
    some = np.isfinite(x) & np.isfinite(y)
    a, b = x[some], y[some]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def midranks(values: Float64s) -> Float64s:
    """Ranks from 1; equal values share the middle of theirs. NaN stays NaN and takes no rank."""
    from scipy.stats import (
        rankdata,
    )  # here, because a run in which nothing is measured needn't wait for it

    return np.asarray(rankdata(values, nan_policy="omit"), np.float64)
