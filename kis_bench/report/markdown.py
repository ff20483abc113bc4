"""The report in Markdown: its parts in their order; each asks for the plots that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.report.numbers import number
from kis_bench.report.sections.datasets import show_all_curves, show_dataset
from kis_bench.report.sections.gate import section
from kis_bench.report.sections.image_to_text import HEADING, show_image_to_text
from kis_bench.report.sections.lacking import show_figures_alone, show_lacking
from kis_bench.report.sections.methods import show_methods
from kis_bench.report.sections.provenance import show_notes, show_provenance
from kis_bench.report.sections.queries import show_queries
from kis_bench.report.sections.similarity import show_similarity
from kis_bench.report.sections.summary import show_summary
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.triplets.summary import judged_datasets

if TYPE_CHECKING:
    from kis_bench.results import Run


def make_title(run: Run) -> str:
    if len(run.text_figures) and not len(run.ranks) and not len(run.judgments):
        return f"{HEADING}: report"
    if not len(run.judgments):
        return "Known-item search: report"
    return (
        "Known-item search and image similarity: report"
        if len(run.ranks)
        else "Image similarity: report"
    )


def show_gate(run: Run) -> list[str]:
    """What the gate said; nothing of a run without one."""
    by = str(run.provenance.get("gate") or "")
    if "verdicts" in run.lacking:
        return [f"**{escape(run.lacking['verdicts'])}.**", ""]
    if not len(run.verdicts) and not by:
        return []
    return section(run.verdicts, by, run.provenance.get("remarks") or () if by else ())


def show_report(view: View) -> str:
    """The whole report; which plots it shows, the view knows then."""
    run = view.run
    lines = [f"# {make_title(run)}", ""]
    if run.provenance.get("interrupted"):
        said = "This run was interrupted:** what follows is only what had been measured by then."
        lines += [f"> **{said}\n"]
    lines += show_notes(run.provenance) + show_lacking(run)
    lines += show_summary(view)
    lines += show_figures_alone(run)
    if gate := show_gate(run):
        lines += ["## Gate", "", *gate]
    lines += show_all_curves(view)
    for name in view.findings.of_datasets:
        lines += show_dataset(view, name)
    lines += show_image_to_text(run)
    for name in judged_datasets(run):
        lines += show_similarity(view, name)
    lines += show_queries(view)
    lines += show_methods(view)
    lines += link_tables(view)
    lines += show_timings(run)
    lines += show_provenance(run.provenance)
    return "\n".join(lines).rstrip() + "\n"


def link_tables(view: View) -> list[str]:
    if not view.tables:
        return []
    links = ", ".join(f"[{name}](tables/{name})" for name in view.tables)
    return ["## Tables", "", f"All figures of this report, for a spreadsheet: {links}.", ""]


def show_timings(run: Run) -> list[str]:
    if not len(run.timings):
        return []
    head = ["model", "dataset", "label set", "step", "seconds", "n", "per second", "from cache"]
    limits = run.timings["limit"].fillna("")  # empty where all was stored
    timings: Any = run.timings.itertuples()
    steps = [
        [
            *("" if pd.isna(x) else x for x in (t.model, t.dataset, t.label_set, t.step)),
            number(t.seconds, 2),
            number(t.n, 0),
            number(t.per_second),
            "" if pd.isna(t.cached) else "yes" if t.cached else "no",
        ]
        for t in timings
    ]
    if limits.any():
        head.append("waited for")
        steps = [[*step, one] for step, one in zip(steps, limits, strict=True)]
    return ["## Timings", "", table(head, steps, right=[4, 5, 6]), ""]
