"""What combinations gain, and what a larger collection costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.report.combinations import combination, method
from kis_bench.report.plots import STYLE, calm, new_figure, save_figure, short_number
from kis_bench.report.tables import plain, shortened

SHOWN = 12
REAL, BOUND = "#0072B2", "#D55E00"


def draw_gains(gains: pd.DataFrame, stem: Path) -> None:
    """The best combinations under one measure with intervals, and hollow the bound of the same models."""
    import matplotlib

    real = gains[gains["kind"] == "achievable"].sort_values("value", ascending=False, kind="stable").head(SHOWN)
    bound = {frozenset(members(row)): row for _, row in gains[gains["kind"] == "bound"].iterrows()}
    best = str(gains["best_single"].iloc[0])
    with matplotlib.rc_context(STYLE):
        figure = new_figure(8.6, 1.5 + 0.36 * len(real))
        axes = figure.subplots()
        for place, (_, row) in enumerate(real.iterrows()):
            axes.plot([row["gain_low"], row["gain_high"]], [place, place], color=REAL, linewidth=1.6)
            axes.plot(row["gain"], place, "o", color=REAL, markersize=5, label="can be built" if not place else None)
            other = bound.get(frozenset(members(row)))
            if other is not None:
                axes.plot(other["gain"], place, "o", markerfacecolor="none", markeredgecolor=BOUND, markersize=6,
                          label="bound: the better rank of each query")  # fmt: skip
        axes.axvline(0, color="#777777", linewidth=1)
        names = [f"{shortened(plain(combination(row)), 60)}\n{method(row)}" for _, row in real.iterrows()]
        axes.set_yticks(range(len(real)), names, fontsize=7)
        axes.invert_yaxis()
        calm(axes)
        axes.set_xlabel(f"gain of MRR over {shortened(plain(best), 40)}, with 95% intervals")
        handles, labels = axes.get_legend_handles_labels()
        first = {label: handle for handle, label in zip(handles, labels, strict=True)}
        figure.legend(first.values(), first.keys(), loc="outside lower left", ncols=2, fontsize=8, frameon=False)
        about = f"{gains['dataset'].iloc[0]}, {gains['label_set'].iloc[0]}"
        save_figure(figure, f"{shortened(plain(about), 50)}: what combinations gain", stem)


def members(row: Any) -> list[str]:
    return [name for name in (row["model_1"], row["model_2"], row["model_3"]) if isinstance(name, str)]


def draw_growth(growth: pd.DataFrame, style: Mapping[str, tuple[str, Any]], stem: Path) -> None:
    """Recall@k against the size of the collection: solid within it, dashed where it is extrapolated."""
    import matplotlib

    ks = list(dict.fromkeys(growth["k"]))
    here = int(growth.loc[~growth["extrapolated"], "size"].max())
    models = list(dict.fromkeys(growth["model"]))
    with matplotlib.rc_context(STYLE):
        figure = new_figure(max(5.6, 3.6 * len(ks)), 3.9 + 0.22 * -(-len(models) // 3))
        panels = figure.subplots(1, len(ks), squeeze=False, sharey=True)[0]
        for axes, k in zip(panels, ks, strict=True):
            for model in models:
                rows = growth[(growth["k"] == k) & (growth["model"] == model)]
                inside, beyond = rows[~rows["extrapolated"]], rows[rows["size"] >= here]
                colour, dashes = style[str(model)]
                if len(models) <= 4:
                    axes.fill_between(inside["size"], 100 * inside["ci_low"], 100 * inside["ci_high"], color=colour,
                                      alpha=0.12, linewidth=0)  # fmt: skip
                axes.fill_between(beyond["size"], 100 * beyond["low"], 100 * beyond["high"], color=colour, alpha=0.1,
                                  linewidth=0)  # fmt: skip
                axes.plot(inside["size"], 100 * inside["value"], color=colour, linestyle=dashes, linewidth=1.8,
                          label=shortened(plain(model), 40))  # fmt: skip
                axes.plot(beyond["size"], 100 * beyond["value"], color=colour, linestyle=(0, (2, 1.6)), linewidth=1.2)
            axes.set_xscale("log")
            axes.set_xlim(growth["size"].min(), growth["size"].max())
            axes.set_ylim(0, 101)
            axes.axvline(here, color="#777777", linewidth=0.9)
            if growth["extrapolated"].any():
                axes.text(here * 1.12, 99, "extrapolated", fontsize=7.5, color="#555555", va="top")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
            axes.xaxis.set_major_formatter(lambda value, _: short_number(value))
            axes.set_xlabel("items in the collection (log scale)")
            calm(axes)
            axes.set_title(f"recall@{k}", fontsize=10, loc="left")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=min(3, len(models)), fontsize=8, frameon=False)
        about = f"{growth['dataset'].iloc[0]}, {growth['label_set'].iloc[0]}"
        save_figure(figure, f"{shortened(plain(about), 50)}: recall in smaller and larger collections", stem)
