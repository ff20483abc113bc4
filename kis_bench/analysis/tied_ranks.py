"""Two or more models asked the same, under ties: the exact distribution of where the target is met.

A tied target stands at any of the places ``best`` to ``worst`` with the same probability, under each model
independently of the others. What is made of several ranks is then a random number as well, and not what the same rule
makes of the best places and of the worst: that would count as if every model broke its ties in the same way. Here are
its mean and the chance that it is at most k, in closed form, over arrays of queries ``[q]``. Without ties these are the
rank itself, exactly, and 0 or 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kis_bench.metrics import hits_at_k
from kis_bench.records import Float64s

TiedPlaces = tuple[ArrayLike, ArrayLike]  #: best and worst rank under one model, [q] each


def smallest_rank(best: ArrayLike, worst: ArrayLike) -> Float64s:
    """Mean ``[q]`` of the smallest of m independent ranks, each uniform over ``best [m, q]`` ... ``worst [m, q]``.

    The sum of P(all > x) over x = 0, 1, ... With the models in the order of their best places, that is 1 below the
    first of these, and from one to the next a product of those models' ``(worst - x) / (worst - best + 1)``: a
    polynomial, summed in falling factorials of the distance from the end, all terms of which are positive. A model
    whose best place is not before another's worst changes nothing, not even by rounding.

    >>> smallest_rank([[20, 3], [1, 3]], [[20, 3], [1000, 3]]).tolist()
    [19.81, 3.0]
    """
    first, last = (
        np.atleast_2d(np.asarray(best, np.float64)),
        np.atleast_2d(np.asarray(worst, np.float64)),
    )
    order = np.argsort(first, axis=0, kind="stable")
    first, last = np.take_along_axis(first, order, axis=0), np.take_along_axis(last, order, axis=0)
    end: Float64s = last.min(axis=0)
    mean = np.array(first[0])
    for j in range(len(first)):
        stop = end if j + 1 == len(first) else np.minimum(first[j + 1], end)
        terms = np.maximum(stop - first[j], 0)
        # The product of last - stop + 1 + t for t = 0 ... terms - 1, by coefficients of t (t - 1) ... (t - l + 1).
        coefficients = [np.ones_like(end)]
        for behind in last[: j + 1] - stop + 1:
            kept = [c * (behind + i) for i, c in enumerate(coefficients)]
            coefficients = [
                a + b for a, b in zip([*kept, 0 * end], [0 * end, *coefficients], strict=True)
            ]
        total, falling = 0 * end, np.ones_like(end)
        for i, c in enumerate(coefficients):
            falling = falling * (terms - i)
            total = total + c * (falling / (i + 1))
        mean += total / np.prod(last[: j + 1] - first[: j + 1] + 1, axis=0)
    return mean


def smallest_hits(best: ArrayLike, worst: ArrayLike, k: ArrayLike) -> Float64s:
    """Chance ``[q]`` that at least one of m independent ranks ``[m, q]`` is at most k.

    For several k ``[k, 1]`` ranks are ``[m, 1, q]``, and the chances ``[k, q]``.

    >>> smallest_hits([[20], [1]], [[20], [1000]], 10).tolist()
    [0.01]
    """
    each = np.atleast_2d(hits_at_k(best, worst, k))
    found: Float64s = each[0]
    for other in each[1:]:
        found = found + (1 - found) * other
    return found


def switching_rank(first: TiedPlaces, second: TiedPlaces, n: ArrayLike) -> Float64s:
    """Mean of `kis_bench.fusion.switching_cost`: n pictures of the first list, then the second; n may be ``[q]``.

    >>> switching_rank(([1], [20]), ([4], [4]), 10).tolist()
    [9.75]
    """
    best, worst = (np.asarray(side, np.float64) for side in first)
    stay, pictures = hits_at_k(best, worst, np.asarray(n)), np.asarray(n, np.float64)
    other = pictures + (np.asarray(second[0]) + np.asarray(second[1])) / 2
    return np.asarray(
        stay * (best + np.minimum(worst, pictures)) / 2 + (1 - stay) * other, np.float64
    )


def switching_hits(first: TiedPlaces, second: TiedPlaces, n: ArrayLike, k: int) -> Float64s:
    """Chance ``[q]`` that the target is met within k pictures if one switches after n."""
    pictures = np.asarray(n)
    stay = hits_at_k(*first, pictures)
    found = hits_at_k(*first, np.minimum(pictures, k)) + (1 - stay) * hits_at_k(
        *second, k - pictures
    )
    return np.asarray(found, np.float64)


def interleaving_rank(first: TiedPlaces, second: TiedPlaces) -> Float64s:
    """Mean of `kis_bench.fusion.interleaving_cost`: one picture of each list in turn.

    More than 2 y pictures are looked at where both ranks are above y, more than 2 y + 1 where that of the first list is
    above y + 1: the sum of two means of smallest ranks.

    >>> interleaving_rank(([3], [3]), ([1], [4])).tolist()
    [4.0]
    """
    best, worst = (
        np.stack([np.asarray(a), np.asarray(b)]) for a, b in zip(first, second, strict=True)
    )
    earlier = np.array([[1], [0]])
    return smallest_rank(best, worst) + smallest_rank(best - earlier, worst - earlier)


def interleaving_hits(first: TiedPlaces, second: TiedPlaces, k: int) -> Float64s:
    """Chance ``[q]`` that the target is met within k pictures, of which the first list has the odd ones."""
    found, other = hits_at_k(*first, (k + 1) // 2), hits_at_k(*second, k // 2)
    return np.asarray(found + (1 - found) * other, np.float64)
