"""The verdicts of a run on one page: what failed, and on which queries; then everything that was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kis_bench.gate.verdicts import FAIL, NEW, PASS, RANK, UNUSABLE, failed_cells, told
from kis_bench.metrics import find_metric
from kis_bench.report.numbers import figure, is_absent, number, probability
from kis_bench.report.tables import escape, table

HEAD = ["verdict", "dataset", "labels", "model", "measure", "obtained", "expected", "rule", "p"]
ORDER = {FAIL: 0, UNUSABLE: 1, NEW: 2, PASS: 3}
VERDICT_WORDS = {
    FAIL: "failed",
    UNUSABLE: "without a usable baseline",
    NEW: "not compared",
    PASS: "passed",
}


def count_verdicts(verdicts: pd.DataFrame) -> str:
    """How many checks came out how.

    >>> count_verdicts(pd.DataFrame({"verdict": ["pass", "fail", "pass"]}))
    '3 checks: 1 failed, 2 passed'
    """
    counts = verdicts["verdict"].value_counts()
    parts = [
        f"{int(counts[word]):,} {said}" for word, said in VERDICT_WORDS.items() if word in counts
    ]
    if not parts:
        return "nothing was checked"
    return f"{len(verdicts):,} check{'s' if len(verdicts) > 1 else ''}: {', '.join(parts)}"


def section(
    verdicts: pd.DataFrame, by: str, problems: Sequence[str] = (), *, most: int | None = None
) -> list[str]:
    """Markdown: a count, what could not be judged, each cell that failed with its queries, and a table of all checks.

    ``by`` is what was judged by; ``most`` the number of rows of passed checks.
    """
    rows = sorted(verdicts.to_dict("records"), key=lambda one: ORDER.get(str(one["verdict"]), 0))
    lines = [escape(f"{count_verdicts(verdicts)}{f' ({by})' if by else ''}.", 1000), ""]
    lines += [*(f"- {escape(problem, 1000)}" for problem in problems), ""] if problems else []
    for cell, failed in failed_cells(rows).items():
        lines += [
            f"**{escape(cell)}** failed:",
            "",
            *(f"- {escape(line, 1000)}" for line in told(failed)),
            "",
        ]
    failed_rows = sum(one["verdict"] != PASS for one in rows)
    shown = rows if most is None else rows[: failed_rows + most]
    if shown:
        lines += [table(HEAD, [shown_row(one) for one in shown], right=(5, 8)), ""]
    if len(rows) > len(shown):
        lines += [f"{len(rows) - len(shown):,} more that passed are in verdicts.csv.", ""]
    return lines


def shown_row(one: Mapping[Any, Any]) -> list[str]:
    texts = ("verdict", "dataset", "label_set", "model", "metric", "expected", "rule")
    words = {name: "" if is_absent(one.get(name)) else str(one[name]) for name in texts}
    value = obtained(words["metric"], one.get("obtained"), one.get("ci_low"), one.get("ci_high"))
    return [
        words["verdict"],
        words["dataset"],
        words["label_set"],
        words["model"],
        words["metric"],
        value,
        words["expected"],
        words["rule"],
        probability(one.get("p")),
    ]


def obtained(metric: str, value: Any, low: Any, high: Any) -> str:
    """Shares in percent with their interval, others as numbers."""
    known = find_metric(metric)
    if known is None or known.kind == "correlation":
        return number(value, 1 if metric == RANK else 2)
    return figure(metric, value, *((low, high) if known.format == "percent" else ()))
