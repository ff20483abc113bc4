"""Reads a run's folder: whole or not at all or, where that was asked for, what is left of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.results.columns import TABLES
from kis_bench.results.digests import Written, find_changed, read_digests
from kis_bench.results.figures import metrics_table, tabulate_text_figures
from kis_bench.results.folder import Run, check_head, run_of
from kis_bench.results.schema import Table
from kis_bench.results.tables import read_run_table, stack_tables

CELL_COLUMNS = ["model", "dataset", "label_set"]
#: Table -> what can't be told without it.
LOSSES = {
    "ranks": "curves, comparisons, combinations and queries of known-item search can't be shown",
    "judgments": "what models agreed on with each person can't be shown",
    "timings": "how long the steps took, and whether vectors were in the store before, can't be shown",
    "verdicts": "what the gate said can't be shown; it must not be taken for passed",
    "distances": "distances of triplets can't be exported",
    "agreement": "intervals, parts and people of image similarity can't be shown",
    "pairs": "tests between models on image similarity can't be shown",
    "published": "published figures can't be shown",
    "fused": "fused lists of models can't be shown",
    "image_to_text": "where pictures found their texts can't be told; figures are as measured",
    "text_figures": "figures of image-to-text retrieval can't be shown",
}
ANEW = "the figures of known-item search were computed anew from ranks.parquet"


def read_run(folder: Path, *, whole: bool = True) -> Run:
    """The run in a folder that `write_run` made; ``latest`` may be given as well.

    Args:
        whole: raise an error if a table is missing or can't be read; False: read what is left. The run then names in
            ``lacking`` what is not there and what became of it; figures that are missing are computed anew from ranks.

    Raises:
        KisBenchError: there is no such folder, its run.json can't be read, without which nobody knows what may be
            shown, or a table can't; with ``whole=False``, if none with results is left.
    """
    folder = find_run_folder(Path(folder))
    head = read_head(folder) if (folder / "run.json").is_file() else {}
    absent = [] if head else ["run.json"]
    absent += [table.file for table in list_expected(head) if not (folder / table.file).is_file()]
    if absent and (whole or not head):
        some = any((folder / table.file).is_file() for table in TABLES.values())
        remedy = f"; kis-bench report {folder} shows what is left" if head and some else ""
        raise KisBenchError(f"{folder} is not a whole run: missing {', '.join(absent)}{remedy}")
    present = {name: one for name, one in TABLES.items() if (folder / one.file).is_file()}
    try:
        digests = read_digests(folder)
    except BadFile:
        if whole:
            raise
        digests = {}  # nothing is known to be as it was written
    changed = list(find_changed(folder, digests, ["run.json"]))
    if not whole:
        return read_rest(folder, head, digests, changed)
    changed += find_changed(folder, digests, [table.file for table in present.values()])
    frames = {name: read_run_table(one, folder) for name, one in present.items()}
    return replace(run_of(folder, head, **frames), changed=tuple(changed))


def find_run_folder(folder: Path) -> Path:
    """The folder itself, or that to which ``latest`` leads where it is a file.

    Raises:
        KisBenchError: there is none, or it can't be looked into.
    """
    try:
        if folder.name == "latest" and folder.is_file():
            folder = folder.parent / folder.read_text(encoding="utf-8").strip()
        if not folder.is_dir():
            raise KisBenchError(f"there is no run folder {folder}")
        os.listdir(folder)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise KisBenchError(f"the run folder {folder} can't be read: {why}") from error
    return folder


def read_head(folder: Path) -> dict[str, Any]:
    """What a run says of itself."""
    file = folder / "run.json"
    try:
        head = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise BadFile(file, [f"not readable as JSON: {error}"]) from error
    return check_head(head, file)


def list_expected(head: Mapping[str, Any]) -> list[Table]:
    """The tables that a run has: those that it says it was written with, or that every one has."""
    written = head.get("tables")
    return [
        table
        for table in TABLES.values()
        if not table.optional or (isinstance(written, Mapping) and table.file in written)
    ]


def read_rest(
    folder: Path, head: Mapping[str, Any], digests: Mapping[str, Written] | None, changed: list[str]
) -> Run:
    """What can be read of a run, and in ``lacking`` what can't."""
    frames: dict[str, pd.DataFrame] = {}
    lacking: dict[str, str] = {}
    expected = {table.name for table in list_expected(head)}
    for name, table in TABLES.items():
        if not (folder / table.file).is_file():
            if name in expected:
                lacking[name] = f"{table.file} is missing"
            continue
        try:
            changed += find_changed(folder, digests, [table.file])
            frames[name] = read_run_table(table, folder)
        except BadFile as error:  # its details may name folders
            said = {problem.partition(": ")[0] for problem in error.problems}
            lacking[name] = f"{table.file} can't be read ({', '.join(sorted(said))})"
    run = run_of(folder, head, **frames)
    results = (run.ranks, run.judgments, run.metrics, run.agreement)
    if not any(map(len, (*results, run.image_to_text, run.text_figures))):
        why = "; ".join(lacking.values()) or "its tables have no rows"
        raise KisBenchError(f"nothing is left of {folder}: {why}")
    told = {name: f"{what}: {LOSSES[name]}" for name, what in lacking.items() if name in LOSSES}
    if "text_figures" in lacking and len(run.image_to_text):
        run = replace(run, text_figures=tabulate_text_figures(run.image_to_text))
        told["text_figures"] = f"{lacking['text_figures']}: its figures were computed anew"
    metrics, remark = mend_metrics(run, lacking.get("metrics", ""))
    if remark:
        told["metrics"] = remark
    return replace(run, metrics=metrics, lacking=told, changed=tuple(changed))


def mend_metrics(run: Run, damage: str) -> tuple[pd.DataFrame, str]:
    """The figures of a run, those of cells that have ranks and no figures computed anew; and what to say of that.

    Args:
        damage: what happened to metrics.csv; empty: it could be read.
    """
    known, ranks = run.metrics, run.ranks
    index = pd.MultiIndex.from_frame(ranks[CELL_COLUMNS].astype(str))  # the cell of each row
    cells = index.unique()
    there = pd.MultiIndex.from_frame(known[CELL_COLUMNS].astype(str)).unique()
    without = cells.difference(there)
    judged = " Those of image similarity can't be." if damage and len(run.judgments) else ""
    if not len(without):
        lost = " Figures of image similarity can't be shown." if judged else ""
        return known, f"{damage}.{lost}" if damage else ""
    anew = metrics_table(ranks[index.isin(without)])
    said = damage or f"metrics.csv lacks {len(without):,} of {len(cells):,} cells"
    return stack_tables([known, anew]), f"{said}: {ANEW}.{judged}"
