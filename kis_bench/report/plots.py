"""Cumulative curves: which share of the queries has its target among the first k items."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.files.text import plain, shortened
from kis_bench.metrics import hits_at_k, recall_at_k
from kis_bench.statistics import wilson_interval
from kis_bench.statistics.clusters import count, counted, of_targets, share_intervals

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

# Okabe and Ito's colours without black and yellow, which vanish on dark or white paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D")
Clusters = NDArray[np.int64] | None  #: of queries with a target in common
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


def styles(models: list[str]) -> dict[str, tuple[str, Any]]:
    """Colour and dashes of each model: the same in every plot of a report."""
    return {
        name: (PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)])
        for i, name in enumerate(sorted(set(models)))
    }


def ink(colour: str) -> str:
    """A darker shade of a colour, in which small letters can be read on white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(colour)
    darker = min(1.0, 0.66 / max(red, green, blue, 0.01))
    return str(to_hex((red * darker, green * darker, blue * darker)))


def fitting(name: object, width: float, size: float, weight: str = "normal") -> str:
    """A name as plain text, shortened to so many inches in letters of this size in points; never empty."""
    text = shortened(plain(name), 200) or "(no name)"
    kept = text
    while text_width(kept, size, weight) > width and len(kept) > 2:
        share = width / text_width(kept, size, weight)
        text = text[: max(1, min(len(text) - 1, int(len(text) * share)))]
        kept = text.rstrip() + "…"
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


def shown_ranks(n_items: int) -> NDArray[np.int64]:
    """The ranks at which a curve is drawn: all small ones, then evenly on the log axis."""
    spread = np.geomspace(1, n_items, 160).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, min(n_items, 20) + 1), spread]))


def draw_curve(
    axes: Any, best: NDArray[np.int64], worst: NDArray[np.int64], n_items: int, look: tuple[str, Any],
    *, band: float = 0.15, width: float = 2.0, clusters: Clusters = None,
) -> tuple[float, Any]:  # fmt: skip
    """Recall@k against k with Wilson's band; returns the area under it, by which legends are sorted, and the line."""
    ks = shown_ranks(n_items)
    curve = np.array([recall_at_k(best, worst, int(k)) for k in ks])
    (line,) = axes.plot(ks, 100 * curve, color=look[0], linestyle=look[1], linewidth=width)
    if band:
        draw_band(axes, line, best, worst, clusters, band)
    return float(curve.sum()), line


def draw_band(
    axes: Any, line: Any, best: NDArray[np.int64], worst: NDArray[np.int64], clusters: Clusters, strength: float = 0.15
) -> None:
    """Wilson's 95% interval around a curve of recall@k, in percent; clustered by target."""
    ks = line.get_xdata()
    if clusters is None:
        n = len(best)
        shares, place = np.unique(line.get_ydata() / 100, return_inverse=True)
        limits = np.array([wilson_interval(float(share) * n, n) for share in shares])[place]
    else:
        hits = np.stack([hits_at_k(best, worst, int(k)) for k in ks])
        limits = np.stack(share_intervals(hits, clusters=clusters), axis=1)
    axes.fill_between(ks, *(100 * limits).T, color=line.get_color(), alpha=strength, linewidth=0)


Asked = tuple[str, NDArray[np.int64], NDArray[np.int64], Clusters]


def draw_models(
    axes: Any, asked: Iterable[Asked], n_items: int, style: Mapping[str, tuple[str, Any]], width: float, ticks: int = 9
) -> list[tuple[float, Any, str]]:
    """Curves of models (name, best, worst, clusters) with bands, and chance; area, line and name, highest first."""
    drawn, ranks = [], {}
    for model, best, worst, clusters in asked:
        drawn.append((*draw_curve(axes, best, worst, n_items, style[model], band=0, width=width), model))
        ranks[model] = best, worst, clusters
    drawn.sort(key=lambda entry: -entry[0])
    for _, line, model in drawn if len(drawn) <= MOST_BANDS else (drawn[0], drawn[-1]):
        draw_band(axes, line, *ranks[model])
    draw_chance(axes, max(2, n_items))
    rank_axes(axes, max(2, n_items), ticks)
    return drawn


def banded(models: int) -> str:
    """Which curves have bands, in words."""
    return "95% bands" if models <= MOST_BANDS else "95% bands of the highest and the lowest curve"


def draw_chance(axes: Any, n_items: int) -> Any:
    shown = shown_ranks(n_items)
    (line,) = axes.plot(shown, 100 * shown / n_items, color="#888888", linestyle=(0, (4, 3)), linewidth=1.2)
    return line


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


def save_figure(figure: Any, title: str, stem: Path, *, size: int = 12) -> None:
    """With its title, as `stem`.png, .svg and .pdf, which are the same whenever they are drawn.

    A letter that the font lacks is drawn as a box.
    """
    figure.suptitle(title, fontsize=size, fontweight="bold", x=0.01, ha="left")
    with lacking_letters():
        figure.savefig(stem.with_name(stem.name + ".png"), dpi=150, metadata={"Software": None})
        figure.set_layout_engine("none")  # laid out by now; to do it again for each form would take most of the time
        figure.savefig(stem.with_name(stem.name + ".svg"), metadata={"Date": None, "Creator": None})
        nothing = {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(stem.with_name(stem.name + ".pdf"), metadata=nothing)


def draw_curves(dataset: str, ranks: pd.DataFrame, style: Mapping[str, tuple[str, Any]], stem: Path) -> None:
    """One figure for a dataset, one panel for each label set; written as `stem`.png, .svg and .pdf."""
    import matplotlib

    sets = list(dict.fromkeys(ranks["label_set"]))
    columns = min(3, len(sets))
    lines = -(-len(sets) // columns)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(max(5.6, 4.8 * columns), 0.5 + 4.4 * lines)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for axes, label_set in zip(grid, sets, strict=False):
            _panel(axes, ranks[ranks["label_set"] == label_set], style, str(label_set))
        for axes in grid[len(sets) :]:
            axes.set_visible(False)
        for i in range(0, len(grid), columns):
            grid[i].set_ylabel("recall@k")
        title = f"{fitting(dataset, figure.get_figwidth() - 4.2, 13, 'bold')}: targets found among the first k"
        save_figure(figure, title, stem, size=13)


def _panel(axes: Any, ranks: pd.DataFrame, style: Mapping[str, tuple[str, Any]], label_set: str) -> None:
    """Curves of all models, and their legend in the order of the curves, best on top."""
    ranks = ranks if "item_id" in ranks else ranks.assign(item_id="")  # whose targets aren't known stand alone
    asked = []
    for model, rows in ranks.groupby("model", sort=True):
        best, worst = (rows[column].to_numpy(np.int64) for column in ("rank_best", "rank_worst"))
        asked.append((str(model), best, worst, of_targets(rows["item_id"])))
    each, items = ranks.drop_duplicates("query_id"), int(ranks["n_items"].max())
    queries = counted(len(each), count(of_targets(each["item_id"]), len(each)))
    drawn = draw_models(axes, asked, items, style, 2.0)
    axes.legend(
        [*(line for _, line, _ in drawn), axes.lines[-1]],
        [*(fitting(name, 3.8 if len(drawn) <= 4 else 1.65, 7.5) for _, _, name in drawn), "chance"],
        fontsize=8.5 if len(drawn) <= 4 else 7.5, title=f"with {banded(len(drawn))}", title_fontsize=7.5,
        alignment="left", frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16),
        borderaxespad=0, ncols=1 if len(drawn) <= 4 else 2, handlelength=2.6,
    )  # fmt: skip
    title = f"{fitting(label_set, 2.0, 10.5)}: {queries}, {items:,} items"
    axes.set_title(title, fontsize=10.5, loc="left", color="#222222")


def draw_overview(
    conditions: Mapping[tuple[str, str], Condition], style: Mapping[str, tuple[str, Any]], stem: Path
) -> None:
    """Cumulative curves of every dataset (a row) and label set (a column) in one figure with one legend.

    Combinations that are not there stay blank. Models stand in the legend by the mean of their curves, highest first.
    """
    import matplotlib

    datasets = list(dict.fromkeys(dataset for dataset, _ in conditions))
    sets = list(dict.fromkeys(label_set for _, label_set in conditions))
    area: dict[str, list[float]] = {}
    handles: dict[str, Any] = {}
    with matplotlib.rc_context({**STYLE, "font.size": 8}):
        width = 4.4 if len(sets) == 1 else max(WIDTH, 2.0 * len(sets))
        most = max(len(one.models) for one in conditions.values())
        figure = new_figure(width, 0.7 + 2.0 * len(datasets) + 0.15 * -(-(most + 1) // 3))
        grid = figure.subplots(len(datasets), len(sets), squeeze=False, sharey=True)
        for (i, dataset), (j, label_set) in itertools.product(enumerate(datasets), enumerate(sets)):
            axes, one = grid[i][j], conditions.get((dataset, label_set))
            if one is None:
                axes.set_visible(False)
                continue
            asked = [
                (name, best, worst, one.clusters)
                for name, best, worst in zip(one.models, one.best, one.worst, strict=True)
            ]
            drawn = draw_models(axes, asked, one.n_items, style, 1.3, ticks=9 if len(sets) < 3 else 5)
            for size, line, model in drawn:
                handles[model] = line
                area.setdefault(model, []).append(size / len(axes.lines[0].get_xdata()))
            chance = axes.lines[-1]
            last = not any((below, label_set) in conditions for below in datasets[i + 1 :])
            first = not any((dataset, left) in conditions for left in sets[:j])
            axes.set_xlabel("rank k (log scale)" if last else "")
            axes.set_ylabel("recall@k" if first else "")
            axes.tick_params(labelsize=7, labelleft=first)
            name = fitting(one.name, (width - 0.7) / len(sets) - 0.2, 7)
            about = f"{counted(len(one.queries), one.n_targets)}, {one.n_items:,} items"
            axes.set_title(f"{name}\n{about}", fontsize=7, loc="left", color="#222222")
        order = sorted(area, key=lambda model: (-float(np.mean(area[model])), model))
        columns = 3 if width >= WIDTH else 2
        figure.legend(
            [*(handles[model] for model in order), chance],
            [*(fitting(model, width / columns - 0.6, 7) for model in order), "chance"],
            loc="outside lower left", ncols=columns, fontsize=7, frameon=False, handlelength=2.6,
            title=f"with {banded(most)}{' of each panel' if most > MOST_BANDS else ''}", title_fontsize=7,
            alignment="left",
        )  # fmt: skip
        save_figure(figure, "Targets found among the first k", stem, size=9)
