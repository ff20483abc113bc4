"""What was tried to explain published figures that are outside the intervals of measured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kis_bench.analysis.attempts import list_attempts, list_siblings
from kis_bench.analysis.diagnosis import (
    PublishedFigure,
    Tried,
    conclude,
    find_outside,
    judge_attempts,
)
from kis_bench.metrics import measure_words
from kis_bench.report.numbers import count, figure
from kis_bench.report.tables import escape, table
from kis_bench.results.published import count_repeated


def show_diagnosis(
    model: str,
    published: Sequence[PublishedFigure],
    ranks: pd.DataFrame,
    provenance: Mapping[str, Any],
) -> list[str]:
    """What the ranks of a run say of causes: a table, and the result in a sentence.

    Args:
        published: of the model, from one source; where none is outside its interval, nothing is tried.
        ranks: of one dataset and label set, all models.
    """
    rows = ranks[ranks["model"] == model]
    if rows.empty or not find_outside(rows, published):
        return []
    attempts = [*list_attempts(rows), *list_siblings(model, ranks, provenance)]
    cell = (str(rows["dataset"].iloc[0]), str(rows["label_set"].iloc[0]))
    n_repeated = count_repeated(provenance).get(cell, 0)
    tried = judge_attempts(rows, published, attempts, n_repeated)
    said = (
        f"Tried on the ranks of this run, for **{escape(model)}**. {escape(conclude(tried), 1000)}"
    )
    if not any(one.explains for one in tried):
        said += " `kis-bench diagnose RUN` tries more, on the stored vectors."
    if not tried:
        return [said, ""]
    head, rows_shown = tabulate_tried(tried, published)
    return [said, "", table(head, rows_shown, right=range(1, len(head) - 1)), ""]


def tabulate_tried(
    tried: Sequence[Tried], published: Sequence[PublishedFigure]
) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of attempts, whose last column says whether each explains what was published."""
    head = ["tried", "queries", *(measure_words(one.metric, one.k) for one in published), "agrees"]
    wanted = ["published", "", *(figure(one.metric, one.value) for one in published), ""]
    return head, [
        wanted,
        *(
            [
                one.cause,
                count(one.n),
                *(
                    figure(said.metric, own.value, own.low, own.high)
                    for own, said in zip(one.figures, published, strict=True)
                ),
                one.verdict,
            ]
            for one in tried
        ),
    ]
