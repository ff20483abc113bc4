"""Image-to-text retrieval: of each picture that has texts, where the first of them is among all texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kis_bench.analysis.models import look_up_figures, select_measure
from kis_bench.choices import IMAGE_TO_TEXT
from kis_bench.metrics import KNOWN, MEDIAN_RANK, METRICS, MRR, RECALL, Measure, measure_words
from kis_bench.records import count_things
from kis_bench.report.numbers import figure
from kis_bench.report.sections.published import place_beside, tell_outside
from kis_bench.report.tables import escape, table
from kis_bench.results.published import comparable, select_direction

if TYPE_CHECKING:
    import pandas as pd

    from kis_bench.results import Run

HEADING = "Image-to-text retrieval"
#: What papers report of this direction, and what says the same of other places.
PAPERS_MEASURES: tuple[Measure, ...] = (
    *((RECALL.name, k) for k in RECALL.cutoffs[:3]),
    *MRR.measures(),
    *MEDIAN_RANK.measures(),
)
DIRECTION_NOTE = (
    "The other direction: each picture that has texts is a query, all texts of the label set are searched, and the "
    "best-placed of the picture's own counts. Pictures score with texts as these do with them. A text of another "
    "picture that says the same ties. Intervals are over pictures; no figure here is one of known-item search."
)


def show_image_to_text(run: Run) -> list[str]:
    """A table for each dataset and label set, the best model first; nothing of a run that measured none."""
    if not len(run.text_figures):
        return []
    lines = [f"## {HEADING}", "", DIRECTION_NOTE, ""]
    for (dataset, label_set), own in run.text_figures.groupby(["dataset", "label_set"], sort=False):
        lines += [f"### {HEADING}: {escape(dataset)}, {escape(label_set)}", ""]
        lines += [f"{describe_asked(own)}.", "", tabulate_models(own), ""]
        others = select_direction(run.published, IMAGE_TO_TEXT)
        about = (others["dataset"] == dataset) & (others["label_set"] == label_set)
        lines += show_published_texts(others[about], own, run.provenance)
    return lines


def show_published_texts(
    rows: pd.DataFrame, own: pd.DataFrame, provenance: Mapping[str, Any]
) -> list[str]:
    """Figures of others of this direction beside those measured here; nothing is tried on those that are outside."""
    known = comparable(rows[rows["metric"].isin([*KNOWN])], own.assign(direction=IMAGE_TO_TEXT))
    if not len(known):
        return []
    said, outside = place_beside(known, own)
    told = [tell_outside(model, n, provenance, "pictures") for model, n in outside.items()]
    return said + [line for each in told for line in (each, "")]


def describe_asked(own: pd.DataFrame) -> str:
    """How many pictures look for one of their texts, among how many."""
    return (
        f"{count_things(int(own['n'].max()), 'picture')} as queries, "
        f"{count_things(int(own['n_texts'].max()), 'text')} searched"
    )


def order_by_leading(own: pd.DataFrame) -> list[str]:
    """The models of one dataset and label set, best first."""
    leading = select_measure(own, *MRR.measures()[0]).sort_values(
        "value", ascending=False, kind="stable"
    )
    return [str(model) for model in leading["model"]]


def tabulate_models(own: pd.DataFrame) -> str:
    known = look_up_figures(own)
    rows = []
    for model in order_by_leading(own):
        found = [known[(model, name, k)] for name, k in PAPERS_MEASURES]
        cells = [
            figure(name, one["value"], one["ci_low"], one["ci_high"])
            for (name, _), one in zip(PAPERS_MEASURES, found, strict=True)
        ]
        rows.append([model, *cells])
    head = ["model", *(measure_words(*each) for each in PAPERS_MEASURES)]
    return table(head, rows, right=range(1, len(head)))


def list_headed(own: pd.DataFrame) -> list[tuple[str, Measure]]:
    """What a terminal shows: heading and measure, those that were measured."""
    return [
        (one.heading, measure)
        for one in METRICS
        if one.heading and not one.of_judgments
        for measure in one.measures()
        if len(select_measure(own, *measure))
    ]
