"""Published figures of known-item search beside those measured here."""

from __future__ import annotations

import pandas as pd

from kis_bench.analysis.models import select_measure
from kis_bench.metrics import KNOWN, measure_words
from kis_bench.report.numbers import change, count, figure
from kis_bench.report.tables import escape, table
from kis_bench.results.published import comparable


def show_published(rows: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Figures of others, beside those measured here on the same queries of the same dataset."""
    known = comparable(rows[rows["metric"].isin([*KNOWN])], metrics)
    cells = []
    for _, row in known.iterrows():
        metric, k = str(row["metric"]), None if pd.isna(row["k"]) else int(row["k"])
        obtained = select_measure(metrics, metric, k).set_index("model")
        names = [name for name in (row["model"], row["published_as"]) if name in obtained.index]
        own = obtained.loc[names[0]]
        cells.append(
            [
                names[0],
                row["published_as"],
                measure_words(metric, k),
                figure(metric, row["value"]),
                figure(metric, own["value"], own["ci_low"], own["ci_high"]),
                change(metric, own["value"] - row["value"]),
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
    sources = "; ".join(escape(source, 1000) for source in known["source"].unique())
    return [f"Published figures, from {sources}:", "", table(head, cells, right=range(3, 7)), ""]
