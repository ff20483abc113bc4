"""The report's part on label sets: what another text is worth, and whether longer ones help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kis_bench.report.numbers import (
    difference,
    is_absent,
    number,
    percent,
    percent_points,
    probability,
    ratio,
)
from kis_bench.report.plots.label_sets import draw_label_sets
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View

if TYPE_CHECKING:
    from kis_bench.analysis.findings import Findings


def show_label_sets(view: View, dataset: str) -> list[str]:
    """Label sets against each other on the same targets, and recall against the length of texts."""
    findings = view.findings
    summaries, each = findings.label_sets[dataset]
    lines: list[str] = []
    for (first, second), part in summaries.groupby(["label_set_a", "label_set_b"], sort=False):
        lines += [f"### {escape(first)} against {escape(second)} on the same targets", ""]
        lines += show_gains(part, str(first), str(second))
        plot = ("label-sets", dataset, str(first), str(second))
        at_10 = part[(part["metric"] == "recall") & part["k"].eq(10)]
        draw_label_sets(view, at_10, view.plot(*plot))
        names = f"{escape(dataset)}, {escape(first)} and {escape(second)}"
        lines += view.link(f"Recall@10 of every model under both label sets, {names}", *plot)
        own = (
            each[(each["label_set_a"] == first) & (each["label_set_b"] == second)]
            if len(each)
            else each
        )
        lines += show_changed_most(own, part, str(first), str(second))
    by_length = findings.lengths[dataset]
    if len(by_length):
        lines += [
            "### Recall against the length of texts",
            "",
            *show_lengths(by_length, findings, dataset),
        ]
    return lines


def show_gains(part: pd.DataFrame, first: str, second: str) -> list[str]:
    def cell(row: pd.Series, measure: str) -> list[str]:
        if measure == "recall":
            return [
                f"{percent(row['value_a'])} → {percent(row['value_b'])}",
                percent_points(row["difference"], row["ci_low"], row["ci_high"]),
            ]
        if measure == "mrr":
            return [
                f"{row['value_a']:.3f} → {row['value_b']:.3f}",
                difference(row["difference"], row["ci_low"], row["ci_high"]),
            ]
        return [ratio(row["difference"], row["ci_low"], row["ci_high"])]

    measures = [
        ("recall", 10, f"recall@10, {first} → {second}"),
        ("mrr", None, f"MRR, {first} → {second}"),
        ("rank_ratio", None, "target stands nearer the top"),
    ]
    rows = []
    for model, own in part.groupby("model", sort=False):
        cells: list[str] = [str(model), f"{int(own['n'].iloc[0]):,}"]
        for metric, k, _ in measures:
            at = own[(own["metric"] == metric) & (own["k"].eq(k) if k else True)]
            if len(at):
                cells += cell(at.iloc[0], metric)
                if metric != "rank_ratio":
                    cells.append(probability(at.iloc[0]["p_holm"]))
        rows.append(cells)
    head = ["model", "targets"]
    for metric, _, name in measures:
        if (part["metric"] == metric).any():
            head += [name, "difference", "p (Holm)"] if metric != "rank_ratio" else [name]
    return [table(head, rows, right=range(1, len(head))), ""]


def show_changed_most(each: pd.DataFrame, part: pd.DataFrame, first: str, second: str) -> list[str]:
    """The targets that gain and lose most under the model that is best on the second label set."""
    mrr = part[part["metric"] == "mrr"]
    if each.empty or mrr.empty:
        return []
    model = mrr.sort_values("value_b", ascending=False)["model"].iloc[0]
    own = each[each["model"] == model].sort_values("ratio", kind="stable")
    shown = pd.concat([own.tail(5).iloc[::-1], own.head(5)]).drop_duplicates(["query_a", "query_b"])
    rows = [
        [
            row["query_a"]
            if row["query_a"] == row["query_b"]
            else f"{row['query_a']} / {row['query_b']}",
            number(row["rank_a"]),
            number(row["rank_b"]),
            tell_factor(2.0 ** row["ratio"]),
        ]
        for _, row in shown.iterrows()
        if row["ratio"] != 0
    ]
    head = ["query", f"rank, {first}", f"rank, {second}", "to the top"]
    said = f"Where it matters most under {escape(model)}:"
    return [said, "", table(head, rows, right=range(1, 4)), ""] if rows else []


def tell_factor(factor: float) -> str:
    """How many times nearer to the top, or farther from it."""
    way, shown = ("nearer", factor) if factor >= 1 else ("farther", 1 / factor)
    return f"{shown:,.{0 if shown >= 10 else 1}f} times {way}"


def show_lengths(by_length: pd.DataFrame, findings: Findings, dataset: str) -> list[str]:
    bins = list(dict.fromkeys(zip(by_length["words_low"], by_length["words_high"], strict=True)))
    values = by_length.set_index(["model", "words_low"])
    rows = []
    for model in by_length["model"].unique():
        cells = [str(model)]
        for low, _ in bins:
            row = values.loc[(model, low)] if (model, low) in values.index else None
            cells.append(
                "" if row is None else percent(row["recall_at_10"], row["ci_low"], row["ci_high"])
            )
        rows.append(cells)
    sizes = by_length[by_length["model"] == by_length["model"].iloc[0]].set_index("words_low")["n"]
    head = [
        "recall@10, model",
        *(
            f"{int(low)}{'' if low == high else f' to {int(high)}'} {'word' if high == 1 else 'words'} "
            f"({int(sizes.get(low, 0)):,})"
            for low, high in bins
        ),
    ]
    lines = [table(head, rows, right=range(1, len(head))), ""]
    correlations = findings.length_correlations[dataset]
    if len(correlations):
        measures = list(dict.fromkeys(correlations["measure"]))
        of = correlations.set_index(["model", "measure"])
        rows = [
            [
                str(model),
                *(
                    show_correlation(*of.loc[(model, m), ["rho", "ci_low", "ci_high"]])
                    for m in measures
                ),
            ]
            for model in correlations["model"].unique()
        ]
        lines += [
            "Spearman's correlation of the rank with the text: below zero, longer texts find better. Detail is the "
            "number of different words of four letters or more.",
            "",
            table(["model", *map(str, measures)], rows, right=range(1, 1 + len(measures))),
            "",
        ]
    return lines


def show_correlation(rho: float, low: float, high: float) -> str:
    """With its interval where there is one; ``unknown`` where all texts, or all ranks, are equal or too few."""
    if is_absent(rho):
        return "unknown"
    return difference(rho, low, high, digits=2)
