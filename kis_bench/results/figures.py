"""Figures of ranks: a run's metrics with their intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import METRICS, RELEVANCES, Measure, Metric, RankPlaces
from kis_bench.records import Float64s, Int64s
from kis_bench.results import columns
from kis_bench.statistics import bootstrap_interval, quantile_interval, wilson_interval
from kis_bench.statistics.clusters import cluster_by_target, count_clusters
from kis_bench.statistics.paired_intervals import difference_intervals

TargetClusters = Int64s | None  #: of queries with a target in common


def metrics_table(ranks: pd.DataFrame, also: Iterable[Measure] = ()) -> pd.DataFrame:
    """Every metric of queries with its 95% interval, for each model, dataset and label set.

    Other relevances, where they are known, are those of the queries that have such a rank. Intervals are clustered by
    target.

    Args:
        ranks: columns ``results.ALL_RANKS``.
        also: measures that are wanted beside the usual cut-offs.
    """
    more = [*also]
    rows: list[tuple[Any, ...]] = []
    for key, group in ranks.groupby(["model", "dataset", "label_set"], sort=False):
        for prefix in ("", *(f"{name}_" for name in RELEVANCES)):
            if f"{prefix}rank_best" not in group:
                continue
            known = group[group[f"{prefix}rank_best"].notna()]
            if len(known):
                clusters = cluster_by_target(known["item_id"])
                rows += [(*key, *row) for row in figures(known, prefix, more, clusters)]
    table = pd.DataFrame(rows, columns=columns.METRICS)
    types = {"k": "Int64", "n": "int64", "n_targets": "Int64"}
    types |= dict.fromkeys(("value", "ci_low", "ci_high"), "float64")
    return table.astype(types)


def tabulate_text_figures(table: pd.DataFrame) -> pd.DataFrame:
    """Every metric of pictures that look for their texts with its 95% interval, for each model, dataset and label set.

    Each picture is one query and stands alone, so that intervals are over pictures.

    Args:
        table: columns ``columns.TEXT_PLACES``.

    Returns:
        Columns ``columns.TEXT_FIGURES``.
    """
    rows = [
        (*key, *row[:-1], int(group["n_texts"].iloc[0]))
        for key, group in table.groupby(["model", "dataset", "label_set"], sort=False)
        for row in figures(group, "", (), None)
    ]
    found = pd.DataFrame(rows, columns=columns.TEXT_FIGURES)
    types = {"k": "Int64", "n": "int64", "n_texts": "int64"}
    return found.astype(types | dict.fromkeys(("value", "ci_low", "ci_high"), "float64"))


def figures(
    rows: pd.DataFrame, prefix: str, also: Iterable[Measure], clusters: TargetClusters
) -> list[tuple[Any, ...]]:
    """Of the places in columns with that prefix: name, k, value, interval, and numbers of queries and targets."""
    best, worst = (rows[f"{prefix}rank_{end}"].to_numpy(np.int64) for end in ("best", "worst"))
    placed = RankPlaces(best, worst)
    n = len(rows), count_clusters(clusters, len(rows))
    found = []
    for metric in (one for one in METRICS if not one.of_judgments):
        name = f"{prefix}{metric.name}"
        if name in metric.names:
            wanted = {k for other, k in also if other == name and k is not None}
            cutoffs: list[int | None] = [*sorted({*metric.cutoffs, *wanted})]
            found += [
                (
                    name,
                    k,
                    metric.figure(placed, k),
                    *metric_interval(metric, placed, k, clusters),
                    *n,
                )
                for k in cutoffs or [None]
            ]
    return found


def metric_interval(
    metric: Metric, placed: RankPlaces, k: int | None, clusters: TargetClusters
) -> tuple[float, float]:
    """Wilson's for proportions, of order statistics for quantiles, for means `mean_interval`."""
    if metric.values_of is None:
        return quantile_interval(placed.rank, metric.quantile, clusters=clusters)
    values = metric.values_of(placed, k)
    if metric.kind == "proportion":
        return wilson_interval(values, clusters=clusters)
    return mean_interval(values, clusters)


def mean_interval(values: Float64s, clusters: TargetClusters) -> tuple[float, float]:
    """Percentile bootstrap over queries; of clusters, `difference_intervals`."""
    if clusters is None:
        return bootstrap_interval(values)
    low, high = difference_intervals(values[None], clusters=clusters)[0]
    return max(0.0, float(low)), min(1.0, float(high))
