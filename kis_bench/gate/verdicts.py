"""One row of verdicts.csv, and what it says in a sentence."""

from __future__ import annotations

import math
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


def known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def failures(rows: Iterable[Row]) -> list[Row]:
    return [one for one in rows if one["verdict"] == FAIL]


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
    if value is None or (isinstance(value, float) and math.isnan(value)):
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
    if one["rule"] == THRESHOLD and one["ci_low"] is not None and one["ci_high"] is not None:
        low, high = (shown(metric, one[side]).rstrip("%") for side in ("ci_low", "ci_high"))
        interval = f" [{low}, {high}]"
    because = (
        f"adjusted p = {p_value(one['p'])}, against {one['judged_by']}"
        if one["rule"] == SIGNIFICANCE
        else one["judged_by"]
    )
    return f"{metric} is {shown(metric, value)}{interval}, expected {expected} ({because})"


def p_value(p: Any) -> str:
    return "unknown" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"
