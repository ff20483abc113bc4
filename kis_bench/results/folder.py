"""A run's folder: written whole or not at all, read back."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.strays import claim_hidden, remove_strays
from kis_bench.records import count_things, describe_name, describe_record
from kis_bench.results.columns import (
    AGREEMENT,
    DISTANCES,
    FUSED,
    PAIRS,
    PUBLISHED,
    RUN_VERSION,
    TABLES,
    TEXT_FIGURES,
    TEXT_PLACES,
)
from kis_bench.results.digests import write_digests
from kis_bench.results.display import show_measured
from kis_bench.results.figures import metrics_table, tabulate_text_figures
from kis_bench.results.schema import Table
from kis_bench.results.tables import check_frame, hide_private, stack_tables, write_table

REPR_TABLES = ("ranks", "image_to_text", "judgments", "verdicts")


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
    # Of pictures that look for their texts; without rows unless that was asked for.
    image_to_text: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=TEXT_PLACES))
    text_figures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=TEXT_FIGURES))
    # Of a run that was read in part: table -> what happened to it, and what it can't tell for that reason.
    lacking: Mapping[str, str] = field(default_factory=dict)
    # Files that somebody wrote anew after the run was written.
    changed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        tables = {name: getattr(self, name) for name in REPR_TABLES}
        rows = [f"{name}: {len(table):,}" for name, table in tables.items() if len(table)]
        names = [
            count_things(len(self.provenance.get(f"{kind}s") or ()), kind)
            for kind in ("model", "dataset")
        ]
        return describe_record(self, describe_name(self.folder.name), *names, *rows)

    def _repr_html_(self) -> str:
        """Figures of all models and curves of recall, for notebooks; no text and no item."""
        return show_measured(repr(self), self.metrics, self.ranks)

    def list_remarks(self) -> list[str]:
        """What there is to know about the run's files: what is lacking, and what somebody changed."""
        changed = (f"{name} was changed after the run had been written" for name in self.changed)
        return [*self.lacking.values(), *changed]

    def map_tables(self, change: Callable[[pd.DataFrame, Table], pd.DataFrame]) -> Run:
        """The run with each of its tables changed."""
        changed: dict[str, Any] = {
            name: change(getattr(self, name), table) for name, table in TABLES.items()
        }
        return replace(self, **changed)


def run_of(folder: Path, provenance: Mapping[str, Any], **tables: pd.DataFrame) -> Run:
    """A run of the tables that are named; the others are empty."""
    empty: dict[str, Any] = {
        name: pd.DataFrame(columns=table.names) for name, table in TABLES.items()
    }
    return Run(folder=folder, provenance=dict(provenance), **{**empty, **tables})


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
    with claim_hidden(parent / "latest", folder=True) as hidden:
        fresh = hidden / "latest"
        try:
            fresh.symlink_to(name, target_is_directory=True)
        except (OSError, NotImplementedError):
            fresh.write_text(name + "\n", encoding="utf-8")
        os.replace(fresh, parent / "latest")


def write_run(
    parent: Path,
    *,
    ranks: pd.DataFrame,
    judgments: pd.DataFrame,
    timings: pd.DataFrame,
    verdicts: pd.DataFrame,
    provenance: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write a run folder below parent, whole or not at all, and let `latest` lead to it.

    Columns are checked against ``columns.TABLES``. If the provenance says ``privacy``, private columns are emptied. A
    report is drawn into the folder later, so that nothing that goes wrong in a drawing can cost what was measured.

    Args:
        tables: the optional ones of ``columns.TABLES``, but for figures of ranks, and further rows of ``metrics``.

    Raises:
        KisBenchError: a table lacks a column, has one that nobody declared, or empty cells where none may be; or the
            folder can't be written.
    """
    parent, private = Path(parent), bool(provenance.get("privacy"))
    given = {**(tables or {}), "ranks": ranks, "judgments": judgments}
    given |= {"timings": timings, "verdicts": verdicts}
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    folder = parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_strays(parent)
        with claim_hidden(folder, folder=True) as hidden:
            own = metrics_table(check_frame(ranks, TABLES["ranks"]))
            further = given.pop("metrics", None)
            given["metrics"] = stack_tables([own] if further is None else [own, further])
            pictures = check_frame(
                given.get("image_to_text", pd.DataFrame()), TABLES["image_to_text"]
            )
            given["text_figures"] = tabulate_text_figures(pictures)
            sizes: dict[str, int] = {}
            for table in TABLES.values():
                frame = given.pop(table.name, pd.DataFrame())
                if len(frame) or not table.optional:
                    write_table(hide_private(frame, table) if private else frame, table, hidden)
                    sizes[table.file] = len(frame)
            if given:
                raise KisBenchError(f"a run has no table {', '.join(given)}")
            head = {**provenance, "tables": sizes, "schema_version": RUN_VERSION}
            text = json.dumps(head, indent=2, ensure_ascii=False, default=str, sort_keys=True)
            (hidden / "run.json").write_text(
                text + "\n", encoding="utf-8", errors="backslashreplace"
            )
            write_digests(hidden)
            for path in [*hidden.rglob("*"), hidden]:
                _sync(path)
            os.rename(hidden, folder)
            _sync(parent)
    except OSError as error:
        raise KisBenchError(
            f"the run could not be written to {parent}: {error.strerror or error}. Nothing was left there; "
            "free some space or name another folder, then run again (embeddings are kept)."
        ) from error
    try:
        _point_latest(parent, name)
    except OSError as error:
        raise KisBenchError(
            f"the run was written to {folder}, but {parent / 'latest'} could not be set: {error.strerror or error}"
        ) from error
    return folder


def check_head(head: Any, file: Path) -> dict[str, Any]:
    """What a run says about itself. Raises BadFile unless that is of a version, and of a form, that can be read."""
    version = head.get("schema_version") if isinstance(head, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadFile(file, ["schema_version is missing or not a whole number"])
    if version > RUN_VERSION:
        newer = f"written with schema version {version}, this kis-bench reads up to {RUN_VERSION}"
        raise BadFile(file, [f"{newer}; install a newer kis-bench"])
    if wrong := [kind for kind in ("models", "datasets") if not is_table(head.get(kind) or {})]:
        raise BadFile(file, [f"{kind} is not a table of tables" for kind in wrong])
    forms = {
        "versions": dict,
        "git": dict,
        "statistics": dict,
        "remarks": list,
        "merged_from": list,
    }
    if wrong := [
        key for key, form in forms.items() if not isinstance(head.get(key) or form(), form)
    ]:
        raise BadFile(
            file, [f"{key} is no {'table' if forms[key] is dict else 'list'}" for key in wrong]
        )
    if not all(isinstance(one, dict) for one in head.get("merged_from") or ()):
        raise BadFile(file, ["merged_from is not a list of tables"])
    return dict(head)


def is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(about, dict) for about in value.values())
