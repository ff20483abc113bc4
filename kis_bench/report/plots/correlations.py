"""A heat map: how alike models judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kis_bench.records import Float64s
from kis_bench.report.numbers import fraction
from kis_bench.report.plots.axes import STYLE, add_title, new_figure
from kis_bench.report.plots.shares import short_label

NUMBERED = 20  #: so many models at most have numbers in the cells


def draw_correlations(
    dataset: str,
    models: Sequence[str],
    together: Float64s,
    people: Float64s,
) -> Any:
    """How alike the margins of models are.

    Args:
        models: in the order of rows and columns.
        together: ``[m, m]`` correlation of any two; NaN where it is not known.
        people: ``[m]`` correlation of each with what people said; without any known there is no such row.
    """
    import matplotlib

    count, numbers = len(models), len(models) <= NUMBERED
    blocks = [(0.0, together)]
    if np.isfinite(people).any():
        blocks.append((count + 0.4, people[None]))
    known = np.concatenate([block[np.isfinite(block)] for _, block in blocks])
    lowest = min(0.9, math.floor(10 * float(known.min(initial=1.0)) + 1e-9) / 10)
    cell = 0.42 if numbers else 0.235
    with matplotlib.rc_context(STYLE):
        colours = matplotlib.colormaps["RdBu_r" if lowest < 0 else "YlGnBu"].with_extremes(
            bad="#e6e6e6"
        )
        scale = matplotlib.colors.Normalize(-1.0 if lowest < 0 else lowest, 1.0)
        figure = new_figure(4.6 + cell * count, 3.7 + cell * (count + 1.4))
        axes = figure.subplots()
        for top, block in blocks:
            edges = np.arange(count + 1), top + np.arange(len(block) + 1)
            mesh = axes.pcolormesh(
                *edges,
                np.ma.masked_invalid(block),
                cmap=colours,
                norm=scale,
                edgecolor="white",
                linewidth=0.4,
            )
            for (row, column), value in np.ndenumerate(block) if numbers else ():
                if np.isfinite(value):
                    red, green, blue, _ = colours(scale(value))
                    dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
                    axes.text(
                        column + 0.5,
                        top + row + 0.5,
                        fraction(value, digits=2),
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="white" if dark else "#222222",
                    )
        names = [short_label(model) for model in models]
        places = [i + 0.5 for i in range(count)]
        more = [(blocks[1][0] + 0.5, "people")] if len(blocks) > 1 else []
        axes.set_xlim(0, count)
        axes.set_ylim(blocks[-1][0] + len(blocks[-1][1]), 0)
        axes.set_aspect("equal")
        axes.set_yticks(
            [*places, *(y for y, _ in more)], [*names, *(text for _, text in more)], fontsize=8
        )
        axes.set_xticks(places, names, fontsize=8, rotation=90)
        axes.tick_params(colors="#222222", length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(
            mesh, ax=axes, shrink=min(1.0, 3.2 / (cell * count + 1)), aspect=18, pad=0.02
        )
        bar.set_label("Pearson's correlation of margins", fontsize=9)
        bar.outline.set_visible(False)
        return add_title(figure, f"{short_label(dataset)}: how alike models judge")
