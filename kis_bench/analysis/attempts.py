"""What may be tried to explain a published figure: the ranks of a run under other causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kis_bench.encoders.catalogue import find_same_weights

USUAL_TEXTS = 5  #: of a picture, of which papers speak
#: Columns that an attempt needs of ranks.parquet.
PLACES = ["query_id", "item_id", "rank_best", "rank_worst"]


@dataclass(frozen=True)
class Attempt:
    """A cause that was tried: the places of the queries as they are under it."""

    cause: str  # in words: what the published figure may be of
    places: pd.DataFrame  # columns `PLACES`
    n_texts: int | None = None  # what sources may count instead of its queries


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
    known = provenance.get("models", {})
    own = known.get(model, {})
    for other, rows in ranks.groupby("model", sort=False):
        about = known.get(other, {})
        asked_otherwise = "prompts" in own or "prompts" in about
        same_base = name_base(str(other), about) == name_base(model, own)
        if other != model and ((asked_otherwise and same_base) or have_same_weights(own, about)):
            yield Attempt(f"the row {other} of this run", rows)


def name_base(model: str, about: Mapping[str, Any]) -> str:
    """The name of a model without that of its prompts; a plus in other names is a part of them."""
    return model.rpartition("+")[0] if "prompts" in about else model


def have_same_weights(own: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a run says that two models have the same weights: by equal sources, or those that the catalogue joins."""
    source, theirs = (str(about.get("source", "")) for about in (own, other))
    if not source or not theirs:
        return False
    if simplify_source(source) != simplify_source(theirs):
        return theirs in find_same_weights(source)
    facts = ((own.get(fact), other.get(fact)) for fact in ("weights", "revision"))
    return all(mine == yours for mine, yours in facts if mine and yours)


def simplify_source(source: str) -> str:
    """A source without what tells the activation.

    >>> simplify_source("openclip:ViT-L-14-quickgelu/openai")
    'openclip:ViT-L-14/openai'
    """
    return source.replace("-quickgelu", "")


def join_equal_texts(rows: pd.DataFrame) -> pd.DataFrame | None:
    """The places if any target of the queries of one text will do; None where no text has several targets.

    Equal texts have equal vectors, so that the best of their targets is the one of the best rank. Targets of equal
    score there are no rivals of one another any more. None, too, where a text isn't known, as under privacy.
    """
    if "text" not in rows or not rows["text"].fillna("").astype(bool).all():
        return None
    texts = rows.groupby("text", sort=False)
    if not (texts["item_id"].transform("nunique") > 1).any():
        return None
    best = texts["rank_best"].transform("min")
    first = rows["item_id"].where(rows["rank_best"] == best)
    rivals = first.groupby(rows["text"], sort=False).transform("nunique") - 1
    # Of queries with several targets nobody knows which of them are first: there, the places stay as they are.
    alone = ~rows["item_id"].str.contains("|", regex=False).groupby(rows["text"]).transform("any")
    worst = texts["rank_worst"].transform("min")
    return rows.assign(
        rank_best=best,
        rank_worst=worst - rivals.where(alone, 0),
        item_id=texts["item_id"].transform(lambda some: "|".join(dict.fromkeys(some))),
    )
