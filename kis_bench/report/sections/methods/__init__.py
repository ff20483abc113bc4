"""How a run was measured, in English that can stand in a paper: only what it did, and what it recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kis_bench.report.sections.methods.citing import show_citations
from kis_bench.report.sections.methods.inference import (
    tell_combinations,
    tell_comparisons,
    tell_growth,
    tell_label_sets,
)
from kis_bench.report.sections.methods.judging import tell_judged
from kis_bench.report.sections.methods.material import tell_collections, tell_models
from kis_bench.report.sections.methods.searching import (
    tell_figure_intervals,
    tell_metrics,
    tell_ranking,
)
from kis_bench.report.sections.methods.surroundings import tell_surroundings
from kis_bench.triplets.summary import Similarity, judged_datasets

if TYPE_CHECKING:
    from kis_bench.report.view import View

__all__ = ["show_methods"]


def show_methods(view: View) -> list[str]:
    """Markdown of two sections: the methods, and how to cite what was used."""
    return ["## Methods", "", *describe_methods(view), *show_citations(view.run)]


def describe_methods(view: View) -> list[str]:
    """Paragraphs and lists, each followed by an empty line; what a run did not do is not in them."""
    run, found = view.run, view.findings
    studies = [Similarity(name, run) for name in judged_datasets(run)]
    lines = [*tell_collections(run), *tell_models(run)]
    if len(run.ranks):
        lines += [*tell_ranking(run), *tell_metrics(run), *tell_figure_intervals(run)]
        for tell in (tell_comparisons, tell_combinations, tell_label_sets, tell_growth):
            lines += tell(found)
    for study in studies:
        lines += tell_judged(study)
    return [part for line in [*lines, tell_surroundings(run.provenance)] for part in (line, "")]
