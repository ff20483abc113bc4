"""Further questions to the same ranks: what combinations find, what size costs, and which queries to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.audit import counts
from kis_bench.report.numbers import missing, number, percent, signed, spaced
from kis_bench.report.tables import escaped, table

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

MOST_COMBINATIONS, MOST_QUERIES = 10, 15
SIZES = (1_000, 10_000, 100_000, 1_000_000)
METHODS = {
    "oracle": "oracle: the better rank of each query", "rrf": "reciprocal rank fusion", "comb_sum": "CombSUM",
    "comb_mnz": "CombMNZ", "weighted": "weighted sum", "switch": "switch after", "interleave": "alternate",
}  # fmt: skip
EXPLAINED = (
    "The oracle takes the better rank for each query, which needs the answer: no choice between the lists, by "
    "switching or alternating, exceeds it. Lists that are made anew, of ranks or of sums of scores, can. What comes "
    "down to one of its models alone (all weight on one, or a switch at once or never) is left out. Gains of the best "
    "of many combinations are optimistic; the advice above counts only what holds on queries that the choice did not "
    "see."
)


def members(row: Any) -> list[str]:
    return [str(name) for name in (row["model_1"], row["model_2"], row["model_3"]) if not missing(name)]


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
        rows.append([
            combination(row), method(row), figure(row, "value", "ci_low", "ci_high"),
            figure(row, "gain", "gain_low", "gain_high", sign=True), "" if best is None else f"{best:.3f}",
        ])  # fmt: skip
    head = ["combination", "method", "MRR", f"gain over {mrr['best_single'].iloc[0]}", "oracle"]
    return [*lines, table(head, rows, right=(2, 3, 4)), "", EXPLAINED, ""]


def figure(row: Any, value: str, low: str, high: str, *, sign: bool = False) -> str:
    def shown(each: Any) -> str:
        return signed(each, 3) if sign else f"{each:.3f}"

    interval = "" if missing(row[low]) else f" [{shown(row[low])}, {shown(row[high])}]"
    return spaced(shown(row[value]) + interval)


def growth(rows: pd.DataFrame, condition: Condition) -> list[str]:
    """Recall@10 in smaller collections, exactly, and in larger ones, extrapolated."""
    at_10 = rows[rows["k"] == 10]
    here = condition.n_items
    known = sorted(at_10["size"].unique())
    sizes = [min(known, key=lambda size: abs(size - wanted)) for wanted in SIZES if known[0] <= wanted <= known[-1]]
    shown = sorted({*sizes, here} & {*known})
    of = at_10.set_index(["model", "size"])
    cells = []
    for model in condition.models:
        row = [str(model)]
        for size in shown:
            at = of.loc[(model, size)]
            row.append(
                "~" + percent(at["value"], at["low"], at["high"])
                if at["extrapolated"] else percent(at["value"], at["ci_low"], at["ci_high"])
            )  # fmt: skip
        cells.append(row)
    head = ["recall@10, model", *(
        f"{size:,} items{' (all)' if size == here else ' (extrapolated)' if size > here else ''}" for size in shown
    )]  # fmt: skip
    return [
        table(head, cells, right=range(1, len(head))), "",
        "Smaller collections: what random parts with the target give, from the ranks in closed form, with 95% "
        "intervals. Larger ones, marked ~, are extrapolated as if the new pictures were like these; brackets hold what "
        "two opposite assumptions about pictures never seen give.", "",
    ]  # fmt: skip


def audited(audit: pd.DataFrame, *, privacy: bool) -> list[str]:
    """Queries that say more about themselves, or about the collection, than about models."""
    found = counts(audit)
    if not any(found.values()):
        return []
    lines = [", ".join(f"{name}: {n:,}" for name, n in found.items() if n) + f"; of {len(audit):,} queries.", ""]
    flagged = audit[audit["flags"].map(len) > 0]
    order = flagged.assign(many=flagged["flags"].map(len)).sort_values(
        ["many", "disagreement"], ascending=False, kind="stable"
    )
    rows = []
    for _, row in order.head(MOST_QUERIES).iterrows():
        about = [] if privacy else [row["text"], row["item_id"]]
        flags = ", ".join(row["flags"]) if privacy else row["why"]
        rows.append([row["query_id"], *about, f"{number(row['best_rank'])} ({row['best_model']})",
                     number(row["median_rank"]), flags])  # fmt: skip
    head = ["query", *([] if privacy else ["text", "target"]), "best rank", "median rank", "why"]
    lines += [table(head, rows, right=(len(head) - 2,)), ""]
    if len(order) > MOST_QUERIES:
        lines += [f"{len(order) - MOST_QUERIES:,} more are in [tables/queries.csv](tables/queries.csv).", ""]
    return lines
