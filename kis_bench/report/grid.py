"""The best models against each other: their ranks, how often each wins, and what both would find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.fusion import complement
from kis_bench.report.plots import STYLE, calm, draw_curve, new_figure, rank_axes, save_figure, short_number
from kis_bench.report.tables import plain, shortened

if TYPE_CHECKING:
    from kis_bench.conditions import Condition

Style = Mapping[str, tuple[str, Any]]
EXPLAINED = (
    "Above the diagonal each query's rank under the column's model (right) and the row's (up); below it recall@k of "
    "both, and dotted of the better rank of each query, which is a bound."
)
BOUND = ("#555555", (0, (1, 1.2)))  #: of the complement, which is no model


def draw_grid(condition: Condition, models: tuple[str, ...], style: Style, stem: Path) -> None:
    """2 to 5 models: above the diagonal ranks of both, below cumulative curves of both and of their complement.

    A point is a query; x is the rank under the column's model, y that under the row's, so that the row's model wins
    below the line. Its size grows with the number of queries at the same place.
    """
    import matplotlib

    own = condition.of(models)
    m, limit = len(models), max(10, condition.n_items)
    with matplotlib.rc_context({**STYLE, "font.size": 8}):
        figure = new_figure(max(5.5, 2.35 * m), max(5.0, 2.2 * m + 0.7))
        grid = figure.subplots(m, m, squeeze=False)
        for i in range(m):
            for j in range(m):
                axes = grid[i][j]
                if i == j:
                    _histogram(axes, own.rank[i], limit, style[models[i]])
                elif i < j:
                    _scatter(axes, own.rank[j], own.rank[i], limit, style[models[j]], style[models[i]])
                else:
                    _curves(axes, own, i, j, style)
                axes.tick_params(labelsize=6.5)
                axes.set_xlabel("")
        for i, model in enumerate(models):
            name = _broken(model)
            grid[0][i].set_title(name, fontsize=8, color=style[model][0], fontweight="bold")
            grid[i][0].set_ylabel(name, fontsize=8, color=style[model][0], fontweight="bold")
        figure.supxlabel(EXPLAINED, fontsize=7, x=0.01, ha="left")
        title = f"{shortened(plain(condition.name), 60)}: {len(own.queries):,} queries, {own.n_items:,} items"
        save_figure(figure, title, stem, size=11)


def wins(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[int, int, int]:
    """How often the model of x ranks better, as well, and worse than that of y."""
    return int((x < y).sum()), int((x == y).sum()), int((x > y).sum())


def _broken(name: str) -> str:
    """A long name on two lines, at a hyphen near its middle."""
    text = shortened(plain(name), 40)
    if len(text) <= 14:
        return text
    cuts = [i + 1 for i, letter in enumerate(text[:-1]) if letter in "-_/ "] or [len(text) // 2]
    cut = min(cuts, key=lambda i: abs(i - len(text) / 2))
    return f"{text[:cut]}\n{text[cut:]}"


def _log(axes: Any, limit: int, *, up: bool = False) -> None:
    """Ranks on a log scale with few ticks, each a power of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    (axes.set_yscale if up else axes.set_xscale)("log")
    (axes.set_ylim if up else axes.set_xlim)(0.8, 1.25 * limit)
    axis = axes.yaxis if up else axes.xaxis
    axis.set_major_locator(LogLocator(numticks=8))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: short_number(value))


def _scatter(
    axes: Any, x: NDArray[np.float64], y: NDArray[np.float64], limit: int, of_x: tuple[str, Any], of_y: tuple[str, Any]
) -> None:
    places, counts = np.unique(np.stack([x, y]), axis=1, return_counts=True)
    colours = np.where(places[0] < places[1], of_x[0], np.where(places[0] > places[1], of_y[0], "#999999"))
    axes.plot([1, limit], [1, limit], color="#bbbbbb", linewidth=0.8)
    axes.scatter(*places, s=7 * np.sqrt(counts), c=colours, alpha=0.65, linewidths=0)
    _log(axes, limit)
    _log(axes, limit, up=True)
    calm(axes)
    better, equal, worse = wins(x, y)
    for place, count, colour, align in (((0.04, 0.96), better, of_x[0], ("left", "top")),
                                        ((0.96, 0.04), worse, of_y[0], ("right", "bottom"))):  # fmt: skip
        axes.text(*place, f"{count:,} better", color=colour, transform=axes.transAxes, ha=align[0], va=align[1],
                  fontsize=7.5, fontweight="bold")  # fmt: skip
    axes.text(0.04, 0.84, f"{equal:,} equal", color="#777777", transform=axes.transAxes, ha="left", va="top",
              fontsize=7)  # fmt: skip


def _curves(axes: Any, condition: Condition, i: int, j: int, style: Style) -> None:
    for k in (i, j):
        look = style[condition.models[k]]
        draw_curve(axes, condition.best[k], condition.worst[k], max(2, condition.n_items), look, band=0.1, width=1.4)
    rows = [i, j]
    best, worst = complement(condition.best[rows]), complement(condition.worst[rows])
    draw_curve(axes, best, worst, max(2, condition.n_items), BOUND, band=0, width=1.4)
    rank_axes(axes, max(2, condition.n_items))
    _log(axes, max(2, condition.n_items))


def _histogram(axes: Any, rank: NDArray[np.float64], limit: int, look: tuple[str, Any]) -> None:
    edges = np.geomspace(0.8, 1.25 * limit, 22)
    axes.hist(rank, bins=edges, color=look[0], alpha=0.8, linewidth=0)
    middle = float(np.median(rank))
    axes.axvline(middle, color="#222222", linewidth=1)
    _log(axes, limit)
    calm(axes)
    axes.text(0.96, 0.94, f"median {middle:,.10g}", transform=axes.transAxes, ha="right", va="top", fontsize=7)
