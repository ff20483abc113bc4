"""The report's part on the size of the collection: what it costs in recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kis_bench.metrics import RECALL, measure_words
from kis_bench.report.numbers import percent
from kis_bench.report.tables import table

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

SHOWN_CUTOFF = 10
SIZES = (1_000, 10_000, 100_000, 1_000_000)


def show_growth(rows: pd.DataFrame, condition: Condition) -> list[str]:
    """Recall@10 in smaller collections, exactly, and in larger ones, extrapolated."""
    at_10 = rows[rows["k"] == SHOWN_CUTOFF]
    here = condition.n_items
    known = sorted(at_10["size"].unique())
    sizes = [
        min(known, key=lambda size: abs(size - wanted))
        for wanted in SIZES
        if known[0] <= wanted <= known[-1]
    ]
    shown = sorted({*sizes, here} & {*known})
    of = at_10.set_index(["model", "size"])
    cells = []
    for model in condition.models:
        row = [str(model)]
        for size in shown:
            at = of.loc[(model, size)]
            row.append(
                "~" + percent(at["value"], at["low"], at["high"])
                if at["extrapolated"]
                else percent(at["value"], at["ci_low"], at["ci_high"])
            )
        cells.append(row)
    head = [
        f"{measure_words(RECALL.name, SHOWN_CUTOFF)}, model",
        *(
            f"{size:,} items{' (all)' if size == here else ' (extrapolated)' if size > here else ''}"
            for size in shown
        ),
    ]
    return [
        table(head, cells, right=range(1, len(head))),
        "",
        "Smaller collections: what random parts with the target give, from the ranks in closed form, with 95% "
        "intervals. Larger ones, marked ~, are extrapolated as if the new pictures were like these; brackets hold what "
        "two opposite assumptions about pictures never seen give.",
        "",
    ]
