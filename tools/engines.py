"""Writes the tables and draws the plots of docs/engines.md from what was measured: ``python tools/engines.py``.

``docs/engines.csv`` is what ``benchmarks/test_index_fidelity.py`` wrote, and ``docs/engines-facts.csv`` too; nothing is
measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import matplotlib
import pandas as pd
from pages import write_page, write_table

from kis_bench.report.plots.plot import write_figure
from kis_bench.report.search_engines import CONDITION, count_queries, plan_plots, write_condition

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FILE, FACTS_FILE = DOCS / "engines.md", DOCS / "engines.csv", DOCS / "engines-facts.csv"
MARK = "engines"


def list_conditions(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yields the heading and the rows of each model and label set."""
    for names, own in rows.groupby(CONDITION, sort=False, dropna=False):
        model, dataset, label_set, items, dim, *_ = names
        sizes = f"{items:,} items of {dim} numbers, {count_queries(own)}"
        heading = f"{model}, {dataset}, {label_set}: {sizes}"
        yield heading, own


def write_all_settings(rows: pd.DataFrame) -> str:
    """A plot and a table for each model and label set, losses in points of recall."""
    parts = []
    for heading, own in list_conditions(rows):
        parts += [f"### {heading}", *write_condition(own)]
    return "\n\n".join(parts)


def write_machine(rows: pd.DataFrame) -> str:
    """On what and when it was measured, and what of our own time that took."""
    machines, days = (sorted(set(rows[name])) for name in ("machine", "day"))
    measured = rows[rows["status"] == "measured"]
    software = sorted({part for each in measured["made_with"] for part in each.split("; ")})
    lines = [
        f"Measured on {' and '.join(machines)}, on {' and '.join(days)}, with {', '.join(software)}."
    ]
    for heading, own in list_conditions(measured):
        engine, ours = own["engine_cpu_s"].sum(), own["own_cpu_s"].sum()
        where = heading.partition(":")[0]
        if engine:
            lines.append(
                f"{len(own)} settings of {where} took {engine:,.0f} CPU seconds of the engines and {ours:,.0f} of ours."
            )
    return " ".join(lines)


def write_facts(facts: pd.DataFrame) -> str:
    """A table for each engine of what it was seen to do, with its version."""
    parts = []
    for (engine, version), own in facts.groupby(["engine", "version"], sort=False):
        table = write_table(["fact", "seen"], own[["fact", "value"]].to_numpy().tolist())
        parts.append(f"### {engine} ({version})\n\n{table}")
    return "\n\n".join(parts)


def make_writers(rows: pd.DataFrame, facts: pd.DataFrame) -> dict[str, Callable[[], str]]:
    return {
        "machine": partial(write_machine, rows),
        "settings": partial(write_all_settings, rows),
        "facts": partial(write_facts, facts),
    }


def draw_plots(rows: pd.DataFrame, folder: Path) -> list[Path]:
    """Draws the plots, always the same for the same measurements; returns their files."""
    files = []
    for plot in [plot for _, own in list_conditions(rows) for plot in plan_plots(own)]:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update({"svg.hashsalt": MARK, "svg.fonttype": "none"})
            (content,) = write_figure(plot.draw(*plot.arguments), ("svg",)).values()
        files.append(folder / f"{plot.stem}.svg")
        files[-1].write_bytes(content)
    return files


def main() -> None:
    rows, facts = pd.read_csv(FILE), pd.read_csv(FACTS_FILE)
    draw_plots(rows, DOCS)
    write_page(PAGE, MARK, make_writers(rows, facts))


if __name__ == "__main__":
    main()
