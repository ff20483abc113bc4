"""Cumulative curves: which share of the queries has its target among the first k items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.metrics import cumulative_curve
from kis_bench.report.tables import plain, shortened
from kis_bench.statistics import wilson_interval

# Okabe and Ito's colours without black and yellow, which vanish on dark or white paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))
STYLE: Any = {
    "svg.hashsalt": "kis-bench",  # otherwise the ids inside an SVG differ from one drawing to the next
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 10,
}


def styles(models: list[str]) -> dict[str, tuple[str, Any]]:
    """Colour and dashes of each model: the same in every plot of a report."""
    return {
        name: (PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)])
        for i, name in enumerate(sorted(set(models)))
    }


def _shown_ranks(n_items: int) -> NDArray[np.int64]:
    """The ranks at which a curve is drawn: all small ones, then evenly on the log axis."""
    spread = np.geomspace(1, n_items, 160).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, min(n_items, 20) + 1), spread]))


def _panel(axes: Any, ranks: pd.DataFrame, style: Mapping[str, tuple[str, Any]], title: str) -> None:
    n_items = max(2, int(ranks["n_items"].max()))
    shown = _shown_ranks(n_items)
    lines: list[tuple[float, Any, str]] = []
    for model, rows in ranks.groupby("model", sort=True):
        own_items = int(rows["n_items"].max())
        ks = shown[shown <= own_items]
        best, worst = rows["rank_best"].to_numpy(np.int64), rows["rank_worst"].to_numpy(np.int64)
        curve = cumulative_curve(best, worst, own_items)[ks - 1]
        band = np.array([wilson_interval(float(value) * len(rows), len(rows)) for value in curve])
        colour, dashes = style[str(model)]
        axes.fill_between(ks, 100 * band[:, 0], 100 * band[:, 1], color=colour, alpha=0.15, linewidth=0)
        (line,) = axes.plot(ks, 100 * curve, color=colour, linestyle=dashes, linewidth=2)
        lines.append((float(curve.sum()), line, shortened(plain(model), 34)))
    (chance,) = axes.plot(shown, 100 * shown / n_items, color="#888888", linestyle=(0, (4, 3)), linewidth=1.2)
    # The legend is in the order of the curves, best on top, so that it reads like the plot.
    lines.sort(key=lambda entry: -entry[0])
    handles, names = [line for _, line, _ in lines], [name for _, _, name in lines]
    axes.legend(
        [*handles, chance], [*names, "chance"], fontsize=8.5 if len(lines) <= 6 else 7, frameon=True,
        framealpha=0.85, edgecolor="none", loc="upper left", bbox_to_anchor=(0, -0.16), borderaxespad=0,
        ncols=1 if len(lines) <= 4 else 2, handlelength=2.6,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(1, n_items)
    axes.set_ylim(0, 101)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
    axes.set_xlabel("rank k (log scale)")
    axes.grid(visible=True, which="major", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.tick_params(colors="#444444", which="both")
    axes.set_title(title, fontsize=10.5, loc="left", color="#222222")


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, title: str, stem: Path, *, size: int = 12) -> None:
    """With its title, as `stem`.png and .svg, which are the same whenever they are drawn."""
    figure.suptitle(title, fontsize=size, fontweight="bold", x=0.01, ha="left")
    figure.savefig(stem.with_name(stem.name + ".png"), dpi=150, metadata={"Software": None})
    figure.savefig(stem.with_name(stem.name + ".svg"), metadata={"Date": None, "Creator": None})


def draw_curves(dataset: str, ranks: pd.DataFrame, style: Mapping[str, tuple[str, Any]], stem: Path) -> None:
    """One figure for a dataset, one panel for each label set; written as `stem`.png and .svg."""
    import matplotlib

    sets = list(dict.fromkeys(ranks["label_set"]))
    columns = min(3, len(sets))
    lines = -(-len(sets) // columns)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(max(5.6, 4.8 * columns), 0.5 + 4.4 * lines)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for axes, label_set in zip(grid, sets, strict=False):
            part = ranks[ranks["label_set"] == label_set]
            count, items = part["query_id"].nunique(), int(part["n_items"].max())
            name = shortened(plain(label_set), 30)
            _panel(axes, part, style, f"{name}: {count:,} queries, {items:,} items")
        for axes in grid[len(sets) :]:
            axes.set_visible(False)
        for i in range(0, len(grid), columns):
            grid[i].set_ylabel("recall@k")
        title = f"{shortened(plain(dataset), 50)}: targets found among the first k"
        save_figure(figure, title, stem, size=13)
