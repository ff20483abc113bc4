"""A run as a workbook: numbers are numbers, texts are texts, and nothing of a private run is in it."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks, make_run

from kis_bench.errors import KisBenchError
from kis_bench.report import workbook
from kis_bench.report.view import make_view
from kis_bench.report.workbook import export_workbook
from kis_bench.results.figures import metrics_table

if not os.environ.get("KIS_REQUIRE_XLSX"):
    pytest.importorskip("openpyxl")

PLACES = np.arange(1, 13) * 7 % 40 + 1
TEXTS = [
    "=1+1",
    "-2",
    "+3",
    "@SUM(A1)",
    "plain",
    "a\x00b",
    "x" * 40_000,
    "a\nb",
    "",
    "z",
    "é",
    "'=4",
]


def make_measured(folder, **head):
    lists = [("a", "=b")] * len(PLACES)
    ranks = [
        make_ranks(PLACES, model=model, text=TEXTS, top_item_ids=lists, group_rank=None)
        for model in ("a", "=cmd|' /C calc'!A0")
    ]
    run = make_run(folder, *ranks, **head)
    return run.map_tables(
        lambda frame, table: metrics_table(run.ranks) if table.name == "metrics" else frame
    )


def read(file, **options):
    from openpyxl import load_workbook

    return load_workbook(file, **options)


def export(tmp_path, **head):
    run = make_measured(tmp_path, **head)
    file = tmp_path / "tables.xlsx"
    remarks = export_workbook(make_view(run, tmp_path), file)
    return run, read(file), remarks


def test_every_table_of_run_and_report_is_a_sheet(tmp_path):
    run, book, remarks = export(tmp_path)
    view = make_view(run, tmp_path)
    tables = [name.removesuffix(".csv") for name in view.tables]
    assert book.sheetnames == ["metrics", *tables, "ranks", "run"]
    assert [line.partition(":")[0] for line in remarks] == book.sheetnames
    for sheet in book:
        assert sheet.freeze_panes == "A2"
        assert all(cell.font.bold for cell in sheet[1])
        assert all(8 <= column.width <= 62 for column in sheet.column_dimensions.values())


def test_numbers_are_those_of_the_run(tmp_path):
    run, book, _ = export(tmp_path)
    rows = [*book["metrics"].values]
    found = pd.DataFrame(rows[1:], columns=rows[0])
    for column in ("value", "ci_low", "ci_high", "n"):
        expected = pytest.approx([*map(float, run.metrics[column])], rel=1e-15, abs=0)
        assert [*map(float, found[column])] == expected
    assert {type(value) for value in found["n"]} == {int}
    known = [None if pd.isna(k) else int(k) for k in run.metrics["k"]]
    assert [None if pd.isna(k) else int(k) for k in found["k"]] == known


def test_no_text_is_calculated(tmp_path):
    _, book, remarks = export(tmp_path)
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds
    sheet = book["ranks"]
    head = [cell.value for cell in sheet[1]]
    column = head.index("text") + 1
    texts = [sheet.cell(row, column) for row in range(2, 2 + len(TEXTS))]
    assert [cell.value for cell in texts[:5]] == TEXTS[:5]
    assert [bool(cell.quotePrefix) for cell in texts[:5]] == [True] * 4 + [False]
    assert texts[5].value == "a\N{REPLACEMENT CHARACTER}b"
    assert len(texts[6].value) == 32_767
    assert texts[7].value == "a\nb"
    assert "; 2 texts were cut at 32,767 letters" in remarks[-2]
    assert sheet.cell(2, head.index("top_item_ids") + 1).value == '["a", "=b"]'
    assert sheet.cell(2, head.index("group_rank") + 1).value is None


def test_cells_hold_what_a_spreadsheet_knows():
    values = [np.int64(3), np.float64(0.5), True, float("nan"), float("inf"), None, pd.NA, "\ud800"]
    expected = [3, 0.5, True, None, None, None, None, "\N{REPLACEMENT CHARACTER}"]
    assert [*map(workbook.to_cell, values)] == expected
    assert workbook.to_cell(()) is None
    assert workbook.to_cell(np.array(["a", "é"], object)) == '["a", "é"]'


def test_more_rows_than_a_sheet_holds_go_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "SHEET_ROWS", 10)
    _, book, remarks = export(tmp_path)
    names = [name for name in book.sheetnames if name.startswith("ranks")]
    assert names == ["ranks", "ranks 2", "ranks 3"]
    assert [book[name].max_row for name in names] == [11, 11, 5]
    assert "ranks 3: 4 rows" in remarks


def test_a_private_run_shows_no_text(tmp_path):
    run = make_measured(tmp_path, command=["pytest", "/home/anna/x"], privacy=True)
    file = tmp_path / "tables.xlsx"
    export_workbook(make_view(run, tmp_path), file)
    cells = {str(cell) for sheet in read(file) for row in sheet.values for cell in row}
    assert not any("anna" in cell or "plain" in cell or cell == "i0" for cell in cells)
    assert "pytest" in cells


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(KisBenchError, match=r"tables\.xlsx can't be written: .*; free space or"):
        export_workbook(
            make_view(make_measured(tmp_path), tmp_path), tmp_path / "taken" / "tables.xlsx"
        )


def test_without_openpyxl_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(
        KisBenchError, match="needs the package openpyxl: python -m pip install openpyxl"
    ):
        export_workbook(make_view(make_measured(tmp_path), tmp_path), tmp_path / "tables.xlsx")
