"""Reads tables in spreadsheets of Excel's form, as texts: what a cell shows, as far as it is a text or a number."""

from __future__ import annotations

import datetime
import warnings
import zipfile
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile, explain_install

WORKBOOK_SUFFIX = ".xlsx"


def read_workbook_rows(file: Path) -> list[tuple[int, list[str]]]:
    """The rows of the only sheet that has some, with their numbers from 1; all have as many cells.

    Raises:
        BadFile: it can't be read, or several sheets have rows.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        said = f"spreadsheets need openpyxl; {explain_install('xlsx')}, or save it as CSV"
        raise BadFile(file, [said]) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what beside the cells isn't read
            book = load_workbook(file, read_only=True, data_only=True)
            sheets = {}
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # some programs write a wrong one, and rows would be lost
                sheets[sheet.title] = [[*row] for row in sheet.iter_rows(values_only=True)]
            book.close()
    except (OSError, ValueError, KeyError, SyntaxError, zipfile.BadZipFile) as error:
        raise BadFile(file, [f"not a readable spreadsheet ({error}); save it as CSV"]) from error
    full = {
        title: rows
        for title, rows in sheets.items()
        if any(cell is not None for row in rows for cell in row)
    }
    if len(full) > 1:
        said = f"several sheets have rows: {', '.join(full)}"
        raise BadFile(file, [f"{said}; leave one, or save each as a file of its own"])
    rows = next(iter(full.values()), [])
    width = max(map(len, rows), default=0)
    return [
        (number, [*map(show_cell, row), *[""] * (width - len(row))])
        for number, row in enumerate(rows, start=1)
    ]


def show_cell(value: Any) -> str:
    """A value as it is typed: whole numbers without a point.

    >>> show_cell(7.0), show_cell(None), show_cell("0042"), show_cell(0.5)
    ('7', '', '0042', '0.5')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
