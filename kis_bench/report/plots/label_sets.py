"""What another label set gains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import KNOWN, MRR
from kis_bench.report.numbers import is_absent
from kis_bench.report.plots.axes import (
    SMALL,
    WIDTH,
    Styles,
    about_title,
    add_title,
    calm,
    first_value,
    fitting,
    measure_title,
    new_figure,
)


def draw_label_sets(style: Styles, rows: pd.DataFrame) -> Any:
    """Each model under label set a (hollow) and b (filled), and the difference with its interval; best under b on top.

    Args:
        rows: one per model, of one pair of label sets and one measure, as
            `kis_bench.analysis.label_sets.compare_label_sets` gives them: ``model``, ``value_a``, ``value_b``;
            ``ci_low`` and ``ci_high`` of the difference and what names things (``dataset``, ``label_set_a``,
            ``label_set_b``, ``metric``, ``k``, ``n``) may be absent.

    Raises:
        ValueError: there is no row, or more than one of a model.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    if rows.empty or rows["model"].duplicated().any():
        raise ValueError(
            "one row for each model is needed, of one measure and one pair of label sets"
        )
    ordered = rows.sort_values("value_b", ascending=False, kind="stable").reset_index(drop=True)
    shares = KNOWN[first_value(rows, "metric", MRR.name)].format == "percent"
    scale, places = 100 if shares else 1, np.arange(len(ordered))
    values = scale * ordered[["value_a", "value_b"]].to_numpy(float)
    with matplotlib.rc_context(SMALL):
        figure = new_figure(WIDTH, 1.2 + 0.22 * max(3, len(ordered)))
        left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 2]})
        for place, model, (a, b) in zip(places, ordered["model"], values, strict=True):
            colour = style[str(model)][0]
            left.plot([a, b], [place, place], color=colour, linewidth=1.6, alpha=0.5)
            left.plot(
                a, place, "o", markerfacecolor="white", markeredgecolor=colour, markersize=6.5
            )
            left.plot(b, place, "o", color=colour, markersize=5)
            right.plot(b - a, place, "o", color=colour, markersize=4.5)
            if "ci_low" in ordered and not is_absent(ordered["ci_low"][place]):
                ends = (scale * float(ordered[end][place]) for end in ("ci_low", "ci_high"))
                right.hlines(place, *ends, color=colour, linewidth=1.6)
        right.axvline(0, color="#777777", linewidth=1)
        left.set_yticks(places, [fitting(model, 1.9, 7) for model in ordered["model"]], fontsize=7)
        left.set_ylim(len(ordered) - 0.4, -0.6)
        for axes in (left, right):
            calm(axes)
            axes.tick_params(axis="y", length=0)
            axes.xaxis.get_major_locator().set_params(nbins=5)
        if shares:
            left.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
        left.set_xlabel(measure_title(rows))
        interval = ", 95% interval" if "ci_low" in rows else ""
        right.set_xlabel(f"difference{', points' if shares else ''}{interval}", fontsize=7.5)
        names = [
            fitting(first_value(rows, f"label_set_{each}", each), 1.1, 9, "bold") for each in "ab"
        ]
        grey: Any = {"color": "#555555", "marker": "o", "markersize": 5, "linewidth": 0}
        marks = [Line2D([], [], **grey, markerfacecolor="white"), Line2D([], [], **grey)]
        figure.legend(marks, names, loc="outside lower left", ncols=2, fontsize=7, frameon=False)
        n = f"{int(rows['n'].iloc[0]):,} " if "n" in rows else ""
        return add_title(
            figure,
            f"{about_title(rows, 'dataset')}{' and '.join(names)} on the same {n}targets",
            size=9,
        )
