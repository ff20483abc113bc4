"""Figures of ranks: a run's metrics with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import hits_at_k, mean_reciprocal_rank, rank_quantile, recall_at_k
from kis_bench.records import Float64s, Int64s
from kis_bench.results.columns import METRICS, RECALL_AT, RELEVANCES
from kis_bench.statistics import bootstrap_interval, quantile_interval, wilson_interval
from kis_bench.statistics.clusters import cluster_by_target, count_clusters
from kis_bench.statistics.paired_intervals import difference_intervals


def metrics_table(ranks: pd.DataFrame, at: Sequence[int] = RECALL_AT) -> pd.DataFrame:
    """Recall, MRR and quartiles of the rank with 95% intervals, for each model, dataset and label set.

    Of the other relevances, where they are known: recall and median, over the queries that have such a rank. ``at``
    are the cut-offs of recall. Intervals are clustered by target.
    """
    rows: list[tuple[Any, ...]] = []
    for key, group in ranks.groupby(["model", "dataset", "label_set"], sort=False):
        rank = group["rank"].to_numpy(np.float64)
        clusters = cluster_by_target(group["item_id"])
        n = len(group), count_clusters(clusters, len(group))
        rows += recalls(key, "", group, at)
        mrr = mean_reciprocal_rank(rank), *mrr_interval(rank, clusters)
        rows.append((*key, "mrr", None, *mrr, *n))
        for name, q in (
            ("median_rank", 0.5),
            ("lower_quartile_rank", 0.25),
            ("upper_quartile_rank", 0.75),
        ):
            interval = quantile_interval(rank, q, clusters=clusters)
            rows.append((*key, name, None, rank_quantile(rank, q), *interval, *n))
        for name in (name for name in RELEVANCES if f"{name}_rank_best" in group):
            known = group[group[f"{name}_rank_best"].notna()]
            if len(known):
                rank, clusters = (
                    known[f"{name}_rank"].to_numpy(np.float64),
                    cluster_by_target(known["item_id"]),
                )
                rows += recalls(key, f"{name}_", known, at)
                middle = rank_quantile(rank, 0.5), *quantile_interval(rank, 0.5, clusters=clusters)
                n = len(known), count_clusters(clusters, len(known))
                rows.append((*key, f"{name}_median_rank", None, *middle, *n))
    table = pd.DataFrame(rows, columns=METRICS)
    types = {"k": "Int64", "n": "int64", "n_targets": "Int64"}
    types |= dict.fromkeys(("value", "ci_low", "ci_high"), "float64")
    return table.astype(types)


def mrr_interval(rank: Float64s, clusters: Int64s | None) -> tuple[float, float]:
    """Percentile bootstrap over queries; over clusters where queries share targets."""
    if clusters is None:
        return bootstrap_interval(1.0 / rank)
    low, high = difference_intervals(1.0 / rank[None], clusters=clusters)[0]
    return max(0.0, float(low)), min(1.0, float(high))


def recalls(key: Any, prefix: str, group: pd.DataFrame, at: Sequence[int]) -> list[tuple[Any, ...]]:
    """Recall at each cut-off with Wilson's interval by target, of the ranks whose columns have that prefix."""
    best = group[f"{prefix}rank_best"].to_numpy(np.int64)
    worst = group[f"{prefix}rank_worst"].to_numpy(np.int64)
    clusters = cluster_by_target(group["item_id"])
    n = len(group), count_clusters(clusters, len(group))
    return [
        (
            *key,
            f"{prefix}recall",
            k,
            recall_at_k(best, worst, k),
            *wilson_interval(hits_at_k(best, worst, k), clusters=clusters),
            *n,
        )
        for k in at
    ]
