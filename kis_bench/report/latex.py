"""A run's figures as tables of LaTeX, for a paper: they need the package booktabs and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kis_bench.analysis.models import select_measure
from kis_bench.files.latex import escape_latex
from kis_bench.files.text import make_file_name
from kis_bench.files.whole import write_whole
from kis_bench.metrics import LEADING_MEASURES, MEDIAN_RANK, METRICS, Measure, measure_words
from kis_bench.records import count_things
from kis_bench.report.numbers import change, count, figure, percent, probability
from kis_bench.statistics.clusters import describe_count
from kis_bench.triplets.summary import Similarity, find_ceilings, judged_datasets

if TYPE_CHECKING:
    from pathlib import Path

    from kis_bench.analysis.conditions import Condition
    from kis_bench.report.view import View

DOCUMENT = "tables.tex"
PREAMBLE = r"""% Shows all tables of this folder; a paper takes them one by one with \input.
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs}
\begin{document}
"""
NOT_LATIN = re.compile(r"[^\x00-\u024f\u2010-\u2026]")  #: what pdfLaTeX's usual fonts lack


@dataclass(frozen=True)
class PaperTable:
    """A table with its caption; cells, heads and caption are plain texts, escaped when they are written.

    Attributes:
        parts: what its file and its label are called after.
        rows: of cells; a pair is a value and the interval below it.
        texts: how many columns at the left are texts, which stand flush left.
    """

    parts: tuple[str, ...]
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | tuple[str, str]]]
    texts: int = 1


def export_latex(view: View, out: Path) -> list[str]:
    """Writes a file for each table, and ``tables.tex``, which shows them all; returns a line for each.

    Raises:
        KisBenchError: the folder can't be written.
    """
    files: dict[str, PaperTable] = {}
    for table in make_tables(view):
        short = make_file_name("-".join(table.parts))
        files[make_file_name(*table.parts) if short in files else short] = table
    remarks = []
    for name, table in files.items():
        text = write_table_float(table, name)
        write_whole(out / f"{name}.tex", text.encode("utf-8", "replace"))
        needs = ", which needs LuaLaTeX or XeLaTeX and a font with its letters"
        rows = count_things(len(table.rows), "row")
        remarks.append(f"{name}.tex: {rows}{needs if NOT_LATIN.search(text) else ''}")
    if files:
        inputs = "".join(f"\\input{{{name}.tex}}\n" for name in files)
        write_whole(out / DOCUMENT, f"{PREAMBLE}{inputs}\\end{{document}}\n".encode())
        remarks.append(f"{DOCUMENT}: all of them")
    return remarks


def make_tables(view: View) -> Iterator[PaperTable]:
    """Figures and differences of each dataset and label set, consistency of each study."""
    for key, condition in view.findings.conditions.items():
        yield make_metrics_table(view, condition)
        if key in view.findings.comparisons:
            yield make_differences_table(view, condition)
    for name in judged_datasets(view.run):
        yield make_consistency_table(Similarity(name, view.run))


def make_metrics_table(view: View, condition: Condition) -> PaperTable:
    """Figures of each model, best first, as they are in metrics.csv, rounded as in the report."""
    metrics = view.run.metrics
    own = metrics[
        (metrics["dataset"] == condition.dataset) & (metrics["label_set"] == condition.label_set)
    ]
    measures = [
        each
        for one in METRICS
        if one.values_of or one is MEDIAN_RANK
        for each in one.measures(few=True)
        if len(select_measure(own, *each))
    ]
    rows: list[list[str | tuple[str, str]]] = []
    for model in condition.models:
        found = [select_measure(own[own["model"] == model], *each).iloc[0] for each in measures]
        cells = [show_with_interval(*each, row) for each, row in zip(measures, found, strict=True)]
        rows.append([model, *cells])
    asked = describe_count(int(own["n"].max()), int(own["n_targets"].fillna(own["n"]).max()))
    caption = (
        f"Known-item search on {condition.dataset}, labels {condition.label_set}: {asked} over "
        f"{condition.n_items:,} images. Ties count by their expectation under random tie-breaking; in brackets 95% "
        "intervals (recall: Wilson's score; means: bootstrap; median: order statistics"
        f"{'; clustered by target' if condition.clusters is not None else ''})."
    )
    head = ["model", *(measure_words(*each) for each in measures)]
    return PaperTable(("metrics", condition.dataset, condition.label_set), caption, head, rows)


def show_with_interval(metric: str, k: int | None, row: Any) -> tuple[str, str]:
    """A figure, and its interval in brackets; empty where there is none."""
    value, interval = part_interval(figure(metric, row["value"], row["ci_low"], row["ci_high"]))
    if not interval and metric == MEDIAN_RANK.name and row["ci_low"] == row["ci_low"]:
        interval = f"[{figure(metric, row['ci_low'])}, {figure(metric, row['ci_high'])}]"
    return value, interval


def part_interval(shown: str) -> tuple[str, str]:
    """A figure as the report shows it, and its interval; empty where there is none.

    >>> part_interval("50.0% [40.1, 59.9]"), part_interval("50.0%")
    (('50.0%', '[40.1, 59.9]'), ('50.0%', ''))
    """
    value, bracket, interval = shown.partition("[")
    return value.strip(), bracket + interval


def make_differences_table(view: View, condition: Condition) -> PaperTable:
    """The best model minus each other one, by the two leading measures, with adjusted p."""
    comparisons = view.findings.comparisons[condition.dataset, condition.label_set]
    best = condition.models[0]
    own = comparisons[comparisons["model_a"] == best]
    tables = [select_measure(own, *each).set_index("model_b") for each in LEADING_MEASURES]
    rows = [
        [
            str(model),
            *(
                cell
                for each, table in zip(LEADING_MEASURES, tables, strict=True)
                for cell in show_difference(each, table.loc[model])
            ),
        ]
        for model in tables[0].index
    ]
    first, second = (measure_words(*each) for each in LEADING_MEASURES)
    head = [f"{best} minus", first, "p", f"{second}, points", "p"]
    caption = (
        f"Differences on {condition.dataset}, labels {condition.label_set}, over "
        f"{describe_count(len(condition.queries), condition.n_targets)} that all models were asked; in brackets 95% "
        "intervals. p: paired tests, adjusted by Holm's method over all pairs of models under one measure"
        f"{'; clustered by target' if condition.clusters is not None else ''}."
    )
    parts = "differences", condition.dataset, condition.label_set
    return PaperTable(parts, caption, head, rows)


def show_difference(measure: Measure, row: Any) -> Iterator[str | tuple[str, str]]:
    yield part_interval(change(measure[0], row["difference"], row["ci_low"], row["ci_high"]))
    yield probability(row["p_holm"])


def make_consistency_table(study: Similarity) -> PaperTable:
    """How often each model, and people, choose as those who judged."""
    rows: list[list[str | tuple[str, str]]] = []
    for name, row in (*study.compared.items(), *study.compared_people.items()):
        share = part_interval(percent(row["value"], row["ci_low"], row["ci_high"]))
        ties = count(row["ties"]) if name in study.models else ""
        rows.append([str(name), share, ties, count(row["n"])])
    ceilings = {*find_ceilings(study.compared).values()}
    limited = ceilings and max(ceilings) < 1
    most = f" No model can reach more than {percent(max(ceilings))}." if limited else ""
    over = f", on the {study.n_common:,} judgments that all models know" if study.common else ""
    caption = (
        f"Image similarity on {study.name}: how often a model chooses as the judge did{over}; equal similarities "
        f"count half. In brackets 95% intervals over people, triplets and target pictures.{most}"
    )
    head = ["model", "consistency", "ties", "judgments"]
    return PaperTable(("consistency", study.name), caption, head, rows)


def write_table_float(table: PaperTable, name: str) -> str:
    """A float with caption, label and a tabular; intervals stand below their values in small letters."""
    columns = "l" * table.texts + "r" * (len(table.head) - table.texts)
    lines = [
        r"\begin{table}[tbp]",
        r"\centering",
        rf"\caption{{{escape_latex(table.caption)}}}",
        rf"\label{{tab:{name}}}",
        r"\smallskip",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        join_cells(map(escape_latex, table.head)),
        r"\midrule",
    ]
    for row in table.rows:
        pairs = [cell if isinstance(cell, tuple) else (cell, "") for cell in row]
        lines.append(join_cells(escape_latex(value) for value, _ in pairs))
        if any(below for _, below in pairs):
            small = (
                rf"{{\scriptsize {escape_latex(below)}}}" if below else "" for _, below in pairs
            )
            lines.append(join_cells(small))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def join_cells(cells: Iterable[str]) -> str:
    r"""A row; one that began with a bracket or an asterisk would be an option of the row before.

    >>> print(join_cells(["[a", "b"]))
    {}[a & b \\
    """
    first, *rest = cells
    guarded = f"{{}}{first}" if first.startswith(("[", "*")) else first
    return " & ".join([guarded, *rest]) + r" \\"
