"""Pictures inside larger files: tar archives (WebDataset shards) and Parquet tables with image bytes.

Nothing is ever unpacked: a picture is read where it lies, so names inside an archive lead nowhere.
"""

from __future__ import annotations

import json
import math
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from kis_bench.errors import BadFile
from kis_bench.files.cache import find_once
from kis_bench.files.images import IMAGE_SUFFIXES
from kis_bench.records import Part

ID_COLUMNS = ("item_id", "key", "__key__", "id")
IMAGE_COLUMNS = ("image", "jpg", "png", "webp", "bytes")
#: Thumbnails and deleted files of network disks and systems; names that begin with a dot aren't looked at anyway.
SYSTEM_FOLDERS = frozenset(
    {
        "@eaDir",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "System Volume Information",
        "__MACOSX",
        "lost+found",
    }
)
NO_IMAGE = "(rows without an image)"
#: Row groups kept in memory, since reading one picture means reading its row group: more than threads read at once.
CACHED_ROW_GROUPS = 9


@dataclass(frozen=True)
class Found:
    """A picture in an archive, under the name that it has there."""

    item_id: str
    part: Part
    group: str | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class TarMember:
    archive: Path
    name: str
    offset: int  # bytes from the start of the archive
    size: int  # bytes

    def read_bytes(self) -> bytes:
        with self.archive.open("rb") as stream:
            stream.seek(self.offset)
            content = stream.read(self.size)
        if len(content) < self.size:
            raise OSError(f"the archive ends within {self.name}")
        return content

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


@dataclass(frozen=True, slots=True)
class ParquetCell:
    archive: Path
    column: str
    row_group: int
    row: int  # within the row group
    name: str

    def read_bytes(self) -> bytes:
        cell = read_row_group(self.archive, self.row_group, self.column)[self.row].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise OSError(f"{self.name} has no bytes in column {self.column}")
        return content

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


def find_in_archive(archive: Path, ignored: Counter[str]) -> Iterator[Found]:
    """Yields the pictures of one archive, and counts its other files by suffix in ``ignored``.

    Raises:
        BadFile: it is damaged, or not of the form that is read.
    """
    if archive.suffix.lower() == ".parquet":
        yield from find_in_parquet(archive, ignored)
        return
    for name, offset, size in list_members(archive):
        suffix = PurePosixPath(name).suffix
        if suffix.lower() not in IMAGE_SUFFIXES:
            ignored[suffix.lower()] += 1
            continue
        yield Found(name.removesuffix(suffix), TarMember(archive, name, offset, size))


def list_members(archive: Path) -> list[tuple[str, int, int]]:
    """Name, offset and size of the files in a tar archive; read again only when the archive has changed."""
    try:
        listed = find_once("tar", archive, lambda file: json.dumps(read_members(file)))
        return [(name, offset, size) for name, offset, size in json.loads(listed)]
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        remedy = "copy it again; a compressed one has to be decompressed"
        raise BadFile(archive, [f"not a readable tar archive ({error}); {remedy}"]) from error


def read_members(archive: Path) -> list[tuple[str, int, int]]:
    problems: list[str] = []
    found: list[tuple[str, int, int]] = []
    length = archive.stat().st_size
    with tarfile.open(archive, "r:") as tar:
        before = -1
        for entry in tar:
            if entry.size < 0 or entry.offset <= before:  # would be listed for ever (CVE-2025-8194)
                raise tarfile.ReadError("a member of negative size")
            before = entry.offset
            name = entry.name.removeprefix("./")
            if entry.isdir() or any(map(is_hidden, PurePosixPath(name).parts)):
                continue
            if not entry.isfile() or entry.issparse():
                problems.append(f"{name} is a link or a special file; pack the file itself")
            elif entry.offset_data + entry.size > length:
                problems.append(f"{name} is cut off by the end of the archive; copy it again")
            elif "\ufffd" in name or not is_encodable(name):
                problems.append(f"{name!r} is not UTF-8; rename it")
            else:
                found.append((name, entry.offset_data, entry.size))
        if not has_end_mark(archive, tar.offset):  # where no further header was found
            problems.append(
                "it has no end mark behind its last member: cut off, damaged, or two in one; copy it again"
            )
    if problems:
        raise BadFile(archive, problems)
    return found


def has_end_mark(archive: Path, end: int) -> bool:
    """Whether a tar archive consists of zeros, at least one block of them, from ``end`` on.

    Python's reader takes a damaged header for the end, and would lose all that comes behind it without a word.
    """
    with archive.open("rb") as stream:
        stream.seek(end)
        rest = 0
        while chunk := stream.read(2**20):
            if chunk.count(0) < len(chunk):
                return False
            rest += len(chunk)
    return rest >= tarfile.BLOCKSIZE


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's pictures."""
    return (name.startswith(".") and name not in (".", "..")) or name in SYSTEM_FOLDERS


def is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_in_parquet(archive: Path, ignored: Counter[str]) -> Iterator[Found]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(archive) as file:
            schema = file.schema_arrow
            image = next(
                (
                    c
                    for c in IMAGE_COLUMNS
                    if c in schema.names and holds_bytes(schema.field(c).type)
                ),
                None,
            )
            id_column = next((c for c in ID_COLUMNS if c in schema.names), None)
            meant = any(holds_bytes(field.type) or field.name in IMAGE_COLUMNS for field in schema)
            if not meant:  # notes beside pictures, as img2dataset writes them
                ignored[archive.suffix] += 1
                return
            if image is None or id_column is None:
                raise BadFile(
                    archive,
                    [
                        f"looked for the item ids in a column {', '.join(ID_COLUMNS)}, and for the images, as bytes, "
                        f"in {', '.join(IMAGE_COLUMNS)}; there are: {', '.join(schema.names)}"
                    ],
                )
            about = [id_column, *(c for c in ("group", "time_s") if c in schema.names)]
            for number in range(file.num_row_groups):
                lacking = find_rows_without_image(file, number, image)
                ignored.update({NO_IMAGE: len(lacking)} if lacking else {})
                for row, cell in enumerate(file.read_row_group(number, columns=about).to_pylist()):
                    if row not in lacking:
                        yield make_found(archive, image, number, row, cell, id_column)
    except (pa.ArrowException, OSError) as error:
        raise BadFile(archive, [f"not a readable Parquet file: {error}"]) from error


def find_rows_without_image(file: Any, number: int, image: str) -> set[int]:
    """Rows of a row group whose image is null, as of failed downloads; read only if the file says there may be some."""
    about = file.metadata.row_group(number)
    columns = [about.column(i) for i in range(about.num_columns)]
    counts = [c.statistics for c in columns if c.path_in_schema in (image, f"{image}.bytes")]
    if counts and all(c is not None and c.has_null_count and c.null_count == 0 for c in counts):
        return set()
    column = file.read_row_group(number, columns=[image])[image].to_pylist()
    return {
        row
        for row, cell in enumerate(column)
        if cell is None or (isinstance(cell, dict) and not cell["bytes"])
    }


def make_found(
    archive: Path, image: str, number: int, row: int, cell: dict[str, Any], id_column: str
) -> Found:
    place = f"row {row + 1} of row group {number}"
    item, group, time_s = cell[id_column], cell.get("group"), cell.get("time_s")
    if item is None or str(item) == "":
        raise BadFile(archive, [f"{place}: {id_column} is empty"])
    seconds = (
        isinstance(time_s, (int, float)) and not isinstance(time_s, bool) and not math.isinf(time_s)
    )
    if time_s is not None and not seconds:
        raise BadFile(archive, [f"{place}: time_s {time_s!r} is not a number of seconds"])
    part = ParquetCell(archive, image, number, row, str(item))
    return Found(
        str(item),
        part,
        None if group in (None, "") else str(group),
        None if time_s is None else float(time_s),
    )


def holds_bytes(kind: Any) -> bool:
    """Whether a column holds bytes: plain, or as the library ``datasets`` writes images."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and holds_bytes(kind.field("bytes").type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


@lru_cache(maxsize=CACHED_ROW_GROUPS)
def read_row_group(archive: Path, number: int, column: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(archive) as file:
            return file.read_row_group(number, columns=[column])[column]
    except pa.ArrowException as error:
        raise OSError(str(error)) from error
