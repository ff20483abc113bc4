"""A run's folder: written whole or not at all, read back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.results.columns import (
    AGREEMENT,
    ALL_RANKS,
    ALL_VERDICTS,
    DISTANCES,
    FUSED,
    JUDGMENTS,
    METRICS,
    OPTIONAL_TABLES,
    PAIRS,
    PUBLISHED,
    SCHEMA_VERSION,
    TIMINGS,
)
from kis_bench.results.figures import metrics_table
from kis_bench.results.tables import (
    in_columns,
    read_csv_table,
    read_parquet_table,
    with_lists,
    without_lists,
    write_csv_table,
    write_parquet_table,
)


@dataclass(frozen=True)
class Run:
    """Everything that one run measured."""

    folder: Path
    ranks: pd.DataFrame
    judgments: pd.DataFrame
    metrics: pd.DataFrame
    timings: pd.DataFrame
    verdicts: pd.DataFrame
    provenance: dict[str, Any]
    # Of image similarity; without rows in a run that measured none.
    distances: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=DISTANCES))
    agreement: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=AGREEMENT))
    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PAIRS))
    published: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PUBLISHED))
    # Of combinations of models; without rows where fewer than two were measured.
    fused: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FUSED))


def run_of(folder: Path, provenance: Mapping[str, Any], **tables: pd.DataFrame) -> Run:
    """A run of the tables that are named; the others are empty."""
    columns = {
        "ranks": ALL_RANKS,
        "judgments": JUDGMENTS,
        "metrics": METRICS,
        "timings": TIMINGS,
        "verdicts": ALL_VERDICTS,
    }
    whole = {name: pd.DataFrame(columns=names) for name, names in columns.items()} | tables
    return Run(folder=folder, provenance=dict(provenance), **whole)


def _sync(path: Path) -> None:
    """Make a file or folder durable; folders cannot be opened on every system."""
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except (PermissionError, IsADirectoryError):
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _point_latest(parent: Path, name: str) -> None:
    """Let `latest` lead to the run; replaced in one step so that it never leads nowhere."""
    fresh = parent / f".latest-{secrets.token_hex(4)}"
    try:
        try:
            fresh.symlink_to(name, target_is_directory=True)
        except (OSError, NotImplementedError):
            fresh.write_text(name + "\n", encoding="utf-8")
        os.replace(fresh, parent / "latest")
    finally:
        fresh.unlink(missing_ok=True)


def write_run(
    parent: Path,
    *,
    ranks: pd.DataFrame,
    judgments: pd.DataFrame,
    timings: pd.DataFrame,
    verdicts: pd.DataFrame,
    provenance: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame] | None = None,
    draw: Callable[[Path], None] | None = None,
) -> Path:
    """Write a run folder below parent, whole or not at all, and let `latest` lead to it.

    `tables` has those of OPTIONAL_TABLES, and further rows of `metrics`. `draw` gets the folder,
    its tables already inside, and adds the report.
    """
    parent = Path(parent)
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    hidden, folder = parent / f".{name}.partial", parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        head = {**provenance, "schema_version": SCHEMA_VERSION}
        text = json.dumps(head, indent=2, ensure_ascii=False, default=str, sort_keys=True)
        (hidden / "run.json").write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        write_parquet_table(ranks, ALL_RANKS, hidden / "ranks.parquet")
        write_parquet_table(judgments, JUDGMENTS, hidden / "judgments.parquet")
        others = dict(tables or {})
        metrics = [
            metrics_table(in_columns(ranks, ALL_RANKS, "ranks")),
            others.pop("metrics", pd.DataFrame()),
        ]
        filled = [table for table in metrics if len(table)] or metrics[:1]
        write_csv_table(pd.concat(filled, ignore_index=True), METRICS, hidden / "metrics.csv")
        for kind, table in others.items():
            file, columns = OPTIONAL_TABLES[kind]
            if len(table):
                write = write_csv_table if file.endswith(".csv") else write_parquet_table
                write(table, columns, hidden / file)
        write_csv_table(timings, TIMINGS, hidden / "timings.csv")
        write_csv_table(with_lists(verdicts), ALL_VERDICTS, hidden / "verdicts.csv")
        if draw is not None:
            draw(hidden)
        for path in [*hidden.rglob("*"), hidden]:
            _sync(path)
        os.rename(hidden, folder)
        _sync(parent)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise KisBenchError(
            f"the run could not be written to {parent}: {error.strerror or error}. Nothing was left there; "
            "free some space or name another folder, then run again (embeddings are kept)."
        ) from error
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    try:
        _point_latest(parent, name)
    except OSError as error:
        raise KisBenchError(
            f"the run was written to {folder}, but {parent / 'latest'} could not be set: {error.strerror or error}"
        ) from error
    return folder


def check_schema(head: Any, file: Path) -> None:
    """BadFile unless what a run says about itself is of a version that can be read."""
    version = head.get("schema_version") if isinstance(head, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadFile(file, ["schema_version is missing or not a whole number"])
    if version > SCHEMA_VERSION:
        newer = (
            f"written with schema version {version}, this kis-bench reads up to {SCHEMA_VERSION}"
        )
        raise BadFile(file, [f"{newer}; install a newer kis-bench"])


def read_run(folder: Path) -> Run:
    """The run in a folder that `write_run` made; `latest` may be given as well."""
    folder = Path(folder)
    if folder.name == "latest" and folder.is_file():
        folder = folder.parent / folder.read_text(encoding="utf-8").strip()
    if not folder.is_dir():
        raise KisBenchError(f"there is no run folder {folder}")
    names = [
        "run.json",
        "ranks.parquet",
        "judgments.parquet",
        "metrics.csv",
        "timings.csv",
        "verdicts.csv",
    ]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise KisBenchError(f"{folder} is not a whole run: missing {', '.join(absent)}")
    file = folder / "run.json"
    try:
        head = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadFile(file, [f"not readable as JSON: {error}"]) from error
    check_schema(head, file)
    return Run(
        folder=folder,
        ranks=read_parquet_table(folder / "ranks.parquet", ALL_RANKS),
        judgments=read_parquet_table(folder / "judgments.parquet", JUDGMENTS),
        metrics=read_csv_table(folder / "metrics.csv", METRICS),
        timings=read_csv_table(folder / "timings.csv", TIMINGS),
        verdicts=without_lists(read_csv_table(folder / "verdicts.csv", ALL_VERDICTS)),
        provenance=head,
        **{
            table: (read_csv_table if file.endswith(".csv") else read_parquet_table)(
                folder / file, columns
            )
            for table, (file, columns) in OPTIONAL_TABLES.items()
            if (folder / file).is_file()
        },
    )
