"""Columns and cells of Parquet and Arrow tables that hold pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.datasets.arrow_files import ARROW_SUFFIX, ArrowFile
from kis_bench.errors import BadFile

IMAGE_COLUMNS = ("image", "jpg", "png", "webp", "bytes")
PARQUET_SUFFIX = ".parquet"
OTHER_MEDIA = ("audio", "video")  #: which ``datasets`` writes in the same form
#: Row groups kept in memory, since reading one picture means reading its row group: more than threads read at once.
CACHED_ROW_GROUPS = 9


@dataclass(frozen=True, slots=True)
class TableCell:
    archive: Path
    column: str
    row_group: int
    row: int  # within the row group
    name: str

    def read_bytes(self) -> bytes:
        state = self.archive.stat()
        cells = read_row_group(
            self.archive, self.row_group, self.column, (state.st_size, state.st_mtime_ns)
        )
        if self.row >= len(cells):
            raise OSError(f"{self.name} is no longer in it")
        cell = cells[self.row].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise OSError(f"{self.name} has no bytes in column {self.column}")
        return content

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


def open_row_groups(archive: Path) -> Any:
    """An open Parquet or Arrow file, a context manager. Raises ArrowException or OSError."""
    import pyarrow.parquet as pq

    return ArrowFile(archive) if archive.suffix == ARROW_SUFFIX else pq.ParquetFile(archive)


@contextmanager
def open_table(archive: Path) -> Iterator[Any]:
    """An open Parquet or Arrow file. Raises BadFile, also for what is found wrong while it is read."""
    import pyarrow as pa

    try:
        with open_row_groups(archive) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        form = archive.suffix[1:].capitalize()
        raise BadFile(archive, [f"not a readable {form} file: {error}"]) from error


def spell_tables(files: Iterable[Path]) -> str:
    """What tables are among files, in words.

    >>> spell_tables([Path("a.arrow"), Path("b.parquet"), Path("c.json")])
    'Parquet and Arrow tables'
    """
    kinds = {file.suffix.lower() for file in files}
    named = (("Parquet", PARQUET_SUFFIX), ("Arrow", ARROW_SUFFIX))
    return f"{' and '.join(name for name, kind in named if kind in kinds)} tables"


def require_distinct_columns(archive: Path, columns: Sequence[str]) -> None:
    """Raises BadFile: two columns have one name, so that what is read would be that of either, or of none."""
    if repeated := [name for name, n in Counter(columns).items() if n > 1]:
        said = f"several columns are called {', '.join(repeated)}"
        raise BadFile(archive, [f"{said}; give each a name of its own"])


def find_image_column(archive: Path, schema: Any) -> str | None:
    """The column that holds the pictures; None if the table is about something else. Raises BadFile."""
    if not any(holds_bytes(field.type) or field.name in IMAGE_COLUMNS for field in schema):
        return None
    require_distinct_columns(archive, schema.names)
    holding = [c for c in IMAGE_COLUMNS if c in schema.names and holds_bytes(schema.field(c).type)]
    pairs = [
        field.name
        for field in schema
        if has_path(field.type) and holds_bytes(field.type) and field.name not in OTHER_MEDIA
    ]
    if holding or len(pairs) == 1:
        return (holding or pairs)[0]
    raise BadFile(
        archive,
        [
            f"looked for the images, as bytes, in a column {', '.join(IMAGE_COLUMNS)}; "
            f"there are: {', '.join(schema.names)}"
        ],
    )


def find_rows_without_image(file: Any, number: int, image: str) -> set[int]:
    """Rows of a row group whose image is null, as of failed downloads; read only if the file says there may be some."""
    if file.metadata is not None:
        about = file.metadata.row_group(number)
        columns = [about.column(i) for i in range(about.num_columns)]
        counts = [c.statistics for c in columns if c.path_in_schema in (image, f"{image}.bytes")]
        if counts and all(c is not None and c.has_null_count and c.null_count == 0 for c in counts):
            return set()
    import pyarrow.compute as pc
    import pyarrow.types as types

    cells = file.read_row_group(number, columns=[image])[image]
    if types.is_struct(cells.type):  # whose bytes may be there and empty, as of a mere path
        lengths = pc.binary_length(pc.struct_field(cells, "bytes"))
        lacking = pc.equal(pc.fill_null(lengths, 0), 0)
    else:
        lacking = pc.is_null(cells)
    return {*np.flatnonzero(lacking.to_numpy()).tolist()}


def take_cell(cell: dict[str, Any], column: str) -> str:
    """The text in a column, or in a field of it as in ``image.path``; empty where there is none."""
    outer, _, inner = column.rpartition(".")
    value = (cell.get(outer) or {}).get(inner) if outer else cell.get(column)
    return "" if value is None else str(value)


def holds_bytes(kind: Any) -> bool:
    """Whether a column holds bytes: plain, or as the library ``datasets`` writes images."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and holds_bytes(kind.field("bytes").type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def has_path(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_struct(kind) and kind.get_field_index("path") >= 0)


@lru_cache(maxsize=CACHED_ROW_GROUPS)
def read_row_group(archive: Path, number: int, column: str, state: tuple[int, int]) -> Any:
    """The cells of a column in one row group of a table that is in this state, of size and time of change."""
    import pyarrow as pa

    try:
        with open_row_groups(archive) as file:
            return file.read_row_group(number, columns=[column])[column]
    except pa.ArrowException as error:
        raise OSError(str(error)) from error


def is_same_picture(one: object, other: object) -> bool:
    """Whether two rows of tables hold the same bytes, as where the captions of a picture go on in the next table."""
    if not (isinstance(one, TableCell) and isinstance(other, TableCell)):
        return False
    return one.read_bytes() == other.read_bytes()
