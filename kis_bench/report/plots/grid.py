"""The best models against each other: their ranks, how often each wins, and what both would find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kis_bench.analysis.tied_ranks import smallest_hits
from kis_bench.files.text import make_plain, shorten
from kis_bench.records import Float64s, Int64s
from kis_bench.report.plots.axes import (
    STYLE,
    WIDTH,
    Styles,
    add_title,
    calm,
    fitting,
    ink,
    log_axis,
    new_figure,
    rank_axes,
    short_number,
    text_width,
)
from kis_bench.report.plots.curves import HITS_AT_ONCE, draw_curve, shown_ranks

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

GRID_TERMS = (
    "Above the diagonal: each query's rank under the column's model (to the right) and the row's (up); larger points: "
    "several queries.\n↑ queries on which the column's model is better, ← the row's, = both alike. On the diagonal: "
    "numbers of queries by rank; line: median.\nBelow it: recall@k of both; dotted: oracle of both, the better rank "
    "of each query, an upper bound of choices between both lists, not of fused ones."
)
GRID_BOUND = ("#444444", (0, (1, 1.1)))  #: of the oracle, which is no model
METHOD_NAMES = 7  #: points
LEFT, RIGHT, TOP, BOTTOM = 0.8, 0.38, 0.9, 0.82  # margins in inches
#: Inches between panels: for numbers beside histograms, and counts above panels.
ACROSS, BETWEEN = 0.26, 0.3


def draw_grid(style: Styles, condition: Condition) -> Any:
    """Of 2 to 5 models: above the diagonal ranks of both, below cumulative curves of both and of their oracle.

    A point is a query; x is the rank under the column's model, y that under the row's, so that the row's model wins
    below the line. Its size grows with the number of queries at the same place.

    Raises:
        ValueError: fewer than 2 models, or more than 5.
    """
    import matplotlib

    own, models, m = condition, condition.models, len(condition.models)
    if not 2 <= m <= 5:
        raise ValueError(f"{m} models: a grid takes 2 to 5")
    side = min(WIDTH - LEFT - RIGHT, 2.6 * m)
    panel = (side - (m - 1) * ACROSS) / m
    width, height = side + LEFT + RIGHT, m * panel + (m - 1) * BETWEEN + TOP + BOTTOM
    with matplotlib.rc_context({**STYLE, "font.size": 7, "axes.linewidth": 0.6}):
        figure = new_figure(width, height)
        figure.set_layout_engine(
            "none"
        )  # margins are known here, and to find them would take half of the time
        grid = figure.subplots(
            m,
            m,
            squeeze=False,
            gridspec_kw={
                "left": LEFT / width,
                "right": 1 - RIGHT / width,
                "top": 1 - TOP / height,
                "bottom": BOTTOM / height,
                "wspace": ACROSS / panel,
                "hspace": BETWEEN / panel,
            },
        )
        limit = max(10, own.n_items)
        tallest = max(
            int(counts.max()) for counts, _ in (histogram(rank, limit) for rank in own.rank)
        )
        for (i, j), axes in np.ndenumerate(grid):
            if i == j:
                _histogram(axes, own.rank[i], limit, style[models[i]][0], tallest)
            elif i < j:
                _scatter(
                    axes,
                    own.rank[j],
                    own.rank[i],
                    limit,
                    style[models[j]][0],
                    style[models[i]][0],
                )
            else:
                _curves(style, axes, own, i, j, limit)
            _edges(axes, i, j, m)
        (dotted,) = grid[1][0].plot(
            [], [], color=GRID_BOUND[0], linestyle=GRID_BOUND[1], linewidth=1.2
        )
        grid[1][0].legend(
            [dotted],
            ["oracle of both"],
            loc="lower right",
            fontsize=5.8,
            frameon=False,
            borderpad=0.1,
            handlelength=1.8,
        )
        for i, model in enumerate(models):
            place = grid[i][i].get_position()
            name = {
                "s": _broken(model, place.width * width),
                "fontsize": METHOD_NAMES,
                "fontweight": "bold",
                "color": ink(style[model][0]),
            }
            figure.text(
                (place.x0 + place.x1) / 2,
                1 - (TOP - 0.34) / height,
                **name,
                ha="center",
                va="bottom",
            )
            figure.text(
                0.05 / width,
                (place.y0 + place.y1) / 2,
                **name,
                rotation=90,
                va="center",
                multialignment="center",
            )
        figure.text(
            LEFT / width,
            (BOTTOM - 0.2) / height,
            "rank, or k below the diagonal (log scale)",
            va="top",
        )
        figure.text(0.01, 0.05 / height, GRID_TERMS, fontsize=5.8, va="bottom")
        title = f"{fitting(condition.name, 3.6, 9, 'bold')}: {len(own.queries):,} queries, {own.n_items:,} items"
        return add_title(figure, title, size=9)


def wins(x: Float64s, y: Float64s) -> tuple[int, int, int]:
    """How often the model of x ranks better, as well, and worse than that of y."""
    return int((x < y).sum()), int((x == y).sum()), int((x > y).sum())


def histogram(rank: Float64s, limit: int) -> tuple[Int64s, Float64s]:
    """Numbers of queries ``[b]`` and edges ``[b + 1]`` of bins that are even on a log scale and hold a whole rank."""
    edges = np.unique(np.geomspace(1, limit + 1, 19).round()) - 0.5
    counts, _ = np.histogram(rank, edges)
    return counts.astype(np.int64), edges


def _broken(name: str, width: float) -> str:
    """A long name on two lines of so many inches, at a hyphen near its middle."""
    text = shorten(make_plain(name), 80)
    if text_width(text, METHOD_NAMES, "bold") <= width:
        return fitting(text, width, METHOD_NAMES, "bold")
    cuts = [i + 1 for i, letter in enumerate(text[:-1]) if letter in "-_/ "] or [len(text) // 2]
    cut = min(cuts, key=lambda i: abs(i - len(text) / 2))
    return "\n".join(
        fitting(part, width, METHOD_NAMES, "bold") for part in (text[:cut], text[cut:])
    )


def _edges(axes: Any, i: int, j: int, m: int) -> None:
    """Numbers along the edges of the grid, shares left, ranks right and at the bottom; and beside each histogram."""
    left, right, bottom = (j == 0 and i > 0) or i == j, j == m - 1 and i < j, i == m - 1
    axes.tick_params(axis="x", length=2 * bottom, labelbottom=bottom, labelsize=6, pad=2)
    axes.tick_params(
        axis="y",
        length=2 * (left or right),
        left=left,
        right=right,
        labelleft=left,
        labelright=right,
        labelsize=6,
        pad=2,
    )
    axes.set_xlabel("")
    axes.grid(linewidth=0.5)


def _scatter(axes: Any, x: Float64s, y: Float64s, limit: int, of_x: str, of_y: str) -> None:
    log_axis(axes, 0.7, 1.4 * limit, ticks=5)
    log_axis(axes, 0.7, 1.4 * limit, up=True, ticks=5)
    calm(axes)
    axes.plot([0.7, 1.4 * limit], [0.7, 1.4 * limit], color="#aaaaaa", linewidth=0.6)
    places, counts = np.unique(np.stack([x, y]), axis=1, return_counts=True)
    smallest = 2.3 if len(x) <= 300 else 1.5
    for colour, won in (
        (of_x, places[0] < places[1]),
        ("#888888", places[0] == places[1]),
        (of_y, places[0] > places[1]),
    ):
        for count in np.unique(counts[won]):  # points of one size are drawn at once
            axes.plot(
                *places[:, won & (counts == count)],
                "o",
                color=colour,
                alpha=0.65,
                markeredgewidth=0,
                zorder=3,
                markersize=smallest * count**0.25,
            )
    better, equal, worse = wins(x, y)
    for across, side, text, colour in (
        (0.0, "left", f"↑ {better:,}", ink(of_x)),
        (0.5, "center", f"= {equal:,}\n", "#666666"),  # a line higher: five panels are narrow
        (1.0, "right", f"← {worse:,}", ink(of_y)),
    ):
        put_above(axes, across, text, ha=side, color=colour, fontweight="bold")


def _curves(style: Styles, axes: Any, condition: Condition, i: int, j: int, limit: int) -> None:
    rows, n_items = [i, j], condition.n_items
    for k in rows:
        look = style[condition.models[k]]
        draw_curve(
            axes,
            condition.best[k],
            condition.worst[k],
            n_items,
            look,
            band=0.1,
            width=1.1,
            clusters=condition.clusters,
        )
    ks = shown_ranks(n_items)
    places = condition.best[rows][:, None], condition.worst[rows][:, None]
    step = max(1, HITS_AT_ONCE // len(condition.queries))
    both = np.concatenate(
        [
            100 * smallest_hits(*places, ks[start : start + step, None]).mean(axis=1)
            for start in range(0, len(ks), step)
        ]
    )
    axes.plot(ks, both, color=GRID_BOUND[0], linestyle=GRID_BOUND[1], linewidth=1.1)
    rank_axes(axes, n_items)
    log_axis(axes, 0.7, 1.4 * limit, ticks=5)
    axes.set_yticks([0, 50, 100])


def _histogram(axes: Any, rank: Float64s, limit: int, colour: str, tallest: int) -> None:
    from matplotlib.ticker import MaxNLocator

    counts, edges = histogram(rank, limit)
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.8)
    middle = float(np.median(rank))
    axes.axvline(middle, color="#222222", linewidth=0.9)
    log_axis(axes, 0.7, 1.4 * limit, ticks=5)
    axes.set_ylim(0, 1.05 * tallest)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: short_number(value))
    calm(axes)
    put_above(axes, 1.0, f"median {middle:,.10g}", ha="right")


def put_above(axes: Any, across: float, text: str, **look: Any) -> None:
    """A text above a panel, where no point or line can lie on it."""
    axes.text(across, 1.03, text, transform=axes.transAxes, va="bottom", fontsize=6.5, **look)
