"""Bars: how often each model chooses as the judges did."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kis_bench.report.plots.axes import STYLE, add_title, new_figure
from kis_bench.report.plots.shares import (
    GUESS,
    LIMIT,
    ORIGINAL,
    OURS,
    REFERENCE,
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

GREY = "#777777"  #: of models that were published, but not measured


def draw_consistency(
    dataset: str,
    models: Mapping[str, Share],
    originals: Collection[str],
    person: Share | None,
    published: Mapping[str, Sequence[float]],
    ceiling: float = math.nan,
) -> Any:
    """One bar for each model, best on top.

    Args:
        models: consistency of each, 0 to 1.
        originals: those of them whose distances came with the study.
        person: how often another person chooses the same, where it is known.
        published: figures of others, by model; a model that was not measured gets a row without a bar.
        ceiling: what no model can reach more of; drawn where it is below 1.
    """
    import matplotlib

    ticks = {name: [v for v in values if not math.isnan(v)] for name, values in published.items()}
    places = {name: max(values) for name, values in ticks.items() if values}
    places |= {name: share.value for name, share in models.items()}
    names = sorted(places, key=lambda name: (math.isnan(places[name]), -places[name], name))
    shares = [models.get(name, Share(math.nan)) for name in names]
    everything = [*places.values(), *(v for values in ticks.values() for v in values)]
    everything += [
        v for s in (*shares, person or Share(math.nan)) for v in (s.value, s.low, s.high)
    ]
    limited = ceiling < 1
    low, high = percent_bounds([*everything, ceiling] if limited else everything, [GUESS])
    with matplotlib.rc_context(STYLE):
        figure = new_figure(9.2, 1.9 + 0.25 * max(2, len(names)))
        axes = figure.subplots()
        rows = range(len(names))
        colours = [ORIGINAL if name in originals else OURS for name in names]
        lengths = [0.0 if math.isnan(s.value) else 100 * (s.value - GUESS) for s in shares]
        axes.barh(rows, lengths, left=100 * GUESS, height=0.68, color=colours, zorder=2)
        draw_band_of_person(axes, person)
        draw_intervals(axes, list(rows), shares, "#333333")
        shown = {"interval"} if has_interval(shares) else set()
        for y, name in enumerate(names):
            for value in ticks.get(name, ()):
                axes.vlines(100 * value, y - 0.42, y + 0.42, color=REFERENCE, linewidth=2, zorder=4)
                shown.add("published")
            text = "" if math.isnan(places[name]) else f"{100 * places[name]:.1f}%"
            axes.annotate(
                text,
                (1, y),
                xycoords=("axes fraction", "data"),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color="#222222" if name in models else GREY,
            )
        percent_axis(axes, low, high)
        if draw_guessing(axes, low, high):
            shown.add("guessing")
        if limited:
            axes.axvline(
                100 * ceiling, color=LIMIT, linestyle=(0, (1, 1.5)), linewidth=1.6, zorder=2.5
            )
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(rows, [short_label(name) for name in names], fontsize=8.5)
        for label, name in zip(axes.get_yticklabels(), names, strict=True):
            label.set_color("#222222" if name in models else GREY)
        axes.set_xlabel("consistency with the judgments; the bars begin at 50%, which is guessing")
        if person is not None and not math.isnan(person.value):
            shown.add("person")
            place = (100 * person.value - low) / (high - low)
            axes.annotate(
                f"another person {100 * person.value:.1f}%",
                (100 * person.value, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                va="bottom",
                ha="right" if place > 0.8 else "left" if place < 0.2 else "center",
                fontsize=8.5,
                color="#00664b",
            )
        draw_legend(
            figure, {name in originals for name in models}, mark="bar", shown=shown, ceiling=ceiling
        )
        return add_title(
            figure, f"{short_label(dataset)}: how often models choose as the judges did"
        )
