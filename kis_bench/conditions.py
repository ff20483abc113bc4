"""A condition: one collection and one label set, whose queries several models were asked. Ranks as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.metrics import hits_at_k


@dataclass(frozen=True)
class Condition:
    """Where the targets of q queries stand under m models; every model answered every one of these queries."""

    dataset: str
    label_set: str
    models: tuple[str, ...]  # m names, by MRR, best first
    queries: tuple[str, ...]  # q ids
    best: NDArray[np.int64]  # [m, q] rank_best
    worst: NDArray[np.int64]  # [m, q] rank_worst
    n_items: int
    left_out: int = 0  # queries that some model was not asked

    @property
    def name(self) -> str:
        return f"{self.dataset}, {self.label_set}"

    @cached_property
    def rank(self) -> NDArray[np.float64]:
        """[m, q] the middle of best and worst."""
        middle: NDArray[np.float64] = (self.best + self.worst) / 2
        return middle

    def hits(self, k: int) -> NDArray[np.float64]:
        """[m, q] chance to be among the first k, as :func:`kis_bench.metrics.hits_at_k`."""
        return hits_at_k(self.best, self.worst, k)

    def of(self, models: tuple[str, ...]) -> Condition:
        """Only these models, in this order."""
        rows = [self.models.index(model) for model in models]
        return Condition(
            self.dataset, self.label_set, models, self.queries, self.best[rows], self.worst[rows], self.n_items,
            self.left_out,
        )  # fmt: skip


def conditions(ranks: pd.DataFrame) -> dict[tuple[str, str], Condition]:
    """(dataset, label set) -> its condition, of a run's table of ranks (``results.RANKS``), in the table's order.

    Queries that not all models of a condition were asked are left out and counted; where that leaves none, so is the
    condition.
    """
    found = {}
    for (dataset, label_set), rows in ranks.groupby(["dataset", "label_set"], sort=False):
        tables = [
            rows.pivot_table(index="model", columns="query_id", values=column, aggfunc="first", sort=False)
            for column in ("rank_best", "rank_worst")
        ]
        whole = tables[0].notna().all(axis=0) & tables[1].notna().all(axis=0)
        best, worst = (table.loc[:, whole].to_numpy(np.int64) for table in tables)
        if not best.size:
            continue
        names = [str(name) for name in tables[0].index]
        rank = (best + worst) / 2
        order = sorted(range(len(names)), key=lambda i: (-float(np.mean(1 / rank[i])), names[i]))
        found[str(dataset), str(label_set)] = Condition(
            str(dataset), str(label_set), tuple(names[i] for i in order), tuple(map(str, tables[0].columns[whole])),
            best[order], worst[order], int(rows["n_items"].max()), int((~whole).sum()),
        )  # fmt: skip
    return found
