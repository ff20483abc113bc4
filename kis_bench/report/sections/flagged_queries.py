"""The report's part on queries that deserve a look."""

from __future__ import annotations

from kis_bench.analysis.audit import count_flags
from kis_bench.analysis.findings import Key
from kis_bench.report.numbers import number
from kis_bench.report.tables import table
from kis_bench.report.view import View

MOST_QUERIES = 15


def show_flagged(view: View, key: Key) -> list[str]:
    """Queries that say more about themselves, or about the collection, than about models."""
    audit = view.findings.audits[key]
    found = count_flags(audit)
    if not any(found.values()):
        return []
    lines = [
        ", ".join(f"{name}: {n:,}" for name, n in found.items() if n)
        + f"; of {len(audit):,} queries.",
        "",
    ]
    flagged = audit[audit["flags"].map(len) > 0]
    order = flagged.assign(many=flagged["flags"].map(len)).sort_values(
        ["many", "disagreement"], ascending=False, kind="stable"
    )
    rows = []
    for _, row in order.head(MOST_QUERIES).iterrows():
        about = [] if view.privacy else [row["text"], row["item_id"]]
        flags = ", ".join(row["flags"]) if view.privacy else row["why"]
        rows.append(
            [
                row["query_id"],
                *about,
                f"{number(row['best_rank'])} ({row['best_model']})",
                number(row["median_rank"]),
                flags,
            ]
        )
    head = [
        "query",
        *([] if view.privacy else ["text", "target"]),
        "best rank",
        "median rank",
        "why",
    ]
    lines += [table(head, rows, right=(len(head) - 2,)), ""]
    if len(order) > MOST_QUERIES:
        lines += [
            f"{len(order) - MOST_QUERIES:,} more are in [tables/queries.csv](tables/queries.csv).",
            "",
        ]
    return lines
