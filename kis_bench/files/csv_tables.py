"""Reads CSV tables made by people, with line numbers and all problems at once."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from kis_bench.errors import BadFile
from kis_bench.files.whole import read_chunks

#: One cell or separator after the other; blanks around a quoted cell are not meant, though RFC 4180 knows none there.
QUOTED = re.compile(
    r"""[ \t]*(?P<cell>"[^"]*(?:""[^"]*)*")[ \t]*(?=[,\r\n]|\Z)|[^,\r\n]+|[,\r\n]"""
)
QUOTING = "quote cells that hold commas, quotes or new lines, and double the quotes in them"
MOST_UNREADABLE = 100  #: rows before a file is given up
NOT_UTF8 = re.compile("[\udc80-\udcff]")
UNNAMED = (
    "",
    "Unnamed: 0",
)  #: of the index of a table that pandas wrote, and of one that it read and wrote again
NumberedRow = tuple[int, dict[str, str]]


def read_rows(
    file: Path, problems: list[str] | None = None, *, index: str = ""
) -> tuple[tuple[str, ...], Iterator[NumberedRow]]:
    """The header of a CSV file (UTF-8, RFC 4180) and its rows with the line that each begins on.

    Args:
        problems: takes what is wrong with single rows, which then are left out; None: that raises too.
        index: what a first column without a name is called, as pandas writes its index, and when it wrote it twice.

    Raises:
        BadFile: no table can be read.
    """
    wrong: list[str] = [] if problems is None else problems
    found = list(parse_rows(decode(file, wrong), wrong))
    header = tuple(cell.strip() for cell in found.pop(0)[1]) if found and found[0][0] == 1 else ()
    if index and header and header[0] in UNNAMED:
        header = ("(index)" if index in header else index, *header[1:])
    other = {";": "semicolons", "\t": "tabs"}.get(
        next((c for c in "".join(header) if c in ";\t"), "")
    )
    if other and len(header) == 1:
        raise BadFile(
            file, [f"line 1: its cells are separated by {other}; save the table with commas"]
        )
    for begun, row in found:
        if len(row) != len(header):
            remedy = (
                "quote cells that hold commas"
                if len(row) > len(header)
                else "fill the row or delete it"
            )
            wrong.append(
                f"line {begun}: {len(row)} cells where the header has {len(header)}; {remedy}"
            )
    if len(set(header)) < max(1, len(header)) or not all(header):
        raise BadFile(
            file, ["line 1: the header is empty, or names a column twice or not at all", *wrong]
        )
    if problems is None and wrong:
        raise BadFile(file, wrong)
    return header, (
        (begun, dict(zip(header, row, strict=True)))
        for begun, row in found
        if len(row) == len(header)
    )


def strip_padding(text: str) -> str:
    """The text of a table without the blanks around quoted cells."""
    return QUOTED.sub(lambda found: found["cell"] or found[0], text) if '"' in text else text


def parse_rows(text: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a table that aren't blank, each with the line it begins on.

    Behind a row that can't be read it goes on with the next line, so that all such rows are found.
    """
    lines = list(io.StringIO(strip_padding(text), newline=""))
    start = 0  # of the row that is read
    for _ in range(MOST_UNREADABLE):
        reader, before = csv.reader(lines[start:], strict=True, skipinitialspace=True), start
        try:
            for row in reader:
                if row:
                    yield start + 1, row
                start = before + reader.line_num
            return
        except csv.Error as error:
            problems.append(f"line {start + 1}: {error} in the row that begins here; {QUOTING}")
            start += 1
    problems.append(f"line {start}: the rest was not read; mend the quotes above first")


def decode(file: Path, problems: list[str]) -> str:
    """The text of a file; what isn't UTF-8 or text becomes U+FFFD, and a problem."""
    try:
        content = b"".join(read_chunks(file))
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadFile(file, ["the file is UTF-16; save it as UTF-8"])
    text = content.decode("utf-8-sig", "surrogateescape")
    for number, line in enumerate(text.split("\n"), start=1):
        if bad := NOT_UTF8.search(line):
            byte = ord(bad.group()) - 0xDC00
            problems.append(
                f"line {number}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
            )
        if "\0" in line:
            problems.append(f"line {number}: a NUL byte; is this a text file?")
    return NOT_UTF8.sub("\ufffd", text).replace(
        "\0", "\ufffd"
    )  # so that the other problems can be found too


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
