"""Cumulative curves: which share of the queries has its target among the first k items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.metrics import cumulative_curve
from kis_bench.report.tables import plain, shortened
from kis_bench.statistics import wilson_interval

if TYPE_CHECKING:
    from kis_bench.conditions import Condition

# Okabe and Ito's colours without black and yellow, which vanish on dark or white paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))
STYLE: Any = {
    "pdf.fonttype": 42,  # fonts that publishers take
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
    """Curves of all models with bands, and their legend in the order of the curves, best on top."""
    n_items = max(2, int(ranks["n_items"].max()))
    lines: list[tuple[float, Any, str]] = []
    for model, rows in ranks.groupby("model", sort=True):
        best, worst = rows["rank_best"].to_numpy(np.int64), rows["rank_worst"].to_numpy(np.int64)
        area, line = draw_curve(axes, best, worst, int(rows["n_items"].max()), style[str(model)])
        lines.append((area, line, shortened(plain(model), 34)))
    chance = draw_chance(axes, n_items)
    lines.sort(key=lambda entry: -entry[0])
    handles, names = [line for _, line, _ in lines], [name for _, _, name in lines]
    axes.legend(
        [*handles, chance], [*names, "chance"], fontsize=8.5 if len(lines) <= 6 else 7, frameon=True,
        framealpha=0.85, edgecolor="none", loc="upper left", bbox_to_anchor=(0, -0.16), borderaxespad=0,
        ncols=1 if len(lines) <= 4 else 2, handlelength=2.6,
    )  # fmt: skip
    rank_axes(axes, n_items)
    axes.set_title(title, fontsize=10.5, loc="left", color="#222222")


def draw_curve(
    axes: Any, best: NDArray[np.int64], worst: NDArray[np.int64], n_items: int, look: tuple[str, Any],
    *, band: float = 0.15, width: float = 2.0,
) -> tuple[float, Any]:  # fmt: skip
    """Recall@k against k with Wilson's band; returns the area under it, by which legends are sorted, and the line."""
    ks = _shown_ranks(n_items)
    curve = cumulative_curve(best, worst, n_items)[ks - 1]
    limits = 100 * np.array([wilson_interval(float(value) * len(best), len(best)) for value in curve])
    axes.fill_between(ks, limits[:, 0], limits[:, 1], color=look[0], alpha=band, linewidth=0)
    (line,) = axes.plot(ks, 100 * curve, color=look[0], linestyle=look[1], linewidth=width)
    return float(curve.sum()), line


def draw_chance(axes: Any, n_items: int) -> Any:
    shown = _shown_ranks(n_items)
    (line,) = axes.plot(shown, 100 * shown / n_items, color="#888888", linestyle=(0, (4, 3)), linewidth=1.2)
    return line


def rank_axes(axes: Any, n_items: int) -> None:
    """Ranks from 1 on a log scale to the right, shares of queries upwards."""
    axes.set_xscale("log")
    axes.set_xlim(1, n_items)
    axes.set_ylim(0, 101)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
    axes.set_xlabel("rank k (log scale)")
    calm(axes)


def calm(axes: Any) -> None:
    """A faint grid below what is drawn, two spines, grey ticks."""
    axes.grid(visible=True, which="major", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.tick_params(colors="#444444", which="both")


def short_number(value: float) -> str:
    """1,000 as 1k, 1,000,000 as 1M, for the ticks of an axis."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{np.round(value / size, 1):g}{unit}"
    return f"{value:g}"


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, title: str, stem: Path, *, size: int = 12) -> None:
    """With its title, as `stem`.png, .svg and .pdf, which are the same whenever they are drawn."""
    figure.suptitle(title, fontsize=size, fontweight="bold", x=0.01, ha="left")
    figure.savefig(stem.with_name(stem.name + ".png"), dpi=150, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out by now; to do it again for each form would take most of the time
    figure.savefig(stem.with_name(stem.name + ".svg"), metadata={"Date": None, "Creator": None})
    figure.savefig(
        stem.with_name(stem.name + ".pdf"), metadata={"CreationDate": None, "Creator": None, "Producer": None}
    )


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


def draw_overview(
    conditions: Mapping[tuple[str, str], Condition], style: Mapping[str, tuple[str, Any]], stem: Path
) -> None:
    """Cumulative curves of every dataset (a row) and label set (a column) in one figure with one legend."""
    import matplotlib

    datasets = list(dict.fromkeys(dataset for dataset, _ in conditions))
    sets = list(dict.fromkeys(label_set for _, label_set in conditions))
    models = sorted({model for one in conditions.values() for model in one.models})
    area = dict.fromkeys(models, 0.0)
    handles: dict[str, Any] = {}
    with matplotlib.rc_context(STYLE):
        legend_lines = -(-(len(models) + 1) // 3)
        figure = new_figure(max(6.0, 4.3 * len(sets)), 0.7 + 3.1 * len(datasets) + 0.22 * legend_lines)
        grid = figure.subplots(len(datasets), len(sets), squeeze=False, sharey=True)
        for i, dataset in enumerate(datasets):
            for j, label_set in enumerate(sets):
                axes, one = grid[i][j], conditions.get((dataset, label_set))
                if one is None:
                    axes.set_visible(False)
                    continue
                n_items = max(2, one.n_items)
                for model, best, worst in zip(one.models, one.best, one.worst, strict=True):
                    band = 0.15 if len(one.models) <= 4 else 0.07
                    size, handles[model] = draw_curve(axes, best, worst, n_items, style[model], band=band, width=1.6)
                    area[model] += size / n_items
                handles["chance"] = draw_chance(axes, n_items)
                rank_axes(axes, n_items)
                axes.set_xlabel("rank k (log scale)" if i == len(datasets) - 1 else "")
                axes.set_ylabel("recall@k" if j == 0 else "")
                names = shortened(plain(dataset), 24), shortened(plain(label_set), 20)
                about = f"{len(one.queries):,} queries, {one.n_items:,} items"
                axes.set_title(f"{names[0]}, {names[1]}: {about}", fontsize=9, loc="left", color="#222222")
        order = sorted(models, key=lambda model: -area[model])
        figure.legend(
            [*(handles[model] for model in order), handles["chance"]],
            [*(shortened(plain(model), 40) for model in order), "chance"],
            loc="outside lower left", ncols=min(3, len(models) + 1), fontsize=8, frameon=False, handlelength=2.6,
        )  # fmt: skip
        save_figure(figure, "Targets found among the first k, with 95% bands", stem)
