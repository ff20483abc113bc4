"""The table of index fidelity, a row for each setting of an engine, and the rows of each query behind it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.files.whole import write_whole
from kis_bench.search_engines.catalogue import Setting
from kis_bench.search_engines.fidelity import CUTOFFS, TIMED_RESULTS
from kis_bench.search_engines.isolation import Outcome
from kis_bench.suite.measured_rows import describe_processor, keep_cells

if TYPE_CHECKING:
    from kis_bench.suite.index_fidelity import SearchedVectors

TABLE_FILE, QUERIES_FILE = "fidelity.csv", "fidelity-queries.parquet"
FACTS_TABLE = "engines-facts.csv"
#: Columns that name a row.
SAME_SETTING = ("engine", "setting", "model", "dataset", "label_set", "items", "queries", "dim")
RECALLS = tuple(
    f"{name}{k}{end}"
    for k in CUTOFFS
    for name, end in (
        ("recall@", ""),
        ("engine_recall@", ""),
        ("returned_recall@", ""),
        ("lost@", ""),
        ("lost@", "_low"),
        ("lost@", "_high"),
    )
)
ROW_COLUMNS = (
    *SAME_SETTING,
    "vectors",
    "status",
    "said",
    "largest_k",
    "asked_k",
    "found",
    "rank_told",
    "tied",
    *RECALLS,
    "builds",
    f"lost@{TIMED_RESULTS}_lowest_build",
    f"lost@{TIMED_RESULTS}_highest_build",
    "ties_order",
    "ties_change",
    "twins_found",
    "equal_queries",
    "equal_again",
    "equal_alone",
    "equal_built",
    "build_s",
    "build_cpu_s",
    "search_s",
    "search_cpu_s",
    "queries_per_s",
    "queries_per_cpu_s",
    "alone_s",
    "peak_bytes",
    "disk_bytes",
    "bytes_per_item",
    "engine_cpu_s",
    "extra_cpu_s",
    "own_cpu_s",
    "made_with",
    "machine",
    "day",
)


def start_row(
    setting: Setting, condition: SearchedVectors, outcome: Outcome, *, privacy: bool
) -> dict[str, Any]:
    """Returns what is known of a setting before its answers are looked at.

    Under privacy what went wrong is left out: messages of libraries may hold folders and more.
    """
    n, v, d = condition.shape
    q, figures = len(condition.query_ids), dict(outcome.figures)
    engine, _, name = setting.name.partition(":")
    row: dict[str, Any] = dict.fromkeys(ROW_COLUMNS)
    versions = figures.get("versions", {})
    row |= {name: value for name, value in figures.items() if name in row}
    row |= {
        "engine": engine,
        "setting": name.strip(),
        "model": condition.model,
        "dataset": condition.dataset,
        "label_set": condition.label_set,
        "items": n,
        "vectors": v,
        "dim": d,
        "queries": q,
        "status": outcome.status,
        "said": "" if privacy else outcome.said,
        "made_with": "; ".join(f"{name} {version}" for name, version in versions.items()),
        "machine": describe_processor(),
        "day": f"{datetime.now(timezone.utc):%Y-%m-%d}",
    }
    for clock in ("", "cpu_"):
        if seconds := figures.get(f"search_{clock}s"):
            row[f"queries_per_{clock}s"] = q / seconds
    if disk_bytes := figures.get("disk_bytes"):  # some keep nothing in files
        row["bytes_per_item"] = disk_bytes / max(1, n)
    return row


def keep_row(row: dict[str, Any], folder: Path) -> None:
    """Puts a row into the table, in place of that of the same setting."""
    keep_cells({name: row[name] for name in ROW_COLUMNS}, SAME_SETTING, folder / TABLE_FILE)


def keep_fact(fact: dict[str, str], folder: Path) -> None:
    """Puts what an engine does into the table of facts, in place of what it was seen to do before."""
    keep_cells(fact, ("engine", "fact"), folder / FACTS_TABLE)


def keep_queries(
    table: pd.DataFrame, query_ids: Sequence[str], row: dict[str, Any], folder: Path
) -> None:
    """Puts the rows of queries into their table, in place of those of the same setting."""
    about = {name: str(row[name]) for name in SAME_SETTING}
    new = table.assign(query_id=list(query_ids), **about)
    new = new[[*about, "query_id", *table]]
    file = folder / QUERIES_FILE
    if file.exists():
        old = pd.read_parquet(file)
        same = (old[list(about)] == pd.Series(about)).all(axis=1)
        new = pd.concat([old[~same], new], ignore_index=True)
    content = io.BytesIO()
    new.to_parquet(content, index=False)
    write_whole(file, content.getvalue())
