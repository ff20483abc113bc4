"""One row of verdicts.csv, and what it says in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kis_bench.metrics import find_metric

PASS, FAIL = "pass", "fail"
NEW = "not compared"  #: the baseline doesn't have this model, or there is no test for so few
UNUSABLE = "unusable"  #: the baseline is of something else, so that nothing can be said
THRESHOLD, SIGNIFICANCE, TOLERANCE = "threshold", "significance", "tolerance"
QUERY, EXACT, BASELINE = "query factor", "exact", "baseline"
RANK, AGREES = (
    "rank",
    "agreement",
)  #: in place of a metric, where each query, or judgment, is looked at
MOST_QUERIES_NAMED = 10  #: queries or judgments that a sentence names
LISTED = 200  #: queries or judgments that a row lists

Row = dict[
    str, Any
]  #: the columns ``results.ALL_VERDICTS`` as plain values, which can go to another process


class Cell(NamedTuple):
    """What is judged at once."""

    model: str
    dataset: str
    label_set: str  # "" for image similarity

    def __str__(self) -> str:
        return ", ".join(part for part in (self.dataset, self.label_set, self.model) if part)


class Figure(NamedTuple):
    """A figure with its 95% interval, which is NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


def row(
    cell: Cell,
    rule: str,
    source: str,
    metric: str,
    expected: str,
    obtained: float | None,
    ok: bool | str,
    *,
    interval: tuple[float, float] | None = None,
    p: float | None = None,
    queries: Sequence[str] = (),
    remark: str = "",
) -> Row:
    """A verdict; ``ok`` says whether it passed, or is a word for what kept it from being judged.

    ``queries`` are those, or the judgments, by which this very rule failed on this very metric, the worst first, such
    as ``q017: 3 → 212``. The row lists the first of them and counts all. ``remark``: what is
    known of why it failed, and what to do.
    """
    low, high = interval or (None, None)
    return {
        **cell._asdict(),
        "metric": metric,
        "expected": expected,
        "obtained": known(obtained),
        "verdict": ok if isinstance(ok, str) else PASS if ok else FAIL,
        "rule": rule,
        "judged_by": source,
        "ci_low": known(low),
        "ci_high": known(high),
        "p": known(p),
        "queries": tuple(queries[:LISTED]),
        "n_queries": len(queries),
        "remark": remark,
    }


def is_missing(value: Any) -> bool:
    """Whether a row has nothing there: None when it was made, NaN when it was read."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def known(value: float | None) -> float | None:
    return None if value is None or is_missing(value) else float(value)


def failures(rows: Iterable[Mapping[Any, Any]]) -> list[Mapping[Any, Any]]:
    return [one for one in rows if one["verdict"] in (FAIL, UNUSABLE)]


def shown(metric: str, value: Any) -> str:
    """As people read it: recalls and consistencies in percent.

    >>> shown("recall@10", 0.4213), shown("mrr", 0.31), shown("median_rank", 1212.5)
    ('42.1%', '0.310', '1,212.5')
    """
    if is_missing(value):
        return "unknown"
    known = find_metric(metric)
    if known is None or known.format == "decimal":
        return f"{value:.3f}"
    return f"{100 * value:.1f}%" if known.format == "percent" else f"{value:,.6g}"


def move(name: str, old: float, new: float) -> str:
    """A query whose rank changed.

    >>> move("q017", 3, 1212.5)
    'q017: 3 → 1,212.5'
    """
    return f"{name}: {old:,.6g} → {new:,.6g}"


def sentence(one: Mapping[str, Any]) -> str:
    """What a verdict's figure is, and what it should have been."""
    metric, value, expected = str(one["metric"]), one["obtained"], one["expected"]
    if one["rule"] == EXACT:
        what = (
            f"the largest difference is {value:,.6g}" if metric == RANK else f"{value:,.6g} are not"
        )
        return f"expected that {expected}; {what}"
    if one["rule"] == QUERY:
        return f"expected that {expected}; the largest factor is {value:,.4g}"
    if one["rule"] == BASELINE:
        return str(expected)
    interval = ""
    if one["rule"] == THRESHOLD and not (is_missing(one["ci_low"]) or is_missing(one["ci_high"])):
        low, high = (shown(metric, one[side]).rstrip("%") for side in ("ci_low", "ci_high"))
        interval = f" [{low}, {high}]"
    why = {
        THRESHOLD: f" ({one['judged_by']})",
        SIGNIFICANCE: f" (adjusted p = {p_value(one['p'])})",
    }
    return f"{metric} is {shown(metric, value)}{interval}, expected {expected}{why.get(one['rule'], '')}"


def failed_cells(rows: Iterable[Mapping[Any, Any]]) -> dict[Cell, list[Mapping[Any, Any]]]:
    """Each cell with the verdicts on it that didn't pass."""
    found: dict[Cell, list[Mapping[Any, Any]]] = {}
    for one in failures(rows):
        names = ("" if is_missing(one[name]) else str(one[name]) for name in Cell._fields)
        found.setdefault(Cell(*names), []).append(one)
    return found


def told(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of the verdicts on one cell: a sentence for each that didn't pass, and behind it the queries it failed by.

    A list that two verdicts share, such as a test and a tolerance of one metric, is given once.
    """
    lines: list[str] = []
    for one in failures(rows):
        remark = one["remark"]
        every = sentence(one), listing(one), "" if is_missing(remark) else str(remark)
        lines += [line for line in every if line and line not in lines]
    return lines


def listing(one: Mapping[str, Any]) -> str:
    """Which queries or judgments a verdict failed by, and how many; empty if it names none."""
    queries = one["queries"]
    if is_missing(queries) or not queries:
        return ""
    n = len(queries) if is_missing(one["n_queries"]) else int(one["n_queries"])
    nouns = (
        ("judgment", "judgments") if is_of_judgments(str(one["metric"])) else ("query", "queries")
    )
    what = f"{n:,} {nouns[n != 1]} {why_listed(str(one['rule']), str(one['metric']))}"
    return f"{f'worst of the {what}' if n > MOST_QUERIES_NAMED else what}: {'; '.join(queries[:MOST_QUERIES_NAMED])}"


def is_of_judgments(metric: str) -> bool:
    """Whether a metric, or the rule of exactness, is about judgments of image similarity, not about queries."""
    known = find_metric(metric)
    return metric == AGREES if known is None else known.of_judgments


def why_listed(rule: str, metric: str) -> str:
    """What the queries or judgments that a verdict lists did.

    >>> why_listed("significance", "recall@1"), why_listed("tolerance", "mrr"), why_listed("threshold", "recall@10")
    ('that left first place', 'that lost reciprocal rank', 'not among the first 10')
    """
    if rule == EXACT:
        return "that changed"
    if rule == QUERY:
        return "that fell by a larger factor"
    known = find_metric(metric)
    if known is None:  # of a run that a newer version measured
        return "that it failed by"
    if known.kind == "proportion":
        k = int(metric.partition("@")[2])
        if rule == THRESHOLD:
            return "not in first place" if k == 1 else f"not among the first {k:,}"
        return "that left first place" if k == 1 else f"that left the first {k:,}"
    if rule == THRESHOLD:
        return "with ranks beyond it" if known.kind == "quantile" else "not in first place"
    return "no longer agreed with" if known.of_judgments else f"that lost {known.adds}"


def p_value(p: Any) -> str:
    return "unknown" if is_missing(p) else "<0.0001" if p < 0.0001 else f"{p:.4f}"
