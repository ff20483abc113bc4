"""Figures on image similarity: how often models choose as those who judged, and how alike models are."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.files.text import make_plain, shorten
from kis_bench.records import Float64s
from kis_bench.report.plots.axes import PALETTE, STYLE, new_figure, save_figure

GUESS = 0.5
OURS, ORIGINAL, BAND, REFERENCE = PALETTE[0], PALETTE[4], PALETTE[2], PALETTE[1]
GREY = "#777777"
LIMIT = "#222222"
NAME_LENGTH = 40
NUMBERED = 20  #: so many models at most have numbers in the cells of the heat map
_STEP = 5  # percent: axes begin and end at multiples of this


@dataclass(frozen=True)
class Share:
    """A share from 0 to 1 with its interval; NaN where it is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0


def _named(name: object) -> str:
    return shorten(make_plain(name), NAME_LENGTH)


def _bounds(values: Sequence[float], always: Sequence[float] = ()) -> tuple[float, float]:
    """Round percents around everything that is known, 0 and 100 at most."""
    known = [100 * v for v in (*values, *always) if not math.isnan(v)] or [100 * GUESS]
    low = max(0, _STEP * math.floor(min(known) / _STEP + 1e-9))
    high = min(100, _STEP * math.ceil(max(known) / _STEP - 1e-9))
    return (low, high) if high > low else (max(0, low - _STEP), min(100, high + _STEP))


def _percent_axis(axes: Any, low: float, high: float) -> None:
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, axis="x", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
    axes.tick_params(colors="#444444", which="both")
    axes.tick_params(axis="y", length=0)


def _error_bars(axes: Any, rows: Sequence[float], shares: Sequence[Share], colour: Any) -> None:
    some = [
        (y, s)
        for y, s in zip(rows, shares, strict=True)
        if not any(map(math.isnan, (s.value, s.low, s.high)))
    ]
    if some:
        low, high = ([100 * getattr(s, end) for _, s in some] for end in ("low", "high"))
        axes.hlines([y for y, _ in some], low, high, color=colour, linewidth=1.1, zorder=3)


def _band(axes: Any, person: Share | None) -> None:
    if person is not None and not math.isnan(person.value):
        if not math.isnan(person.low) and not math.isnan(person.high):
            axes.axvspan(
                100 * person.low, 100 * person.high, color=BAND, alpha=0.17, linewidth=0, zorder=0.6
            )
        axes.axvline(100 * person.value, color=BAND, linewidth=1.2, zorder=0.7)


def _guessing(axes: Any, low: float, high: float) -> bool:
    inside = low <= 100 * GUESS <= high
    if inside:
        axes.axvline(
            100 * GUESS,
            color="#888888",
            linestyle=(0, (4, 3)),
            linewidth=1.2,
            zorder=2.5,
            clip_on=False,
        )
    return inside


def _legend(
    figure: Any,
    kinds: Collection[bool],
    *,
    mark: str,
    shown: Collection[str],
    columns: int = 3,
    ceiling: float = math.nan,
) -> None:
    """What the colours mean; `kinds` has True for distances of the study, False for our own."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def model(colour: str) -> Any:
        return (
            Patch(color=colour)
            if mark == "bar"
            else Line2D([], [], color=colour, marker="o", linestyle="")
        )

    entries = [
        (model(OURS), "computed here", False in kinds),
        (model(ORIGINAL), "distances that came with the study", True in kinds),
        (Line2D([], [], color="#333333", linewidth=1.1), "95% interval", "interval" in shown),
        (
            Line2D(
                [], [], color=REFERENCE, marker="|", markersize=9, markeredgewidth=2, linestyle=""
            ),
            "published figure",
            "published" in shown,
        ),
        (Patch(facecolor=BAND, alpha=0.3), "another person, 95% interval", "person" in shown),
        (
            Line2D([], [], color="#888888", linestyle=(0, (4, 3)), linewidth=1.2),
            "guessing",
            "guessing" in shown,
        ),
        (
            Line2D([], [], color=LIMIT, linestyle=(0, (1, 1.5)), linewidth=1.6),
            f"ceiling {100 * ceiling:.1f}%: people contradict each other",
            ceiling < 1,
        ),
    ]
    handles = [(handle, text) for handle, text, used in entries if used]
    figure.legend(
        [handle for handle, _ in handles],
        [text for _, text in handles],
        loc="outside lower left",
        fontsize=8,
        frameon=False,
        ncols=min(columns, len(handles)),
        handlelength=1.8,
    )


def _has_interval(shares: Sequence[Share]) -> bool:
    return any(not math.isnan(s.low) and not math.isnan(s.high) for s in shares)


def draw_consistency(
    dataset: str,
    models: Mapping[str, Share],
    originals: Collection[str],
    person: Share | None,
    published: Mapping[str, Sequence[float]],
    stem: Path,
    *,
    ceiling: float = math.nan,
) -> None:
    """One bar for each model, best on top; written as `stem`.png and .svg.

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
    low, high = _bounds([*everything, ceiling] if limited else everything, [GUESS])
    with matplotlib.rc_context(STYLE):
        figure = new_figure(9.2, 1.9 + 0.25 * max(2, len(names)))
        axes = figure.subplots()
        rows = range(len(names))
        colours = [ORIGINAL if name in originals else OURS for name in names]
        lengths = [0.0 if math.isnan(s.value) else 100 * (s.value - GUESS) for s in shares]
        axes.barh(rows, lengths, left=100 * GUESS, height=0.68, color=colours, zorder=2)
        _band(axes, person)
        _error_bars(axes, list(rows), shares, "#333333")
        shown = {"interval"} if _has_interval(shares) else set()
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
        _percent_axis(axes, low, high)
        if _guessing(axes, low, high):
            shown.add("guessing")
        if limited:
            axes.axvline(
                100 * ceiling, color=LIMIT, linestyle=(0, (1, 1.5)), linewidth=1.6, zorder=2.5
            )
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(rows, [_named(name) for name in names], fontsize=8.5)
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
        _legend(
            figure, {name in originals for name in models}, mark="bar", shown=shown, ceiling=ceiling
        )
        save_figure(figure, f"{_named(dataset)}: how often models choose as the judges did", stem)


def draw_classes(
    dataset: str,
    classes: Mapping[str, Mapping[str, Share]],
    persons: Mapping[str, Share],
    models: Sequence[str],
    originals: Collection[str],
    stem: Path,
) -> None:
    """One panel for each class, the models of all in one order; written as `stem`.png and .svg.

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
    low, high = _bounds(values)
    shown = {"interval"} if _has_interval(every) else set()
    with matplotlib.rc_context(STYLE):
        figure = new_figure(3.0 + 2.35 * columns, 1.3 + lines * (0.65 + 0.19 * max(3, len(models))))
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for place, (axes, (group, own)) in enumerate(zip(grid, classes.items(), strict=False)):
            for y, model in enumerate(models):
                if model in own and not math.isnan(own[model].value):
                    colour = ORIGINAL if model in originals else OURS
                    axes.plot(100 * own[model].value, y, "o", color=colour, markersize=4, zorder=4)
                    _error_bars(axes, [y], [own[model]], colour)
            if group in persons:
                _band(axes, persons[group])
                shown.add("person")
            _percent_axis(axes, low, high)
            axes.grid(visible=True, axis="y", color="#f0f0f0", linewidth=0.8)
            axes.tick_params(axis="y", labelsize=8)
            axes.tick_params(axis="x", labelsize=9)
            if _guessing(axes, low, high):
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
        grid[0].set_yticks(range(len(models)), [_named(model) for model in models], fontsize=8)
        for axes in grid[len(classes) :]:
            axes.set_visible(False)
        _legend(
            figure,
            {model in originals for model in models},
            mark="dot",
            shown=shown,
            columns=1 + columns // 2,
        )
        save_figure(figure, f"{_named(dataset)}: class by class", stem)


def draw_correlations(
    dataset: str,
    models: Sequence[str],
    together: Float64s,
    people: Float64s,
    stem: Path,
) -> None:
    """How alike the margins of models are; written as `stem`.png and .svg.

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
                        f"{value:.2f}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="white" if dark else "#222222",
                    )
        names = [_named(model) for model in models]
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
        save_figure(figure, f"{_named(dataset)}: how alike models judge", stem)
