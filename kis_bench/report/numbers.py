"""Figures as a report prints them: percent, signed differences, intervals that stay on one line."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from kis_bench.metrics import find_metric


def join_words(text: str) -> str:
    """With spaces at which no line breaks."""
    return text.replace(" ", "\u00a0")


def figure(metric: str, value: Any, low: Any = None, high: Any = None) -> str:
    """A figure of a metric with its interval where there is one, as the metric is written.

    >>> figure("recall", 0.5), figure("mrr", 0.5), figure("median_rank", 1212.5)
    ('50.0%', '0.500', '1,212.5')
    """
    known = find_metric(metric)
    if known is None or known.format == "decimal":
        return fraction(value, low, high)
    return percent(value, low, high) if known.format == "percent" else number(value)


def change(metric: str, value: Any, low: Any = None, high: Any = None) -> str:
    """A difference of two figures of a metric: percentage points, decimals or places, with its sign.

    >>> change("recall", 0.021), change("mrr", 0.021), change("median_rank", 2)
    ('+2.1', '+0.021', '+2.0')
    """
    known = find_metric(metric)
    if known is None or known.format == "decimal":
        return difference(value, low, high)
    return percent_points(value, low, high) if known.format == "percent" else signed(value, 1)


def number(value: Any, digits: int = 1) -> str:
    """With thousands separators; of one digit, ``.0`` is left out. Empty where there is no number."""
    return "" if is_absent(value) else f"{float(value):,.{digits}f}".removesuffix(".0")


def count(value: Any) -> str:
    return "" if is_absent(value) else f"{int(value):,}"


def percent(value: Any, low: Any = None, high: Any = None, *, digits: int = 1) -> str:
    """A share, with its interval where there is one.

    >>> percent(0.5), percent(0.5, 0.25, 0.75).replace(chr(160), " ")
    ('50.0%', '50.0% [25.0, 75.0]')
    """
    if is_absent(value):
        return ""
    shown = f"{100 * float(value):.{digits}f}%"
    if is_absent(low) or is_absent(high):
        return shown
    return join_words(f"{shown} [{100 * float(low):.{digits}f}, {100 * float(high):.{digits}f}]")


def percent_points(value: Any, low: Any = None, high: Any = None) -> str:
    """A difference of shares in percentage points, always with its sign."""
    if is_absent(value):
        return ""
    points = [signed(100 * float(each), 1) for each in (value, low, high) if not is_absent(each)]
    return join_words(points[0] + (f" [{points[1]}, {points[2]}]" if len(points) == 3 else ""))


def signed(value: Any, digits: int) -> str:
    """Always with a sign, but for what rounds to zero.

    >>> signed(0.0004, 3), signed(2, 0)
    ('0.000', '+2')
    """
    if is_absent(value):
        return ""
    rounded = round(float(value), digits)
    sign = "" if rounded == 0 else "+" if rounded > 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(rounded):,.{digits}f}"


def ratio(value: Any, low: Any, high: Any) -> str:
    """``1.8 times [1.4, 2.3]``."""
    if is_absent(value):
        return ""
    interval = (
        "" if is_absent(low) or is_absent(high) else f" [{float(low):.2f}, {float(high):.2f}]"
    )
    return join_words(f"{float(value):.2f} times{interval}")


def probability(p: Any) -> str:
    """A p-value; never 0, which no test can say.

    >>> probability(0.0213), probability(0.00001), probability(1.0)
    ('0.021', '<0.001', '1')
    """
    if is_absent(p):
        return ""
    return "<0.001" if p < 0.0005 else "1" if p > 0.9995 else f"{p:.3f}"


def is_absent(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def fraction(value: Any, low: Any = None, high: Any = None, *, digits: int = 3) -> str:
    """A figure such as MRR or a correlation, with its interval where there is one.

    >>> fraction(0.5, 0.25, 0.75).replace(chr(160), " ")
    '0.500 [0.250, 0.750]'
    >>> fraction(-0.5).replace(chr(0x2212), "minus ")
    'minus 0.500'
    """
    if is_absent(value):
        return ""
    known = not is_absent(low) and not is_absent(high)
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if known else ""
    return join_words(f"{value:.{digits}f}{interval}").replace("-", "\N{MINUS SIGN}")


def difference(value: Any, low: Any, high: Any, *, digits: int = 3) -> str:
    """A difference with its sign and its interval where there is one."""
    if is_absent(value):
        return ""
    known = not is_absent(low) and not is_absent(high)
    interval = f" [{signed(low, digits)}, {signed(high, digits)}]" if known else ""
    return join_words(f"{signed(value, digits)}{interval}")
