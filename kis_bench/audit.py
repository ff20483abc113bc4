"""Queries that say more about themselves, or about the collection, than about models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.conditions import Condition

AUDIT = [
    "query_id", "text", "item_id", "n_models", "best_model", "best_rank", "worst_model", "worst_rank", "median_rank",
    "disagreement", "flags", "why",
]  # fmt: skip
FLAGS = ("ambiguous", "same text", "hopeless", "solved by one only", "truncated", "disagreement")
FOUND = 10  #: a target among so many first is found
SCROLLED, SHARE = 100, 0.01  #: nobody looks beyond so many pictures, or this share of the collection if that is more
OCTAVES = 3.0  #: standard deviation of log2 rank over the models that is a disagreement
SHOWN = 5


def audit(rows: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """One row per query of a condition, columns :data:`AUDIT`; ``rows`` are the condition's rows of the table of ranks.

    ``disagreement`` is the standard deviation over models of the logarithm (base 2) of the rank, in octaves; NaN for
    one model. ``flags`` is a tuple of some of :data:`FLAGS`, ``why`` a sentence on each.
    """
    rank = condition.rank
    at = rows.drop_duplicates("query_id").set_index("query_id")
    at = at.loc[list(condition.queries)]
    text = at["text"].fillna("").astype(str)
    table = pd.DataFrame({
        "query_id": condition.queries, "text": text.to_numpy(), "item_id": at["item_id"].astype(str).to_numpy(),
        "n_models": len(condition.models),
        "best_model": [condition.models[i] for i in rank.argmin(axis=0)], "best_rank": rank.min(axis=0),
        "worst_model": [condition.models[i] for i in rank.argmax(axis=0)], "worst_rank": rank.max(axis=0),
        "median_rank": np.median(rank, axis=0),
        "disagreement": np.log2(rank).std(axis=0, ddof=1) if len(rank) > 1 else np.nan,
    })  # fmt: skip
    looks: tuple[Callable[[pd.DataFrame, pd.DataFrame, Condition], dict[str, list[str]]], ...]
    looks = (ambiguous, same_text, hopeless, solved_by_one, truncated, disagreeing)
    found: dict[str, dict[str, list[str]]] = {flag: look(table, rows, condition) for flag, look in
                                              zip(FLAGS, looks, strict=True)}  # fmt: skip
    said = [{flag: of[query] for flag, of in found.items() if query in of} for query in condition.queries]
    flags = pd.Series([tuple(each) for each in said], dtype=object)
    why = ["; ".join(part for parts in each.values() for part in parts) for each in said]
    return table.assign(flags=flags, why=why)[AUDIT]


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many queries of an audit have each flag."""
    return {flag: int(sum(flag in flags for flags in table["flags"])) for flag in FLAGS}


def ambiguous(table: pd.DataFrame, rows: pd.DataFrame, condition: Condition) -> dict[str, list[str]]:
    """Ties, and near-duplicates before the target: under the model that places it best."""
    found: dict[str, list[str]] = defaultdict(list)
    best = rows.set_index(["model", "query_id"]).loc[list(zip(table["best_model"], table["query_id"], strict=True))]
    for query, row in zip(table["query_id"], best.to_dict("records"), strict=True):
        if tied := int(row["rank_worst"] - row["rank_best"]):
            found[query].append(f"ties with {tied:,} other picture{'s' if tied > 1 else ''}")
        near = row.get("near_duplicate_rank")
        if near is not None and not pd.isna(near) and (row["rank"] >= 2 * near or near <= FOUND < row["rank"]):
            found[query].append(f"a near-duplicate stands at {near:,.10g}, the target at {row['rank']:,.10g}")
    return found


def same_text(table: pd.DataFrame, rows: pd.DataFrame, condition: Condition) -> dict[str, list[str]]:
    """Queries that read the same and ask for different pictures; without texts nobody can tell."""
    by_text: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for query, text, item in table[["query_id", "text", "item_id"]].itertuples(index=False):
        if text.strip():
            by_text[" ".join(text.casefold().split())].append((query, item))
    return {
        query: [f"reads the same as {listed([q for q, i in some if i != item])}"]
        for some in by_text.values() for query, item in some if any(i != item for _, i in some)
    }  # fmt: skip


def hopeless(table: pd.DataFrame, rows: pd.DataFrame, condition: Condition) -> dict[str, list[str]]:
    limit = max(SCROLLED, SHARE * condition.n_items)
    lost = table[table["best_rank"] > limit]
    return {query: [f"no model brings it among the first {limit:,.0f}"] for query in lost["query_id"]}


def solved_by_one(table: pd.DataFrame, rows: pd.DataFrame, condition: Condition) -> dict[str, list[str]]:
    if len(condition.models) < 2:
        return {}
    first, second = np.partition(condition.rank, 1, axis=0)[:2]
    alone = (first <= FOUND) & (second > FOUND) & (second >= 2 * first)
    return {
        query: [f"only {model} finds it, at {a:,.10g}; the next has it at {b:,.10g}"]
        for query, model, a, b in zip(table["query_id"][alone], table["best_model"][alone], first[alone], second[alone],
                                      strict=True)
    }  # fmt: skip


def truncated(table: pd.DataFrame, rows: pd.DataFrame, condition: Condition) -> dict[str, list[str]]:
    cut = rows[rows["truncated"].eq(True)].groupby("query_id", sort=False)["model"]
    known = {*condition.queries}
    return {str(q): [f"too long for {listed([str(m) for m in models])}"] for q, models in cut if str(q) in known}


def disagreeing(table: pd.DataFrame, rows: pd.DataFrame, condition: Condition) -> dict[str, list[str]]:
    far = table[table["disagreement"] >= OCTAVES]
    return {
        row["query_id"]: [f"{row['best_model']} has it at {row['best_rank']:,.10g}, "
                          f"{row['worst_model']} at {row['worst_rank']:,.10g}"]
        for row in (dict(zip(map(str, far.columns), values, strict=True)) for values in far.itertuples(index=False))
    }  # fmt: skip


def listed(names: list[Any]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
