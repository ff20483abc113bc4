"""Which queries or judgments a measure fell by, the worst first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kis_bench.analysis.runs import match_queries, side_by_side
from kis_bench.gate.verdicts import Cell, move
from kis_bench.metrics import KNOWN, compute_values
from kis_bench.results import Run


def find_lost(old: Run, new: Run, metric: str, k: Any) -> list[str]:
    """Of a cell that stands alone in both runs, what a measure fell by: nothing that did not lower it.

    For recall the queries that left the first k, under ties in part; for means those that add less, such as reciprocal
    rank. Those that lost most go first, and of equal losses those whose rank grew by the largest factor. For
    consistency the judgments that are agreed with less than before.
    """
    if KNOWN[metric].of_judgments:
        return find_lost_judgments(old.judgments, new.judgments)
    a, b = (run.ranks.set_index("query_id") for run in (old, new))
    both, _ = match_queries(a, b)
    condition = side_by_side(a.loc[both], b.loc[both])
    now, before = compute_values(condition, metric, None if pd.isna(k) else int(k))
    loss, (rank, rank_before) = before - now, condition.rank
    order = np.lexsort((-rank / rank_before, -loss))
    return [move(condition.queries[i], rank_before[i], rank[i]) for i in order if loss[i] > 0]


def find_lost_judgments(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    a, b = (table.set_index("judgement_id")["agreement"].astype(np.float64) for table in (old, new))
    loss = (a - b).dropna()  # of judgments that both have
    order = loss[loss > 0].sort_values(ascending=False, kind="stable").index
    return [move(str(name), a[name], b[name]) for name in order]


def find_fallen(queries: pd.DataFrame, cell: Cell) -> list[tuple[str, float, float]]:
    """Queries with a larger rank than before, with both ranks; those that fell by the largest factor first."""
    own = queries[(queries["new_model"] == cell.model) & (queries["octaves"] > 0)]
    order = own.sort_values("octaves", ascending=False, kind="stable")
    columns = order["query_id"], order["old_rank"], order["new_rank"]
    return [(str(name), float(old), float(new)) for name, old, new in zip(*columns, strict=True)]
