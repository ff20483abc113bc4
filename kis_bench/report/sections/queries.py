"""The report's part on single queries: those that no model found, the worst of each model, and those to look at."""

from __future__ import annotations

from kis_bench.analysis.audit import HOPELESS, HOPELESS_SHARE
from kis_bench.analysis.findings import Key
from kis_bench.report.numbers import count, number, percent
from kis_bench.report.page.html import QUERIES, UNFOUND
from kis_bench.report.sections.flagged_queries import show_flagged
from kis_bench.report.sections.worst_queries import show_worst
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.statistics.clusters import describe_count

MOST_UNFOUND = 20  #: rows of a label set
UNFOUND_RULE = (
    f"A query counts as not found when no model has its target among the first {HOPELESS}, or, in a collection of more "
    f"than {int(HOPELESS / HOPELESS_SHARE):,} items, among the first {percent(HOPELESS_SHARE)} of them."
)


def show_queries(view: View) -> list[str]:
    """Markdown about single queries of all label sets; their contact sheets are drawn into the view's folder."""
    keys = list(view.findings.conditions)
    if not keys:
        return []
    lines = [f"## {QUERIES}", "", f"### {UNFOUND}", "", UNFOUND_RULE, ""]
    for key in keys:
        lines += show_unfound(view, key)
    for key in keys:
        lines += show_worst(view, key)
    for key in keys:
        if flagged := show_flagged(view, key):
            lines += [f"### Queries to look at: {escape(key[0])}, {escape(key[1])}", "", *flagged]
    return lines


def show_unfound(view: View, key: Key) -> list[str]:
    """The queries of a label set that no model found, the farthest last."""
    audit = view.findings.audits[key]
    own = audit[["hopeless" in flags for flags in audit["flags"]]]
    own = own.sort_values("best_rank", kind="stable")
    name = f"{escape(key[0])}, {escape(key[1])}"
    if own.empty:
        return [f"{name}: none of {describe_count(len(audit), len(audit))}.", ""]
    rows = []
    for _, row in own.head(MOST_UNFOUND).iterrows():
        about = [] if view.privacy else [row["text"], row["item_id"]]
        rows.append([row["query_id"], number(row["best_rank"]), row["best_model"], *about])
    head = ["query", "best rank", "under", *([] if view.privacy else ["text", "target"])]
    lines = [f"{name}: {count(len(own))} of {describe_count(len(audit), len(audit))}.", ""]
    lines += [table(head, rows, right=[1]), ""]
    if len(own) > MOST_UNFOUND:
        left = f"{len(own) - MOST_UNFOUND:,} more are in [tables/queries.csv](tables/queries.csv)"
        lines += [f"{left}, flagged “hopeless”.", ""]
    return lines
