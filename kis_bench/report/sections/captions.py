"""Captions of plots: how many queries, which k, and the rules for ties and intervals."""

from __future__ import annotations

import pandas as pd

from kis_bench.analysis.conditions import Condition
from kis_bench.statistics.clusters import describe_count

TIES = "where others tie with the target, its chance to be among the first k counts"


def tell_size(one: Condition) -> str:
    return f"{describe_count(len(one.queries), one.n_targets)}, {one.n_items:,} items"


def caption_curves() -> str:
    return (
        f"Share of queries whose target is among the first k, for all k; {TIES}; bands: Wilson's 95% intervals, by "
        "target where several queries have one."
    )


def caption_grid(one: Condition) -> str:
    return (
        f"{tell_size(one)}; models by MRR, best first; a rank is the middle of the places that a tie takes; in the "
        f"curves, for all k, {TIES}."
    )


def caption_gains(one: Condition) -> str:
    drawn = "targets with all their queries" if one.n_targets < len(one.queries) else "queries"
    return f"{tell_size(one)}; best first; lines: 95% intervals of the paired difference, bootstrap over {drawn}."


def caption_growth(one: Condition, growth: pd.DataFrame) -> str:
    ks = ", ".join(f"{int(k):,}" for k in growth["k"].unique())
    return (
        f"{tell_size(one)}, k = {ks}; {TIES}; smaller collections: the mean over random parts that hold the target, "
        "exactly; larger ones: extrapolated."
    )


def caption_label_sets(rows: pd.DataFrame) -> str:
    return (
        f"{int(rows['n'].iloc[0]):,} targets that both label sets describe, k = {int(rows['k'].iloc[0])}; {TIES}; "
        "hollow: the first, filled: the second; lines: 95% intervals of the paired difference."
    )
