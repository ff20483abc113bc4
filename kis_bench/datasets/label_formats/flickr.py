"""Captions of Flickr8k and Flickr30k: token files, and tables as Kaggle hands them out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kis_bench.datasets.captions import Caption, put_on_one_line
from kis_bench.datasets.label_formats.caption_queries import (
    CAPTIONS,
    CaptionTable,
    make_caption_format,
)
from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.datasets.parts import ALL
from kis_bench.errors import BadFile
from kis_bench.files.csv_tables import read_rows
from kis_bench.files.encodings import decode_any
from kis_bench.files.text import list_first_names
from kis_bench.records import count_things

FIRST_BYTES_READ = 4096
#: ``NAME#0``, a tabulator and a text; quotes are part of the text.
TOKEN_LINE = re.compile(r"([^\t]+)#(\d+)\t(.*)")
#: The second separator is missing on one line of Flickr30k.
PIPE_LINE = re.compile(r"([^|]+)\|\s*(\d+)(?:\s*\||\s)(.*)")
PIPE_HEADER = re.compile(r"image(?:_name)?\s*\|\s*comment_number\s*\|\s*comment\s*", re.IGNORECASE)
COMMA_HEADERS = (("image", "caption"), ("image_name", "comment_number", "comment"))
NUMBERED_TWICE = re.compile(r"(.+\.(?:jpe?g|png))\.\d+", re.IGNORECASE)
SPLIT_LIST = re.compile(r"Flickr_?8k\.(train|dev|test)Images\.txt", re.IGNORECASE)
LEMMAS = ".lemma."  #: in the name of a file of Flickr8k with the words' basic forms, which are no captions


def find_flickr_files(folder: DatasetFolder) -> list[Path]:
    """The files of captions, and behind them the lists of splits that lie beside them."""
    some = folder.list_files(".token", ".txt", ".csv")
    found = [file for file in some if LEMMAS not in file.name and tell_flickr_form(file)]
    beside = {file.parent for file in found}
    lists = [file for file in some if SPLIT_LIST.fullmatch(file.name) and file.parent in beside]
    return [*found, *lists]


def tell_flickr_form(file: Path) -> str:
    """How the first line of a file separates names and texts: a tabulator, a pipe, a comma; else nothing."""
    try:
        with file.open("rb") as stream:
            first = stream.read(FIRST_BYTES_READ).decode("utf-8-sig", "replace")
    except OSError:  # named by those who need it
        return ""
    first = first.partition("\n")[0].strip()
    if TOKEN_LINE.fullmatch(first):
        return "\t"
    if PIPE_HEADER.fullmatch(first):
        return "|"
    return "," if tuple(first.split(",")) in COMMA_HEADERS else ""


def read_flickr(files: Sequence[Path], split: str) -> CaptionTable:
    """The texts of a file, of one split where lists of the splits lie beside it. Raises BadFile."""
    tables = [file for file in files if not SPLIT_LIST.fullmatch(file.name)]
    if len(tables) > 1:
        names = list_first_names([file.name for file in tables])
        raise BadFile(files[0].parent, [f"several files of captions: {names}; leave one here"])
    file = files[0]
    table = CaptionTable(file, folders_count=False)
    form = tell_flickr_form(file)
    rows = read_comma_rows(file) if form == "," else read_marked_lines(file, form, table)
    for line, name, text in rows:
        caption = Caption(str(file), line, CAPTIONS, put_on_one_line(text))
        table.texts.setdefault(name, []).append(caption)
    if table.problems:
        raise BadFile(file, table.problems)
    join_numbered_names(table)
    keep_split(table, split, files)
    return table


def read_comma_rows(file: Path) -> Iterator[tuple[int, str, str]]:
    """Line, name of the picture and text of each row. Raises BadFile."""
    header, rows = read_rows(file)
    for line, row in rows:
        yield line, row[header[0]].strip(), row[header[-1]]


def read_marked_lines(file: Path, mark: str, table: CaptionTable) -> Iterator[tuple[int, str, str]]:
    """Line, name of the picture and text of each line; what isn't one is a problem of the table."""
    text, _ = decode_any(file, table.problems)
    pattern, whole = (
        (PIPE_LINE, "NAME| 0| TEXT") if mark == "|" else (TOKEN_LINE, "NAME#0<TAB>TEXT")
    )
    lines = text.split("\n")
    without = []
    for number, line in enumerate(lines[mark == "|" :], start=1 + (mark == "|")):
        if not line.strip():
            continue
        found = pattern.fullmatch(line.rstrip("\r"))
        if found is None:
            table.problems.append(f"line {number}: it isn't {whole}; mend it or delete the line")
            continue
        if mark == "|" and line.count("|") < 2:
            without.append(str(number))
        yield number, found[1].strip(), found[3]
    if without:
        which = list_first_names(without, 5)
        table.remarks.append(
            f"{file.name}: the second | is missing on line {which}, read without it"
        )


def join_numbered_names(table: CaptionTable) -> None:
    """Gives texts of ``NAME.jpg.1`` to ``NAME.jpg``, where there is that picture, and says so."""
    for name in [*table.texts]:
        meant = NUMBERED_TWICE.fullmatch(name)
        if meant and meant[1] in table.texts:
            texts = table.texts.pop(name)
            table.texts[meant[1]] = sorted([*texts, *table.texts[meant[1]]])
            said = f"{count_things(len(texts), 'text')} of {name} taken for {meant[1]}"
            table.remarks.append(f"{table.file.name}: {said}")


def keep_split(table: CaptionTable, split: str, files: Sequence[Path]) -> None:
    """Leaves the pictures of a split, ``test`` unless another is asked for; all, where no list tells splits.

    Raises:
        BadFile: there is no list of it.
    """
    lists = {named[1].lower(): file for file in files if (named := SPLIT_LIST.fullmatch(file.name))}
    if split in ("", ALL) and not (lists and not split):
        return
    asked = split or "test"
    if asked not in lists:
        known = ", ".join(f"NAME:{name}" for name in (*lists, ALL))
        said = f"there is no list of the split {asked!r}, such as Flickr_8k.{asked}Images.txt"
        raise BadFile(table.file, [f"{said}; ask for one that there is: {known}"])
    members = {name: read_split_list(file) for name, file in lists.items()}
    for name, pictures in members.items():
        if absent := [one for one in pictures if one not in table.texts]:
            said = f"{list_first_names(absent, 5)} of {lists[name].name} has no text"
            table.problems.append(f"{said} in {table.file.name}; take the original files")
    if table.problems:
        raise BadFile(table.file, table.problems)
    counts = ", ".join(
        f"{name} ({len(own):,} pictures, {sum(len(table.texts[one]) for one in own):,} texts)"
        for name, own in members.items()
    )
    table.remarks.append(f"{table.file.name} has the splits {counts}; read is {asked}")
    table.pictures = members[asked]
    table.texts = {name: table.texts[name] for name in table.pictures}


def read_split_list(file: Path) -> list[str]:
    text, _ = decode_any(file, [])
    return [*dict.fromkeys(filter(None, map(str.strip, text.split("\n"))))]


FORMAT = make_caption_format(
    "flickr", "captions of Flickr8k or Flickr30k", 30, find_flickr_files, read_flickr
)
