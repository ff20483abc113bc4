"""What a larger collection costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import RECALL, measure_words
from kis_bench.report.plots.axes import (
    MOST_BANDS,
    SMALL,
    WIDTH,
    ModelLook,
    Styles,
    about_title,
    add_title,
    calm,
    fitting,
    log_axis,
    mark,
    new_figure,
)


def draw_growth(style: Styles, growth: pd.DataFrame) -> Any:
    """Recall@k against the size of the collection: solid within it, dashed where it is extrapolated.

    Args:
        growth: rows of one condition, as `kis_bench.analysis.growth.compute_growth` gives them; the models in the
        legend's order.
            Of many models only the first and the last have bands.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    ks, models = list(dict.fromkeys(growth["k"])), list(dict.fromkeys(growth["model"]))
    here = int(growth.loc[~growth["extrapolated"], "size"].max())
    bands = models if len(models) <= MOST_BANDS else [models[0], models[-1]]
    width = max(4.4, WIDTH * min(1.0, len(ks) / 2))
    columns = 3 if width >= WIDTH else 2
    of_each = {
        (k, str(model)): rows.sort_values("size")
        for (k, model), rows in growth.groupby(["k", "model"], sort=False)
    }
    with matplotlib.rc_context(SMALL):
        figure = new_figure(width, 2.9 + 0.15 * -(-len(models) // columns))
        panels = figure.subplots(1, len(ks), squeeze=False, sharey=True)[0]
        for axes, k in zip(panels, ks, strict=True):
            for place, model in enumerate(models):
                rows = of_each[k, str(model)]
                draw_model(axes, rows, here, style[str(model)], place, band=model in bands)
            ends = growth["size"].min(), max(growth["size"].max(), growth["size"].min() + 1)
            log_axis(axes, *ends)
            axes.set_ylim(0, 101)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
            axes.set_xlabel("items in the collection (log scale)", fontsize=7)
            calm(axes)
            axes.set_title(measure_words(RECALL.name, k), fontsize=8, loc="left")
            axes.axvline(here, color="#777777", linewidth=0.9)
            if growth["extrapolated"].any():
                axes.axvspan(here, ends[1], color="#f4f4f4", zorder=0)
                axes.set_title("extrapolated", fontsize=7, loc="right", color="#555555")
        names = [fitting(model, width / columns - 0.6, 7) for model in models]
        lines = [
            Line2D([], [], color=look[0], linestyle=look[1], marker=look[2], markersize=3.5)
            for look in (style[str(model)] for model in models)
        ]
        few = "" if len(bands) == len(models) else " of the first and the last model"
        note = (
            f"Bands{few}: 95% intervals up to the line, where the collection ends;\ndashed and marked beyond it, with "
            "what two opposite assumptions about further pictures give."
        )
        figure.legend(
            lines,
            names,
            title=note,
            title_fontsize=6.5,
            alignment="left",
            loc="outside lower left",
            ncols=columns,
            fontsize=7,
            frameon=False,
            handlelength=3.6,
        )
        return add_title(
            figure, f"{about_title(growth)}recall in smaller and larger collections", size=9
        )


def draw_model(
    axes: Any, rows: pd.DataFrame, here: int, look: ModelLook, place: int, *, band: bool
) -> None:
    """One model: exact up to the size of the collection, from there on extrapolated, and marked."""
    names = ["size", "value", "ci_low", "ci_high", "low", "high"]
    values = {name: rows[name].to_numpy(np.float64) for name in names}
    inside, beyond = ~rows["extrapolated"].to_numpy(bool), values["size"] >= here
    for part, low, high, strength in (
        (inside, "ci_low", "ci_high", 0.15),
        (beyond, "low", "high", 0.12),
    ):
        if band:
            limits = (100 * values[low][part], 100 * values[high][part])
            axes.fill_between(
                values["size"][part], *limits, color=look[0], alpha=strength, linewidth=0
            )
    axes.plot(
        values["size"][inside],
        100 * values["value"][inside],
        color=look[0],
        linestyle=look[1],
        linewidth=1.4,
        gid="inside",
    )
    (line,) = axes.plot(
        values["size"][beyond],
        100 * values["value"][beyond],
        color=look[0],
        linestyle=(0, (2, 1.6)),
        linewidth=1.0,
    )
    mark(line, look, place)
