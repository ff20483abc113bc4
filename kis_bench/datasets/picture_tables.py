"""Pictures in Parquet tables: as bytes with an id, or as the library ``datasets`` and its hub write them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kis_bench.datasets.captions import Caption, find_caption_columns, take_captions
from kis_bench.datasets.found import NO_IMAGE, Found
from kis_bench.datasets.parquet import (
    TableCell,
    find_image_column,
    find_rows_without_image,
    has_path,
    open_table,
    take_cell,
)
from kis_bench.errors import BadFile
from kis_bench.files.cache import find_once
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.whole import digest_content

ID_COLUMNS = ("item_id", "key", "__key__", "id")
NAME_COLUMNS = ("filename", "file_name")  #: of files: with a folder and a suffix, which are no id
ELSEWHERE = re.compile(r"/|[A-Za-z]:|.*://|(?:.*/)?\.\.(?:/|$)")  #: not below any folder of ours
Name = tuple[str, str]  #: item id, and suffix where it is known


@dataclass(frozen=True)
class PictureRow:
    """A row with a picture: what the first column that tells its id says, and what the name of its file says."""

    name: Name
    file_name: Name
    cell: TableCell
    group: str | None
    time_s: float | None
    captions: list[Caption]


def find_in_parquet(archive: Path, ignored: Counter[str]) -> Iterator[Found]:
    """Yields the pictures of a table, one for all rows that repeat it, and counts rows without one in ``ignored``.

    Raises:
        BadFile: it is damaged, or holds no pictures that can be read and named.
    """
    with open_table(archive) as file:
        image = find_image_column(archive, file.schema_arrow)
        if image is None:  # notes beside pictures, as img2dataset writes them
            ignored[archive.suffix] += 1
            return
        columns = find_name_columns(archive, file.schema_arrow, image)
        rows = read_picture_rows(archive, file, image, columns, ignored)
        yield from drop_repeated(archive, rows, columns[0])


def find_name_columns(archive: Path, schema: Any, image: str) -> tuple[str, str]:
    """The column that tells the item ids, and the one that tells file names, the same where there is no other."""
    plain = [c for c in (*ID_COLUMNS, *NAME_COLUMNS) if c in schema.names]
    inner = [f"{image}.path"] if has_path(schema.field(image).type) else []
    if not plain and not inner:
        raise BadFile(
            archive,
            [
                f"looked for the item ids in a column {', '.join((*ID_COLUMNS, *NAME_COLUMNS))}, or {image}.path; "
                f"there are: {', '.join(schema.names)}"
            ],
        )
    names = plain + inner
    return names[0], next((c for c in names if c not in ID_COLUMNS), names[0])


def read_picture_rows(
    archive: Path, file: Any, image: str, columns: tuple[str, str], ignored: Counter[str]
) -> list[PictureRow]:
    schema = file.schema_arrow
    captions, distinct = find_caption_columns(schema), set(columns)
    about = [*columns, *captions, *(c for c in ("group", "time_s") if c in schema.names)]
    rows: list[PictureRow] = []
    problems: list[str] = []
    lacking = n_before = 0
    for number in range(file.num_row_groups):
        without = find_rows_without_image(file, number, image)
        lacking += len(without)
        cells = file.read_row_group(number, columns=[*dict.fromkeys(about)]).to_pylist()
        for row, cell in enumerate(cells):
            if row not in without:
                place = f"row {row + 1} of row group {number}"
                names = {column: name_picture(cell, column) for column in distinct}
                name, file_name = (names[column] for column in columns)
                if not name[0]:
                    problems.append(f"{place}: {columns[0]} is empty; give each picture a name")
                part = TableCell(archive, image, number, row, name[0])
                time_s = take_seconds(cell, place, problems)
                group = take_cell(cell, "group") or None
                texts = take_captions(cell, captions, archive, n_before + row + 1)
                rows.append(PictureRow(name, file_name, part, group, time_s, texts))
        n_before += len(cells)
    if rows and not any(row.name[0] for row in rows):
        remedy = "on all rows; add a column item_id with a name for each picture"
        problems = [f"nothing tells what the pictures are called: {columns[0]} is empty {remedy}"]
    if lacking and not rows and has_path(schema.field(image).type):
        problems = [explain_absent_bytes(file, image)]
    if problems:
        raise BadFile(archive, problems)
    ignored.update({NO_IMAGE: lacking} if lacking else {})
    return rows


def explain_absent_bytes(file: Any, image: str) -> str:
    """What to do about a table in which ``datasets`` left out the files, which it does unless told to embed them."""
    paths = (
        take_cell(cell, f"{image}.path")
        for number in range(file.num_row_groups)
        for cell in file.read_row_group(number, columns=[f"{image}.path"]).to_pylist()
    )
    first = next(filter(None, paths), None)
    there = f"paths, such as {first!r}, but no bytes" if first else "neither bytes nor paths"
    return (
        f"the pictures aren't in this file: column {image} has {there}; put the picture files into images/ and this "
        "table elsewhere, or write it with the pictures in it (datasets.table.embed_table_storage)"
    )


def name_picture(cell: dict[str, Any], column: str) -> Name:
    """Item id and suffix that a column of a row tells; ids are taken as they are and have no suffix."""
    written = take_cell(cell, column)
    return (written, "") if column in ID_COLUMNS else split_file_name(written)


def take_seconds(cell: dict[str, Any], place: str, problems: list[str]) -> float | None:
    time_s = cell.get("time_s")
    right = isinstance(time_s, int | float) and not isinstance(time_s, bool)
    if time_s is None or (right and not math.isinf(time_s)):
        return None if time_s is None else float(time_s)
    problems.append(f"{place}: time_s {time_s!r} is not a number of seconds")
    return None


def split_file_name(path: str) -> Name:
    """Item id and suffix of a picture file, below its folder; of a path elsewhere only the last part is kept.

    >>> split_file_name("beach/0042.jpg"), split_file_name("/home/me/0042.JPG"), split_file_name("zip://a/7.png::b.zip")
    (('beach/0042', '.jpg'), ('0042', '.JPG'), ('7', '.png'))
    """
    plain = path.partition("::")[0].replace("\\", "/")
    pure = PurePosixPath(plain)
    if ELSEWHERE.match(plain):
        pure = PurePosixPath(pure.name)
    suffix = pure.suffix if pure.suffix.lower() in IMAGE_SUFFIXES else ""
    return (str(pure).removesuffix(suffix), suffix) if pure.name else ("", "")


def drop_repeated(archive: Path, rows: list[PictureRow], column: str) -> Iterator[Found]:
    """Yields each picture once where several rows, one for each caption, repeat its name and its bytes.

    A column ``id`` is of the captions where it differs between rows of one file name and the same bytes.

    Raises:
        BadFile: one name stands for different pictures.
    """
    names = [row.name for row in rows]
    contents = digest_repeated(archive, rows, names)
    if column == "id" and not contents:
        files = [row.file_name for row in rows]
        contents = digest_repeated(archive, rows, files)
        one_each = all(len(digests) == 1 for digests in contents.values())
        names, contents = (files, contents) if contents and one_each else (names, {})
    if wrong := ["".join(name) for name, digests in contents.items() if len(digests) > 1]:
        said = f"{column} calls different pictures the same, such as {', '.join(wrong[:3])}"
        raise BadFile(archive, [f"{said}; add a column item_id with a name of its own for each"])
    first: dict[Name, Found] = {}
    for row, name in zip(rows, names, strict=True):
        cell = replace(row.cell, name=name[0])
        found = first.setdefault(name, Found(name[0], cell, row.group, row.time_s, name[1]))
        found.captions.extend(row.captions)
    yield from first.values()


def digest_repeated(
    archive: Path, rows: list[PictureRow], names: list[Name]
) -> dict[Name, set[str]]:
    """The digests of the pictures of each name that several rows have; read again only when the table has changed."""
    counts = Counter(names)
    repeated = [(name, row.cell) for name, row in zip(names, rows, strict=True) if counts[name] > 1]

    def digest_all(_: Path) -> str:
        return json.dumps([digest_content(cell) for _, cell in repeated])

    found: defaultdict[Name, set[str]] = defaultdict(set)
    if repeated:
        kind = f"repeated {len(repeated)}"
        digests = json.loads(find_once(kind, archive, digest_all))
        for (name, _), digest in zip(repeated, digests, strict=True):
            found[name].add(digest)
    return found
