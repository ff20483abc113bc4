"""The table of index fidelity, a row for each setting of an engine, and the rows of each query behind it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.files.text import make_file_name
from kis_bench.files.whole import write_whole
from kis_bench.search_engines.catalogue import Setting
from kis_bench.search_engines.fidelity import CUTOFFS, TIMED_RESULTS
from kis_bench.search_engines.isolation import Outcome
from kis_bench.suite.measured_rows import describe_processor, describe_software, keep_cells

if TYPE_CHECKING:
    from kis_bench.suite.searched_vectors import SearchedVectors

TABLE_FILE = "fidelity.csv"
QUERIES_FOLDER = "fidelity-queries"  #: of a parquet file for each setting, one table together
FACTS_TABLE = "engines-facts.csv"
#: Columns that name a row.
SAME_SETTING = (
    "engine",
    "setting",
    "model",
    "dataset",
    "label_set",
    "items",
    "queries",
    "dim",
    "model_key",
    "dataset_key",
)
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
    "ranked_with",
    "machine",
    "day",
)


def start_row(
    setting: Setting, condition: SearchedVectors, outcome: Outcome, said: str
) -> dict[str, Any]:
    """Returns what is known of a setting before its answers are looked at, and what went wrong as it is told."""
    (n, v, d), known = condition.shape, condition.known
    q, figures = len(known.query_ids), dict(outcome.figures)
    engine, _, name = setting.name.partition(":")
    row: dict[str, Any] = dict.fromkeys(ROW_COLUMNS)
    versions = figures.get("versions", {})
    row |= {name: value for name, value in figures.items() if name in row}
    row |= {
        "engine": engine,
        "setting": name.strip(),
        "model": known.model,
        "dataset": known.dataset,
        "label_set": known.label_set,
        "model_key": known.model_key,
        "dataset_key": known.dataset_key,
        "items": n,
        "vectors": v,
        "dim": d,
        "queries": q,
        "status": outcome.status,
        "said": said,
        "made_with": "; ".join(f"{name} {version}" for name, version in versions.items()),
        "ranked_with": describe_software("kis-bench", "numpy"),
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
    """Writes the rows of queries into a file of their setting, in place of those that were there."""
    about = {name: str(row[name]) for name in SAME_SETTING}
    whole = table.assign(query_id=list(query_ids), **about)[[*about, "query_id", *table]]
    content = io.BytesIO()
    whole.to_parquet(content, index=False)
    place = folder / QUERIES_FOLDER
    place.mkdir(parents=True, exist_ok=True)
    write_whole(place / f"{make_file_name(*about.values())}.parquet", content.getvalue())
