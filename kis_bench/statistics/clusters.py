"""Statistics of queries that aren't independent because they share targets.

Several captions, annotators or stages of one picture share its difficulty. A *cluster* is the queries of one target, by
whomever they were written; queries with several targets link these. Clusters are numbers ``[q]``, or None where every
query has targets of its own, and then all figures are those of independent queries.

Whole clusters are drawn, flipped and counted. That is all that a hierarchy of target, annotator and text asks for: what
varies within a target varies with it (C. Field and A. Welsh, J. of the Royal Statistical Society B 69, 2007).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kis_bench.records import Float64s, Int64s

RARE_SHARES = (
    3.0  #: targets of nothing but 0 and 1 that the variance of shares near 0 and 1 is mixed with
)
RARE_ALIKE = 1.0  #: queries of clusters that are of one mind, which a design effect from few hits is mixed with


def link_sets(sets: Sequence[Iterable[Hashable]]) -> Int64s:
    """Numbers ``[q]`` of q sets: equal where sets have a member in common, directly or through others.

    They count from 0 in the order of first appearance; an empty set stands alone.

    >>> link_sets(["a", "bc", "d", "cd", "a"]).tolist()
    [0, 1, 1, 1, 0]
    """
    parent: dict[object, object] = {}

    def root(member: object) -> object:
        while (above := parent.setdefault(member, member)) != member:
            parent[member] = parent[above]
            member = parent[member]
        return member

    firsts: list[object] = []
    for place, some in enumerate(sets):
        members: list[object] = [*some] or [(link_sets, place)]  # a name that nobody else has
        firsts.append(members[0])
        for other in members[1:]:
            parent[root(other)] = root(members[0])
    known: dict[object, int] = {}
    return np.array([known.setdefault(root(first), len(known)) for first in firsts], np.int64)


def cluster_by_target(item_ids: Iterable[object]) -> Int64s | None:
    """The clusters of queries from their targets ``[q]`` as ranks.parquet has them, several of them joined by ``|``.

    A query whose target isn't known stands alone. None where all do. A name that itself holds a bar counts as several.
    """
    names = [*item_ids]
    if len({*names}) == len(names) and not any(
        isinstance(one, str) and "|" in one for one in names
    ):
        return None  # which is most of all cases, and the quickest to see
    sets = [str(items).split("|") if isinstance(items, str) and items else [] for items in names]
    return number_clusters(link_sets(sets), len(sets))


def number_clusters(clusters: ArrayLike | None, n: int) -> Int64s | None:
    """Names or numbers of the clusters of n queries, numbered from 0 in the order of first appearance.

    None if each stands alone. Raises ValueError for another number of them than n.
    """
    if clusters is None:
        return None
    names = np.asarray(clusters)
    if names.shape != (n,):
        raise ValueError(
            f"clusters of shape {list(names.shape)}: each of the {n} queries needs one"
        )
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    if len(first) == n:
        return None
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[inverse.reshape(-1)]


def sum_clusters(values: Float64s, clusters: Int64s | None) -> Float64s:
    """Sums ``[c, g]`` of rows ``[c, q]`` over each of g clusters; exactly 0 where they cancel out up to rounding."""
    if clusters is None:
        return values
    order = np.argsort(clusters, kind="stable")
    starts, sorted_values = np.flatnonzero(np.diff(clusters[order], prepend=-1)), values[..., order]
    found = np.add.reduceat(sorted_values, starts, axis=-1)
    size = np.add.reduceat(np.abs(sorted_values), starts, axis=-1)
    return np.where(np.abs(found) > 1e-12 * size, found, 0.0)


def count_clusters(clusters: Int64s | None, n: int) -> int:
    """Number of clusters, hence of targets, of n queries."""
    return n if clusters is None else int(clusters.max()) + 1


def describe_count(n: int, n_targets: int) -> str:
    """Describes a number of queries and of their targets.

    >>> describe_count(1_000, 200), describe_count(12, 12), describe_count(1, 1)
    ('1,000 queries of 200 targets', '12 queries', '1 query')
    """
    of = f" of {int(n_targets):,} target{'' if n_targets == 1 else 's'}" if n_targets < n else ""
    return f"{int(n):,} {'query' if n == 1 else 'queries'}{of}"


def variances(values: Float64s, clusters: Int64s) -> Float64s:
    """Variances ``[c]`` of the means of rows ``[c, q]`` between clusters, of any sizes, without a factor for few.

    ``sum u^2 / q^2`` over the clusters' sums u of what lies above the mean (W. Cochran, Sampling Techniques, 1977,
    9A; K.-Y. Liang and S. Zeger, Biometrika 73, 1986).
    """
    above = values - values.mean(axis=1, keepdims=True)
    return np.asarray(
        (sum_clusters(above, clusters) ** 2).sum(axis=1) / values.shape[1] ** 2, np.float64
    )


def design_effects(values: Float64s, clusters: Int64s | None) -> Float64s:
    """Design effects ``[c]``: variances of the means of rows ``[c, q]`` over those of independent queries.

    q divided by it is the number of independent queries that tell as much (L. Kish, Survey Sampling, 1965; J. Rao and
    A. Scott, Biometrics 48, 1992). At least 1. Where few values differ from the rest the estimate is poor: it is mixed
    with the largest, of clusters that are of one mind, ``sum size^2 / q``, which counts as one value that differs.
    """
    n = values.shape[1]
    if clusters is None:
        return np.ones(len(values))
    largest = most_alike(clusters)
    if count_clusters(clusters, n) == 1:
        return np.full(len(values), largest)
    spread = values.var(axis=1) / n
    found = np.divide(
        variances(values, clusters), spread, out=np.full(len(values), largest), where=spread > 0
    )
    differ = np.abs(values - np.rint(np.median(values, axis=1, keepdims=True))).sum(axis=1)
    return np.asarray(
        (np.maximum(found, 1.0) * differ + RARE_ALIKE * largest) / (differ + RARE_ALIKE), np.float64
    )


def most_alike(clusters: Int64s) -> float:
    """The largest design effect, that of clusters without variation inside: the mean cluster size over queries."""
    return float((np.bincount(clusters) ** 2).sum()) / len(clusters)


def quantile(clusters: Int64s | None, n: int, confidence: float) -> float:
    """Two-sided quantile of the normal distribution or, with clusters, of Student's t."""
    from scipy.special import ndtri, stdtrit  # here, because it would slow down every start

    groups, at = count_clusters(clusters, n), (1 + confidence) / 2
    return float(ndtri(at) if clusters is None or groups == 1 else stdtrit(groups - 1, at))


def share_intervals(
    values: Float64s, confidence: float = 0.95, *, clusters: ArrayLike | None = None
) -> tuple[Float64s, Float64s]:
    """Intervals ``[c], [c]`` of the means of c rows of shares ``[c, q]`` from 0 to 1, over queries.

    Wilson's, of as many queries as would vary so little if each were 0 or 1, q p (1 - p) / variance (C. Franco,
    R. Little, T. Louis, E. Slud, J. of Survey Statistics and Methodology 7, 2019, on such effective numbers); rows of
    nothing but 0 and 1 get Wilson's own. Near 0 and 1 the variance misses rare queries that a sample lacks: it counts
    as much as q min(p, 1 - p) queries do against those of `RARE_SHARES` targets of nothing but 0 and 1. With
    ``clusters`` the number is divided by `design_effects`, and Student's t replaces the normal quantile.
    """
    p, n = np.clip(values.mean(axis=1), 0.0, 1.0), values.shape[1]
    groups = number_clusters(clusters, n)
    most, seen = p * (1 - p), n * np.minimum(p, 1 - p)
    ratio = np.divide(values.var(axis=1), most, out=np.ones(len(p)), where=most > 0)
    rare = RARE_SHARES if groups is None else RARE_SHARES * most_alike(groups)
    ratio = (
        (np.clip(ratio, 0.0, 1.0) * seen + rare) / (seen + rare) * design_effects(values, groups)
    )
    weight = quantile(groups, n, confidence) ** 2 / n * ratio
    half = np.sqrt(weight * most + weight**2 / 4) / (1 + weight)
    middle = (p + weight / 2) / (1 + weight)
    return np.minimum(np.maximum(middle - half, 0.0), p), np.maximum(
        np.minimum(middle + half, 1.0), p
    )


def whole_flip_tests(totals: Float64s) -> Float64s:
    """p-values ``[c]`` of the randomization test of rows ``[c, g]`` of whole numbers, exact however many there are.

    What McNemar's test is to differences -1, 0, 1, this is to their sums over clusters: under the hypothesis the sign
    of each is a coin (on matched pairs in clusters: V. Durkalski, Y. Palesch, S. Lipsitz, P. Rust, Statistics in
    Medicine 22, 2003). The distribution of the total is the convolution of one binomial for each size of sum.
    """
    found = np.ones(len(totals))
    for i, row in enumerate(np.rint(totals).astype(np.int64)):
        sizes, numbers = np.unique(np.abs(row[row != 0]), return_counts=True)
        chance = np.ones(1)  # of the sum of those that come out positive
        for size, number in zip(sizes.tolist(), numbers.tolist(), strict=True):
            steps = np.zeros(size * number + 1)
            steps[::size] = coins(number)
            chance = np.convolve(chance, steps)
        total = 2 * np.arange(len(chance)) - (len(chance) - 1)
        found[i] = min(1.0, float(chance[np.abs(total) >= abs(int(row.sum()))].sum()))
    return found


def coins(n: int) -> Float64s:
    """Probabilities ``[n + 1]`` of 0 ... n heads in n tosses of a coin."""
    from scipy.special import gammaln

    k = np.arange(n + 1)
    return np.asarray(
        np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * np.log(2)), np.float64
    )
