"""Reads CSV tables made by people, with line numbers and all problems at once."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kis_bench.errors import BadFile
from kis_bench.files.encodings import decode_any
from kis_bench.files.workbooks import WORKBOOK_SUFFIX, read_workbook_rows

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}  #: as spreadsheets write them
SEPARATOR_LINE = re.compile(
    r"sep=([,;\t])\r?\n", re.IGNORECASE
)  #: the first one, of some spreadsheets
QUOTING = "quote cells that hold {}, quotes or new lines, and double the quotes in them"
MOST_UNREADABLE = 100  #: rows before a file is given up
UNNAMED = (
    "",
    "Unnamed: 0",
)  #: of the index of a table that pandas wrote, and of one that it read and wrote again
NumberedRow = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class SheetText:
    """The text of a table made by people, and how it was written."""

    text: str
    encoding: str
    separator: str  # a key of SEPARATORS
    first_line: int = 1  # of the text, within the file

    @property
    def form(self) -> str:
        """What is unusual about it, in words; empty if nothing is.

        >>> SheetText("", "cp1250", ";").form, SheetText("", "utf-8", ",").form
        ('cp1250, cells separated by semicolons', '')
        """
        encoding = [self.encoding] * (self.encoding != "utf-8")
        between = [f"cells separated by {SEPARATORS[self.separator]}"] * (self.separator != ",")
        return ", ".join((*encoding, *between))


def read_rows(
    file: Path, problems: list[str] | None = None, *, index: str = ""
) -> tuple[tuple[str, ...], Iterator[NumberedRow]]:
    """The header of a CSV file (RFC 4180, or as spreadsheets write it) and its rows with the line that each begins on.

    A spreadsheet of Excel's form (.xlsx) is read likewise, row by row.

    Empty rows, and empty columns at the end, are left out.

    Args:
        problems: takes what is wrong with single rows, which then are left out; None: that raises too.
        index: what a first column without a name is called, as pandas writes its index, and when it wrote it twice.

    Raises:
        BadFile: no table can be read.
    """
    wrong: list[str] = [] if problems is None else problems
    if file.suffix.lower() == WORKBOOK_SUFFIX:
        table = SheetText("", "utf-8", ",")
        found = list(drop_empty(row for row in read_workbook_rows(file) if row[1]))
    else:
        table = read_sheet(file, wrong)
        found = list(drop_empty(parse_rows(table, wrong)))
    line, cells = found.pop(0) if found else (0, [])
    header = tuple(cell.strip() for cell in cells) if line == table.first_line else ()
    if index and header and header[0] in UNNAMED:
        header = ("(index)" if index in header else index, *header[1:])
    if len({*header}) < max(1, len(header)) or not all(header):
        raise BadFile(
            file, ["line 1: the header is empty, or names a column twice or not at all", *wrong]
        )
    for begun, row in found:
        if len(row) != len(header):
            remedy = (
                f"quote cells that hold {SEPARATORS[table.separator]}"
                if len(row) > len(header)
                else "fill the row or delete it"
            )
            wrong.append(
                f"line {begun}: {len(row)} cells where the header has {len(header)}; {remedy}"
            )
    if problems is None and wrong:
        raise BadFile(file, wrong)
    return header, (
        (begun, dict(zip(header, row, strict=True)))
        for begun, row in found
        if len(row) == len(header)
    )


def drop_empty(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yields rows, header first, without those that are empty and without empty columns at the end."""
    width = 0
    for line, row in rows:
        if not row[0] and not any(cell.strip() for cell in row):
            continue
        if not width:
            width = max(place for place, cell in enumerate(row, start=1) if cell.strip())
        yield line, cut_row(row, width)


def cut_row(row: list[str], width: int) -> list[str]:
    """The row without the empty cells at its end that go beyond a width."""
    return row if len(row) <= width or any(map(str.strip, row[width:])) else row[:width]


def read_sheet(file: Path, problems: list[str]) -> SheetText:
    """The text of a table, in the encoding and with the separator that it is written with.

    UTF-16 and the older encodings of Windows are read where no other can be meant.

    Raises:
        BadFile: it can't be read, or is damaged UTF-16.
    """
    text, encoding = decode_any(file, problems)
    told = SEPARATOR_LINE.match(text)
    separator = told[1] if told else find_separator(text)
    return SheetText(text[told.end() if told else 0 :], encoding, separator, 2 if told else 1)


def find_separator(text: str) -> str:
    """What separates the cells of a table: commas, unless its header has none of them."""
    header = text.lstrip("\r\n").partition("\n")[0]
    return "," if "," in header else max(SEPARATORS, key=header.count)


def strip_padding(text: str, separator: str = ",") -> str:
    """The text of a table without the blanks around quoted cells."""
    if '"' not in text:
        return text
    return compile_cells(separator).sub(lambda found: found["cell"] or found[0], text)


@lru_cache
def compile_cells(separator: str) -> re.Pattern[str]:
    """One cell or separator after the other; blanks around a quoted cell are not meant, though RFC 4180 has none."""
    blank, end = r"[ \t]" if separator != "\t" else " ", rf"{separator}\r\n"
    return re.compile(
        rf"""{blank}*(?P<cell>"[^"]*(?:""[^"]*)*"){blank}*(?=[{end}]|\Z)|[^{end}]+|[{end}]"""
    )


def parse_rows(table: SheetText, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a table that aren't blank, each with the line it begins on.

    Behind a row that can't be read it goes on with the next line, so that all such rows are found.
    """
    separator = table.separator
    lines = list(io.StringIO(strip_padding(table.text, separator), newline=""))
    start, quoting = 0, QUOTING.format(SEPARATORS[separator])  # of the row that is read
    for _ in range(MOST_UNREADABLE):
        before = start
        reader = csv.reader(
            lines[start:],
            strict=True,
            skipinitialspace=True,
            delimiter=separator,
        )
        try:
            for row in reader:
                if row:
                    yield start + table.first_line, row
                start = before + reader.line_num
            return
        except csv.Error as error:
            problems.append(
                f"line {start + table.first_line}: {error} in the row that begins here; {quoting}"
            )
            start += 1
    problems.append(
        f"line {start + table.first_line - 1}: the rest was not read; mend the quotes above first"
    )


def find_unexpected_columns(
    header: Iterable[str], needed: tuple[str, ...], optional: tuple[str, ...]
) -> list[str]:
    """Missing and unrecognised columns."""
    header = tuple(header)
    return [f"line 1: missing column {c!r}" for c in needed if c not in header] + [
        f"line 1: unknown column {c!r}" for c in header if c not in (*needed, *optional)
    ]


def parse_line_number(problem: str) -> int:
    found = re.match(r"line (\d+)", problem)
    return int(found[1]) if found else 0


def parse_seconds(cell: str, column: str, line: int, problems: list[str]) -> float:
    """The seconds in a cell; NaN if it is empty."""
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        problems.append(f"line {line}: {column} {cell!r} is not a number of seconds")
    return value
