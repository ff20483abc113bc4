"""The database: what it refuses, and what it keeps."""

import os
import sqlite3
import subprocess
import sys

import pytest

from kis_bench.errors import BadFile
from kis_bench.labelling.truth import NotSaved, Truth

TABLES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;"
BACKUP = "start anew from labels.csv"


def open_truth(file, kind="notes"):
    return Truth(file, kind=kind, tables=TABLES, backup=BACKUP)


def write(truth, *texts):
    with truth.writing() as rows:
        rows.executemany("INSERT INTO notes (text) VALUES (?)", [(text,) for text in texts])


def test_what_is_written_is_there_after_a_restart(tmp_path):
    truth = open_truth(tmp_path / "new" / "a.sqlite")
    write(truth, "one", "two")
    first = truth.read_setting("id")
    truth.close()
    again = open_truth(tmp_path / "new" / "a.sqlite")
    assert [text for (text,) in again.read("SELECT text FROM notes ORDER BY id")] == ["one", "two"]
    assert again.read_setting("id") == first
    again.close()


def test_it_waits_for_the_disk_and_keeps_a_log(tmp_path):
    truth = open_truth(tmp_path / "a.sqlite")
    found = {name: truth.read(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")}
    assert found == {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL
    truth.close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    truth = open_truth(tmp_path / "a.sqlite")
    with pytest.raises(NotSaved):
        write(truth, "half", None)
    assert truth.read("SELECT * FROM notes") == []
    write(truth, "whole")
    assert truth.read("SELECT text FROM notes") == [("whole",)]
    truth.close()


def test_a_full_database_says_so_and_goes_on(tmp_path):
    truth = open_truth(tmp_path / "a.sqlite")
    (pages,) = truth.read("PRAGMA page_count")[0]
    truth.read(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(NotSaved, match=r"full.*free space"):
        write(truth, *["x" * 5000] * 20)
    truth.read(f"PRAGMA max_page_count={pages + 100}")
    write(truth, "y")
    assert truth.read("SELECT text FROM notes") == [("y",)]
    truth.close()


def test_a_process_that_dies_in_a_transaction_loses_only_that(tmp_path):
    file = tmp_path / "a.sqlite"
    truth = open_truth(file)
    write(truth, "before")
    truth.close()
    program = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN'); c.execute(\"INSERT INTO notes (text) VALUES ('lost')\");"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    again = open_truth(file)
    assert again.read("SELECT text FROM notes") == [("before",)]
    again.close()


def test_another_process_that_has_it_open_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("kis_bench.labelling.truth.WAIT_FOR_OTHERS_S", 0.1)
    truth = open_truth(tmp_path / "a.sqlite")
    with pytest.raises(BadFile, match="another kis-bench has it open"):
        open_truth(tmp_path / "a.sqlite")
    truth.close()
    open_truth(tmp_path / "a.sqlite").close()


@pytest.mark.parametrize("damage", ["other", "cut", "garbled"])
def test_a_damaged_file_names_the_backup(tmp_path, damage):
    file = tmp_path / "a.sqlite"
    truth = open_truth(file)
    write(truth, *["word " * 200] * 200)
    truth.close()
    content = bytearray(file.read_bytes())
    if damage == "other":
        content[:] = b"this is no database, but a text of some length\n" * 10
    elif damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[-40_000:-20_000] = b"\xa5" * 20_000
    file.write_bytes(content)
    with pytest.raises(BadFile, match=f"damaged.*(\n.*)*{BACKUP}"):
        open_truth(file)
    assert file.read_bytes() == content


def test_what_is_of_others_is_refused(tmp_path):
    open_truth(tmp_path / "notes.sqlite").close()
    with pytest.raises(BadFile, match="is no database of labels"):
        open_truth(tmp_path / "notes.sqlite", "labels")
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(BadFile, match="is no database of notes"):
        open_truth(tmp_path / "other.sqlite")
    newer = sqlite3.connect(tmp_path / "notes.sqlite")
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(BadFile, match="newer kis-bench"):
        open_truth(tmp_path / "notes.sqlite")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match="--out"):
        open_truth(tmp_path / "file" / "a.sqlite")


POSIX = pytest.mark.skipif(
    os.name != "posix", reason="Windows keeps open files, and knows no modes"
)


@POSIX
@pytest.mark.parametrize("fate", ["removed", "replaced", "its folder removed"])
def test_a_file_that_goes_away_takes_nothing_that_was_said_to_be_saved(tmp_path, fate):
    file = tmp_path / "mine" / "a.sqlite"
    truth = open_truth(file)
    write(truth, "before")
    away = tmp_path / "away"
    (file.parent if "folder" in fate else file).rename(away)
    if fate == "replaced":
        file.write_bytes(away.read_bytes())
    with pytest.raises(NotSaved, match="removed or replaced"):
        write(truth, "lost")
    file.unlink(missing_ok=True)
    away.rename(file.parent if "folder" in fate else file)
    write(truth, "after")
    truth.close()
    again = open_truth(file)
    assert [text for (text,) in again.read("SELECT text FROM notes")] == ["before", "after"]
    again.close()


@POSIX
def test_others_on_this_machine_cannot_read_it(tmp_path):
    truth = open_truth(tmp_path / "a.sqlite")
    write(truth, "one")
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}
    truth.close()
