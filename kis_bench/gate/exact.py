"""Exact mode: whether anything differs from the baseline at all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from kis_bench.errors import spell_option
from kis_bench.gate.verdicts import AGREES, EXACT, RANK, Cell, Row, move, row
from kis_bench.records import Float64s
from kis_bench.results import Run

#: Cosines that differ by no more are of vectors that differ in their last bits: other batch sizes and numbers of
#: threads were seen to make 6e-7, a compiled model 3e-6; bfloat16 makes 1e-3.
LAST_BITS = 1e-5


def exact(
    old: Run, new: Run, cell: Cell, drift: str, allowed: Callable[[Float64s], Float64s], source: str
) -> list[Row]:
    """One verdict: whether no rank, or no agreement with a judgment, differs by more than is allowed.

    Args:
        drift: how much is allowed, as it was written; "0": nothing.
        allowed: old ranks ``[q]`` -> by how many places each may differ.
    """
    if not cell.label_set:
        return exact_judgments(old, new, cell, source)
    a, b = (
        run.ranks.set_index("query_id")[["rank_best", "rank_worst", "rank"]].astype(np.float64)
        for run in (old, new)
    )
    b = b.loc[a.index]
    difference = np.abs(b.to_numpy() - a.to_numpy()).max(axis=1)
    beyond = difference > allowed(a["rank"].to_numpy())
    order = [i for i in np.argsort(-difference, kind="stable") if beyond[i]]
    listed = [move(str(a.index[i]), a["rank"].iloc[i], b["rank"].iloc[i]) for i in order]
    expected = "no rank differs" if drift == "0" else f"no rank differs by more than {drift}"
    largest = float(difference.max()) if len(difference) else 0.0
    hint = f"{spell_option('drift')} {math.ceil(largest)} would let all of them pass"
    scores = [run.ranks.set_index("query_id")["target_score"] for run in (old, new)]
    remark = rounding(scores[0], scores[1], "scores of targets", hint)
    return [
        row(
            cell,
            EXACT,
            source,
            RANK,
            expected,
            largest,
            not listed,
            queries=listed,
            remark=remark if listed else "",
        )
    ]


def exact_judgments(old: Run, new: Run, cell: Cell, source: str) -> list[Row]:
    a, b = (
        run.judgments.set_index("judgement_id")["agreement"].astype(np.float64)
        for run in (old, new)
    )
    both = pd.concat({"old": a, "new": b}, axis=1)
    other = both.index[~np.isclose(both["old"], both["new"])]  # also where one lacks it
    expected = "every judgment is agreed with as before"
    listed = [str(name) for name in other]
    hint = f"judgments have no {spell_option('drift')}; without {spell_option('exact')} a test compares them"
    margins = [run.judgments.set_index("judgement_id")["margin"] for run in (old, new)]
    remark = rounding(margins[0], margins[1], "margins", hint)
    return [
        row(
            cell,
            EXACT,
            source,
            AGREES,
            expected,
            float(len(listed)),
            not listed,
            queries=listed,
            remark=remark if listed else "",
        )
    ]


def rounding(old: pd.Series, new: pd.Series, what: str, hint: str) -> str:
    """That vectors differ by rounding only, where that is what similarities show; else, or if unknown, nothing.

    ``old`` and ``new`` are cosines, or differences of two, by query or judgment.
    """
    a, b = (side.astype(np.float64) for side in (old, new))
    b = b.reindex(a.index)
    if not len(a) or a.isna().any() or b.isna().any():
        return ""
    largest = float((a - b).abs().max())
    if not 0 < largest <= LAST_BITS:
        return ""
    return (
        f"the {what} differ by {largest:.1g} at most, as where vectors differ in their last bits only: another number "
        f"of threads, batch size, processor or library does that; {hint}"
    )
