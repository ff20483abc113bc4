"""One record of a column decides how it is written, read from older runs, hidden, and kept in baselines."""

from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.gate.baselines import read_baseline, save_baseline
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import TABLES
from kis_bench.results.schema import IN_BASELINES, PUBLIC, Column

CELLS = {"string": "x", "texts": ("x",), "bool": True}


def fill(name, rows=2, **changed):
    """A table of a run with something in every cell."""
    cells = {column.name: CELLS.get(column.kind, 1) for column in TABLES[name].columns}
    return pd.DataFrame([{**cells, **changed}] * rows, columns=[*{**cells, **changed}])


def is_full(frame):
    """Whether no cell is empty but those of cut-offs, which most metrics don't have."""
    return frame.drop(columns="k", errors="ignore").notna().all(axis=None)


def write(folder, *, privacy=False, **changed):
    frames = {name: fill(name) for name in TABLES} | changed
    first = {name: frames.pop(name) for name in ("ranks", "judgments", "timings", "verdicts")}
    return write_run(folder, **first, provenance={"privacy": privacy}, tables=frames)


@pytest.fixture
def added(monkeypatch):
    """Adds a column to the ranks, which runs that were written before don't have."""

    def add(**about):
        column = Column("length", "int64", "words", nullable=True, since="9.9", **about)
        table = TABLES["ranks"]
        monkeypatch.setitem(TABLES, "ranks", replace(table, columns=(*table.columns, column)))

    return add


def test_every_column_is_written_and_read(tmp_path):
    run = read_run(write(tmp_path))
    for name, table in TABLES.items():
        frame = getattr(run, name)
        assert list(frame) == table.names
        assert is_full(frame)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_column_of_lists_may_hold_none(tmp_path, rows):
    """A frame without any list has floats there; so has an empty one of a run of image similarity alone."""
    ranks = fill("ranks").assign(top_item_ids=float("nan"))[:rows]
    run = read_run(write(tmp_path, ranks=ranks))
    assert len(run.ranks) == rows
    assert run.ranks["top_item_ids"].isna().all()


def test_a_run_without_a_later_column_is_read(tmp_path, added):
    old = write(tmp_path)
    added()
    assert read_run(old).ranks["length"].isna().all()
    new = read_run(write(tmp_path, ranks=fill("ranks", length=7)))
    assert new.ranks["length"].tolist() == [7, 7]
    assert str(pq.read_schema(new.folder / "ranks.parquet").field("length").type) == "int64"
    assert read_run(write(tmp_path, ranks=fill("ranks").drop(columns="length"))) is not None


@pytest.mark.parametrize("name", TABLES)
def test_each_column_that_came_later_may_lack(tmp_path, name):
    table = TABLES[name]
    run = read_run(write(tmp_path, **{name: fill(name)[table.required]}))
    frame = getattr(run, name)
    assert list(frame) == table.names
    assert is_full(frame[table.required])


def test_a_new_column_is_private(tmp_path, added):
    added()
    ranks = fill("ranks", length=7)
    hidden = read_run(write(tmp_path, privacy=True, ranks=ranks))
    assert hidden.ranks["length"].isna().all()
    save_baseline(hidden, tmp_path / "b.kis.zip")
    run = read_run(write(tmp_path, ranks=ranks))
    save_baseline(run, tmp_path / "b.kis.zip")
    assert read_baseline(tmp_path / "b.kis.zip").ranks["length"].isna().all()


@pytest.mark.parametrize(("access", "kept"), [(PUBLIC, False), (IN_BASELINES, True)])
def test_a_public_column_is_shown_and_kept_where_that_is_said(tmp_path, added, access, kept):
    added(access=access)
    run = read_run(write(tmp_path, privacy=True, ranks=fill("ranks", length=7)))
    assert run.ranks["length"].tolist() == [7, 7]
    save_baseline(run, tmp_path / "b.kis.zip")
    assert read_baseline(tmp_path / "b.kis.zip").ranks["length"].notna().all() == kept


def test_privacy_hides_texts_and_names_of_groups_and_nothing_else(tmp_path):
    run = read_run(write(tmp_path, privacy=True))
    assert run.ranks["text"].tolist() == ["", ""]
    assert run.ranks["target_group"].isna().all()
    for name in TABLES:
        frame = getattr(run, name).drop(columns=["text", "target_group"], errors="ignore")
        assert is_full(frame), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop(columns=["rank", "n_items"]), "lacks the column.*rank, n_items"),
        (lambda frame: frame.assign(lenght=1), "undeclared column.*lenght"),
        (lambda frame: frame.assign(rank_best=[1, None]), r"1 row\(s\) without rank_best"),
    ],
)
def test_a_table_with_wrong_columns_is_not_written(tmp_path, change, said):
    with pytest.raises(KisBenchError, match=f"the table ranks .*{said}"):
        write(tmp_path, ranks=change(fill("ranks")))
    with pytest.raises(KisBenchError, match="no table colours"):
        write(tmp_path, colours=pd.DataFrame({"a": [1]}))
    assert list(tmp_path.iterdir()) == []


def test_a_later_column_has_to_be_nullable():
    with pytest.raises(ValueError, match=r"column a: .*nullable"):
        Column("a", "string", "", since="0.2.0")
