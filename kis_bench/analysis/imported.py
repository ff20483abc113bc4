"""What has to be known of ranks that another program saved, before they are compared with measured ones."""

from __future__ import annotations

import pandas as pd

from kis_bench.records import count_things
from kis_bench.results import Run

OTHERS = (
    "m3rt:"  #: how sources of models begin whose ranks, or image features, another program made
)


def is_imported(run: Run, model: str) -> bool:
    """Whether ranks of a model were taken over and not measured; of such nobody knows the size of vectors."""
    facts = (run.provenance.get("models") or {}).get(model) or {}
    return str(facts.get("source") or "").startswith(OTHERS) and "dim" not in facts


def settle_ties(saved: pd.DataFrame, measured: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Measured ranks with ties broken as in saved ones of the same queries, and of how many queries they were.

    A saved rank that lies between best and worst of a measured tie is one that the tie allows: what the two differ in
    is the order of equal scores, and no search is better or worse by it.
    """
    rank = saved["rank"].to_numpy()
    best, worst = measured["rank_best"].to_numpy(), measured["rank_worst"].to_numpy()
    within = (best < worst) & (best <= rank) & (rank <= worst)
    settled = measured.copy()
    for column in ("rank", "rank_best", "rank_worst"):
        settled[column] = measured[column].where(~within, rank)
    return settled, int(within.sum())


def explain_imported(run_word: str, n_settled: int) -> str:
    """Why imported ranks may differ from measured ones, beside the model."""
    ties = (
        f" ({count_things(n_settled, 'saved rank')} within a tie of the other run compared as if it broke so, too)"
        if n_settled
        else ""
    )
    return (
        f"ranks of the {run_word} run were imported, and may differ for other reasons than the model: equal scores "
        f"were ordered by larger image id{ties}, pictures were not turned by their EXIF orientation, and other "
        "versions decoded, resized and encoded them"
    )
