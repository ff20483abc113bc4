"""What combinations gain over the best single model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kis_bench.report.numbers import signed
from kis_bench.report.plots.axes import (
    SMALL,
    WIDTH,
    about_title,
    add_title,
    calm,
    first_value,
    fitting,
    measure_title,
    new_figure,
)
from kis_bench.report.sections.combinations import name_combination, name_method, name_models

MOST_BARS = 12
REAL, BOUND = "#0072B2", "#D55E00"


def draw_gains(gains: pd.DataFrame) -> Any:
    """The best combinations over the best single model under one measure, and hollow the oracle of the same models.

    Args:
        gains: rows of one condition and measure, as `kis_bench.analysis.combinations.gains` gives them;
        ``dataset``,
            ``label_set``, ``metric``, ``k``, ``parameter`` and ``best_single`` may be absent.

    Raises:
        ValueError: there is no row.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    if gains.empty:
        raise ValueError("no combination to draw")
    real = (
        gains[gains["kind"] == "achievable"]
        .sort_values("value", ascending=False, kind="stable")
        .head(MOST_BARS)
    )
    bounds = gains[gains["kind"] == "bound"].sort_values("value", ascending=False, kind="stable")
    bound = {frozenset(name_models(row)): row["gain"] for _, row in bounds.iterrows()}
    rows = [row for _, row in (real if len(real) else bounds.head(MOST_BARS)).iterrows()]
    with matplotlib.rc_context(SMALL):
        figure = new_figure(WIDTH, 1.15 + 0.31 * max(2, len(rows)))
        axes = figure.subplots()
        axes.axvline(0, color="#777777", linewidth=1)
        for place, row in enumerate(rows):
            hollow = bound.get(frozenset(name_models(row)))
            if hollow is not None:
                axes.plot(
                    hollow,
                    place,
                    "o",
                    markerfacecolor="white",
                    markeredgecolor=BOUND,
                    markersize=7,
                    zorder=3,
                )
            if len(real):
                axes.hlines(
                    place, row["gain_low"], row["gain_high"], color=REAL, linewidth=1.6, zorder=4
                )
                axes.plot(row["gain"], place, "o", color=REAL, markersize=4.5, zorder=5)
        names = [f"{fitting(name_combination(row), 2.7, 6.5)}\n{_way(row)}" for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=6.5)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        calm(axes)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(
            lambda value, _: signed(value, 3) if abs(value) > 1e-9 else "0"
        )
        axes.xaxis.get_major_locator().set_params(nbins=8)
        best = fitting(first_value(gains, "best_single", "the best single model"), 1.9, 8)
        axes.set_xlabel(f"gain of {measure_title(gains)} over {best}")
        marks = [
            (
                Line2D([], [], color=REAL, marker="o", markersize=4.5, linewidth=1.6),
                "achievable, with 95% interval",
            ),
            (
                Line2D(
                    [],
                    [],
                    color=BOUND,
                    marker="o",
                    markersize=7,
                    markerfacecolor="white",
                    linewidth=0,
                ),
                "oracle: the better rank of each query; bounds choices between lists, not fused ones",
            ),
        ]
        shown = [mark for mark, used in zip(marks, (len(real), len(bound)), strict=True) if used]
        figure.legend(
            [m for m, _ in shown],
            [text for _, text in shown],
            loc="outside lower left",
            ncols=2,
            fontsize=7,
            frameon=False,
        )
        return add_title(figure, f"{about_title(gains)}what combinations gain", size=9)


def _way(row: Any) -> str:
    return name_method({"method": row["method"], "parameter": row.get("parameter")})
