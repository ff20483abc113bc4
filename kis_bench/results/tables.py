"""Tables of a run in their files: Parquet and CSV, with the types of the columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.spreadsheets import unguard, write_csv
from kis_bench.results.columns import ABOUT_QUERIES, OTHER_RANKS, OTHER_VERDICTS

if TYPE_CHECKING:
    import pyarrow as pa

# Columns that are not listed here hold text.
_PARQUET_TYPES = {
    "rank": "float64",
    "rank_best": "int64",
    "rank_worst": "int64",
    "group_rank": "float64",
    "n_items": "int64",
    "truncated": "bool",
    "target_score": "float32",
    "agreement": "float64",
    "margin": "float64",
    "parameter": "float64",
    "distance_candidate1": "float64",
    "distance_candidate2": "float64",
    "distance_candidates": "float64",
    **{column: "float64" if column.endswith("_rank") else "int64" for column in OTHER_RANKS},
}
# With nulls these become pandas' own kinds, which know them.
_NULLABLE = {"int64": "Int64", "bool": "boolean"}
_CSV_TEXT = {
    "model",
    "dataset",
    "label_set",
    "metric",
    "step",
    "verdict",
    "kind",
    "protocol",
    "counts",
    "part",
    "group",
    "model_a",
    "model_b",
    "published_as",
    "source",
    "expected",
    "rule",
    "judged_by",
    "queries",
    "remark",
}
#: Columns that a table may lack: what an older version didn't write, and ranks that a collection doesn't have.
_MAY_LACK = {*OTHER_RANKS, *ABOUT_QUERIES, *OTHER_VERDICTS, "target_item", "n_targets", "ceiling"}


def in_columns(frame: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    """The named columns in their order; an empty table may come without any, and any without other ranks."""
    missing = [c for c in columns if c not in frame.columns and c not in _MAY_LACK]
    if missing and len(frame):
        raise KisBenchError(f"the table {name} lacks the column(s) {', '.join(missing)}")
    return frame.reindex(columns=columns)


def _schema(columns: list[str]) -> pa.Schema:
    import pyarrow as pa

    def kind(column: str) -> pa.DataType:
        if column == "top_item_ids":
            return pa.list_(pa.string())
        return pa.type_for_alias(_PARQUET_TYPES.get(column, "string"))

    return pa.schema([(column, kind(column)) for column in columns])


def write_parquet_table(frame: pd.DataFrame, columns: list[str], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = in_columns(frame, columns, file.stem).copy()
    for column in columns:
        if column != "top_item_ids":
            # Ids that a caller holds as numbers are text in the file; absent group ranks become nulls.
            kind: Any = _PARQUET_TYPES.get(column, "string")
            if frame[column].isna().any():
                kind = _NULLABLE.get(kind, kind)
            frame[column] = frame[column].astype(kind)
    pq.write_table(pa.Table.from_pandas(frame, schema=_schema(columns), preserve_index=False), file)


def write_csv_table(frame: pd.DataFrame, columns: list[str], file: Path) -> None:
    write_csv(in_columns(frame, columns, file.stem), file)


def with_lists(verdicts: pd.DataFrame) -> pd.DataFrame:
    """With each tuple of queries as text, JSON; empty where there is none."""
    if "queries" not in verdicts:
        return verdicts
    texts = [
        "" if not isinstance(own, tuple) or not own else json.dumps(own, ensure_ascii=False)
        for own in verdicts["queries"]
    ]
    return verdicts.assign(queries=pd.Series(texts, verdicts.index, object))


def without_lists(verdicts: pd.DataFrame) -> pd.DataFrame:
    """With each text of :func:`with_lists` as a tuple; what an older version wrote there counts as one query's."""

    def listed(text: object) -> tuple[str, ...]:
        if not isinstance(text, str) or not text:
            return ()
        try:
            return tuple(map(str, json.loads(text)))
        except (ValueError, TypeError):
            return (text,)

    lists = pd.Series([listed(text) for text in verdicts["queries"]], verdicts.index, object)
    return verdicts.assign(queries=lists)


def read_parquet_table(file: Path, columns: list[str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Opened as one file: a folder name such as `a=b` must not be taken for a partition column.
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise BadFile(file, [f"not a readable Parquet file: {error}"]) from error
    return _checked(table.to_pandas(), columns, file)


def read_csv_table(file: Path, columns: list[str]) -> pd.DataFrame:
    # A model may be called "NA" or "007": names stay text, and only empty cells of the other columns are missing.
    missing_cells = {c: [""] for c in columns if c not in _CSV_TEXT}
    types: dict[str, Any] = {c: "str" for c in columns if c in _CSV_TEXT}
    if "k" in columns:
        types["k"] = "Int64"
    try:
        frame = pd.read_csv(file, dtype=types, keep_default_na=False, na_values=missing_cells)
    except (ValueError, OSError) as error:
        raise BadFile(file, [f"not a readable CSV file: {error}"]) from error
    for column in _CSV_TEXT & {*frame.columns}:
        frame[column] = frame[column].map(unguard)
    return _checked(frame, columns, file)


def _checked(frame: pd.DataFrame, columns: list[str], file: Path) -> pd.DataFrame:
    missing = [c for c in columns if c not in frame.columns and c not in _MAY_LACK]
    if missing:
        raise BadFile(file, [f"the column {c!r} is missing" for c in missing])
    return frame.reindex(columns=[*frame.columns, *(c for c in columns if c not in frame.columns)])
