"""What the plots on image similarity share: shares with intervals, guessing, another person, the legend."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kis_bench.files.text import make_plain, shorten
from kis_bench.report.plots.axes import PALETTE

GUESS = 0.5  #: the consistency of guessing
OURS, ORIGINAL, BAND, REFERENCE = PALETTE[0], PALETTE[4], PALETTE[2], PALETTE[1]
LIMIT = "#222222"
NAME_LENGTH = 40  #: letters of a name in a plot
STEP = 5  #: percent: axes begin and end at multiples of this


@dataclass(frozen=True)
class Share:
    """A share from 0 to 1 with its interval; NaN where it is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0


def short_label(name: object) -> str:
    return shorten(make_plain(name), NAME_LENGTH)


def percent_bounds(values: Sequence[float], always: Sequence[float] = ()) -> tuple[float, float]:
    """Round percents around everything that is known, 0 and 100 at most."""
    known = [100 * v for v in (*values, *always) if not math.isnan(v)] or [100 * GUESS]
    low = max(0, STEP * math.floor(min(known) / STEP + 1e-9))
    high = min(100, STEP * math.ceil(max(known) / STEP - 1e-9))
    return (low, high) if high > low else (max(0, low - STEP), min(100, high + STEP))


def percent_axis(axes: Any, low: float, high: float) -> None:
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


def draw_intervals(axes: Any, rows: Sequence[float], shares: Sequence[Share], colour: Any) -> None:
    some = [
        (y, s)
        for y, s in zip(rows, shares, strict=True)
        if not any(map(math.isnan, (s.value, s.low, s.high)))
    ]
    if some:
        low, high = ([100 * getattr(s, end) for _, s in some] for end in ("low", "high"))
        axes.hlines([y for y, _ in some], low, high, color=colour, linewidth=1.1, zorder=3)


def draw_band_of_person(axes: Any, person: Share | None) -> None:
    if person is not None and not math.isnan(person.value):
        if not math.isnan(person.low) and not math.isnan(person.high):
            axes.axvspan(
                100 * person.low, 100 * person.high, color=BAND, alpha=0.17, linewidth=0, zorder=0.6
            )
        axes.axvline(100 * person.value, color=BAND, linewidth=1.2, zorder=0.7)


def draw_guessing(axes: Any, low: float, high: float) -> bool:
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


def draw_legend(
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


def has_interval(shares: Sequence[Share]) -> bool:
    return any(not math.isnan(s.low) and not math.isnan(s.high) for s in shares)
