"""One row of verdicts.csv, and what it says in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

PASS, FAIL = "pass", "fail"
NEW = "not compared"  #: the baseline doesn't have this model, or there is no test for so few
UNUSABLE = "unusable"  #: the baseline is of something else, so that nothing can be said
THRESHOLD, SIGNIFICANCE, TOLERANCE = "threshold", "significance", "tolerance"
QUERY, EXACT, BASELINE = "query factor", "exact", "baseline"
NAMED = 10  #: queries that a sentence names
LISTED = 200  #: queries that a row lists

Row = dict[str, Any]  #: the columns ``results.ALL_VERDICTS`` as plain values, which can go to another process


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
    cell: Cell, rule: str, source: str, metric: str, expected: str, obtained: float | None, ok: bool | str,
    *, interval: tuple[float, float] | None = None, p: float | None = None, queries: str = "",
) -> Row:  # fmt: skip
    """A verdict; ``ok`` says whether it passed, or is a word for what kept it from being judged."""
    low, high = interval or (None, None)
    return {
        **cell._asdict(), "metric": metric, "expected": expected, "obtained": known(obtained),
        "verdict": ok if isinstance(ok, str) else PASS if ok else FAIL, "rule": rule, "judged_by": source,
        "ci_low": known(low), "ci_high": known(high), "p": known(p), "queries": queries,
    }  # fmt: skip


def missing(value: Any) -> bool:
    """Whether a row has nothing there: None when it was made, NaN when it was read."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def known(value: float | None) -> float | None:
    return None if value is None or missing(value) else float(value)


def failures(rows: Iterable[Mapping[Any, Any]]) -> list[Mapping[Any, Any]]:
    return [one for one in rows if one["verdict"] in (FAIL, UNUSABLE)]


def is_share(metric: str) -> bool:
    """Whether a metric lies between 0 and 1 and more is better; else it is a rank, or a correlation."""
    return metric == "mrr" or "recall@" in metric or metric.startswith("consistency")


def is_rank(metric: str) -> bool:
    return "rank" in metric.partition("@")[0]


def shown(metric: str, value: Any) -> str:
    """As people read it: recalls and consistencies in percent.

    >>> shown("recall@10", 0.4213), shown("mrr", 0.31), shown("median_rank", 1212.5)
    ('42.1%', '0.310', '1,212.5')
    """
    if missing(value):
        return "unknown"
    if metric == "mrr" or not (is_share(metric) or is_rank(metric)):
        return f"{value:.3f}"
    return f"{100 * value:.1f}%" if is_share(metric) else f"{value:,.6g}"


def moves(queries: Sequence[tuple[str, float, float]], most: int = NAMED) -> str:
    """``q017: 3 → 212``, those first that are first, and how many more there are."""
    told = [f"{name}: {old:,.6g} → {new:,.6g}" for name, old, new in queries[:most]]
    more = len(queries) - len(told)
    return "; ".join(told) + (f"; and {more:,} more" if more else "")


def sentence(one: Mapping[str, Any]) -> str:
    """What a verdict's figure is, and what it should have been."""
    metric, value, expected = str(one["metric"]), one["obtained"], one["expected"]
    if one["rule"] == EXACT:
        what = f"the largest difference is {value:,.6g}" if metric == "rank" else f"{value:,.6g} are not"
        return f"expected that {expected}; {what}"
    if one["rule"] == QUERY:
        return f"expected that {expected}; the largest factor is {value:,.4g}"
    if one["rule"] == BASELINE:
        return str(expected)
    interval = ""
    if one["rule"] == THRESHOLD and not (missing(one["ci_low"]) or missing(one["ci_high"])):
        low, high = (shown(metric, one[side]).rstrip("%") for side in ("ci_low", "ci_high"))
        interval = f" [{low}, {high}]"
    why = {THRESHOLD: f" ({one['judged_by']})", SIGNIFICANCE: f" (adjusted p = {p_value(one['p'])})"}
    return f"{metric} is {shown(metric, value)}{interval}, expected {expected}{why.get(one['rule'], '')}"


def failed_cells(rows: Iterable[Mapping[Any, Any]]) -> dict[Cell, list[Mapping[Any, Any]]]:
    """Each cell with the verdicts on it that didn't pass."""
    found: dict[Cell, list[Mapping[Any, Any]]] = {}
    for one in failures(rows):
        names = ("" if missing(one[name]) else str(one[name]) for name in Cell._fields)
        found.setdefault(Cell(*names), []).append(one)
    return found


def told(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of the verdicts on one cell: a sentence for each that didn't pass, and the queries that fell most."""
    bad = failures(rows)
    lines = [sentence(one) for one in bad]
    every = next((str(one["queries"]).split("; ") for one in bad if not missing(one["queries"]) and one["queries"]), [])
    if every:
        more = re.fullmatch(r"and ([\d,]+) more", every[-1])  # a row doesn't list them all
        n = len(every) - 1 + int(more[1].replace(",", "")) if more else len(every)
        lines.append(f"worst: {'; '.join(every[:NAMED])}" + (f" (of {n:,})" if n > NAMED else ""))
    return lines


def p_value(p: Any) -> str:
    return "unknown" if missing(p) else "<0.0001" if p < 0.0001 else f"{p:.4f}"
