"""Known-item search under one label set: how good the models are, and which other models they beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.models import tiers, win_tie_loss
from kis_bench.report.numbers import (
    count,
    difference,
    fraction,
    join_words,
    number,
    percent,
    percent_points,
    probability,
)
from kis_bench.report.tables import escape, table
from kis_bench.statistics.clusters import describe_count

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

MOST_NAMED = 10  #: queries that a line names
MOST_IN_MATRIX = 12  #: models
SHOWN_RECALLS = (1, 10, 100)
TIERS = (("mrr", None, "tier (MRR)"), ("recall", 10, "tier (recall@10)"))
RULE_NOTES = {"segment": "its segment", "group": "its group", "near_duplicate": "a near-duplicate"}


def show_figures(
    metrics: pd.DataFrame, condition: Condition, comparisons: pd.DataFrame | None
) -> list[str]:
    """Figures of each model, best first, with letters of those that can't be told apart."""
    cuts = [int(k) for k in metrics.loc[metrics["metric"] == "recall", "k"].drop_duplicates()]
    letters = (
        [] if comparisons is None else [tiers(comparisons, metric, k) for metric, k, _ in TIERS]
    )
    rows = []
    for model in condition.models:
        own = metrics[metrics["model"] == model]
        recalls = own[own["metric"] == "recall"].set_index("k")
        others = own[own["metric"] != "recall"].set_index("metric")
        value, mrr = others["value"], others.loc["mrr"]
        quartiles = (
            f"{number(value['lower_quartile_rank'])}, {number(value['upper_quartile_rank'])}"
        )
        rows.append(
            [
                model,
                *(each[model] for each in letters),
                *(
                    percent(*(recalls.loc[k, c] for c in ("value", "ci_low", "ci_high")))
                    for k in cuts
                ),
                fraction(mrr["value"], mrr["ci_low"], mrr["ci_high"]),
                join_words(f"{number(value['median_rank'])} [{quartiles}]"),
                f"{int(own['n'].iloc[0]):,}",
                percent(min(1.0, 10 / condition.n_items), digits=2),
            ]
        )
    named = [name for _, _, name in TIERS[: len(letters)]]
    head = [
        "model",
        *named,
        *(f"recall@{k}" for k in cuts),
        "MRR",
        "median rank [quartiles]",
        "queries",
        "chance recall@10",
    ]
    return [
        table(head, rows, right=range(1 + len(named), len(head))),
        "",
        *tell_clusters(condition),
    ]


def tell_clusters(condition: Condition) -> list[str]:
    """What a reader has to know of queries that aren't independent."""
    if condition.clusters is None:
        return []
    asked = describe_count(len(condition.queries), condition.n_targets)
    return [
        f"Several queries have one target: {asked}. They share its difficulty, so that intervals, tests and folds of "
        "cross-validation are clustered by target.",
        "",
    ]


def show_differences(condition: Condition, comparisons: pd.DataFrame) -> list[str]:
    """Which differences are more than noise, and how many queries the others would take."""
    best = condition.models[0]
    mrr = comparisons[(comparisons["metric"] == "mrr") & (comparisons["model_a"] == best)]
    near = [escape(row["model_b"]) for _, row in mrr.iterrows() if row["p_holm"] >= 0.05]
    said = (
        f"Not to be told from it on {describe_count(len(condition.queries), condition.n_targets)}: {', '.join(near)}."
        if near
        else "It is better than every other beyond noise."
    )
    equal = mrr[mrr["value_b"] >= mrr["value_a"]]["model_b"]
    shared = f", as has {', '.join(map(escape, equal))}" if len(equal) else ""
    lines = [f"**{escape(best)}** has the highest MRR{shared}. {said}", ""]
    if condition.left_out:
        left = describe_count(condition.left_out, condition.left_out)
        lines += [f"Left out of comparisons, because not all models were asked: {left}.", ""]
    at_10 = comparisons[(comparisons["metric"] == "recall") & (comparisons["k"] == 10)]
    at_10 = at_10.set_index(["model_a", "model_b"])
    rows = []
    for _, row in mrr.iterrows():
        hits = at_10.loc[(best, row["model_b"])]
        rows.append(
            [
                row["model_b"],
                difference(row["difference"], row["ci_low"], row["ci_high"]),
                probability(row["p_holm"]),
                percent_points(hits["difference"], hits["ci_low"], hits["ci_high"]),
                probability(hits["p_holm"]),
                f"{row['wins']} / {row['ties']} / {row['losses']}",
                number(row["effect_size"], 2),
                count(row["queries_needed"]),
            ]
        )
    head = [
        f"{best} against",
        "difference of MRR",
        "p (Holm)",
        "of recall@10, points",
        "p (Holm)",
        "better / equal / worse",
        "effect size",
        "queries to tell them apart",
    ]
    lines += [table(head, rows, right=range(1, len(head))), ""]
    if 2 < len(condition.models) <= MOST_IN_MATRIX:
        matrix = win_tie_loss(condition)
        cells = [
            [
                model,
                *(
                    "" if i == j else f"{w} / {t} / {x}"
                    for j, (w, t, x) in enumerate(matrix[i].tolist())
                ),
            ]
            for i, model in enumerate(condition.models)
        ]
        head = ["better / equal / worse than", *condition.models]
        lines += [table(head, cells, right=range(1, len(head))), ""]
    return lines


def show_relevances(metrics: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    """What would count as found under other rules, beside the strict one."""
    rows = []
    for model, own in metrics.groupby("model", sort=True):
        for prefix, words in (
            ("", "the item itself"),
            *((f"{rule}_", said) for rule, said in RULE_NOTES.items()),
        ):
            recalls = own[own["metric"] == f"{prefix}recall"].set_index("k")
            if len(recalls):
                shares = [percent(recalls.loc[k, "value"]) for k in SHOWN_RECALLS]
                median = own.loc[own["metric"] == f"{prefix}median_rank", "value"].iloc[0]
                among = (
                    f"{about.get('n_groups', '')} groups"
                    if prefix == "group_"
                    else f"{about.get('n_items', '')} items"
                )
                n = int(recalls["n"].iloc[0])
                rows.append([str(model), words, among, *shares, number(median), f"{n:,}"])
    if not any(words in RULE_NOTES.values() for _, words, *_ in rows):
        return []
    head = [
        "model",
        "found is",
        "among",
        *(f"recall@{k}" for k in SHOWN_RECALLS),
        "median rank",
        "queries",
    ]
    said = []
    if any(row[1] == RULE_NOTES["segment"] for row in rows):
        said.append(
            f"a segment is what the query says, else {number(about.get('segment_s'))} s around the target"
        )
    if any(row[1] == RULE_NOTES["near_duplicate"] for row in rows):
        said.append(f"near-duplicates are: {escape(about.get('near_duplicates', ''))}")
    if len({row[-1] for row in rows}) > 1:
        said.append(
            "not every rule is known for every query: compare rows over the same number of queries"
        )
    note = f" ({'; '.join(said)})" if said else ""
    return [
        f"What the same rankings are worth under other rules{note}:",
        "",
        table(head, rows, right=range(2, 8)),
        "",
    ]


def show_truncations(rows: pd.DataFrame) -> list[str]:
    lines = []
    for model, cut in rows[rows["truncated"].eq(True)].groupby("model")["query_id"]:
        shown = ", ".join(map(str, cut[:MOST_NAMED])) + (
            f" and {len(cut) - MOST_NAMED:,} more" if len(cut) > MOST_NAMED else ""
        )
        lines.append(
            f"- {escape(model)}: {len(cut):,} texts were longer than it reads and were truncated: {escape(shown)}."
        )
    return [*lines, ""] if lines else []
