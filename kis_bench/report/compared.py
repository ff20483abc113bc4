"""Two runs side by side, as people read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.report.html import page
from kis_bench.report.numbers import missing, number, percent, percent_points, probability, signed, spaced
from kis_bench.report.tables import escaped, shortened, table
from kis_bench.spreadsheets import write_csv

if TYPE_CHECKING:
    from kis_bench.run_comparison import Comparison

TITLE = "Comparison of two runs"
MEDIAN = "median_rank"
CELL = ["dataset", "label_set", "model", "new_model"]


def write_comparison(folder: Path, found: Comparison, *, most: int = 20) -> None:
    """compare.md and .html, compared_figures.csv, compared_queries.csv; ``most`` queries of each kind are shown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(markdown(found, most)).rstrip() + "\n"
    (folder / "compare.md").write_text(text, encoding="utf-8", errors="replace", newline="\n")
    html = page(text, folder, TITLE)
    (folder / "compare.html").write_text(html, encoding="utf-8", errors="replace", newline="\n")
    hidden = ["text", "item_id"] if found.privacy else []
    write_csv(found.figures, folder / "compared_figures.csv")
    write_csv(found.queries.drop(columns=hidden), folder / "compared_queries.csv")


def markdown(found: Comparison, most: int) -> list[str]:
    names = [run.folder.name for run in (found.old, found.new)]
    times = [escaped(run.provenance.get("time", "")) for run in (found.old, found.new)]
    lines = [f"# {TITLE}", "", f"Old: {escaped(names[0])} ({times[0]}). New: {escaped(names[1])} ({times[1]}).", ""]
    lines += [f"> {escaped(remark, 1000)}\n" for remark in found.remarks]
    lines += ["## Figures", "", "Paired tests on the same queries; p adjusted (Holm) over all rows of a measure.", ""]
    rows = figure_rows(found.figures)
    lines += [table(HEAD, rows, right=range(4, 9)), ""]
    lines += ["## Queries", "", *queries(found, most)]
    lines += ["## What was changed", ""]
    if found.changes.empty:
        return [*lines, "Nothing that provenance knows of.", ""]
    cells = [
        (row["what"], row["name"], row["fact"], shown(row["old"]), shown(row["new"]))
        for row in records(found.changes)
        if not (found.privacy and row["fact"] == "command")
    ]
    return [*lines, table(["what", "name", "fact", "old", "new"], cells), ""]


HEAD = ["dataset", "labels", "model", "measure", "old", "new", "difference", "p (Holm)", "queries", "verdict"]


def figure_rows(figures: pd.DataFrame) -> list[list[str]]:
    rows = []
    for row in records(figures):
        k = row["k"]
        measure = str(row["metric"]).replace("_", " ") + ("" if missing(k) else f"@{int(k)}")
        if row["metric"] == MEDIAN:
            values = [number(row["old"]), number(row["new"]), signed(row["difference"], 1)]
        elif row["metric"] == "mrr":
            interval = f"{signed(row['difference'], 3)} [{signed(row['ci_low'], 3)}, {signed(row['ci_high'], 3)}]"
            values = [f"{row['old']:.3f}", f"{row['new']:.3f}", spaced(interval)]
        else:
            values = [percent(row["old"]), percent(row["new"]),
                      percent_points(row["difference"], row["ci_low"], row["ci_high"])]  # fmt: skip
        rows.append([row["dataset"], row["label_set"], both_names(row), measure.replace("mrr", "MRR"), *values,
                     probability(row["p_holm"]), f"{int(row['n']):,}", row["verdict"]])  # fmt: skip
    return rows


def both_names(row: dict[str, Any]) -> str:
    return str(row["model"]) if row["model"] == row["new_model"] else f"{row['model']} → {row['new_model']}"


def queries(found: Comparison, most: int) -> list[str]:
    """For each model and label set how many moved, then those that moved most."""
    lines: list[str] = []
    rows = []
    for key, part in found.queries.groupby(CELL, sort=False):
        better, worse = int((part["octaves"] < 0).sum()), int((part["octaves"] > 0).sum())
        name = both_names(dict(zip(CELL, key, strict=True)))
        rows.append([*key[:2], name, f"{better:,}", f"{len(part) - better - worse:,}", f"{worse:,}"])
    if rows:
        lines += [table(["dataset", "labels", "model", "better", "equal", "worse"], rows, right=(3, 4, 5)), ""]
    order = found.queries.sort_values("octaves", kind="stable")
    for title, part in (("Worse", order[order["octaves"] > 0].iloc[::-1]), ("Better", order[order["octaves"] < 0])):
        if part.empty:
            continue
        lines += [f"### {title}", ""]
        rows = [
            [f"{row['query_id']}: {number(row['old_rank'])} → {number(row['new_rank'])}", row["dataset"],
             row["label_set"], both_names(row),
             *([] if found.privacy else [row["text"], row["item_id"]])]
            for row in records(part.head(most))
        ]  # fmt: skip
        head = ["query: old → new rank", "dataset", "labels", "model", *([] if found.privacy else ["text", "target"])]
        lines += [table(head, rows), ""]
        if len(part) > most:
            lines += [f"{len(part) - most:,} more are in compared\\_queries.csv.", ""]
    return lines or ["Queries are told apart in known-item search only.", ""]


def in_short(found: Comparison, most: int = 5) -> str:
    """For a terminal: what is better or worse beyond noise, and the queries that fell most."""
    from tabulate import tabulate

    chosen = found.figures[found.figures["metric"].isin(["mrr", "consistency"]) | found.figures["k"].eq(10)]
    lines = [tabulate(figure_rows(chosen), headers=HEAD, disable_numparse=True).replace("\u00a0", " ")]
    lines += [f"note: {remark}" for remark in found.remarks]
    worst = found.queries.sort_values("octaves", ascending=False, kind="stable").head(most)
    moved = [
        f"  {row['query_id']}: {number(row['old_rank'])} → {number(row['new_rank'])}  "
        f"({row['dataset']}, {row['label_set']}, {both_names(row)})"
        for row in records(worst[worst["octaves"] > 0])
    ]
    return "\n".join([*lines, *(["", "queries that fell most:", *moved] if moved else [])])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def shown(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return shortened(text, 200)
