"""Two runs side by side, as people read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.analysis.runs import Comparison, both_names
from kis_bench.files.spreadsheets import write_csv
from kis_bench.files.whole import fill_folder
from kis_bench.metrics import KNOWN, measure_words
from kis_bench.report.numbers import change, figure, is_absent, number, probability
from kis_bench.report.page.html import page
from kis_bench.report.tables import escape, table
from kis_bench.results.merging import run_name
from kis_bench.results.privacy import OF_DATASETS, OF_MODELS, PUBLIC_FACTS
from kis_bench.statistics.clusters import describe_count
from kis_bench.triplets.summary import as_records

TITLE = "Comparison of two runs"
CELL = ["dataset", "label_set", "model", "new_model"]
VERDICT_ORDER = ("better", "worse", "no change beyond noise", "identical", "too few to tell")
TABLE_HEAD = [
    "dataset",
    "labels",
    "model",
    "measure",
    "old",
    "new",
    "difference",
    "p (Holm)",
    "queries",
    "verdict",
]
#: Facts that are shown under privacy; of what else was changed, nothing is.
HARMLESS = (PUBLIC_FACTS | OF_MODELS | OF_DATASETS | {"measured"}) - {
    "command",
    "source",
    "note",
    "remarks",
    "gate",
}


def write_comparison(folder: Path, found: Comparison, *, most: int = 20) -> None:
    """compare.md and .html, compared_metrics.csv, compared_queries.csv; ``most`` queries of each kind are shown.

    Raises:
        KisBenchError: the folder can't be written to.
    """
    text = "\n".join(markdown(found, most)).rstrip() + "\n"
    pages = {"compare.md": text, "compare.html": page(text, folder, TITLE)}
    hidden = ["text", "item_id"] if found.privacy else []
    fails = "the comparison could not be written to {folder}: {why}; name another with --out"
    with fill_folder(folder, fails=fails) as new:
        for name, content in pages.items():
            (new / name).write_text(content, encoding="utf-8", errors="replace", newline="\n")
        write_csv(found.figures, new / "compared_metrics.csv")
        write_csv(found.queries.drop(columns=hidden), new / "compared_queries.csv")


def markdown(found: Comparison, most: int) -> list[str]:
    sides = [
        f"{escape(run_name(run))} ({escape(run.provenance.get('time', ''))})"
        for run in (found.old, found.new)
    ]
    lines = [f"# {TITLE}", "", f"Old: {sides[0]}. New: {sides[1]}.", ""]
    lines += [f"> {escape(remark, 1000)}\n" for remark in found.remarks]
    lines += [
        "## In short",
        "",
        table(["measure", *VERDICT_ORDER], verdicts(found.figures), range(1, 6)),
        "",
    ]
    about = "New minus old, on the same queries or judgments; p of paired tests, Holm over all rows of a measure."
    lines += ["## Figures", "", about, ""]
    lines += [table(TABLE_HEAD, figure_rows(found.figures), right=range(4, 9)), ""]
    lines += ["## Queries", "", *queries(found, most)]
    lines += ["## What was changed", ""]
    cells = [
        (row["what"], row["name"], row["fact"], show_value(row["old"]), show_value(row["new"]))
        for row in as_records(found.changes)
        if not found.privacy or row["fact"] in HARMLESS or row["what"] == "version"
    ]
    if not cells:
        return [*lines, "Nothing that is recorded.", ""]
    return [*lines, table(["what", "name", "fact", "old", "new"], cells, limit=None), ""]


def verdicts(figures: pd.DataFrame) -> list[list[str]]:
    """How many rows of each measure say what."""
    tested = figures[[KNOWN[metric].kind != "quantile" for metric in figures["metric"]]]
    rows = []
    for (metric, k), part in tested.groupby(["metric", "k"], dropna=False, sort=False):
        counts = part["verdict"].value_counts()
        rows.append(
            [
                measure_words(str(metric), k),
                *(f"{int(counts.get(word, 0)):,}" for word in VERDICT_ORDER),
            ]
        )
    return rows


def figure_rows(figures: pd.DataFrame) -> list[list[str]]:
    rows = []
    for row in as_records(figures):
        metric = str(row["metric"])
        rows.append(
            [
                row["dataset"],
                row["label_set"],
                names_in(row),
                measure_words(metric, row["k"]),
                figure(metric, row["old"]),
                figure(metric, row["new"]),
                change(metric, row["difference"], row["ci_low"], row["ci_high"]),
                probability(row["p_holm"]),
                count_asked(row["n"], row["n_targets"]),
                row["verdict"],
            ]
        )
    return rows


def count_asked(n: Any, n_targets: Any) -> str:
    """How many queries or judgments, and of how many targets where several of these queries have one."""
    return (
        f"{int(n):,}"
        if is_absent(n_targets)
        else describe_count(n, n_targets).replace(" queries", "").replace(" query", "")
    )


def names_in(row: Mapping[str, Any]) -> str:
    return both_names(str(row["model"]), str(row["new_model"]))


def list_moved(found: Comparison, most: int) -> dict[str, tuple[pd.DataFrame, int]]:
    """The queries that fell, and those that rose, those that did most first, and how many there are."""
    order = found.queries.sort_values("octaves", kind="stable")
    parts = {"Worse": order[order["octaves"] > 0].iloc[::-1], "Better": order[order["octaves"] < 0]}
    return {title: (part.head(most), len(part)) for title, part in parts.items()}


def queries(found: Comparison, most: int) -> list[str]:
    """For each model and label set how many moved, then those that moved most."""
    rows = []
    for key, part in found.queries.groupby(CELL, sort=False):
        better, worse = int((part["octaves"] < 0).sum()), int((part["octaves"] > 0).sum())
        name = names_in(dict(zip(CELL, key, strict=True)))
        rows.append(
            [*key[:2], name, f"{better:,}", f"{len(part) - better - worse:,}", f"{worse:,}"]
        )
    if not rows:
        return ["Nothing of known-item search was measured in both.", ""]
    lines = [
        table(["dataset", "labels", "model", "better", "equal", "worse"], rows, right=(3, 4, 5)),
        "",
    ]
    for title, (part, n) in list_moved(found, most).items():
        if part.empty:
            continue
        rows = [
            [
                step(row),
                row["dataset"],
                row["label_set"],
                names_in(row),
                *([] if found.privacy else [row["text"], row["item_id"]]),
            ]
            for row in as_records(part)
        ]
        head = [
            "query: old → new rank",
            "dataset",
            "labels",
            "model",
            *([] if found.privacy else ["text", "target"]),
        ]
        lines += [f"### {title}", "", table(head, rows), ""]
        if n > most:
            lines += [f"{n - most:,} more are in compared\\_queries.csv.", ""]
    return lines


def step(row: Mapping[str, Any]) -> str:
    return f"{row['query_id']}: {number(row['old_rank'])} → {number(row['new_rank'])}"


def show_value(value: Any) -> str:
    return (
        "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    )
