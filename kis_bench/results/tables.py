"""Tables of a run in their files: Parquet and CSV, with the types of the columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.spreadsheets import unguard, write_csv
from kis_bench.results.schema import PRIVATE, Column, Table

if TYPE_CHECKING:
    import pyarrow as pa

# With nulls these become pandas' own kinds, which know them.
_NULLABLE = {"int64": "Int64", "bool": "boolean"}


def check_frame(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """A frame with all columns of a table in their order, those that older runs lack empty where it lacks them.

    Raises:
        KisBenchError: a column is missing, is not declared, or has empty cells and is not nullable; a frame without
            rows may lack any.
    """
    problems = []
    if unknown := [str(name) for name in frame.columns if name not in table.names]:
        problems.append(f"has the undeclared column(s) {', '.join(unknown)}")
    if len(frame):
        if missing := table.find_missing(frame.columns):
            problems.append(f"lacks the column(s) {', '.join(missing)}")
        full = [column.name for column in table.columns if not column.nullable]
        for name in [name for name in full if name in frame]:
            if empty := int(frame[name].isna().sum()):
                problems.append(f"has {empty:,} row(s) without {name}")
    if problems:
        raise KisBenchError(f"the table {table.name} {'; '.join(problems)}")
    return frame.reindex(columns=table.names)


def hide_private(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """A frame whose private columns are empty: texts without a character, or nulls."""
    empty = {
        column.name: "" if column.kind == "string" and not column.nullable else None
        for column in table.columns
        if column.access == PRIVATE and column.name in frame
    }
    return frame.assign(**empty) if len(frame) else frame


def write_table(frame: pd.DataFrame, table: Table, folder: Path) -> None:
    """Writes a table's file into a folder; KisBenchError as `check_frame`."""
    frame, file = check_frame(frame, table), folder / table.file
    if file.suffix == ".csv":
        lists = [column.name for column in table.columns if column.kind == "texts"]
        write_csv(frame.assign(**{name: _to_json(frame[name]) for name in lists}), file)
    else:
        _write_parquet(frame, table, file)


def read_run_table(table: Table, folder: Path) -> pd.DataFrame:
    """A table from its file in a folder; columns that came later than the file are there and empty.

    Raises:
        BadFile: the file isn't readable, or lacks a column.
    """
    file = folder / table.file
    if file.suffix != ".csv":
        return fill_columns(_read_parquet(file), table, file)
    frame = fill_columns(_read_csv(file, table), table, file)
    lists = [column.name for column in table.columns if column.kind == "texts"]
    return frame.assign(**{name: _from_json(frame[name]) for name in lists})


def fill_columns(frame: pd.DataFrame, table: Table, file: Path) -> pd.DataFrame:
    """A frame as it was read, with those columns empty that older runs lack; BadFile if it lacks others."""
    if missing := table.find_missing(frame.columns):
        raise BadFile(file, [f"the column {name!r} is missing" for name in missing])
    return frame.reindex(columns=[*frame.columns, *(n for n in table.names if n not in frame)])


def _write_parquet(frame: pd.DataFrame, table: Table, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = frame.copy()
    for column in table.columns:
        cells, kind = frame[column.name], str(column.kind)
        if column.kind == "texts":  # a column without any list may be of floats
            frame[column.name] = cells.astype(object)
        else:
            # Ids that a caller holds as numbers are text in the file; absent group ranks become nulls.
            frame[column.name] = cells.astype(
                _NULLABLE.get(kind, kind) if cells.isna().any() else kind  # type: ignore[call-overload]
            )
    schema = pa.schema([(column.name, _arrow_type(column)) for column in table.columns])
    pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), file)


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    if column.kind == "texts":
        return pa.list_(pa.string())
    return pa.type_for_alias(column.kind.lower())


def _read_parquet(file: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Opened as one file: a folder name such as `a=b` must not be taken for a partition column.
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise BadFile(file, [f"not a readable Parquet file: {error}"]) from error
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _read_csv(file: Path, table: Table) -> pd.DataFrame:
    # A model may be called "NA" or "007": names stay text, and only empty cells of the other columns are missing.
    kinds = {column.name: column.kind for column in table.columns}
    texts = [name for name, kind in kinds.items() if kind in ("string", "texts")]
    types: dict[Any, Any] = dict.fromkeys(texts, "str")
    types |= {name: kind for name, kind in kinds.items() if kind == "Int64"}
    missing_cells = {name: [""] for name in kinds if name not in texts}
    try:
        frame = pd.read_csv(file, dtype=types, keep_default_na=False, na_values=missing_cells)
    except (ValueError, OSError) as error:
        raise BadFile(file, [f"not a readable CSV file: {error}"]) from error
    for name in [name for name in texts if name in frame]:
        frame[name] = frame[name].map(unguard)
    return frame


def _to_json(lists: pd.Series) -> pd.Series:
    """Each tuple of texts as JSON; empty where there is none."""
    texts = [
        json.dumps(own, ensure_ascii=False) if isinstance(own, tuple) and own else ""
        for own in lists
    ]
    return pd.Series(texts, lists.index, object)


def _from_json(texts: pd.Series) -> pd.Series:
    """The tuples that `_to_json` wrote; another text, which an older version wrote, is one entry."""

    def read_list(text: object) -> tuple[str, ...]:
        if not isinstance(text, str) or not text:
            return ()
        try:
            return tuple(map(str, json.loads(text)))
        except (ValueError, TypeError):
            return (text,)

    return pd.Series([read_list(text) for text in texts], texts.index, object)
