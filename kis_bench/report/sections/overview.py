"""The answer in one table, where there is more than one condition."""

from __future__ import annotations

from kis_bench.analysis.models import select_measure, tiers
from kis_bench.metrics import LEADING_MEASURES, measure_words
from kis_bench.report.numbers import figure
from kis_bench.report.plots.curves import draw_overview
from kis_bench.report.tables import table
from kis_bench.report.view import View
from kis_bench.statistics.clusters import describe_count


def show_overview(view: View) -> list[str]:
    """The answer in one table, where there is more than one condition."""
    found = view.findings
    if len(found.conditions) < 2:
        return []
    rows, (first, second) = [], LEADING_MEASURES
    for key, one in found.conditions.items():
        metrics = found.run.metrics
        own = metrics[(metrics["dataset"] == key[0]) & (metrics["label_set"] == key[1])]
        best = select_measure(own[own["model"] == one.models[0]], *second).iloc[0]
        pairs = found.comparisons.get(key)
        letters = {} if pairs is None else tiers(pairs, *first)
        equal = [
            m for m in one.models[1:] if {*letters.get(m, "")} & {*letters.get(one.models[0], "")}
        ]
        asked = (
            describe_count(len(one.queries), one.n_targets)
            .replace(" queries", "")
            .replace(" query", "")
        )
        rows.append(
            [
                *key,
                asked,
                f"{one.n_items:,}",
                one.models[0],
                figure(second[0], best["value"], best["ci_low"], best["ci_high"]),
                ", ".join(equal),
            ]
        )
    head = [
        "dataset",
        "labels",
        "queries",
        "items",
        f"best by {measure_words(*first)}",
        f"its {measure_words(*second)}",
        "can't be told from it",
    ]
    lines = ["## Overview", "", table(head, rows, right=(2, 3, 5)), ""]
    if len(found.of_datasets) > 1:  # else the dataset's own curves show the same
        draw_overview(view, found.conditions, view.plot("overview"))
        lines += view.link("Cumulative curves of all datasets and label sets", "overview")
    return lines
