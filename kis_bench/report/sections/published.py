"""Published figures of known-item search beside those measured here."""

from __future__ import annotations

import pandas as pd

from kis_bench.report.numbers import count, percent, percent_points
from kis_bench.report.tables import escape, table
from kis_bench.results.published import comparable


def show_published(rows: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Figures of others, beside those measured here on the same queries of the same dataset."""
    obtained = metrics[metrics["metric"] == "recall"].set_index(["model", "k"])
    cells = []
    for _, row in comparable(rows[rows["metric"] == "recall"], metrics).iterrows():
        names = [
            name
            for name in (row["model"], row["published_as"])
            if (name, row["k"]) in obtained.index
        ]
        own = obtained.loc[names[0], row["k"]]
        cells.append(
            [
                names[0],
                row["published_as"],
                f"recall@{int(row['k'])}",
                percent(row["value"]),
                percent(own["value"], own["ci_low"], own["ci_high"]),
                percent_points(own["value"] - row["value"]),
                count(row["n"]),
            ]
        )
    if not cells:
        return []
    head = [
        "model",
        "published as",
        "measure",
        "published",
        "obtained",
        "difference, points",
        "queries",
    ]
    shown = comparable(rows[rows["metric"] == "recall"], metrics)
    sources = "; ".join(escape(source, 1000) for source in shown["source"].unique())
    return [f"Published figures, from {sources}:", "", table(head, cells, right=range(3, 7)), ""]
