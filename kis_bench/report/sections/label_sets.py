"""The report's part on label sets: what another text is worth, and whether longer ones help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kis_bench.analysis.label_sets import RANK_RATIO
from kis_bench.analysis.models import select_measure
from kis_bench.metrics import LEADING_MEASURES, measure_words
from kis_bench.report.numbers import (
    change,
    difference,
    figure,
    is_absent,
    number,
    percent,
    probability,
    ratio,
)
from kis_bench.report.plots.label_sets import draw_label_sets
from kis_bench.report.sections.captions import caption_label_sets
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.triplets.summary import as_records

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
        at_10 = select_measure(part, *LEADING_MEASURES[1])
        names = f"{escape(dataset)}, {escape(first)} and {escape(second)}"
        alt = f"Recall@10 of every model under both label sets, {names}"
        lines += view.show(
            alt, draw_label_sets, (view.style, at_10), *plot, caption=caption_label_sets(at_10)
        )
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
    """The measures that lead, the second of them first, and how much nearer the top targets stand."""
    measures = [each for each in LEADING_MEASURES[::-1] if len(select_measure(part, *each))]
    ratios = select_measure(part, RANK_RATIO, None).set_index("model")
    rows = []
    for model, own in part.groupby("model", sort=False):
        cells: list[str] = [str(model), f"{int(own['n'].iloc[0]):,}"]
        for metric, k in measures:
            for row in as_records(select_measure(own, metric, k)):
                values = (figure(metric, row[f"value_{side}"]) for side in "ab")
                gained = change(metric, row["difference"], row["ci_low"], row["ci_high"])
                cells += [" → ".join(values), gained, probability(row["p_holm"])]
        if len(ratios):
            cells.append(ratio(*ratios.loc[model, ["difference", "ci_low", "ci_high"]]))
        rows.append(cells)
    head = ["model", "targets"]
    for each in measures:
        head += [f"{measure_words(*each)}, {first} → {second}", "difference", "p (Holm)"]
    head += ["target stands nearer the top"] * bool(len(ratios))
    return [table(head, rows, right=range(1, len(head))), ""]


def show_changed_most(each: pd.DataFrame, part: pd.DataFrame, first: str, second: str) -> list[str]:
    """The targets that gain and lose most under the model that is best on the second label set."""
    leading = select_measure(part, *LEADING_MEASURES[0])
    if each.empty or leading.empty:
        return []
    model = leading.sort_values("value_b", ascending=False)["model"].iloc[0]
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
        f"{measure_words(*LEADING_MEASURES[1])}, model",
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
