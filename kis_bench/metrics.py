"""Figures of ranks as pure functions, and `METRICS`, the one list that everything else takes metrics from.

Ranks count from 1; arrays hold one entry per query, ``[q]``, or one per model and query, ``[m, q]``.

Names clash in the literature: with one target per query, recall@k is also called Success@k, hit rate or R@k. With
several targets, of which the best-placed counts, it stays Success@k; it is not the share of the targets found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kis_bench.records import Float64s

Number = TypeVar("Number", bound=np.generic)
Measure = tuple[str, "int | None"]  #: name of a metric, and its cut-off k if it has any
#: What may count as found instead of the item itself: prefixes of columns of ranks and of names of metrics.
RELEVANCES = ("segment", "group", "near_duplicate")


def hits_at_k(best: ArrayLike, worst: ArrayLike, k: ArrayLike) -> Float64s:
    """Chance of each query's target to be among the first k when ties are broken at random: float64 ``[q]``.

    ``clip((k - best + 1) / (worst - best + 1), 0, 1)``: the target stands at any of the places ``best`` to ``worst``
    with the same probability (F. McSherry and M. Najork, ECIR 2008, on metrics under ties). k may be ``[q]``.

    >>> hits_at_k([1, 2, 5], [1, 5, 5], 3).tolist()
    [1.0, 0.5, 0.0]
    """
    first, last = np.asarray(best, dtype=np.float64), np.asarray(worst, dtype=np.float64)
    share: Float64s = np.clip((np.asarray(k) - first + 1) / (last - first + 1), 0.0, 1.0)
    return share


def recall_at_k(best: ArrayLike, worst: ArrayLike, k: int) -> float:
    """Mean of `hits_at_k`: recall@k, the same as Success@k here (see the note on names above).

    >>> recall_at_k([1, 2, 5], [1, 5, 5], 3)
    0.5
    """
    return float(np.mean(some(hits_at_k(best, worst, k))))


def mean_reciprocal_rank(rank: ArrayLike) -> float:
    """Mean of ``1 / rank`` (MRR; E. Voorhees, TREC-8 question answering track, 1999); tied ranks are the middle ones.

    >>> mean_reciprocal_rank([1, 2, 4])
    0.5833333333333334
    """
    return float(np.mean(1.0 / some(np.asarray(rank, dtype=np.float64))))


def cumulative_curve(best: ArrayLike, worst: ArrayLike, max_rank: int) -> Float64s:
    """recall@1, recall@2, ..., recall@max_rank: float64 ``[max_rank]``.

    Each query adds ``1 / (worst - best + 1)`` at each of the places best ... worst. Queries without ties are counted
    in whole numbers; those with ties enter as steps of the slope, so no ``[q, max_rank]`` matrix is made.

    >>> cumulative_curve([1, 3], [1, 4], 4).tolist()
    [0.5, 0.5, 0.75, 1.0]
    """
    first, last = some(np.asarray(best, dtype=np.int64)), np.asarray(worst, dtype=np.int64)
    done = np.bincount(np.minimum(last, max_rank + 1), minlength=max_rank + 2)[
        1 : max_rank + 1
    ].cumsum()
    tied = (last > first) & (first <= max_rank)
    share = 1.0 / (last[tied] - first[tied] + 1)
    slope, level = np.zeros(max_rank + 2), np.zeros(max_rank + 2)
    end = np.minimum(last[tied], max_rank + 1)  # where the query is done, and counted as 1 above
    np.add.at(slope, first[tied], share)
    np.add.at(slope, end, -share)
    np.add.at(level, end, share * (end - first[tied]))
    ramps = slope.cumsum().cumsum() - level.cumsum()
    curve: Float64s = np.clip((done + ramps[1 : max_rank + 1]) / len(first), 0.0, 1.0)
    return curve


def rank_quantile(rank: ArrayLike, q: float) -> float:
    """The q-quantile of the ranks, linear between neighbours (R. Hyndman and Y. Fan, 1996, type 7); 0.5: the median.

    >>> rank_quantile([1, 3, 9, 20], 0.5)
    6.0
    """
    return float(np.quantile(some(np.asarray(rank, dtype=np.float64)), q))


def some(values: NDArray[Number]) -> NDArray[Number]:
    """The values, if there are any: a mean over no query is no number."""
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"expected the ranks of at least one query, shape [q], not shape {list(values.shape)}"
        )
    return values


class Placed(Protocol):
    """Where targets stand, ties included: under one model ``[q]``, under several ``[m, q]``."""

    @property
    def rank(self) -> NDArray[np.float64]:
        """The mean place of each target."""

    def hits(self, k: int, /) -> NDArray[np.float64]:
        """The chance of each target to be among the first k."""


@dataclass(frozen=True)
class RankPlaces:
    """Targets of which each stands at any place from ``best`` to ``worst`` with the same chance."""

    best: NDArray[np.int64]
    worst: NDArray[np.int64]

    @property
    def rank(self) -> NDArray[np.float64]:
        middle: NDArray[np.float64] = (self.best + self.worst) / 2
        return middle

    def hits(self, k: int, /) -> NDArray[np.float64]:
        return hits_at_k(self.best, self.worst, k)


@dataclass(frozen=True)
class Metric:
    """A figure of quality: what it is, how it is measured, and how it is written."""

    name: str  # as in metrics.csv and thresholds.toml
    words: str  # as people write it
    meaning: str  # in one phrase, for the documentation
    kind: Literal["proportion", "mean", "quantile", "consistency", "correlation"]
    format: Literal["percent", "decimal", "rank"]
    #: Of queries: places and cut-off -> what each query adds to the mean.
    values_of: Callable[[Placed, Any], NDArray[np.float64]] | None = None
    adds: str = "a hit"  # that, in words
    quantile: float = 0.5  # of ranks, where that is the kind
    cutoffs: tuple[int, ...] = ()
    few_cutoffs: tuple[int, ...] = ()  # where there is no room for all
    heading: str = ""  # in a terminal, also: written into thresholds unless asked; "": neither
    tested: bool = False  # against a baseline, unless metrics are named
    relevances: bool = False  # also under each of RELEVANCES
    higher_is_better: bool = True

    @property
    def of_judgments(self) -> bool:
        """Whether it is of image similarity, not of queries."""
        return self.kind in ("consistency", "correlation")

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1."""
        return self.format != "rank" and self.kind != "correlation"

    @property
    def names(self) -> tuple[str, ...]:
        """Its own, and those under other relevances."""
        others = RELEVANCES if self.relevances else ()
        return (self.name, *(f"{relevance}_{self.name}" for relevance in others))

    def measures(self, few: bool = False) -> tuple[Measure, ...]:
        """It at each of its cut-offs, or at the few."""
        return tuple((self.name, k) for k in (self.few_cutoffs if few else self.cutoffs) or (None,))

    def figure(self, placed: Placed, k: int | None = None) -> float:
        """The figure itself, of queries under one model."""
        if self.values_of is None:
            return rank_quantile(placed.rank, self.quantile)
        return float(np.mean(some(self.values_of(placed, k))))


def expected_gain(placed: Placed, gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of what the places 1, 2, ... of a target are worth ``[k]``, over the places of its tie; none beyond k."""
    within = [placed.hits(k) for k in range(len(gains) + 1)]
    total = np.zeros_like(within[0])
    # Place by place: a product of matrices adds in an order that depends on how many models there are.
    for gain, before, after in zip(gains, within, within[1:], strict=False):
        total += gain * (after - before)
    return total


RECALL = Metric(
    "recall",
    "recall",
    "share of queries whose target is among the first k; with one target also called Success@k",
    kind="proportion",
    format="percent",
    values_of=lambda placed, k: placed.hits(k),
    cutoffs=(1, 5, 10, 50, 100),
    few_cutoffs=(1, 10, 100),
    heading="R",
    tested=True,
    relevances=True,
)
MRR = Metric(
    "mrr",
    "MRR",
    "mean of 1/rank; mostly about the first few places",
    kind="mean",
    format="decimal",
    values_of=lambda placed, _: 1.0 / placed.rank,
    adds="reciprocal rank",
    heading="MRR",
    tested=True,
)
NDCG = Metric(
    "ndcg",
    "nDCG",
    "mean of 1/log2(1 + rank) within the first k, else 0 (K. Järvelin, J. Kekäläinen, 2002)",
    kind="mean",
    format="decimal",
    values_of=lambda placed, k: expected_gain(placed, 1 / np.log2(np.arange(2, k + 2))),
    adds="discounted gain",
    cutoffs=(10,),
    few_cutoffs=(10,),
)
MEDIAN_RANK = Metric(
    "median_rank",
    "median rank",
    "half of the targets stand no lower",
    kind="quantile",
    format="rank",
    higher_is_better=False,
    heading="median",
    relevances=True,
)
LOWER_QUARTILE_RANK = Metric(
    "lower_quartile_rank",
    "lower quartile rank",
    "a quarter of the targets stand no lower",
    kind="quantile",
    format="rank",
    higher_is_better=False,
    quantile=0.25,
)
UPPER_QUARTILE_RANK = Metric(
    "upper_quartile_rank",
    "upper quartile rank",
    "three quarters of the targets stand no lower",
    kind="quantile",
    format="rank",
    higher_is_better=False,
    quantile=0.75,
)
CONSISTENCY = Metric(
    "consistency",
    "consistency",
    "share of people's judgments that a model agrees with; equal similarities count half",
    kind="consistency",
    format="percent",
    heading="consistency",
    tested=True,
)


def vary_consistency(suffix: str, words: str) -> Metric:
    """Consistency counted in another way, which is neither compared nor shown in a terminal."""
    return replace(
        CONSISTENCY,
        name=f"{CONSISTENCY.name}{suffix}",
        words=f"{CONSISTENCY.words} {words}",
        meaning=f"{CONSISTENCY.words} {words}",
        heading="",
        tested=False,
    )


CONSISTENCY_PUBLISHED = vary_consistency("_published", "by the study's own rules")
PER_TRIPLET = vary_consistency("_per_triplet", "with the majority on triplets that several judged")
PER_TRIPLET_PUBLISHED = vary_consistency(
    "_per_triplet_published",
    "with the majority on triplets that several judged, by the study's own rules",
)
#: What the margin of a triplet is divided by, for its correlation with the degrees that people gave.
NORMALISATIONS = {
    "difference": "",
    "max_normalised": " over the larger distance",
    "candidates_normalised": " over the distance of the candidates",
}
#: Every metric, in the order of tables and lists.
METRICS = (
    RECALL,
    MRR,
    NDCG,
    MEDIAN_RANK,
    LOWER_QUARTILE_RANK,
    UPPER_QUARTILE_RANK,
    CONSISTENCY,
    CONSISTENCY_PUBLISHED,
    PER_TRIPLET,
    PER_TRIPLET_PUBLISHED,
    *(
        Metric(
            f"{correlation}_{way}",
            f"{correlation} {way}".replace("_", " "),
            f"{correlation.title()}'s correlation of the margin{divisor} with the degrees that people gave",
            kind="correlation",
            format="decimal",
        )
        for correlation in ("pearson", "spearman")
        for way, divisor in NORMALISATIONS.items()
    ),
)
KNOWN = {name: metric for metric in METRICS for name in metric.names}
#: What pairs of models are compared by on the same queries; and what where there is no room for all cut-offs.
MEASURES = tuple(each for one in METRICS if one.values_of for each in one.measures())
FEW_MEASURES = tuple(each for one in METRICS if one.values_of for each in one.measures(few=True))
#: What two runs are compared by; of that, what there is a test for; and what is tested unless metrics are named.
COMPARED = tuple(one for one in METRICS if one.values_of or one.heading)
TESTABLE = tuple(one for one in COMPARED if one.kind != "quantile")
USUALLY_TESTED = tuple(one for one in TESTABLE if one.tested)
#: What thresholds are written for unless metrics are named.
USUALLY_WRITTEN = tuple(one for one in METRICS if one.heading)
#: Where there is room for two; models stand in the order of the first.
LEADING_MEASURES: tuple[Measure, Measure] = ((MRR.name, None), (RECALL.name, 10))


def find_metric(name: str) -> Metric | None:
    """The metric of ``recall``, ``recall@10`` or ``segment_recall@10``; None if there is none of that name."""
    return KNOWN.get(name.partition("@")[0])


def compute_values(placed: Placed, metric: str, k: int | None) -> NDArray[np.float64]:
    """What each query adds to the mean that a measure is, in the shape of ``placed``."""
    found = KNOWN.get(metric)
    if found is None or found.values_of is None or (k is None) == bool(found.cutoffs):
        raise ValueError(f"{metric!r} with k = {k} is no measure of single queries")
    return found.values_of(placed, k)


def measure_name(metric: str, k: object = None) -> str:
    """As in thresholds.toml; ``k`` is missing where a metric has none.

    >>> measure_name("recall", 10), measure_name("mrr")
    ('recall@10', 'mrr')
    """
    return (
        f"{metric}@{int(k)}"
        if isinstance(k, int | float | np.integer | np.floating) and k == k
        else metric
    )


def measure_words(metric: str, k: object = None) -> str:
    """As people write it.

    >>> measure_words("mrr"), measure_words("segment_recall", 10)
    ('MRR', 'segment recall@10')
    """
    known = KNOWN.get(metric)
    words = metric if known is None else metric.removesuffix(known.name) + known.words
    return measure_name(words.replace("_", " "), k)


def name_measures(metrics: Iterable[Metric], *, few: bool = False) -> tuple[str, ...]:
    """Names of metrics at all their cut-offs, or at the few."""
    return tuple(measure_name(*each) for one in metrics for each in one.measures(few))


def list_measures(metrics: Iterable[Metric], *, few: bool = False) -> str:
    """Names of metrics at all their cut-offs, or at the few, for the help of an option.

    >>> list_measures([RECALL, MRR], few=True)
    'recall@1, 10 or 100, mrr'
    """
    said = []
    for one in metrics:
        cutoffs = [str(k) for _, k in one.measures(few) if k is not None]
        last = f" or {cutoffs[-1]}" if len(cutoffs) > 1 else ""
        first = ", ".join(cutoffs[:-1] if last else cutoffs)
        said.append(f"{one.name}@{first}{last}" if cutoffs else one.name)
    return ", ".join(said)
