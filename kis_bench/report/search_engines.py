"""What search engines did to the ranks of known items, as people read it: a Markdown table and plots for each model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.files.text import make_file_name
from kis_bench.files.whole import write_whole
from kis_bench.records import digest
from kis_bench.report.numbers import count, difference, number, percent, signed
from kis_bench.report.plots.pareto import draw_pareto
from kis_bench.report.plots.plot import Plot
from kis_bench.report.tables import escape, table

PLOTTED_CUTOFF = 10  #: whose loss is drawn, and the results of the search whose speed is
FIDELITY_HEAD = (
    "engine",
    "setting",
    "R@1 lost",
    "R@10 lost",
    "R@10 lost by builds",
    "R@100 lost",
    "results",
    "found",
    "rank told",
    "equals",
    f"queries a CPU second, k {PLOTTED_CUTOFF}",
    "bytes an item",
    "build, CPU s",
)
CONDITION = ["model", "dataset", "label_set", "items", "dim", "model_key", "dataset_key"]


def write_fidelity(rows: pd.DataFrame, folder: Path) -> Path:
    """Writes ``fidelity.md`` and the plots of each model and label set; returns the page.

    Args:
        rows: of fidelity.csv.
        folder: where they go.
    """
    parts = ["# What search engines do to the ranks of known items"]
    for names, own in rows.groupby(CONDITION, sort=False, dropna=False):
        model, dataset, label_set, items, dim, *_ = names
        sizes = f"{count(items)} items of {dim} numbers, {count_queries(own)}"
        parts += [f"## {escape(model)}, {escape(dataset)}, {escape(label_set)}", f"{sizes}."]
        for plot in plan_plots(own):
            for form, content in plot.render(("svg", "png")).items():
                write_whole(folder / f"{plot.stem}.{form}", content)
        parts += write_condition(own)
    page = folder / "fidelity.md"
    write_whole(page, ("\n\n".join(parts) + "\n").encode())
    return page


def write_condition(rows: pd.DataFrame) -> list[str]:
    """The plot, the table and what went wrong of one model and label set, each a part of a page."""
    measured = rows[rows["status"] == "measured"]
    parts = [f"![{escape(plot.alt)}]({plot.stem}.svg)" for plot in plan_plots(rows)]
    parts += [write_settings(measured)] if len(measured) else []
    failed = rows[rows["status"] != "measured"].fillna({"said": ""})
    for row in failed.to_dict("records"):
        said = f": {escape(row['said'])}" if row["said"] else ""
        parts.append(f"- {escape(row['engine'])} {escape(row['setting'])}, {row['status']}{said}")
    return parts


def plan_plots(rows: pd.DataFrame) -> list[Plot]:
    """The plot of one model and label set, if there is a setting of known speed."""
    drawn = rows[(rows["status"] == "measured") & rows["queries_per_cpu_s"].notna()]
    return [plan_pareto(drawn)] if len(drawn) else []


def plan_pareto(rows: pd.DataFrame) -> Plot:
    """The plot of one model and label set."""
    names = [str(rows[name].iloc[0]) for name in CONDITION[:3]]
    others = [str(rows[name].iloc[0]) for name in CONDITION[3:] if rows[name].notna().all()]
    stem = make_file_name("fidelity", *names, digest(others)[:6])
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
        if not row["asked_k"] < min(k, row["items"])  # which it doesn't give
        else ""
        for k in (1, 10, 100)
    ]
    return [
        str(row["engine"]),
        str(row["setting"]),
        *lost[:2],
        describe_builds(row),
        *lost[2:],
        count(row["asked_k"]),
        percent(row["found"]),
        percent(row["rank_told"]),
        describe_ties(row),
        number(round_to_two(row["queries_per_cpu_s"]), 0),
        number(row["bytes_per_item"], 0),
        number(row["build_cpu_s"], 2),
    ]


def round_to_two(value: Any) -> Any:
    """The first two digits of a number, which is as far as speeds can be told.

    >>> round_to_two(26950), round_to_two(4.56), round_to_two(0)
    (27000.0, 4.6, 0.0)
    """
    return float(f"{value:.2g}")


def describe_builds(row: Mapping[Any, Any]) -> str:
    """The least and the most that was lost after several builds of an engine that builds by chance."""
    if row["builds"] > 1:
        ends = (row[f"lost@{PLOTTED_CUTOFF}_{end}_build"] for end in ("lowest", "highest"))
        least, most = (signed(end, 2) for end in ends)
        return f"{int(row['builds'])} builds: {least} to {most}"
    return "always the same" if row["equal_built"] == 1 else "one build"


def describe_ties(row: Mapping[Any, Any]) -> str:
    """How equals stand: by their ids, and whether the first of them depends on the number of results."""
    order, change = str(row["ties_order"] or "lost"), float(str(row["ties_change"]))
    return order if change == 0 else f"{order}, another first for {change:.0%}"
