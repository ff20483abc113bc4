"""All about known-item search on one dataset: its curves, one label set after the other, then these compared."""

from __future__ import annotations

from kis_bench.analysis.findings import Key
from kis_bench.analysis.models import select_measure
from kis_bench.metrics import LEADING_MEASURES
from kis_bench.report.plots.curves import draw_curves, draw_overview, list_panels
from kis_bench.report.plots.gains import draw_gains
from kis_bench.report.plots.grid import draw_grid
from kis_bench.report.plots.growth import draw_growth
from kis_bench.report.sections.annotators import show_annotators
from kis_bench.report.sections.captions import (
    caption_curves,
    caption_gains,
    caption_grid,
    caption_growth,
)
from kis_bench.report.sections.combinations import show_combinations
from kis_bench.report.sections.growth import show_growth
from kis_bench.report.sections.known_items import (
    show_differences,
    show_figures,
    show_relevances,
    show_truncations,
)
from kis_bench.report.sections.label_sets import show_label_sets
from kis_bench.report.sections.published import show_published
from kis_bench.report.sections.summary import title_combinations, title_differences
from kis_bench.report.tables import escape
from kis_bench.report.view import View
from kis_bench.results.published import select_direction

MOST_IN_GRID = 5  #: models


def show_all_curves(view: View) -> list[str]:
    """Curves of several datasets in one figure; of one, its own show the same."""
    found = view.findings
    if len(found.of_datasets) < 2 or not found.conditions:
        return []
    alt, every = "Cumulative curves of all datasets and label sets", [*found.conditions.values()]
    lines = ["## Curves of all datasets", ""]
    return lines + view.show(
        alt, draw_overview, (view.style, every), "overview", caption=caption_curves()
    )


def show_dataset(view: View, name: str) -> list[str]:
    """Markdown of a dataset."""
    lines = [f"## {escape(name)}", ""]
    panels = list_panels(view.findings.of_datasets[name])
    alt = f"Cumulative curves of {escape(name)}: recall@k against k"
    lines += view.show(
        alt, draw_curves, (view.style, name, panels), "curves", name, caption=caption_curves()
    )
    for key in view.findings.conditions:
        if key[0] == name:
            lines += [f"### Labels: {escape(key[1])}", ""]
            lines += show_condition(view, key)
    return lines + show_label_sets(view, name)


def show_condition(view: View, key: Key) -> list[str]:
    """One label set: figures, comparison, combinations and growth."""
    found, run = view.findings, view.run
    dataset, label_set = key
    condition, comparisons = found.conditions[key], found.comparisons.get(key)
    metrics = run.metrics[
        (run.metrics["dataset"] == dataset) & (run.metrics["label_set"] == label_set)
    ]
    shown = f"{escape(dataset)}, {escape(label_set)}"
    lines = show_figures(metrics, condition, comparisons)
    about = run.provenance.get("datasets", {}).get(dataset, {})
    lines += show_relevances(metrics, condition.models, about)
    if key in found.annotators:
        lines += [f"#### By annotator: {shown}", "", *show_annotators(*found.annotators[key])]
    lines += show_truncations(found.rows(key))
    others = select_direction(run.published)
    lines += show_published(
        others[(others["dataset"] == dataset) & (others["label_set"] == label_set)],
        metrics,
        run.provenance,
        found.rows(key),
    )
    if comparisons is not None:
        lines += [f"#### {escape(title_differences(*key))}", ""]
        lines += show_differences(condition, comparisons)
        best = condition.of(condition.models[:MOST_IN_GRID])
        alt = f"Ranks of the best models against each other, {shown}"
        lines += view.show(
            alt, draw_grid, (view.style, best), "grid", *key, caption=caption_grid(condition)
        )
        gains = found.gains[key]
        lines += [f"#### {escape(title_combinations(*key))}", ""]
        lines += show_combinations(gains, found.advice[key])
        leading = select_measure(gains, *LEADING_MEASURES[0])
        alt = f"Gains of combinations over the best single model, {shown}"
        lines += view.show(
            alt, draw_gains, (leading,), "combinations", *key, caption=caption_gains(condition)
        )
    lines += [f"#### Larger and smaller collections: {shown}", ""]
    lines += show_growth(found.growth[key], condition)
    alt = f"Recall against the size of the collection, {shown}"
    growth = found.growth[key]
    about = caption_growth(condition, growth)
    lines += view.show(alt, draw_growth, (view.style, growth), "growth", *key, caption=about)
    return lines
