"""Who wrote the texts, in the report: figures of each annotator, and how far annotators agree on the same targets."""

from __future__ import annotations

import pandas as pd

from kis_bench.metrics import FEW_MEASURES, measure_words
from kis_bench.report.numbers import count, figure, fraction, join_words, number, percent
from kis_bench.report.tables import table
from kis_bench.triplets.summary import as_records

MOST_ROWS = 40


def show_annotators(figures: pd.DataFrame, between: pd.DataFrame) -> list[str]:
    """Tables of a condition from `kis_bench.analysis.annotators`; of many models the best first."""
    rows = []
    for (model, name), own in figures.groupby(["model", "annotator"], sort=False):
        each = [figure(r["metric"], r["value"], r["ci_low"], r["ci_high"]) for r in as_records(own)]
        numbers = (count(own[column].iloc[0]) for column in ("n", "n_targets"))
        rows.append([str(model), str(name), *each, *numbers])
    head = [
        "model",
        "annotator",
        *(measure_words(*each) for each in FEW_MEASURES),
        "queries",
        "targets",
    ]
    lines = [table(head, rows[:MOST_ROWS], right=range(2, len(head))), ""]
    if len(rows) > MOST_ROWS:
        lines += [
            f"{len(rows) - MOST_ROWS:,} more are in [tables/annotators.csv](tables/annotators.csv).",
            "",
        ]
    if between.empty:
        alone = "No two of them described the same target: how they differ can't be told from how their targets do."
        return [*lines, alone, ""]
    about = between.iloc[0]
    targets, people = count(about["n_targets"]), count(about["n_annotators"])
    shared = f"{targets} targets have texts of two or more of {people} annotators"
    lines += [
        f"How far they agree: {shared}. Alpha is Krippendorff's: 1 if it makes no difference who describes a target, 0 "
        "if two texts of one target are no more alike than texts of any.",
        "",
    ]
    cells = []
    for _, row in between.iterrows():
        alphas = [
            fraction(*(row[f"alpha_{what}{end}"] for end in ("", "_low", "_high")), digits=2)
            for what in ("found", "rank")
        ]
        apart = join_words(f"{number(2 ** row['octaves_apart'])} times")
        cells.append([str(row["model"]), percent(row["found_alike"]), alphas[0], apart, alphas[1]])
    head = [
        "model",
        "both or neither within 10",
        "its alpha",
        "ranks apart, typically",
        "alpha of log rank",
    ]
    return [*lines, table(head, cells, right=range(1, len(head))), ""]
