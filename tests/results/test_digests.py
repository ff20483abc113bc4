"""Damage to any file of a run is told from what somebody changed in it, and neither is silent."""

import json
import random
import shutil
import subprocess

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import call_cli, make_ranks

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import JUDGMENTS, TABLES, TIMINGS, VERDICTS
from kis_bench.results.merging import merge
from kis_bench.results.tables import read_parquet_table

FLIPS = 12  #: in each file


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_run(
        tmp_path_factory.mktemp("reports"),
        ranks=pd.concat([make_ranks(range(1, 31)), make_ranks(range(30, 0, -1), model="b")]),
        judgments=pd.DataFrame(columns=JUDGMENTS),
        timings=pd.DataFrame(
            [("a", "mine", "", "rank", 1.5, 40, 26.7, False, None)], columns=TIMINGS
        ),
        verdicts=pd.DataFrame(columns=VERDICTS),
        provenance={"models": {"a": {"key": "a"}}, "datasets": {"mine": {"fingerprint": "f"}}},
    )


@pytest.fixture
def run(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run")


def is_same(one, other):
    try:
        for name in TABLES:
            pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    except AssertionError:
        return False
    return one.provenance == other.provenance


def read_or_refuse(run):
    """The run, or what is said of it."""
    try:
        return read_run(run), ""
    except KisBenchError as error:
        return None, str(error)


def flip_bit(file, rng):
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


FILES = ["digests.json", "run.json", *(one.file for one in TABLES.values() if not one.optional)]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_named_in_one_line_or_harmless(run, written, name):
    whole, rng = read_run(written), random.Random(name)
    content = (run / name).read_bytes()
    refused = 0
    for _ in range(FLIPS):
        (run / name).write_bytes(content)
        flip_bit(run / name, rng)
        found, said = read_or_refuse(run)
        refused += bool(said)
        assert len(said.splitlines()) <= 2
        assert str(run) in said or is_same(found, whole) or found.changed
    assert refused == FLIPS or name == "digests.json"
    if name.endswith((".csv", ".parquet")):
        rest = read_run(run, whole=False)
        assert rest.lacking[name.partition(".")[0]].startswith(f"{name} can't be read (damaged)")


def test_older_runs_without_digests_are_read(run, written):
    (run / "digests.json").unlink()
    assert is_same(read_run(run), read_run(written))
    assert read_run(run).changed == ()


def test_what_somebody_changed_is_read_and_said(run, tmp_path):
    table = pd.read_csv(run / "timings.csv")
    table.assign(step="rank anew").to_csv(run / "timings.csv", index=False)
    found = read_run(run)
    assert found.changed == ("timings.csv",)
    assert found.timings["step"].tolist() == ["rank anew"]
    said = "timings.csv was changed after the run had been written"
    assert any(remark.endswith(said) for remark in merge([found]).remarks)
    done = call_cli("report", run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"note: {said}" in done.stderr
    assert f"> **Changed:** {said}." in (run / "report.md").read_text("utf-8")


def test_a_changed_head_is_said(run):
    head = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**head, "interrupted": True}))
    assert read_run(run).changed == ("run.json",)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_digests_are_those_of_other_programs(written):
    digests = json.loads((written / "digests.json").read_text())
    assert {*digests} == {file.name for file in written.iterdir()} - {"digests.json"}
    lines = "".join(f"{one['sha256']}  {name}\n" for name, one in digests.items())
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict"], cwd=written, input=lines, text=True, check=False
    )
    assert checked.returncode == 0


def rewrite(run, **columns):
    """ranks.parquet with other columns; the digests go, as another program knows nothing of them."""
    table = pq.read_table(run / "ranks.parquet")
    for name, cells in columns.items():
        table = table.set_column(table.column_names.index(name), name, cells(len(table)))
    pq.write_table(table, run / "ranks.parquet")
    (run / "digests.json").unlink()


def fill(cell, kind=None):
    return lambda n: pa.array([cell] * n, kind)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"rank": fill("first")}, "the column 'rank' is of string, not of double"),
        ({"rank": fill({"best": 1.0})}, "the column 'rank' is of struct"),
        ({"rank": fill(None, pa.float64())}, "the column 'rank' is empty in row 1"),
        ({"rank_best": fill(0)}, "row 1: ranks from 0 to 1 can't be"),
        ({"query_id": fill(["q"])}, "the column 'query_id' is of list"),
        ({"top_item_ids": fill("i1")}, "the column 'top_item_ids' is of string"),
    ],
)
def test_columns_of_another_kind_are_named(run, columns, said):
    rewrite(run, **columns)
    with pytest.raises(BadFile, match=said):
        read_run(run)


def test_numbers_as_ids_of_another_program_are_texts(run):
    rewrite(run, query_id=lambda n: pa.array(range(n)))
    assert read_run(run).ranks["query_id"].tolist()[:2] == ["0", "1"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"models": ["a"]}, "models is not a table of tables"),
        ({"datasets": {"mine": 3}}, "datasets is not a table of tables"),
        ({"merged_from": ["a run"]}, "merged_from is not a list of tables"),
        ({"versions": "3.11"}, "versions is no table"),
    ],
)
def test_heads_of_another_form_are_named(run, head, said):
    (run / "run.json").write_text(json.dumps({"schema_version": 1, **head}))
    with pytest.raises(BadFile, match=said):
        read_run(run)


def test_what_is_nested_too_deeply_is_named(run):
    (run / "run.json").write_text('{"schema_version": 1, "a": ' + "[" * 100_000)
    with pytest.raises(BadFile, match="not readable as JSON"):
        read_run(run)


def test_a_run_below_a_run_is_no_run(run):
    inner = shutil.copytree(run, run / "inner")
    assert len(read_run(inner).ranks) == 60
    shutil.rmtree(inner)
    (run / "ranks.parquet").unlink()
    (run / "ranks.parquet").mkdir()
    with pytest.raises(KisBenchError, match=r"missing ranks\.parquet"):
        read_run(run)


@pytest.mark.parametrize("most_bytes", [1_000, 1_000_000], ids=["by what it says", "as it comes"])
def test_a_table_that_grows_when_it_is_unpacked_is_refused(tmp_path, most_bytes):
    file, ranks = tmp_path / "ranks.parquet", TABLES["ranks"]
    pq.write_table(pa.table({"text": ["x" * 200] * 50_000}), file)
    assert file.stat().st_size < 5_000
    with pytest.raises(BadFile, match=f"larger than {most_bytes:,} bytes when unpacked"):
        read_parquet_table(file, ranks, most_bytes)
    assert len(read_parquet_table(file, ranks, 10**8)) == 50_000
