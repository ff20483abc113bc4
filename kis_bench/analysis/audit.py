"""Which queries deserve a look: those that say more about themselves, or about the collection, than about models."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.analysis.conditions import Condition

AUDIT = [
    "query_id",
    "text",
    "item_id",
    "n_models",
    "best_model",
    "best_rank",
    "worst_model",
    "worst_rank",
    "median_rank",
    "disagreement",
    "flags",
    "why",
]
#: What a query may be flagged for; "same text" goes with "ambiguous" where the targets differ.
FLAGS = ("ambiguous", "same text", "hopeless", "solved by one only", "disagreement", "truncated")
TOP_RANKS = 10  #: first places that a user looks through
HOPELESS, HOPELESS_SHARE = (
    100,
    0.01,
)  #: places, and part of the collection, in which some model should have the target
FAR = 2.0  #: factor between ranks that counts as a difference
MOST_TIED = (
    10  #: a model that ties more with the target than so many others knows nothing of the query
)
#: A model that ties on more than this part of at least so many queries is coarse: its ties tell nothing of pictures.
COARSE_SHARE, COARSE_QUERIES = 0.5, 10
MOST_DISAGREED, DISAGREED_SHARE = (
    10,
    0.1,
)  #: so many queries by disagreement are flagged, or this part of all if more
MOST_MODELS_NAMED = 5  #: queries or models that a sentence names


def audit(rows: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """One row for each query of a condition, columns `AUDIT`; ``rows``: its rows of a run's table of ranks.

    ``disagreement`` is the standard deviation over models of log2 of the rank, in octaves; NaN with one model.
    ``flags`` is a tuple of `FLAGS`, ``why`` holds a sentence for each, or for each reason:

    - ambiguous: the target is tied with up to ten others, but not with all, under some model that doesn't tie on more
      than half of ten or more queries; or, under the best model for the query, a near-duplicate is among the first ten
      and the target is not, or stands at least twice as far down; or its text asks for other targets too;
    - same text: other queries have the same text, up to case and spaces (empty texts are unknown, not equal);
    - hopeless: no model has the target among the first 100, or the first 1% of a collection larger than 10,000;
    - solved by one only: just one of several models has it among the first ten, all others beyond twice of that;
    - disagreement: among the ten queries, or the tenth of all, on which models disagree most, by an octave at least;
    - truncated: some model did not read the whole text.
    """
    own = rows[rows["model"].isin(condition.models)].assign(query_id=rows["query_id"].astype(str))
    asked = own.drop_duplicates("query_id").set_index("query_id").reindex(list(condition.queries))
    rank, models = condition.rank, condition.models
    octaves = (
        np.log2(rank).std(axis=0, ddof=1) if len(models) > 1 else np.full(rank.shape[1], np.nan)
    )
    first, last = rank.argmin(axis=0), rank.argmax(axis=0)
    table = pd.DataFrame(
        {
            "query_id": condition.queries,
            "text": asked["text"].fillna("").astype(str).to_numpy(object),
            "item_id": asked["item_id"].astype(str).to_numpy(object),
            "n_models": len(models),
            "best_model": [models[i] for i in first],
            "best_rank": rank.min(axis=0),
            "worst_model": [models[i] for i in last],
            "worst_rank": rank.max(axis=0),
            "median_rank": np.median(rank, axis=0),
            "disagreement": octaves,
        }
    )
    found: dict[str, list[tuple[str, str]]] = {query: [] for query in condition.queries}
    for flag, sentences in (
        ("ambiguous", find_tied(condition)),
        ("ambiguous", find_duplicates_ahead(own, table)),
        ("ambiguous", other_targets(table)),
        ("same text", same_texts(table)),
        ("hopeless", find_hopeless(condition)),
        ("solved by one only", find_solved_by_one(condition)),
        ("disagreement", find_disagreements(table)),
        ("truncated", find_unread_texts(own)),
    ):
        for query, sentence in sentences.items():
            if query in found:
                found[query].append((flag, sentence))
    table["flags"] = [
        tuple(dict.fromkeys(flag for flag, _ in found[query])) for query in condition.queries
    ]
    table["why"] = [
        " ".join(sentence for _, sentence in found[query]) for query in condition.queries
    ]
    return table[AUDIT]


def count_flags(table: pd.DataFrame) -> dict[str, int]:
    """Flag -> how many queries have it, in the order of `FLAGS`; 0 where none has."""
    return {flag: sum(flag in each for each in table["flags"]) for flag in FLAGS}


def sort_by_disagreement(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of an audit, where models disagree most first; equal ones, and those of one model, by query id."""
    return table.sort_values(
        ["disagreement", "query_id"], ascending=[False, True], kind="stable", na_position="last"
    )


def find_tied(condition: Condition) -> dict[str, str]:
    """Maps queries to the models under which a few other items tie with the target, but for coarse models."""
    found, others = {}, condition.worst - condition.best
    few = (
        (others > 0)
        & (others <= MOST_TIED)
        & (others < condition.n_items - 1)
        & ~find_coarse_models(condition)[:, None]
    )
    for i in np.flatnonzero(few.any(axis=0)):
        where = np.flatnonzero(few[:, i])
        most = int(others[where, i].max())
        items = ("up to " if len(where) > 1 and most > 1 else "") + (
            f"{most:,} others" if most > 1 else "another item"
        )
        found[condition.queries[i]] = (
            f"The target ties with {items} under {list_names(condition.models[m] for m in where)}."
        )
    return found


def find_coarse_models(condition: Condition) -> NDArray[np.bool_]:
    """Models ``[m]`` that tie on most queries: they tell few pictures apart, whatever these show."""
    share = (condition.worst > condition.best).mean(axis=1)
    found: NDArray[np.bool_] = (share > COARSE_SHARE) & (len(condition.queries) >= COARSE_QUERIES)
    return found


def find_duplicates_ahead(rows: pd.DataFrame, table: pd.DataFrame) -> dict[str, str]:
    """Query -> where a near-duplicate of the target stands under the model that is best for the query."""
    if "near_duplicate_rank" not in rows:
        return {}
    key = ["model", "query_id"]
    near = rows.drop_duplicates(key).set_index(key)["near_duplicate_rank"].astype("float64")
    at = near.reindex(
        pd.MultiIndex.from_arrays([table["best_model"], table["query_id"]])
    ).to_numpy()
    strict = table["best_rank"].to_numpy(np.float64)
    better = (at < strict) & (at <= TOP_RANKS) & ((strict > TOP_RANKS) | (strict >= FAR * at))
    return {
        query: f"A near-duplicate stands at {format_place(at[i])}, the target itself at "
        f"{format_place(strict[i])}, under {model}."
        for i, (query, model) in enumerate(zip(table["query_id"], table["best_model"], strict=True))
        if better[i]
    }


def texts(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each text that several queries have, up to case and spaces."""
    plain = table["text"].map(
        lambda text: " ".join(unicodedata.normalize("NFC", str(text)).split()).casefold()
    )
    several = plain[(plain != "") & plain.duplicated(keep=False)]
    return [group for _, group in table.loc[several.index].groupby(several, sort=False)]


def same_texts(table: pd.DataFrame) -> dict[str, str]:
    """Query -> which others have its text."""
    found = {}
    for group in texts(table):
        queries = list(group["query_id"])
        for query in queries:
            found[query] = (
                f"It has the same text as {list_names(each for each in queries if each != query)}."
            )
    return found


def other_targets(table: pd.DataFrame) -> dict[str, str]:
    """Query -> that its text asks for other targets as well."""
    found: dict[str, str] = {}
    for group in texts(table):
        targets = group["item_id"].map(lambda items: frozenset(items.split("|")))
        if (n := targets.nunique()) > 1:
            found |= dict.fromkeys(
                group["query_id"], f"The same text is used for {n:,} different targets."
            )
    return found


def find_hopeless(condition: Condition) -> dict[str, str]:
    """Query -> how far down it stays under the best model."""
    limit, best = max(HOPELESS, HOPELESS_SHARE * condition.n_items), condition.rank.min(axis=0)
    return {
        condition.queries[
            i
        ]: f"No model has the target among the first {format_place(np.floor(limit))}; "
        f"the best place is {format_place(best[i])} of {condition.n_items:,}."
        for i in np.flatnonzero(best > limit)
    }


def find_solved_by_one(condition: Condition) -> dict[str, str]:
    """Query -> which of three or more models alone has the target among the first ten."""
    if len(condition.models) < 3:
        return {}
    ranks = np.sort(condition.rank, axis=0)
    only = (ranks[0] <= TOP_RANKS) & (ranks[1] > TOP_RANKS) & (ranks[1] >= FAR * TOP_RANKS)
    first, second = np.argsort(condition.rank, axis=0, kind="stable")[:2]
    return {
        condition.queries[
            i
        ]: f"Only {condition.models[first[i]]} has the target among the first {TOP_RANKS}, at "
        f"{format_place(ranks[0, i])}; the next is {condition.models[second[i]]} with {format_place(ranks[1, i])}."
        for i in np.flatnonzero(only)
    }


def find_disagreements(table: pd.DataFrame) -> dict[str, str]:
    """Query -> by how much models disagree."""
    order = sort_by_disagreement(table)
    octaves = order["disagreement"].to_numpy(np.float64)
    most = max(MOST_DISAGREED, int(DISAGREED_SHARE * len(order)))
    chosen = (np.arange(len(order)) < most) & (octaves >= 1)
    return {
        str(
            row.query_id
        ): f"Models disagree: the best place is {format_place(row.best_rank)} ({row.best_model}), "
        f"the worst {format_place(row.worst_rank)} ({row.worst_model})."
        for row in order[chosen].itertuples(index=False)
    }


def find_unread_texts(rows: pd.DataFrame) -> dict[str, str]:
    """Query -> which models did not read the whole text; unknown is not truncated."""
    cut = rows[rows["truncated"].eq(True).fillna(False)] if "truncated" in rows else rows[:0]
    return {
        str(
            query
        ): f"The text is longer than {list_names(dict.fromkeys(map(str, models)))} can read."
        for query, models in cut.groupby("query_id", sort=False)["model"]
    }


def list_names(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and 7 more``."""
    every = list(names)
    if len(every) > MOST_MODELS_NAMED:
        every = [*every[: MOST_MODELS_NAMED - 1], f"{len(every) - MOST_MODELS_NAMED + 1:,} more"]
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def format_place(rank: Any) -> str:
    """``1,250``, ``12.5`` in the middle of a tie."""
    return f"{rank:,.0f}" if float(rank).is_integer() else f"{rank:,.1f}"
