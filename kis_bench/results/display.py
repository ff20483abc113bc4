"""What a notebook shows of something measured: its figures, best model first, and curves of recall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import METRICS, MRR, Metric, hits_at_k, measure_name
from kis_bench.notebook import Curves, show_record

ROWS_SHOWN, CONDITIONS_DRAWN, LINES_DRAWN, POINTS_A_LINE = 20, 6, 10, 60
NAMES = ["dataset", "label_set", "model"]


def show_measured(line: str, metrics: pd.DataFrame, ranks: pd.DataFrame) -> str:
    """HTML of figures with 95% intervals and of curves; no text, no item.

    Args:
        line: what is shown, in one line.
        metrics: columns of metrics.csv.
        ranks: columns of ranks.parquet, for the curves.
    """
    values: dict[Any, tuple[float, ...]] = {
        (*names, str(metric), None if pd.isna(k) else int(k)): (value, low, high)
        for *names, metric, k, value, low, high in metrics[
            [*NAMES, "metric", "k", "value", "ci_low", "ci_high"]
        ].itertuples(index=False, name=None)
    }
    measures = [
        (one, k)
        for one in METRICS
        if one.heading
        for _, k in one.measures(few=True)
        if any(key[3:] == (one.name, k) for key in values)
    ]
    asked = ranks[NAMES].drop_duplicates().itertuples(index=False, name=None)
    cells = sort_cells([*(key[:3] for key in values), *asked], values)
    rows = [
        [model, dataset, label_set]
        + [
            write_estimate(one, values.get((dataset, label_set, model, one.name, k)))
            for one, k in measures
        ]
        for dataset, label_set, model in cells
        if measures
    ]
    head = ["model", "dataset", "labels", *(measure_name(one.heading, k) for one, k in measures)]
    notes = ["In brackets: 95% intervals."] if rows else []
    if len(rows) > ROWS_SHOWN:
        notes.append(f"{len(rows) - ROWS_SHOWN:,} more rows are in its metrics.")
    return show_record(line, head, rows[:ROWS_SHOWN], find_curves(ranks, cells), notes, n_names=3)


def sort_cells(
    cells: list[Any], values: dict[Any, tuple[float, ...]]
) -> list[tuple[str, str, str]]:
    """The different cells (dataset, label set, model), conditions in their order, the best model of each first."""
    conditions = list(dict.fromkeys(cell[:2] for cell in cells))

    def rank_cell(cell: tuple[str, str, str]) -> tuple[int, float]:
        return conditions.index(cell[:2]), -values.get((*cell, MRR.name, None), (0.0,))[0]

    return sorted(dict.fromkeys(cells), key=rank_cell)


def write_estimate(metric: Metric, figure: tuple[float, ...] | None) -> str:
    """A value, and behind a line break its interval; empty where it isn't known."""
    if figure is None or pd.isna(figure[0]):
        return ""
    scale, form = {
        "percent": (100, "{:.1f}"),
        "decimal": (1, "{:.3f}"),
        "rank": (1, "{:,.10g}"),
    }[metric.format]
    value, low, high = (form.format(scale * each) for each in figure)
    unit = "%" if metric.format == "percent" else ""
    return f"{value}{unit}" if pd.isna(figure[1]) else f"{value}{unit}\n[{low}, {high}]"


def find_curves(ranks: pd.DataFrame, cells: list[tuple[str, str, str]]) -> Iterator[Curves]:
    """Recall@k of the first models of the first conditions."""
    if ranks.empty:
        return
    rows = dict(list(ranks.groupby(NAMES, sort=False)))
    drawn = [cell for cell in cells if cell in rows]
    for condition in list(dict.fromkeys(cell[:2] for cell in drawn))[:CONDITIONS_DRAWN]:
        own = [cell for cell in drawn if cell[:2] == condition][:LINES_DRAWN]
        n_items = int(max(rows[cell]["n_items"].max() for cell in own))
        ks = np.unique(np.geomspace(1, max(n_items, 2), POINTS_A_LINE).round().astype(np.int64))
        shares = [
            (cell[2], [float(hits_at_k(best, worst, int(k)).mean()) for k in ks])
            for cell in own
            for best, worst in [(rows[cell]["rank_best"], rows[cell]["rank_worst"])]
        ]
        yield Curves(", ".join(condition), n_items, ks.tolist(), shares)
