"""Why a measured figure isn't the published one: causes that can be tried on ranks, and what each would give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from kis_bench.analysis.attempts import Attempt
from kis_bench.metrics import KNOWN, Metric, RankPlaces
from kis_bench.records import Float64s
from kis_bench.results.figures import metric_interval
from kis_bench.statistics.clusters import cluster_by_target
from kis_bench.statistics.paired_intervals import difference_intervals

ERRORS = 0.05  #: chance of naming any cause where all differ from what was measured by chance alone
DIFFERENCE_RESAMPLES = 1_000
NEARER = 0.5  #: of the difference that is to be explained, what an explanation may leave of it


@dataclass(frozen=True)
class PublishedFigure:
    """One figure that others published of a model, and what was measured here instead."""

    metric: str
    k: int | None
    value: float
    tolerance: float = 0.0
    n: int | None = None  # queries, where the source says so

    @property
    def name(self) -> str:
        return self.metric if self.k is None else f"{self.metric}@{self.k}"


@dataclass(frozen=True)
class TriedFigure:
    """What an attempt gives for one published figure, with its 95% interval."""

    value: float
    low: float
    high: float

    def agrees_with(self, published: PublishedFigure) -> bool:
        """Whether the published figure lies within the interval."""
        slack = published.tolerance
        return self.low - slack <= published.value <= self.high + slack


#: Whether an attempt explains what was published; if figures agree and it does not, why not.
Verdict = Literal["yes", "no", "no: of another number of queries", "no: chance does as much"]


@dataclass(frozen=True)
class Tried:
    """What an attempt gives, and whether that explains what was published."""

    cause: str
    n: int  # queries
    figures: tuple[TriedFigure, ...]  # one for each published figure
    verdict: Verdict

    @property
    def explains(self) -> bool:
        return self.verdict == "yes"


def read_places(places: pd.DataFrame) -> RankPlaces:
    best, worst = (places[f"rank_{end}"].to_numpy(np.int64) for end in ("best", "worst"))
    return RankPlaces(best, worst)


def measure_places(
    places: pd.DataFrame, published: Sequence[PublishedFigure]
) -> tuple[TriedFigure, ...]:
    """The figures of queries under the measures that were published, with intervals clustered by target."""
    placed, clusters = read_places(places), cluster_by_target(places["item_id"])
    return tuple(
        TriedFigure(
            KNOWN[one.metric].figure(placed, one.k),
            *metric_interval(KNOWN[one.metric], placed, one.k, clusters),
        )
        for one in published
    )


def judge_attempts(
    places: pd.DataFrame,
    published: Sequence[PublishedFigure],
    attempts: Iterable[Attempt],
    n_repeated: int = 0,
) -> list[Tried]:
    """What each attempt gives for the published figures of one model, of which some are outside the intervals.

    An attempt explains them if all lie within its intervals; it leaves at most half of each difference that was
    outside, for a wider interval of fewer queries explains nothing; it is of as many queries as the source says, if
    that says so; and one at least of those outside differs from the measured figure by more than chance, with an error
    of 5% in all attempts and figures together (Bonferroni): the best of several that change nothing may come near, too.

    Args:
        places: of the queries as they were measured, columns `PLACES`.
        published: of one model, dataset and label set; not empty.
        n_repeated: texts that are queries once here, and count each time in papers.
    """
    obtained = measure_places(places, published)
    tried = [attempt for attempt in attempts if not attempt.places.empty]
    found = []
    for attempt in tried:
        figures = measure_places(attempt.places, published)
        each = [*zip(figures, obtained, published, strict=True)]
        outside = [(figure, own, one) for figure, own, one in each if not own.agrees_with(one)]
        verdict: Verdict = "yes"
        if not all(figure.agrees_with(one) for figure, _, one in each) or not all(
            abs(figure.value - one.value) <= NEARER * abs(own.value - one.value)
            for figure, own, one in outside
        ):
            verdict = "no"
        elif not all(matches_count(attempt, one.n, n_repeated) for one in published):
            verdict = "no: of another number of queries"
        elif not any(
            differ_beyond_chance(
                places, attempt.places, one, 1 - ERRORS / (len(tried) * len(outside))
            )
            for _, _, one in outside
        ):
            verdict = "no: chance does as much"
        found.append(Tried(attempt.cause, len(attempt.places), figures, verdict))
    return found


def matches_count(attempt: Attempt, n: int | None, n_repeated: int) -> bool:
    """Whether a source that says n queries may mean those of an attempt; repeated texts may be among them."""
    counts = (len(attempt.places), attempt.n_texts)
    return n is None or any(0 <= n - own <= n_repeated for own in counts if own is not None)


def differ_beyond_chance(
    places: pd.DataFrame, other: pd.DataFrame, figure: PublishedFigure, confidence: float
) -> bool:
    """Whether the interval of the difference of a figure between two sets of queries excludes 0.

    Each set's queries stand with what they add to the difference of the means, ``N / n (x - mean)`` of N queries in
    both, and targets are drawn with their queries of both: so that sets with common targets, or parts of one another,
    are paired by these. Of a quantile, the shares of queries below the measured one (half of those at it) are.
    """
    metric, sets = KNOWN[figure.metric], (read_places(places), read_places(other))
    limit = metric.figure(sets[0], figure.k)
    values = [add_to_mean(metric, placed, figure.k, limit) for placed in sets]
    n = sum(map(len, values))
    means = [float(each.mean()) for each in values]
    added = [
        sign * n / len(each) * (each - mean)
        for sign, each, mean in zip((-1, 1), values, means, strict=True)
    ]
    clusters = cluster_by_target([*places["item_id"], *other["item_id"]])
    ((low, high),) = difference_intervals(
        np.concatenate(added)[None] + (means[1] - means[0]),
        confidence=confidence,
        resamples=DIFFERENCE_RESAMPLES,
        clusters=clusters,
    )
    return bool(low > 0 or high < 0)


def add_to_mean(metric: Metric, placed: RankPlaces, k: int | None, limit: float) -> Float64s:
    """What each query adds to a mean; of a quantile, whether its rank is below a limit, or at it."""
    if metric.values_of is None:
        return np.asarray((placed.rank < limit) + (placed.rank == limit) / 2, np.float64)
    return np.asarray(metric.values_of(placed, k), np.float64)


def read_figures(published: pd.DataFrame) -> list[PublishedFigure]:
    """The figures in rows of ``results.PUBLISHED`` about one model, but for measures that can't be tried."""
    return [
        PublishedFigure(
            str(row["metric"]),
            None if pd.isna(row["k"]) else int(row["k"]),
            float(row["value"]),
            0.0 if pd.isna(row["tolerance"]) else float(row["tolerance"]),
            None if pd.isna(row["n"]) else int(row["n"]),
        )
        for _, row in published.iterrows()
        if is_tried(str(row["metric"]))
    ]


def is_tried(metric: str) -> bool:
    """Whether a measure is one of the ranks of single pictures; those of segments and groups are of other ranks."""
    return metric in KNOWN and KNOWN[metric].name == metric and not KNOWN[metric].of_judgments


def find_outside(
    places: pd.DataFrame, published: Sequence[PublishedFigure]
) -> list[PublishedFigure]:
    """Those that are outside the interval of what was measured."""
    obtained = measure_places(places, published)
    both = zip(obtained, published, strict=True)
    return [one for figure, one in both if not figure.agrees_with(one)]


def conclude(tried: Sequence[Tried]) -> str:
    """The result of all attempts in one sentence, and how many they were."""
    if not tried:
        return "Nothing could be tried."
    counted = f"Causes tried: {len(tried)}."
    if causes := [one.cause for one in tried if one.explains]:
        return f"{counted} What was published agrees with: {'; '.join(causes)}."
    return f"{counted} None of this explains what was published."
