"""Panels: how often each model chooses as the judges did, class by class."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kis_bench.files.text import make_plain, shorten
from kis_bench.report.plots.axes import STYLE, add_title, new_figure
from kis_bench.report.plots.shares import (
    ORIGINAL,
    OURS,
    Share,
    draw_band_of_person,
    draw_guessing,
    draw_intervals,
    draw_legend,
    has_interval,
    percent_axis,
    percent_bounds,
    short_label,
)


def draw_classes(
    dataset: str,
    classes: Mapping[str, Mapping[str, Share]],
    persons: Mapping[str, Share],
    models: Sequence[str],
    originals: Collection[str],
) -> Any:
    """One panel for each class, the models of all in one order.

    Args:
        classes: class -> model -> consistency, in the order of the panels.
        persons: class -> how often another person chooses the same, where it is known.
        models: from the top.
    """
    import matplotlib

    columns = min(len(classes), 4) if len(classes) != 5 else 3
    lines = -(-len(classes) // columns)
    every = [share for own in classes.values() for share in own.values()]
    values = [v for s in (*every, *persons.values()) for v in (s.value, s.low, s.high)]
    low, high = percent_bounds(values)
    shown = {"interval"} if has_interval(every) else set()
    with matplotlib.rc_context(STYLE):
        figure = new_figure(3.0 + 2.35 * columns, 1.3 + lines * (0.65 + 0.19 * max(3, len(models))))
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for place, (axes, (group, own)) in enumerate(zip(grid, classes.items(), strict=False)):
            for y, model in enumerate(models):
                if model in own and not math.isnan(own[model].value):
                    colour = ORIGINAL if model in originals else OURS
                    axes.plot(100 * own[model].value, y, "o", color=colour, markersize=4, zorder=4)
                    draw_intervals(axes, [y], [own[model]], colour)
            if group in persons:
                draw_band_of_person(axes, persons[group])
                shown.add("person")
            percent_axis(axes, low, high)
            axes.grid(visible=True, axis="y", color="#f0f0f0", linewidth=0.8)
            axes.tick_params(axis="y", labelsize=8)
            axes.tick_params(axis="x", labelsize=9)
            if draw_guessing(axes, low, high):
                shown.add("guessing")
            n = max((share.n for share in own.values()), default=0)
            axes.set_title(
                f"{shorten(make_plain(group), 22)}\n{n:,} judgments",
                fontsize=9,
                loc="left",
                color="#222222",
            )
            if place + columns >= len(classes):  # nothing stands below
                axes.tick_params(axis="x", labelbottom=True)
                axes.set_xlabel("consistency", fontsize=9)
        grid[0].set_ylim(len(models) - 0.4, -0.6)
        grid[0].set_yticks(range(len(models)), [short_label(model) for model in models], fontsize=8)
        for axes in grid[len(classes) :]:
            axes.set_visible(False)
        draw_legend(
            figure,
            {model in originals for model in models},
            mark="dot",
            shown=shown,
            columns=1 + columns // 2,
        )
        return add_title(figure, f"{short_label(dataset)}: class by class")
