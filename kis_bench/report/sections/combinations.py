"""The report's part on combinations: what models find together."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kis_bench.analysis.models import select_measure
from kis_bench.metrics import LEADING_MEASURES, measure_words
from kis_bench.report.numbers import change, figure, is_absent, number
from kis_bench.report.tables import escape, table

MOST_COMBINATIONS = 10
METHOD_WORDS = {
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


def name_models(row: Any) -> list[str]:
    return [
        str(name)
        for name in (row["model_1"], row["model_2"], row["model_3"])
        if not is_absent(name)
    ]


def name_combination(row: Any) -> str:
    """The models of a combination in words."""
    return (", then " if row["method"] == "switch" else " + ").join(name_models(row))


def name_method(row: Any) -> str:
    said = METHOD_WORDS.get(str(row["method"]), str(row["method"]))
    if is_absent(row["parameter"]):
        return said
    if row["method"] != "switch":
        return f"{said}, {row['parameter']:.2f}"
    return f"{said} {number(row['parameter'])} picture{'' if row['parameter'] == 1 else 's'}"


def show_combinations(gains: pd.DataFrame, advice: pd.DataFrame) -> list[str]:
    """What can be gained over the best single model, beside the oracle, which nobody can build."""
    lines = [*(f"- {escape(each, 1000)}" for each in advice["advice"]), ""]
    metric, k = LEADING_MEASURES[0]
    found = select_measure(gains, metric, k).sort_values("value", ascending=False, kind="stable")
    real, bounds = found[found["kind"] == "achievable"], found[found["kind"] == "bound"]
    oracle = {frozenset(name_models(row)): row["value"] for _, row in bounds.iterrows()}
    rows = []
    for _, row in (real if len(real) else bounds).head(MOST_COMBINATIONS).iterrows():
        best = oracle.get(frozenset(name_models(row)))
        rows.append(
            [
                name_combination(row),
                name_method(row),
                figure(metric, row["value"], row["ci_low"], row["ci_high"]),
                change(metric, row["gain"], row["gain_low"], row["gain_high"]),
                figure(metric, best),
            ]
        )
    over = f"gain over {found['best_single'].iloc[0]}"
    head = ["combination", "method", measure_words(metric, k), over, "oracle"]
    return [*lines, table(head, rows, right=(2, 3, 4)), "", EXPLAINED, ""]
