"""Why a measured figure isn't the published one: causes that can be tried on ranks, and what each would give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.encoders.catalogue import find_same_weights
from kis_bench.metrics import KNOWN, RankPlaces
from kis_bench.results.figures import metric_interval
from kis_bench.statistics.clusters import cluster_by_target

USUAL_TEXTS = 5  #: of a picture, of which papers speak
NEARER = 0.5  #: of the difference that is to be explained, what an explanation may leave of it
#: Columns that an attempt needs of ranks.parquet.
PLACES = ["query_id", "item_id", "rank_best", "rank_worst"]


@dataclass(frozen=True)
class PublishedFigure:
    """One figure that others published of a model, and what was measured here instead."""

    metric: str
    k: int | None
    value: float
    tolerance: float = 0.0

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


@dataclass(frozen=True)
class Attempt:
    """A cause that was tried: the places of the queries as they are under it."""

    cause: str  # in words: what the published figure may be of
    places: pd.DataFrame  # columns `PLACES`


@dataclass(frozen=True)
class Tried:
    """What an attempt gives, and whether that explains what was published."""

    cause: str
    n: int  # queries
    figures: tuple[TriedFigure, ...]  # one for each published figure
    explains: bool


def measure_places(
    places: pd.DataFrame, published: Sequence[PublishedFigure]
) -> tuple[TriedFigure, ...]:
    """The figures of queries under the measures that were published, with intervals clustered by target."""
    best, worst = (places[f"rank_{end}"].to_numpy(np.int64) for end in ("best", "worst"))
    placed, clusters = RankPlaces(best, worst), cluster_by_target(places["item_id"])
    return tuple(
        TriedFigure(
            KNOWN[one.metric].figure(placed, one.k),
            *metric_interval(KNOWN[one.metric], placed, one.k, clusters),
        )
        for one in published
    )


def judge_attempts(
    places: pd.DataFrame, published: Sequence[PublishedFigure], attempts: Iterable[Attempt]
) -> list[Tried]:
    """What each attempt gives for the published figures of one model, of which some are outside the intervals.

    An attempt explains them if all lie within its intervals, and it leaves at most half of each difference that was
    outside: a wider interval of fewer queries, around the same figure, explains nothing.

    Args:
        places: of the queries as they were measured, columns `PLACES`.
        published: of one model, dataset and label set; not empty.
    """
    obtained = measure_places(places, published)
    found = []
    for attempt in attempts:
        if attempt.places.empty:
            continue
        figures = measure_places(attempt.places, published)
        explains = all(
            figure.agrees_with(one)
            and (
                own.agrees_with(one)
                or abs(figure.value - one.value) <= NEARER * abs(own.value - one.value)
            )
            for figure, own, one in zip(figures, obtained, published, strict=True)
        )
        found.append(Tried(attempt.cause, len(attempt.places), figures, explains))
    return found


def list_attempts(rows: pd.DataFrame) -> Iterator[Attempt]:
    """What can be tried on the ranks of one model, dataset and label set; what would change nothing is left out.

    Args:
        rows: of ranks.parquet, in the order in which the queries were asked.
    """
    number = rows.groupby("item_id", sort=False).cumcount()
    if (number >= 1).any():
        yield Attempt("the first text of each picture alone", rows[number < 1])
    if (number >= USUAL_TEXTS).any():
        yield Attempt(f"the first {USUAL_TEXTS} texts of each picture", rows[number < USUAL_TEXTS])
    cut = (
        rows["truncated"].eq(True).fillna(False).astype(bool) if "truncated" in rows else number < 0
    )
    if cut.any():
        yield Attempt("without the texts that the model cut", rows[~cut])
    joined = join_equal_texts(rows)
    if joined is not None:
        yield Attempt("any picture of the same text counts", joined)


def list_siblings(
    model: str, ranks: pd.DataFrame, provenance: Mapping[str, Any]
) -> Iterator[Attempt]:
    """The other rows of a run with the same weights: with or without prompts, another activation, library or resize."""
    sources = {
        name: str(about.get("source", "")) for name, about in provenance.get("models", {}).items()
    }
    own = sources.get(model, "")
    same = {*find_same_weights(own), own, simplify_source(own)} - {""}
    for other, rows in ranks.groupby("model", sort=False):
        source = sources.get(str(other), "")
        same_name = str(other).partition("+")[0] == model.partition("+")[0]
        if other != model and (same_name or source in same or simplify_source(source) in same):
            yield Attempt(f"the row {other} of this run", rows)


def simplify_source(source: str) -> str:
    """A source without what tells the activation.

    >>> simplify_source("openclip:ViT-L-14-quickgelu/openai")
    'openclip:ViT-L-14/openai'
    """
    return source.replace("-quickgelu", "")


def join_equal_texts(rows: pd.DataFrame) -> pd.DataFrame | None:
    """The places if any target of the queries of one text will do; None where no text has several targets.

    Equal texts have equal vectors, so that the best of their targets is the one of the best rank.
    """
    if "text" not in rows or rows["text"].isna().any():
        return None
    texts = rows.groupby("text", sort=False)
    if not (texts["item_id"].transform("nunique") > 1).any():
        return None
    ends = {end: texts[end].transform("min") for end in ("rank_best", "rank_worst")}
    return rows.assign(**ends)


def read_figures(published: pd.DataFrame) -> list[PublishedFigure]:
    """The published figures in rows of ``results.PUBLISHED`` about one model, those of unknown measures left out."""
    return [
        PublishedFigure(
            str(row["metric"]),
            None if pd.isna(row["k"]) else int(row["k"]),
            float(row["value"]),
            0.0 if pd.isna(row["tolerance"]) else float(row["tolerance"]),
        )
        for _, row in published.iterrows()
        if row["metric"] in KNOWN and not KNOWN[row["metric"]].of_judgments
    ]


def find_outside(
    places: pd.DataFrame, published: Sequence[PublishedFigure]
) -> list[PublishedFigure]:
    """Those that are outside the interval of what was measured."""
    obtained = measure_places(places, published)
    both = zip(obtained, published, strict=True)
    return [one for figure, one in both if not figure.agrees_with(one)]


def conclude(tried: Sequence[Tried]) -> str:
    """The result of all attempts in one sentence."""
    if causes := [one.cause for one in tried if one.explains]:
        return f"What was published agrees with: {'; '.join(causes)}."
    if not tried:
        return "Nothing could be tried."
    return "None of this explains what was published."
