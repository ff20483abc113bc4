"""A run as one workbook for a spreadsheet: a sheet for each table, with numbers that are numbers."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kis_bench.errors import MissingDependency
from kis_bench.files.spreadsheets import guard
from kis_bench.files.whole import write_whole
from kis_bench.records import count_things
from kis_bench.report.sections.provenance import list_facts
from kis_bench.results.columns import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from kis_bench.report.view import View

SHEET_ROWS = 1_048_575  #: of a sheet, below its head
MOST_LETTERS = 32_767  #: of a cell
WIDEST, NARROWEST = 60, 8  #: columns, in letters
LOOKED_AT = 200  #: rows that the width of a column is taken from
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  #: by XML


def export_workbook(view: View, file: Path) -> list[str]:
    """Writes the tables of a run and of its report as sheets of one file; returns a line for each.

    Raises:
        MissingDependency: openpyxl isn't here. KisBenchError: the file can't be written.
    """
    try:
        from openpyxl import Workbook
    except ImportError:
        raise MissingDependency("openpyxl", needed_for="kis-bench export xlsx") from None
    book, remarks = Workbook(write_only=True), []
    for name, table in find_sheets(view):
        for part, start in enumerate(range(0, max(1, len(table)), SHEET_ROWS), start=1):
            title = name if part == 1 else f"{name} {part}"
            cut = fill_sheet(book, title, table.iloc[start : start + SHEET_ROWS])
            rows = count_things(min(SHEET_ROWS, len(table) - start), "row")
            shortened = f"; {cut:,} texts were cut at {MOST_LETTERS:,} letters" if cut else ""
            remarks.append(f"{title}: {rows}{shortened}")
    stream = io.BytesIO()
    book.save(stream)
    write_whole(file, stream.getvalue())
    return remarks


def find_sheets(view: View) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name -> table: those with the figures first, then what they were made of, last what the run says of itself."""
    tables = {name: getattr(view.run, name) for name in TABLES}
    order = ["metrics", *(name for name in tables if name not in ("metrics", "ranks"))]
    for name in order:
        if len(tables[name]):
            yield name, tables[name]
    for file, table in view.tables.items():
        yield file.removesuffix(".csv"), table
    if len(tables["ranks"]):
        yield "ranks", tables["ranks"]
    yield "run", pd.DataFrame(list_facts(view.run.provenance), columns=["what", "value"])


def fill_sheet(book: Any, title: str, table: pd.DataFrame) -> int:
    """Adds a sheet with a head that stays in sight; returns how many texts were cut."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    columns = [[to_cell(value) for value in table[name]] for name in table.columns]
    for place, (name, cells) in enumerate(zip(table.columns, columns, strict=True), start=1):
        sheet.column_dimensions[get_column_letter(place)].width = find_width(str(name), cells)
    if len(table.columns):
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(table.columns))}{len(table) + 1}"
    head = [WriteOnlyCell(sheet, str(name)) for name in table.columns]
    for cell in head:
        cell.font = Font(bold=True)
        cell.data_type = "s"
    sheet.append(head)
    for row in zip(*columns, strict=True):
        sheet.append(
            [make_text_cell(sheet, cell) if isinstance(cell, str) else cell for cell in row]
        )
    return sum(len(str(value)) > MOST_LETTERS for column in table for value in table[column])


def make_text_cell(sheet: Any, text: str) -> Any:
    """A cell with a text that stays one, also when it is edited; a text that could be no formula as it is."""
    from openpyxl.cell import WriteOnlyCell

    if guard(text) == text:
        return text
    cell = WriteOnlyCell(sheet)
    cell.value, cell.data_type, cell.quotePrefix = text, "s", True
    return cell


def to_cell(value: Any) -> str | int | float | bool | None:
    """A value as a spreadsheet knows it: lists as JSON, what is missing or infinite empty."""
    if isinstance(value, str):
        return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)[:MOST_LETTERS]
    if isinstance(value, list | tuple | np.ndarray):
        return to_cell(json.dumps([*map(str, value)], ensure_ascii=False)) if len(value) else None
    if value is None or pd.isna(value):
        return None
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and math.isinf(plain):
        return None
    return plain if isinstance(plain, bool | int | float) else to_cell(str(plain))


def find_width(name: str, cells: Sequence[object]) -> float:
    longest = max((len(str(cell)) for cell in cells[:LOOKED_AT] if cell is not None), default=0)
    return float(min(WIDEST, max(NARROWEST, longest, len(name)) + 2))
