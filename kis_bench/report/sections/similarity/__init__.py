"""The report's part on image similarity: how often models choose as those who judged."""

from __future__ import annotations

from kis_bench.report.sections.similarity.consistency import (
    draw_bars,
    show_consistency,
    tell_counts,
)
from kis_bench.report.sections.similarity.pairs import draw_heat_map, show_pairs
from kis_bench.report.sections.similarity.parts import (
    DIVISIONS,
    draw_panels,
    show_division,
    show_without_one,
)
from kis_bench.report.sections.similarity.published import show_published_similarity
from kis_bench.report.sections.similarity.wording import list_point
from kis_bench.report.tables import escape
from kis_bench.report.view import View
from kis_bench.triplets.summary import Similarity

__all__ = ["show_similarity"]


def show_similarity(view: View, name: str) -> list[str]:
    """Markdown about one dataset with judgments."""
    study = Similarity(name, view.run)
    lines = [f"## {escape(name)}: image similarity", "", tell_counts(study), ""]
    if study.about.get("remarks"):
        lines += [*map(list_point, study.about["remarks"]), ""]
    lines += show_consistency(study)
    lines += draw_bars(view, study)
    lines += show_published_similarity(study)
    lines += draw_panels(view, study)
    for part, title in DIVISIONS.items():
        lines += show_division(study, part, title)
    lines += show_without_one(view, study)
    lines += show_pairs(study)
    lines += draw_heat_map(view, study)
    return lines
