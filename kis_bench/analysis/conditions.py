"""A condition: one collection and one label set, whose queries several models were asked. Ranks as arrays."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from kis_bench.metrics import hits_at_k
from kis_bench.records import Float64s, Int64s
from kis_bench.statistics.clusters import cluster_by_target, count_clusters, number_clusters


@dataclass(frozen=True)
class Condition:
    """Where the targets of q queries stand under m models; every model answered every one of these queries."""

    dataset: str
    label_set: str
    models: tuple[str, ...]  # m names, by MRR, best first
    queries: tuple[str, ...]  # q ids
    best: Int64s  # [m, q] rank_best
    worst: Int64s  # [m, q] rank_worst
    n_items: int
    left_out: int = 0  # queries that some model was not asked
    clusters: Int64s | None = None  # [q] of queries with a target in common; None: each has its own

    @property
    def name(self) -> str:
        return f"{self.dataset}, {self.label_set}"

    @cached_property
    def rank(self) -> Float64s:
        """[m, q] the middle of best and worst."""
        middle: Float64s = (self.best + self.worst) / 2
        return middle

    @property
    def n_targets(self) -> int:
        """How many independent things were searched: queries with a target in common count as one."""
        return count_clusters(self.clusters, len(self.queries))

    @property
    def parts(self) -> Sequence[Hashable]:
        """[q] what folds of cross-validation may not part, for
        `kis_bench.statistics.cross_validation.assign_parts`."""
        return self.queries if self.clusters is None else self.clusters.tolist()

    def hits(self, k: int) -> Float64s:
        """[m, q] chance to be among the first k, as `kis_bench.metrics.hits_at_k`."""
        return hits_at_k(self.best, self.worst, k)

    def of(self, models: tuple[str, ...]) -> Condition:
        """Only these models, in this order."""
        rows = [self.models.index(model) for model in models]
        return replace(self, models=models, best=self.best[rows], worst=self.worst[rows])

    def asked(self, queries: Sequence[str]) -> Condition:
        """Only these queries, in this order."""
        place = {query: i for i, query in enumerate(self.queries)}
        at = [place[query] for query in queries]
        clusters = None if self.clusters is None else number_clusters(self.clusters[at], len(at))
        return replace(
            self,
            queries=tuple(queries),
            best=self.best[:, at],
            worst=self.worst[:, at],
            left_out=0,
            clusters=clusters,
        )


def conditions(ranks: pd.DataFrame) -> dict[tuple[str, str], Condition]:
    """(dataset, label set) -> its condition, of a run's table of ranks (``results.RANKS``), in the table's order.

    Queries that not all models of a condition were asked are left out and counted; where that leaves none, so is the
    condition. Their clusters are those of their targets, where the table has these.
    """
    found = {}
    for (dataset, label_set), rows in ranks.groupby(["dataset", "label_set"], sort=False):
        tables = [
            rows.pivot_table(
                index="model", columns="query_id", values=column, aggfunc="first", sort=False
            )
            for column in ("rank_best", "rank_worst")
        ]
        whole = tables[0].notna().all(axis=0) & tables[1].notna().all(axis=0)
        best, worst = (table.loc[:, whole].to_numpy(np.int64) for table in tables)
        if not best.size:
            continue
        names = [str(name) for name in tables[0].index]
        rank = (best + worst) / 2
        order = sorted(range(len(names)), key=lambda i: (-float(np.mean(1 / rank[i])), names[i]))
        queries = tables[0].columns[whole]
        item = (
            rows.drop_duplicates("query_id").set_index("query_id")["item_id"]
            if "item_id" in rows
            else None
        )
        found[str(dataset), str(label_set)] = Condition(
            str(dataset),
            str(label_set),
            tuple(names[i] for i in order),
            tuple(map(str, queries)),
            best[order],
            worst[order],
            int(rows["n_items"].max()),
            int((~whole).sum()),
            None if item is None else cluster_by_target(item.loc[queries]),
        )
    return found
