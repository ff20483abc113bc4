"""What search engines cost in recall, against how fast and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import RECALL, measure_words
from kis_bench.records import Float64s, Int64s
from kis_bench.report.plots.axes import (
    SMALL,
    WIDTH,
    add_title,
    calm,
    ink,
    log_axis,
    new_figure,
    styles,
)

NO_ENGINE = "numpy"  #: what is called so compares everything
LINEAR_POINTS = 0.1  #: of recall up to which the axis is linear; beyond it is logarithmic
LABEL_SIZE, LABEL_GAP = 6.2, 4  #: points
#: Where a label may stand from its mark, in points: right, left, and further up and down.
LABEL_PLACES = [
    (side * LABEL_GAP, up) for up in (0, 8, -8, 16, -16, 26, 36, 46, 56, 66, 76) for side in (1, -1)
]


def find_front(cost: Float64s, lost: Float64s) -> Any:
    """Which settings no other beats in one of both without being worse in the other: bool ``[s]``; lower is better."""
    worse = (cost[:, None] >= cost) & (lost[:, None] >= lost)
    better = (cost[:, None] > cost) | (lost[:, None] > lost)
    return ~(worse & better).any(axis=1)


def draw_pareto(rows: pd.DataFrame, k: int) -> Any:
    """Points of recall@k lost against queries a second and against bytes an item, a mark for each setting.

    Settings that no other beats are joined by a line and named; whiskers are 95% intervals. What one gains, as where it
    misses an item that would stand above the target, counts as no loss. Compressions in numpy are hollow and stand
    outside of that, for they are no engine.

    Args:
        rows: of one model and label set, as fidelity.csv has them, all of them measured.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    look = styles([*rows["engine"]])
    panels = (
        (
            "queries_per_cpu_s",
            f"queries a second of CPU time, {k} results each (log scale)",
            -1,
        ),
        ("bytes_per_item", "bytes an item, index on disk (log scale)", 1),
    )
    with matplotlib.rc_context(SMALL):
        figure = new_figure(WIDTH, 4.4)
        for axes, (column, words, sign) in zip(
            figure.subplots(1, 2, sharey=True), panels, strict=True
        ):
            draw_cost(axes, rows[rows[column].notna()], k, column, sign)
            axes.set_xlabel(words, fontsize=7)
            axes.set_title(
                "better to the right" if sign < 0 else "better to the left",
                fontsize=7,
                loc="right",
                color="#555555",
            )
        first = figure.axes[0]
        first.set_ylabel(f"points of {measure_words(RECALL.name, k)} lost")
        lines = [
            Line2D([], [], **style_mark(engine, colour, shape))
            for engine, (colour, _, shape) in look.items()
        ]
        figure.legend(
            lines,
            [*look],
            loc="outside lower center",
            ncols=min(6, len(lines)),
            frameon=False,
            fontsize=7,
        )
        about = [str(rows[name].iloc[0]) for name in ("model", "dataset", "label_set")]
        n, d = int(rows["items"].iloc[0]), int(rows["dim"].iloc[0])
        return add_title(figure, f"{', '.join(about)}: {n:,} items of {d} numbers", size=10)


def draw_cost(axes: Any, rows: pd.DataFrame, k: int, column: str, sign: int) -> None:
    """One cost: ``sign`` is 1 where less of it is better, -1 where more is."""
    from matplotlib.ticker import NullLocator

    if not len(rows):
        return
    look = styles([*rows["engine"]])
    cost = rows[column].to_numpy(np.float64)
    low, lost, high = (
        np.maximum(rows[f"lost@{k}{end}"].to_numpy(np.float64), 0) for end in ("_low", "", "_high")
    )
    calm(axes)
    log_axis(axes, cost.min() / 2.5, cost.max() * 2.5, ticks=5)
    axes.set_yscale("symlog", linthresh=LINEAR_POINTS, linscale=0.6)
    axes.set_ylim(-0.03, max(1.0, float(high.max()) * 1.8))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    engines = rows["engine"].astype(str).to_numpy()
    for engine, (colour, _, shape) in look.items():
        own = engines == engine
        axes.vlines(cost[own], low[own], high[own], colors=colour, linewidth=0.6, alpha=0.35)
        axes.plot(cost[own], lost[own], alpha=0.8, **style_mark(engine, colour, shape))
    real = np.flatnonzero(engines != NO_ENGINE)
    front = real[np.flatnonzero(find_front(sign * cost[real], lost[real]))]
    front = front[np.argsort(cost[front])]
    axes.plot(cost[front], lost[front], color="#999999", linewidth=0.8, zorder=1)
    names = [f"{engines[i]} {rows['setting'].iloc[i]}" for i in front]
    place_labels(axes, cost, lost, front, names, [ink(look[engines[i]][0]) for i in front])


def style_mark(engine: str, colour: str, shape: str) -> dict[str, Any]:
    """How the marks of an engine look, in a panel as in the legend."""
    return {
        "linestyle": "",
        "color": colour,
        "marker": shape,
        "markersize": 4,
        "markerfacecolor": fill_mark(engine, colour),
        "markeredgewidth": 0.6,
    }


def fill_mark(engine: str, colour: str) -> str:
    """The colour within a mark."""
    return "none" if engine == NO_ENGINE else colour


def place_labels(
    axes: Any, x: Float64s, y: Float64s, shown: Int64s, names: Sequence[str], colours: Sequence[str]
) -> None:
    """Writes names beside some marks so that none covers another or a mark, as far as there is a place for it.

    Args:
        axes: with their limits.
        x: of all marks ``[s]``.
        y: likewise.
        shown: those that are named.
        names: of these.
        colours: of the names.
    """
    axes.figure.draw_without_rendering()  # by which the axes have their size
    frame = axes.get_window_extent()
    taken: list[Any] = []
    points = axes.transData.transform(np.column_stack([x, y]))
    for mark, name, colour in zip(shown.tolist(), names, colours, strict=True):
        best = None
        for right, up in LABEL_PLACES:
            text = axes.annotate(
                name,
                (x[mark], y[mark]),
                (right, up),
                textcoords="offset points",
                ha="left" if right > 0 else "right",
                va="center",
                fontsize=LABEL_SIZE,
                color=colour,
                arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.5}
                if abs(up) > 8
                else None,
            )
            box = text.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and box.y1 <= frame.y1
            clashes = sum(box.overlaps(other) for other in taken)
            wide = box.expanded(1.0, 1.3)
            clashes += sum(bool(wide.contains(*point)) for point in points) + 4 * (not inside)
            if best is None or clashes < best[0]:
                if best is not None:
                    best[1].remove()
                best = clashes, text, box
            else:
                text.remove()
            if not clashes:
                break
        if best is not None:
            taken.append(best[2])
