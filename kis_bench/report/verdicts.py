"""The verdicts of a run on one page: what failed first, then everything that was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kis_bench.report.numbers import missing, number, percent, probability
from kis_bench.report.tables import table

HEAD = ["verdict", "dataset", "labels", "model", "measure", "obtained", "expected", "p", "by", "queries"]
ORDER = {"fail": 0, "unusable": 1, "not compared": 2, "pass": 3}
MOST_QUERIES = 10


def in_words(verdicts: pd.DataFrame) -> str:
    """How many checks came out how.

    >>> in_words(pd.DataFrame({"verdict": ["pass", "fail", "pass"]}))
    '3 checks: 1 failed, 2 passed'
    """
    words = {"fail": "failed", "unusable": "without a usable baseline", "not compared": "not compared",
             "pass": "passed"}  # fmt: skip
    counts = verdicts["verdict"].value_counts()
    parts = [f"{int(counts[word]):,} {said}" for word, said in words.items() if word in counts]
    if not parts:
        return "nothing was checked"
    return f"{len(verdicts):,} check{'s' if len(verdicts) > 1 else ''}: {', '.join(parts)}"


def section(verdicts: pd.DataFrame, remarks: Sequence[str] = (), *, most: int | None = None) -> list[str]:
    """Markdown: a count, what could not be judged, and a table with failures first; ``most`` rows of passed ones."""
    rows = verdicts.to_dict("records")
    rows.sort(key=lambda one: ORDER.get(str(one["verdict"]), 0))
    failed = sum(one["verdict"] != "pass" for one in rows)
    shown = rows if most is None else rows[: failed + most]
    lines = [f"{in_words(verdicts)}.", "", *(f"- {remark}" for remark in remarks), *([""] if remarks else [])]
    if shown:
        lines += [table(HEAD, [cells(one) for one in shown], right=(5, 7)), ""]
    if len(rows) > len(shown):
        lines += [f"{len(rows) - len(shown):,} more that passed are in verdicts.csv.", ""]
    return lines


def cells(one: Mapping[Any, Any]) -> list[str]:
    texts = ("verdict", "dataset", "label_set", "model", "metric", "expected", "rule", "judged_by", "queries")
    words = {name: "" if missing(one.get(name)) else str(one[name]) for name in texts}
    every = words["queries"].split("; ")
    named = "; ".join(every[:MOST_QUERIES]) + (f"; … ({len(every):,})" if len(every) > MOST_QUERIES else "")
    by = ": ".join(part for part in (words["rule"], words["judged_by"]) if part)
    value = obtained(words["metric"], one.get("obtained"), one.get("ci_low"), one.get("ci_high"))
    return [words["verdict"], words["dataset"], words["label_set"], words["model"], words["metric"], value,
            words["expected"], probability(one.get("p")), by, named]  # fmt: skip


def obtained(metric: str, value: Any, low: Any, high: Any) -> str:
    """Recalls and consistencies in percent with their interval, others as numbers."""
    if missing(value):
        return ""
    if "recall@" in metric or metric.startswith("consistency"):
        return percent(value, low, high)
    return f"{float(value):.3f}" if metric == "mrr" else number(value, 1 if "rank" in metric else 2)
