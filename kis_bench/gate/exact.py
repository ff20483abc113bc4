"""Exact mode: whether anything differs from the baseline at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.results import Run
from kis_bench.verdicts import EXACT, Cell, Row, move, row

Floats = NDArray[np.float64]


def exact(old: Run, new: Run, cell: Cell, drift: str, allowed: Callable[[Floats], Floats], source: str) -> list[Row]:
    """One verdict: whether no rank, or no agreement with a judgment, differs by more than is allowed.

    Args:
        drift: how much is allowed, as it was written; "0": nothing.
        allowed: old ranks ``[q]`` -> by how many places each may differ.
    """
    if not cell.label_set:
        return exact_judgments(old, new, cell, source)
    a, b = (
        run.ranks.set_index("query_id")[["rank_best", "rank_worst", "rank"]].astype(np.float64) for run in (old, new)
    )
    b = b.loc[a.index]
    difference = np.abs(b.to_numpy() - a.to_numpy()).max(axis=1)
    beyond = difference > allowed(a["rank"].to_numpy())
    order = [i for i in np.argsort(-difference, kind="stable") if beyond[i]]
    listed = [move(str(a.index[i]), a["rank"].iloc[i], b["rank"].iloc[i]) for i in order]
    expected = "no rank differs" if drift == "0" else f"no rank differs by more than {drift}"
    largest = float(difference.max()) if len(difference) else 0.0
    return [row(cell, EXACT, source, "rank", expected, largest, not listed, queries=listed)]


def exact_judgments(old: Run, new: Run, cell: Cell, source: str) -> list[Row]:
    a, b = (run.judgments.set_index("judgement_id")["agreement"].astype(np.float64) for run in (old, new))
    both = pd.concat({"old": a, "new": b}, axis=1)
    other = both.index[~np.isclose(both["old"], both["new"])]  # also where one lacks it
    expected = "every judgment is agreed with as before"
    listed = [str(name) for name in other]
    return [row(cell, EXACT, source, "agreement", expected, float(len(listed)), not listed, queries=listed)]
