"""What the figures of the report share: colours, letters, axes, files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.files.text import cut_middle, make_plain, shorten
from kis_bench.metrics import MRR, measure_words
from kis_bench.report.numbers import is_absent

# Okabe and Ito's colours without black and yellow, which vanish on dark or white paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D")
WIDTH = 6.7  #: inches, 17 cm: what a page holds
MOST_BANDS = 4  #: of more models only the highest and the lowest curve have bands, which would cover each other
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))
STYLE: Any = {
    "pdf.fonttype": 42,  # fonts that publishers take
    "svg.hashsalt": "kis-bench",  # otherwise the ids inside an SVG differ from one drawing to the next
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 10,
}


#: One more than there are colours, so that models of one colour have another mark.
MARKS = ("o", "s", "^", "D", "v", "P", "X", "p")
ModelLook = tuple[str, Any, str]  #: colour, dashes and mark
Styles = Mapping[str, ModelLook]  #: of each model, in all plots


def styles(models: list[str]) -> dict[str, ModelLook]:
    """The look of each model: the same in every plot of a report."""
    return {
        name: (
            PALETTE[i % len(PALETTE)],
            DASHES[i // len(PALETTE) % len(DASHES)],
            MARKS[i % len(MARKS)],
        )
        for i, name in enumerate(sorted(set(models)))
    }


def mark(line: Any, look: ModelLook, place: int, marks: int = 5) -> None:
    """Puts a few marks on a line, by which models of one colour differ; elsewhere than on those of another place."""
    step = max(1, len(line.get_xdata()) // marks)
    line.set(marker=look[2], markersize=2.5 + 1.5 * line.get_linewidth(), markeredgewidth=0)
    line.set_markevery((place % step, step))


def ink(colour: str) -> str:
    """A darker shade of a colour, in which small letters can be read on white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(colour)
    darker = min(1.0, 0.66 / max(red, green, blue, 0.01))
    return str(to_hex((red * darker, green * darker, blue * darker)))


def fitting(name: object, width: float, size: float, weight: str = "normal") -> str:
    """A name as plain text of at most so many inches in letters of this size in points; never empty.

    What doesn't fit is left out of its middle: names differ at their ends as often as at their beginnings.
    """
    text = shorten(make_plain(name), 200) or "(no name)"
    kept, letters = text, len(text)
    while (taken := text_width(kept, size, weight)) > width and letters > 1:
        letters = max(1, min(letters - 1, int(letters * width / taken)))
        kept = cut_middle(text, letters)
    # Of a legend, matplotlib leaves out what begins with an underscore.
    return f"\u200b{kept}" if kept.startswith("_") else kept


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Inches that a line of letters of so many points takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    with lacking_letters():
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


@contextmanager
def lacking_letters() -> Iterator[None]:
    """A letter that the font lacks is drawn as a box, and that is no reason to warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def rank_axes(axes: Any, n_items: int, ticks: int = 9) -> None:
    """Ranks from 1 on a log scale to the right, shares of queries upwards."""
    log_axis(axes, 1, n_items, ticks=ticks)
    axes.set_ylim(0, 101)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
    axes.set_xlabel("rank k (log scale)")
    calm(axes)


def log_axis(axes: Any, low: float, high: float, *, up: bool = False, ticks: int = 9) -> None:
    """Counts on a log scale with few ticks: powers of ten, and 2 and 5 times these where the axis is short."""
    from matplotlib.ticker import LogLocator, NullLocator

    (axes.set_yscale if up else axes.set_xscale)("log")
    (axes.set_ylim if up else axes.set_xlim)(low, high)
    axis = axes.yaxis if up else axes.xaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 50 else (1,), numticks=ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: short_number(value))


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


def add_title(figure: Any, title: str, *, size: int = 12) -> Any:
    """The figure with a title at its upper left."""
    figure.suptitle(title, fontsize=size, fontweight="bold", x=0.01, ha="left")
    return figure


SMALL = {**STYLE, "font.size": 8, "axes.linewidth": 0.7}


def first_value(table: pd.DataFrame, column: str, otherwise: str = "") -> str:
    return (
        str(table[column].iloc[0])
        if column in table and not is_absent(table[column].iloc[0])
        else otherwise
    )


def measure_title(table: pd.DataFrame) -> str:
    k = first_value(table, "k")
    return measure_words(first_value(table, "metric", MRR.name), float(k) if k else None)


def about_title(table: pd.DataFrame, *columns: str) -> str:
    said = ", ".join(first_value(table, column) for column in columns or ("dataset", "label_set"))
    return f"{fitting(said, 2.8, 9, 'bold')}: " if said.strip(", ") else ""
