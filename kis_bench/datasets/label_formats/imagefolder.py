"""Metadata of the hub's image folders: ``metadata.csv``, ``.jsonl`` or ``.parquet``, beside pictures and below."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kis_bench.datasets.captions import CAPTION_COLUMN, Caption, flatten_texts
from kis_bench.datasets.label_formats.caption_queries import (
    CaptionTable,
    make_caption_format,
    show_name,
)
from kis_bench.datasets.label_formats.json_files import peek
from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.datasets.parquet import open_table, require_distinct_columns
from kis_bench.datasets.parts import ALL
from kis_bench.errors import BadFile
from kis_bench.files.csv_tables import read_rows
from kis_bench.files.states import remember_by_state
from kis_bench.records import count_things

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_COLUMN = "file_name"
INDEX = (
    "Unnamed: 0"  #: a first column without a name, which is the index of a table that pandas wrote
)
Cells = dict[str, Any]


def find_metadata(folder: DatasetFolder) -> list[Path]:
    """The metadata files, of which one at least has texts."""
    beside = [file for file in folder.files if file.parent == folder.root]
    named = {file for file in (*beside, *folder.inside) if file.name.lower() in METADATA_NAMES}
    found = sorted(named, key=lambda file: (len(file.parts), file))
    return found if any(map(announces_texts, found)) else []


@remember_by_state
def announces_texts(file: Path) -> bool:
    """Whether a metadata file has texts of files, or says so where it can't be read; any other may be anything."""
    try:
        return bool(find_file_column(list_metadata_columns(file)))
    except BadFile:
        return names_files(file)


def names_files(file: Path) -> bool:
    """Whether the name of the column of files stands in what would be a header, also in a file that can't be read."""
    if file.suffix.lower() == ".parquet":
        return FILE_COLUMN.encode() in peek(file)
    return FILE_COLUMN.encode() in peek(file).lstrip().partition(b"\n")[0]


def find_file_column(columns: Sequence[str]) -> str:
    """The column that names files, where there is one of texts, too; else nothing.

    >>> find_file_column(["image_file_name", "caption"]), find_file_column(["file_name", "label"])
    ('image_file_name', '')
    """
    named = [one for one in columns if one == FILE_COLUMN or one.endswith(f"_{FILE_COLUMN}")]
    return named[0] if len(named) == 1 and any(map(CAPTION_COLUMN.fullmatch, columns)) else ""


def list_metadata_columns(file: Path) -> tuple[str, ...]:
    """The columns of a metadata file, perhaps none. Raises BadFile."""
    if file.suffix.lower() == ".csv":
        return read_rows(file, [], index=INDEX)[0]
    if file.suffix.lower() == ".parquet":
        with open_table(file) as table:
            return tuple(table.schema_arrow.names)
    return tuple(dict.fromkeys(c for _, cells in read_json_lines(file, []) for c in cells))


def read_records(file: Path) -> Iterator[tuple[int, Cells]]:
    """Line and cells of each record. Raises BadFile."""
    if file.suffix.lower() == ".csv":
        yield from read_rows(file, index=INDEX)[1]
    elif file.suffix.lower() == ".parquet":
        with open_table(file) as table:
            names = table.schema_arrow.names
            wanted = [c for c in names if CAPTION_COLUMN.fullmatch(c) or c.endswith(FILE_COLUMN)]
            require_distinct_columns(file, wanted)
            yield from enumerate(table.read(columns=wanted).to_pylist(), start=1)
    else:
        yield from read_json_lines(file)


def read_json_lines(file: Path, problems: list[str] | None = None) -> Iterator[tuple[int, Cells]]:
    """Line and object of each line that isn't blank.

    Args:
        problems: takes what is wrong with single lines; None: that raises.

    Raises:
        BadFile: it can't be read.
    """
    wrong: list[str] = [] if problems is None else problems
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise BadFile(file, [f"byte {error.start} is not UTF-8; save it as UTF-8"]) from error
    for line, each in enumerate(text.split("\n"), start=1):
        if each.strip():
            try:
                cells = json.loads(each)
            except (json.JSONDecodeError, RecursionError):
                cells = None
            if isinstance(cells, dict):
                yield line, cells
            else:
                wrong.append(f"line {line}: it isn't one object of JSON; write one on each line")
    if wrong and problems is None:
        raise BadFile(file, wrong)


def read_metadata(files: Sequence[Path], split: str) -> CaptionTable:
    """The texts of all metadata files of a folder, where the nearest to a picture goes before others.

    Args:
        files: those of outer folders first.
        split: a folder of pictures, which then are searched alone.

    Raises:
        BadFile: with the problems of a file, or two of one folder.
    """
    telling = [file for file in files if announces_texts(file)]
    folders = [file.parent for file in telling]
    if doubled := [file for file in telling if folders.count(file.parent) > 1]:
        names = " and ".join(file.name for file in doubled if file.parent == doubled[0].parent)
        raise BadFile(doubled[0].parent, [f"{names} lie beside each other; leave one of them"])
    part = "" if split == ALL else split
    table, replaced = CaptionTable(files[0], within=part, only_within=bool(part)), 0
    for file in files:
        if file not in telling:
            table.unread.append(f"{show_name(table, str(file))} has no texts of single pictures")
            continue
        texts = take_metadata(file, table)
        replaced += len(texts.keys() & table.texts.keys())
        table.texts |= texts
    if replaced:
        said = f"{count_things(replaced, 'picture')} named by metadata of outer folders, too"
        table.remarks.append(f"{said}: what lies nearest is read")
    return table


def take_metadata(file: Path, table: CaptionTable) -> dict[str, list[Caption]]:
    """Path of each picture -> its texts in a file; ``table`` is told of rows that aren't read. Raises BadFile."""
    columns = list_metadata_columns(file)
    column, texts = find_file_column(columns), dict[str, list[Caption]]()
    named = {c: match[1] for c in columns if (match := CAPTION_COLUMN.fullmatch(c))}
    problems: list[str] = []
    for line, cells in read_records(file):
        name = cells.get(column)
        if not isinstance(name, str) or not name.strip():
            problems.append(f"line {line}: {column} is empty or no text; name the picture's file")
            continue
        path = os.path.abspath(file.parent / name.strip())
        for each, label_set in named.items():
            cell = cells.get(each)
            if not is_text_cell(cell):
                problems.append(f"line {line}: {each} is neither a text nor a list of texts")
                continue
            own = texts.setdefault(path, [])
            own += [Caption(str(file), line, label_set, text) for text in flatten_texts(cell)]
    if problems:
        raise BadFile(file, problems)
    return texts


def is_text_cell(cell: Any) -> bool:
    return (
        cell is None
        or isinstance(cell, str)
        or (isinstance(cell, list) and all(one is None or isinstance(one, str) for one in cell))
    )


FORMAT = make_caption_format(
    "imagefolder", "metadata of an image folder", 40, find_metadata, read_metadata, deep=True
)
