"""Tables of a run in their files: Parquet and CSV, with the types of the columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.spreadsheets import unguard, write_csv
from kis_bench.results.schema import PRIVATE, Column, Table

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# With nulls these become pandas' own kinds, which know them.
_NULLABLE = {"int64": "Int64", "bool": "boolean"}
BATCH_ROWS = 4096  #: read at once where a table may be too large
#: Kind of a column -> what pandas may find in it.
CELL_KINDS = {
    **dict.fromkeys(
        ("float64", "float32", "int64", "Int64"), ("floating", "integer", "integer-na", "empty")
    ),
    "bool": ("boolean", "empty"),
}
#: What reading a file of others may raise: pyarrow's errors are ValueError, KeyError, TypeError, OSError and more.
READING_FAULTS = (
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    OSError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)


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


def stack_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Returns tables below one another, with the columns of all; the first alone where none has rows.

    A column without a value in one of them has no say in its kind (pandas 2 and 3 differ there).
    """
    filled = [table for table in tables if len(table)] or [*tables[:1]]
    names = list(dict.fromkeys(name for table in filled for name in table.columns))
    if len(filled) > 1:
        filled = [table.dropna(axis="columns", how="all") for table in filled]
    return pd.concat(filled, ignore_index=True).reindex(columns=names)


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
        BadFile: the file isn't readable, lacks a column, or has one of another kind, or cells that can't be.
    """
    file = folder / table.file
    if file.suffix != ".csv":
        return fill_columns(read_parquet_table(file, table), table, file)
    frame = fill_columns(_read_csv(file, table), table, file)
    lists = [column.name for column in table.columns if column.kind == "texts"]
    return frame.assign(**{name: _from_json(frame[name]) for name in lists})


def fill_columns(frame: pd.DataFrame, table: Table, file: Path) -> pd.DataFrame:
    """A frame as it was read, with those columns empty that older runs lack.

    Raises:
        BadFile: it lacks others, a column is there twice, or cells are empty or no numbers where they have to be some.
    """
    problems = [f"the column {name!r} is missing" for name in table.find_missing(frame.columns)]
    twice = frame.columns[frame.columns.duplicated()]
    problems += [f"the column {name!r} is there twice" for name in twice]
    if not problems:
        problems = find_bad_cells(frame, table)
    if problems:
        raise BadFile(file, problems)
    return frame.reindex(columns=[*frame.columns, *(n for n in table.names if n not in frame)])


def find_bad_cells(frame: pd.DataFrame, table: Table) -> list[str]:
    """Columns of numbers that have other cells, or empty ones where a number has to be, and ranks below 1."""
    problems = []
    for column in [one for one in table.columns if one.name in frame]:
        cells = frame[column.name]
        if column.kind in ("string", "texts") or not len(cells):
            continue
        if pd.api.types.infer_dtype(cells, skipna=True) not in CELL_KINDS[column.kind]:
            problems.append(f"the column {column.name!r} has cells other than {column.kind}")
        elif not column.nullable and cells.isna().any():
            row = int(cells.isna().to_numpy().argmax())
            problems.append(f"the column {column.name!r} is empty in row {row + 1:,}")
    ends = ["rank_best", "rank_worst"]
    if not problems and {*ends} <= {*table.required}:
        best, worst = (frame[name].to_numpy() for name in ends)
        if len(wrong := ((best < 1) | (worst < best)).nonzero()[0]):
            problems.append(
                f"row {wrong[0] + 1:,}: ranks from {best[wrong[0]]} to {worst[wrong[0]]} can't be"
            )
    return problems


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


def read_parquet_table(
    source: Path | IO[bytes], table: Table, most_bytes: int | None = None
) -> pd.DataFrame:
    """A table from a Parquet file, its columns of the kinds that they are declared with.

    Args:
        source: the file, or an open one, such as of an archive.
        most_bytes: refuse a larger table, before all of it is unpacked, whatever the file says; None: take any.

    Raises:
        BadFile: it isn't readable, or a column is of another kind.
    """
    import pyarrow.parquet as pq

    file = getattr(source, "name", source)
    try:
        # Opened as one file: a folder name such as `a=b` must not be taken for a partition column.
        with pq.ParquetFile(source) as parquet:
            found = read_rows_within(parquet, most_bytes) if most_bytes else parquet.read()
        for column in [one for one in table.columns if found.column_names.count(one.name) == 1]:
            place, kind = found.column_names.index(column.name), _arrow_type(column)
            if found.schema.field(place).type != kind:
                cells = cast_column(found.column(place), kind, column.name)
                found = found.set_column(place, column.name, cells)
        frame: pd.DataFrame = found.to_pandas()
    except READING_FAULTS as error:
        said = " ".join(str(error).split())
        raise BadFile(file, [f"not a readable Parquet file: {said}"]) from error
    return frame


def read_rows_within(parquet: pq.ParquetFile, most_bytes: int) -> pa.Table:
    """All rows of a file. Raises ValueError once they take more bytes than that, also if a few say all of many."""
    import pyarrow as pa

    said = f"larger than {most_bytes:,} bytes when unpacked"
    about = parquet.metadata
    if about.num_rows * about.num_columns > most_bytes:  # each cell takes a byte at least
        raise ValueError(said)
    batches, taken = [], 0
    for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
        batches.append(batch)
        taken += batch.nbytes
        if taken > most_bytes:
            raise ValueError(said)
    return pa.Table.from_batches(batches, parquet.schema_arrow)


def cast_column(cells: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    """Cells as another kind. Raises ValueError if some of them can't be."""
    import pyarrow as pa

    try:
        return cells.cast(kind)
    except (pa.ArrowException, ValueError) as error:
        raise ValueError(f"the column {name!r} is of {cells.type}, not of {kind}") from error


def _read_csv(file: Path, table: Table) -> pd.DataFrame:
    # A model may be called "NA" or "007": names stay text, and only empty cells of the other columns are missing.
    kinds = {column.name: column.kind for column in table.columns}
    texts = [name for name, kind in kinds.items() if kind in ("string", "texts")]
    types: dict[Any, Any] = dict.fromkeys(texts, "str")
    types |= {name: kind for name, kind in kinds.items() if kind == "Int64"}
    missing_cells = {name: [""] for name in kinds if name not in texts}
    try:
        frame = pd.read_csv(
            file, dtype=types, keep_default_na=False, na_values=missing_cells, low_memory=False
        )
    except READING_FAULTS as error:
        said = " ".join(str(error).split())
        raise BadFile(file, [f"not a readable CSV file: {said}"]) from error
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
