"""The report's part on combinations: what models find together."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kis_bench.report.numbers import missing, number, signed, spaced
from kis_bench.report.tables import escaped, table

MOST_COMBINATIONS, MOST_QUERIES = 10, 15
METHODS = {
    "oracle": "oracle: the better rank of each query",
    "rrf": "reciprocal rank fusion",
    "comb_sum": "CombSUM",
    "comb_mnz": "CombMNZ",
    "weighted": "weighted sum",
    "switch": "switch after",
    "interleave": "alternate",
}
EXPLAINED = (
    "The oracle takes the better rank for each query, which needs the answer: no choice between the lists, by "
    "switching or alternating, exceeds it. Lists that are made anew, of ranks or of sums of scores, can. What comes "
    "down to one of its models alone (all weight on one, or a switch at once or never) is left out. Gains of the best "
    "of many combinations are optimistic; the advice above counts only what holds on queries that the choice did not "
    "see."
)


def members(row: Any) -> list[str]:
    return [
        str(name) for name in (row["model_1"], row["model_2"], row["model_3"]) if not missing(name)
    ]


def combination(row: Any) -> str:
    """The models of a combination in words."""
    return (", then " if row["method"] == "switch" else " + ").join(members(row))


def method(row: Any) -> str:
    said = METHODS.get(str(row["method"]), str(row["method"]))
    if missing(row["parameter"]):
        return said
    if row["method"] != "switch":
        return f"{said}, {row['parameter']:.2f}"
    return f"{said} {number(row['parameter'])} picture{'' if row['parameter'] == 1 else 's'}"


def complementarity(gains: pd.DataFrame, advice: pd.DataFrame) -> list[str]:
    """What can be gained over the best single model, beside the oracle, which nobody can build."""
    lines = [*(f"- {escaped(each, 1000)}" for each in advice["advice"]), ""]
    mrr = gains[gains["metric"] == "mrr"].sort_values("value", ascending=False, kind="stable")
    real, bounds = mrr[mrr["kind"] == "achievable"], mrr[mrr["kind"] == "bound"]
    oracle = {frozenset(members(row)): row["value"] for _, row in bounds.iterrows()}
    rows = []
    for _, row in (real if len(real) else bounds).head(MOST_COMBINATIONS).iterrows():
        best = oracle.get(frozenset(members(row)))
        rows.append(
            [
                combination(row),
                method(row),
                figure(row, "value", "ci_low", "ci_high"),
                figure(row, "gain", "gain_low", "gain_high", sign=True),
                "" if best is None else f"{best:.3f}",
            ]
        )
    head = ["combination", "method", "MRR", f"gain over {mrr['best_single'].iloc[0]}", "oracle"]
    return [*lines, table(head, rows, right=(2, 3, 4)), "", EXPLAINED, ""]


def figure(row: Any, value: str, low: str, high: str, *, sign: bool = False) -> str:
    def shown(each: Any) -> str:
        return signed(each, 3) if sign else f"{each:.3f}"

    interval = "" if missing(row[low]) else f" [{shown(row[low])}, {shown(row[high])}]"
    return spaced(shown(row[value]) + interval)
