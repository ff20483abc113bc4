"""The report in Markdown, and the order in which everything else is drawn."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.findings import Findings, Key
from kis_bench.analysis.models import tiers
from kis_bench.datasets.left_out import describe_left_out
from kis_bench.files.spreadsheets import write_csv
from kis_bench.files.text import make_file_name
from kis_bench.report.numbers import number, percent
from kis_bench.report.page.data import explorer_data
from kis_bench.report.page.html import page, write_folder_form
from kis_bench.report.plots.axes import styles
from kis_bench.report.plots.contact_sheets import Thumbnails
from kis_bench.report.plots.curves import draw_curves, draw_overview
from kis_bench.report.plots.gains import draw_gains
from kis_bench.report.plots.grid import draw_grid
from kis_bench.report.plots.growth import draw_growth
from kis_bench.report.sections.annotators import annotators
from kis_bench.report.sections.combinations import complementarity
from kis_bench.report.sections.flagged_queries import audited
from kis_bench.report.sections.gate import section
from kis_bench.report.sections.growth import growth
from kis_bench.report.sections.known_items import (
    comparison,
    published,
    relevances,
    summary,
    truncations,
    worst,
)
from kis_bench.report.sections.label_sets import label_sets
from kis_bench.report.sections.provenance import provenance_section
from kis_bench.report.sections.similarity import agreement_section, similarity_datasets
from kis_bench.report.tables import escaped, table
from kis_bench.results.pseudonyms import as_private
from kis_bench.statistics.clusters import describe_count

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition
    from kis_bench.records import Collection
    from kis_bench.results import Run

Pictures = Mapping[str, "Collection"]
MOST_IN_GRID = 5
DRAWN = ("plots/*.png", "plots/*.svg", "plots/*.pdf", "tables/*.csv")


def _title(run: Run) -> str:
    if not len(run.judgments):
        return "Known-item search: report"
    return (
        "Known-item search and image similarity: report"
        if len(run.ranks)
        else "Image similarity: report"
    )


def left_out(facts: object) -> list[str]:
    """What of a dataset's folder was not read: a smaller collection flatters every model."""
    if not isinstance(facts, Mapping):
        return []
    counts = facts.get("left_out")
    return ([describe_left_out(counts)] if counts else []) + [*map(str, facts.get("unread") or ())]


def _notes(provenance: Mapping[str, Any]) -> list[str]:
    """What a reader has to know, as quotations that cannot be overlooked."""
    lines = []
    for kind, word in (("datasets", "Dataset"), ("models", "Model")):
        for name, facts in sorted((provenance.get(kind) or {}).items()):
            if isinstance(facts, Mapping) and facts.get("note"):
                lines.append(f"> **{word} {escaped(name)}:** {escaped(facts['note'], 2000)}\n")
            for said in left_out(facts):
                lines.append(f"> **{word} {escaped(name)}, left out:** {escaped(said, 2000)}\n")
    return lines


def _dataset(
    name: str,
    found: Findings,
    folder: Path,
    style: Mapping[str, Any],
    pictures: Pictures,
    thumbnails: Thumbnails | None,
) -> list[str]:
    """All about known-item search on one dataset, one label set after the other, then these against each other."""
    privacy = thumbnails is None
    ranks = found.of_datasets[name]
    stem = make_file_name("curves", name)
    draw_curves(name, ranks, style, folder / "plots" / stem)
    lines = [f"## {escaped(name)}", ""]
    lines += [f"![Cumulative curves of {escaped(name)}: recall@k against k](plots/{stem}.png)", ""]
    for key, condition in found.conditions.items():
        if key[0] == name:
            lines += [f"### Labels: {escaped(key[1])}", ""]
            lines += _condition(key, condition, found, folder, style, privacy=privacy)
            best = condition.models[0]
            lines += [f"#### Worst queries of {escaped(best)}, {escaped(key[1])}", ""]
            rows = found.rows(key)
            own = rows[rows["model"] == best]
            lines += worst(own, folder, f"{name}-{key[1]}-{best}", pictures.get(name), thumbnails)
    lines += label_sets(found, name, folder, style)
    return lines


def _condition(
    key: Key,
    condition: Condition,
    found: Findings,
    folder: Path,
    style: Mapping[str, Any],
    *,
    privacy: bool,
) -> list[str]:
    """Known-item search on one label set: figures, comparison, combinations, growth, and queries to look at."""
    metrics = found.run.metrics[
        (found.run.metrics["dataset"] == key[0]) & (found.run.metrics["label_set"] == key[1])
    ]
    shown = f"{escaped(key[0])}, {escaped(key[1])}"
    comparisons = found.comparisons.get(key)
    lines = summary(metrics, condition, comparisons)
    lines += relevances(metrics, found.run.provenance.get("datasets", {}).get(key[0], {}))
    if key in found.annotators:
        lines += [f"#### By annotator: {shown}", "", *annotators(*found.annotators[key])]
    lines += truncations(found.rows(key))
    others = found.run.published
    lines += published(
        others[(others["dataset"] == key[0]) & (others["label_set"] == key[1])], metrics
    )
    if comparisons is not None:
        lines += [
            f"#### Which differences are more than noise: {shown}",
            "",
            *comparison(condition, comparisons),
        ]
        stem = make_file_name("grid", *key)
        draw_grid(condition, condition.models[:MOST_IN_GRID], style, folder / "plots" / stem)
        lines += [f"![Ranks of the best models against each other, {shown}](plots/{stem}.png)", ""]
        lines += [f"#### What combinations find: {shown}", ""]
        lines += complementarity(found.gains[key], found.advice[key])
        stem = make_file_name("combinations", *key)
        draw_gains(found.gains[key][found.gains[key]["metric"] == "mrr"], folder / "plots" / stem)
        lines += [
            f"![Gains of combinations over the best single model, {shown}](plots/{stem}.png)",
            "",
        ]
    lines += [
        f"#### Larger and smaller collections: {shown}",
        "",
        *growth(found.growth[key], condition),
    ]
    stem = make_file_name("growth", *key)
    draw_growth(found.growth[key], style, folder / "plots" / stem)
    lines += [f"![Recall against the size of the collection, {shown}](plots/{stem}.png)", ""]
    if flagged := audited(found.audits[key], privacy=privacy):
        lines += [f"#### Queries to look at: {shown}", "", *flagged]
    return lines


def _overview(found: Findings, folder: Path, style: Mapping[str, Any]) -> list[str]:
    """The answer in one table, where there is more than one condition."""
    if len(found.conditions) < 2:
        return []
    rows = []
    for key, one in found.conditions.items():
        metrics = found.run.metrics
        own = metrics[(metrics["dataset"] == key[0]) & (metrics["label_set"] == key[1])]
        recall = own[
            (own["model"] == one.models[0]) & (own["metric"] == "recall") & own["k"].eq(10)
        ].iloc[0]
        pairs = found.comparisons.get(key)
        letters = {} if pairs is None else tiers(pairs, "mrr", None)
        equal = [
            m for m in one.models[1:] if {*letters.get(m, "")} & {*letters.get(one.models[0], "")}
        ]
        asked = (
            describe_count(len(one.queries), one.n_targets)
            .replace(" queries", "")
            .replace(" query", "")
        )
        rows.append(
            [
                *key,
                asked,
                f"{one.n_items:,}",
                one.models[0],
                percent(recall["value"], recall["ci_low"], recall["ci_high"]),
                ", ".join(equal),
            ]
        )
    head = [
        "dataset",
        "labels",
        "queries",
        "items",
        "best by MRR",
        "its recall@10",
        "can't be told from it",
    ]
    lines = ["## Overview", "", table(head, rows, right=(2, 3, 5)), ""]
    if len(found.of_datasets) > 1:  # else the dataset's own curves show the same
        draw_overview(found.conditions, style, folder / "plots" / "overview")
        lines += ["![Cumulative curves of all datasets and label sets](plots/overview.png)", ""]
    return lines


def _other_tables(run: Run, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    lines: list[str] = []
    if tables:
        links = ", ".join(f"[{name}](tables/{name})" for name in tables)
        lines += ["## Tables", "", f"All figures of this report, for a spreadsheet: {links}.", ""]
    if len(run.timings):
        head = ["model", "dataset", "label set", "step", "seconds", "n", "per second", "from cache"]
        timings: Any = run.timings.itertuples()
        steps = [
            (
                *("" if pd.isna(x) else x for x in (t.model, t.dataset, t.label_set, t.step)),
                number(t.seconds, 2),
                number(t.n, 0),
                number(t.per_second),
                "" if pd.isna(t.cached) else "yes" if t.cached else "no",
            )
            for t in timings
        ]
        lines += ["## Timings", "", table(head, steps, right=[4, 5, 6]), ""]
    return lines


def write_report(
    folder: Path,
    run: Run,
    pictures: Pictures | None,
    privacy: bool = False,
    *,
    as_folder: bool = False,
) -> None:
    """Write report.md, report.html, plots/ and tables/ of a run into the folder, and gate.md where it was judged.

    `pictures` leads from a dataset's name to its images. With `privacy` neither texts nor
    items, paths or pictures are shown. With `as_folder` there is also report/index.html with every picture as a
    file beside it.
    """
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    for kind in DRAWN:  # an earlier drawing may show more
        for earlier in folder.glob(kind):
            earlier.unlink()
    if privacy:
        run = as_private(run)
    found = Findings(run)
    style = styles([str(model) for model in run.ranks["model"].unique()])
    thumbnails = None if privacy else Thumbnails()
    title = _title(run)
    lines = [f"# {title}", ""]
    if run.provenance.get("interrupted"):
        lines += [
            "> **This run was interrupted:** what follows is only what had been measured by then.\n"
        ]
    lines += _notes(run.provenance)
    if len(run.verdicts) or run.provenance.get("gate"):
        about = run.provenance
        gate = section(
            run.verdicts,
            str(about.get("gate") or ""),
            about.get("remarks") or () if about.get("gate") else (),
        )
        (folder / "gate.md").write_text(
            "\n".join(["# Gate", "", *gate]), encoding="utf-8", newline="\n"
        )
        lines += ["## Gate", "", *gate]
    ranked = " Rank 1 is the best." if len(run.ranks) or not len(run.judgments) else ""
    lines += [f"Shares with their 95% intervals in brackets.{ranked}", ""]
    lines += _overview(found, folder, style)
    for name in found.of_datasets:
        lines += _dataset(name, found, folder, style, pictures or {}, thumbnails)
    for name in similarity_datasets(run):
        lines += agreement_section(name, run, folder, privacy=privacy)
    tables = found.tables(privacy=privacy)
    for table_file, each in tables.items():
        write_csv(each, folder / "tables" / table_file)
    lines += _other_tables(run, tables)
    lines += provenance_section(run.provenance, privacy)
    text = "\n".join(lines).rstrip() + "\n"
    (folder / "report.md").write_text(text, encoding="utf-8", errors="replace", newline="\n")
    beside = folder / "report"
    shutil.rmtree(beside, ignore_errors=True)  # an earlier drawing may show more
    data = explorer_data(found, pictures or {}, privacy=privacy) if found.conditions else None
    html = page(text, folder, title, data=data)
    (folder / "report.html").write_text(html, encoding="utf-8", errors="replace", newline="\n")
    if as_folder:
        write_folder_form(folder, text, title, found, pictures or {}, privacy=privacy)
