"""A run of which tables are lost: which they are, and what can still be shown without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kis_bench.analysis.models import select_measure
from kis_bench.metrics import FEW_MEASURES, measure_words
from kis_bench.report.numbers import count, figure
from kis_bench.report.tables import escape, table

if TYPE_CHECKING:
    from kis_bench.results import Run


def show_lacking(run: Run) -> list[str]:
    """What is missing, and what was changed, as quotations that cannot be overlooked."""
    return [
        f"> **{'Not whole' if said in run.lacking.values() else 'Changed'}:** "
        f"{escape(said.rstrip('.'), 1000)}.\n"
        for said in run.list_remarks()
    ]


def show_figures_alone(run: Run) -> list[str]:
    """The figures of known-item search as they were measured, where the ranks behind them are lost."""
    figures = run.metrics[run.metrics["label_set"] != ""]
    if "ranks" not in run.lacking or not len(figures):
        return []
    measures = [each for each in FEW_MEASURES if len(select_measure(figures, *each))]
    rows = []
    for cell, own in figures.groupby(["dataset", "label_set", "model"], sort=False):
        found = [select_measure(own, *each) for each in measures]
        cells = [
            figure(measure[0], *one.iloc[0][["value", "ci_low", "ci_high"]]) if len(one) else ""
            for measure, one in zip(measures, found, strict=True)
        ]
        rows.append([*cell, *cells, count(own["n"].iloc[0])])
    head = ["dataset", "labels", "model", *(measure_words(*each) for each in measures), "queries"]
    return ["## Figures as measured", "", table(head, rows, right=range(3, len(head))), ""]
