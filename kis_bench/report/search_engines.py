"""What search engines did to the ranks of known items, as people read it: a Markdown table and plots for each model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.files.text import make_file_name
from kis_bench.files.whole import write_whole
from kis_bench.report.numbers import count, difference, number, percent
from kis_bench.report.plots.pareto import draw_pareto
from kis_bench.report.plots.plot import Plot
from kis_bench.report.tables import escape, table

PLOTTED_CUTOFF = 10  #: whose loss is drawn
FIDELITY_HEAD = (
    "engine",
    "setting",
    "R@1 lost",
    "R@10 lost",
    "R@100 lost",
    "found",
    "rank told",
    "equals",
    "queries a CPU second",
    "bytes an item",
    "build, CPU s",
)
CONDITION = ["model", "dataset", "label_set", "items", "dim"]


def write_fidelity(rows: pd.DataFrame, folder: Path) -> Path:
    """Writes ``fidelity.md`` and the plots of each model and label set; returns the page.

    Args:
        rows: of fidelity.csv.
        folder: where they go.
    """
    parts = ["# What search engines do to the ranks of known items"]
    for (model, dataset, label_set, items, dim), own in rows.groupby(CONDITION, sort=False):
        sizes = f"{count(items)} items of {dim} numbers, {count_queries(own)}"
        parts += [f"## {escape(model)}, {escape(dataset)}, {escape(label_set)}", f"{sizes}."]
        measured = own[own["status"] == "measured"]
        if len(measured):
            plot = plan_pareto(measured)
            for form, content in plot.render(("svg", "png")).items():
                write_whole(folder / f"{plot.stem}.{form}", content)
            parts += [f"![{escape(plot.alt)}]({plot.stem}.svg)", write_settings(measured)]
        failed = own[own["status"] != "measured"]
        for row in failed.to_dict("records"):
            parts.append(
                f"- {escape(row['engine'])} {escape(row['setting'])}, {row['status']}: {escape(row['said'])}"
            )
    page = folder / "fidelity.md"
    write_whole(page, ("\n\n".join(parts) + "\n").encode())
    return page


def plan_pareto(rows: pd.DataFrame) -> Plot:
    """The plot of one model and label set."""
    names = [str(rows[name].iloc[0]) for name in CONDITION[:3]]
    stem = make_file_name("fidelity", *names)
    alt = f"recall@{PLOTTED_CUTOFF} lost by {', '.join(names)}, against speed and size"
    return Plot(stem, alt, draw_pareto, (rows.reset_index(drop=True), PLOTTED_CUTOFF))


def write_settings(rows: pd.DataFrame) -> str:
    """A table of the settings of one model and label set, those that lose least first."""
    losses = rows[[f"lost@{k}" for k in (PLOTTED_CUTOFF, 1, 100)]].clip(lower=0)
    ordered = rows.loc[losses.sort_values([*losses], kind="stable").index]
    return table(
        FIDELITY_HEAD,
        map(write_setting, ordered.to_dict("records")),
        right=range(2, len(FIDELITY_HEAD)),
    )


def count_queries(rows: pd.DataFrame) -> str:
    """How many queries the settings of one model and label set were asked, and which were asked fewer."""
    most = rows["queries"].max()
    few = rows[rows["queries"] < most]
    said = f"{count(most)} queries"
    for queries, own in few.groupby("queries"):
        names = ", ".join(dict.fromkeys(own["engine"]))
        said += f"; of these {count(queries)}, evenly spread, for {names}"
    return said


def write_setting(row: Mapping[Any, Any]) -> list[str]:
    """The cells of one setting, losses in points of recall with 95% intervals."""
    lost = [
        difference(row[f"lost@{k}"], row[f"lost@{k}_low"], row[f"lost@{k}_high"], digits=2)
        for k in (1, 10, 100)
    ]
    return [
        str(row["engine"]),
        str(row["setting"]),
        *lost,
        percent(row["found"]),
        percent(row["rank_told"]),
        describe_ties(row),
        number(row["queries_per_cpu_s"], 0),
        number(row["bytes_per_item"], 0),
        number(row["build_cpu_s"], 2),
    ]


def describe_ties(row: Mapping[Any, Any]) -> str:
    """How equals stand: by their ids, and whether the first of them depends on the number of results."""
    order, change = str(row["ties_order"] or "lost"), float(str(row["ties_change"]))
    return order if change == 0 else f"{order}, another first for {change:.0%}"
