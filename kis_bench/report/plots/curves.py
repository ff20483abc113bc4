"""Cumulative curves: which share of the queries has its target among the first k items."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kis_bench.metrics import hits_at_k
from kis_bench.records import Float64s, Int64s
from kis_bench.report.plots.axes import (
    MOST_BANDS,
    PALETTE,
    STYLE,
    WIDTH,
    ModelLook,
    Styles,
    add_title,
    fitting,
    mark,
    new_figure,
    rank_axes,
)
from kis_bench.statistics import wilson_interval
from kis_bench.statistics.clusters import (
    cluster_by_target,
    count_clusters,
    describe_count,
    share_intervals,
)

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

Clusters = Int64s | None  #: of queries with a target in common
HITS_AT_ONCE = 2**20


def shown_ranks(n_items: int) -> Int64s:
    """The ranks at which a curve is drawn: all small ones, then evenly on the log axis."""
    spread = np.geomspace(1, n_items, 160).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, min(n_items, 20) + 1), spread]))


def compute_recalls(best: Int64s, worst: Int64s, ks: Int64s) -> Float64s:
    """Recall@k of queries ``[q]`` at several k ``[k]``: the means of `kis_bench.metrics.hits_at_k`."""
    step = max(1, HITS_AT_ONCE // max(1, len(best)))
    parts = [ks[start : start + step, None] for start in range(0, len(ks), step)]
    return np.concatenate([hits_at_k(best, worst, part).mean(axis=1) for part in parts])


def draw_curve(
    axes: Any,
    best: Int64s,
    worst: Int64s,
    n_items: int,
    look: ModelLook,
    *,
    band: float = 0.15,
    width: float = 2.0,
    clusters: Clusters = None,
) -> tuple[float, Any]:
    """Recall@k against k with Wilson's band; returns the area under it, by which legends are sorted, and the line."""
    ks = shown_ranks(n_items)
    curve = compute_recalls(best, worst, ks)
    (line,) = axes.plot(ks, 100 * curve, color=look[0], linestyle=look[1], linewidth=width)
    if band:
        draw_band(axes, line, best, worst, clusters, band)
    return float(curve.sum()), line


def draw_band(
    axes: Any,
    line: Any,
    best: Int64s,
    worst: Int64s,
    clusters: Clusters,
    strength: float = 0.15,
) -> None:
    """The 95% interval around a curve of recall@k, in percent."""
    ks = line.get_xdata()
    limits = curve_limits(ks, line.get_ydata() / 100, best, worst, clusters)
    axes.fill_between(ks, *(100 * limits).T, color=line.get_color(), alpha=strength, linewidth=0)


def curve_limits(
    ks: Int64s,
    shares: Float64s,
    best: Int64s,
    worst: Int64s,
    clusters: Clusters,
) -> Float64s:
    """Wilson's 95% intervals ``[k, 2]`` of recalls ``[k]``; clustered by target."""
    if clusters is None:
        n = len(best)
        different, place = np.unique(shares, return_inverse=True)
        return np.array([wilson_interval(float(share) * n, n) for share in different])[place]
    hits = np.stack([hits_at_k(best, worst, int(k)) for k in ks])
    return np.stack(share_intervals(hits, clusters=clusters), axis=1)


Asked = tuple[str, Int64s, Int64s, Clusters]


def draw_models(
    style: Styles,
    axes: Any,
    asked: Iterable[Asked],
    n_items: int,
    width: float,
    ticks: int = 9,
) -> list[tuple[float, Any, str]]:
    """Curves of models (name, best, worst, clusters) with bands, and chance; area, line and name, highest first."""
    drawn, ranks = [], {}
    for model, best, worst, clusters in asked:
        drawn.append(
            (*draw_curve(axes, best, worst, n_items, style[model], band=0, width=width), model)
        )
        ranks[model] = best, worst, clusters
    drawn.sort(key=lambda entry: -entry[0])
    for _, line, model in drawn if len(drawn) <= MOST_BANDS else (drawn[0], drawn[-1]):
        draw_band(axes, line, *ranks[model])
    if len(drawn) > len(PALETTE):
        for place, (_, line, model) in enumerate(drawn):
            mark(line, style[model], 7 * place, marks=6)
    draw_chance(axes, max(2, n_items))
    rank_axes(axes, max(2, n_items), ticks)
    return drawn


def banded(models: int) -> str:
    """Which curves have bands, in words."""
    return "95% bands" if models <= MOST_BANDS else "95% bands of the highest and the lowest curve"


def draw_chance(axes: Any, n_items: int) -> Any:
    shown = shown_ranks(n_items)
    (line,) = axes.plot(
        shown, 100 * shown / n_items, color="#888888", linestyle=(0, (4, 3)), linewidth=1.2
    )
    return line


@dataclass(frozen=True)
class CurvePanel:
    """The models that were asked the queries of one label set, whether all were asked all of them or not."""

    label_set: str
    n_queries: int
    n_targets: int
    n_items: int
    asked: tuple[Asked, ...]


def list_panels(ranks: pd.DataFrame) -> tuple[CurvePanel, ...]:
    """A panel for each label set in rows of the table of ranks of one dataset."""
    if "item_id" not in ranks:
        ranks = ranks.assign(item_id="")  # whose targets aren't known stand alone
    found = []
    for label_set, own in ranks.groupby("label_set", sort=False):
        asked = []
        for model, rows in own.groupby("model", sort=True):
            best, worst = (rows[name].to_numpy(np.int64) for name in ("rank_best", "rank_worst"))
            asked.append((str(model), best, worst, cluster_by_target(rows["item_id"])))
        each = own.drop_duplicates("query_id")
        n_targets = count_clusters(cluster_by_target(each["item_id"]), len(each))
        n_items = int(own["n_items"].max())
        found.append(CurvePanel(str(label_set), len(each), n_targets, n_items, tuple(asked)))
    return tuple(found)


def draw_curves(style: Styles, dataset: str, panels: Sequence[CurvePanel]) -> Any:
    """One figure for a dataset, one panel for each label set."""
    import matplotlib

    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(max(5.6, 4.8 * columns), 1.0 + 3.9 * lines)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        area: dict[str, float] = {}
        handles: dict[str, Any] = {}
        for axes, panel in zip(grid, panels, strict=False):
            for size, line, model in draw_panel(style, axes, panel):
                handles[model] = line
                area[model] = area.get(model, 0) + size / len(line.get_xdata())
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for i in range(0, len(grid), columns):
            grid[i].set_ylabel("recall@k")
        order = sorted(area, key=lambda model: (-area[model], model))
        ncols = columns if columns > 1 or len(order) <= MOST_BANDS else 2
        shown = {model: handles[model] for model in order}
        most = max(len(panel.asked) for panel in panels)
        of_each = " of each panel" if most > MOST_BANDS and len(panels) > 1 else ""
        said = f"with {banded(most)}{of_each}"
        room = figure.get_figwidth() / ncols - 0.7
        add_legend(figure, shown, grid[0].lines[-1], said, ncols, room, sizes=(8.5, 8))
        title = f"{fitting(dataset, figure.get_figwidth() - 4.2, 13, 'bold')}: targets found among the first k"
        return add_title(figure, title, size=13)


def add_legend(
    figure: Any,
    lines: Mapping[str, Any],
    chance: Any,
    title: str,
    columns: int,
    room: float,
    *,
    sizes: tuple[float, float],
) -> None:
    """One legend below all panels, models in the order of ``lines``, then chance.

    Args:
        room: inches that a name may take.
        sizes: of names and of the title, in points.
    """
    names, of_title = sizes
    figure.legend(
        [*lines.values(), chance],
        [*(fitting(model, room, names) for model in lines), "chance"],
        loc="outside lower left",
        ncols=columns,
        fontsize=names,
        frameon=False,
        handlelength=2.6,
        title=title,
        title_fontsize=of_title,
        alignment="left",
    )


def draw_panel(style: Styles, axes: Any, panel: CurvePanel) -> list[tuple[float, Any, str]]:
    """Curves of all models of a label set; as `draw_models`."""
    drawn = draw_models(style, axes, panel.asked, panel.n_items, 2.0)
    queries = describe_count(panel.n_queries, panel.n_targets)
    title = f"{fitting(panel.label_set, 2.0, 10.5)}: {queries}, {panel.n_items:,} items"
    axes.set_title(title, fontsize=10.5, loc="left", color="#222222")
    return drawn


def draw_overview(style: Styles, conditions: Sequence[Condition]) -> Any:
    """Cumulative curves of every dataset (a row) and label set (a column) in one figure with one legend.

    Combinations that are not there stay blank. Models stand in the legend by the mean of their curves, highest first.
    """
    import matplotlib

    cells = {(one.dataset, one.label_set): one for one in conditions}
    datasets = list(dict.fromkeys(dataset for dataset, _ in cells))
    sets = list(dict.fromkeys(label_set for _, label_set in cells))
    area: dict[str, list[float]] = {}
    handles: dict[str, Any] = {}
    with matplotlib.rc_context({**STYLE, "font.size": 8}):
        width = 4.4 if len(sets) == 1 else max(WIDTH, 2.0 * len(sets))
        most = max(len(one.models) for one in conditions)
        figure = new_figure(width, 0.7 + 2.0 * len(datasets) + 0.15 * -(-(most + 1) // 3))
        grid = figure.subplots(len(datasets), len(sets), squeeze=False, sharey=True)
        for (i, dataset), (j, label_set) in itertools.product(enumerate(datasets), enumerate(sets)):
            axes, one = grid[i][j], cells.get((dataset, label_set))
            if one is None:
                axes.set_visible(False)
                continue
            asked = [
                (name, best, worst, one.clusters)
                for name, best, worst in zip(one.models, one.best, one.worst, strict=True)
            ]
            drawn = draw_models(
                style, axes, asked, one.n_items, 1.3, ticks=9 if len(sets) < 3 else 5
            )
            for size, line, model in drawn:
                handles[model] = line
                area.setdefault(model, []).append(size / len(axes.lines[0].get_xdata()))
            chance = axes.lines[-1]
            last = not any((below, label_set) in cells for below in datasets[i + 1 :])
            first = not any((dataset, left) in cells for left in sets[:j])
            axes.set_xlabel("rank k (log scale)" if last else "")
            axes.set_ylabel("recall@k" if first else "")
            axes.tick_params(labelsize=7, labelleft=first)
            name = fitting(one.name, (width - 0.7) / len(sets) - 0.2, 7)
            about = f"{describe_count(len(one.queries), one.n_targets)}, {one.n_items:,} items"
            axes.set_title(f"{name}\n{about}", fontsize=7, loc="left", color="#222222")
        order = sorted(area, key=lambda model: (-float(np.mean(area[model])), model))
        columns = 3 if width >= WIDTH else 2
        lines = {model: handles[model] for model in order}
        said = f"with {banded(most)}{' of each panel' if most > MOST_BANDS else ''}"
        add_legend(figure, lines, chance, said, columns, width / columns - 0.6, sizes=(7, 7))
        return add_title(figure, "Targets found among the first k", size=9)
