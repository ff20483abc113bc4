"""Folders whose files are there once all of them are."""

import os

import pytest

from kis_bench.errors import KisBenchError
from kis_bench.files.whole import fill_folder, move_files


def fill(folder, *names):
    with fill_folder(folder) as hidden:
        for name in names:
            (hidden / name).parent.mkdir(exist_ok=True)
            (hidden / name).write_text("new")


def fail_midway(folder):
    with fill_folder(folder) as hidden:
        (hidden / "one").touch()
        raise ZeroDivisionError


def list_files(folder):
    found = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file.relative_to(folder).as_posix() for file in found)


def test_a_new_folder_appears_at_once(tmp_path):
    with fill_folder(tmp_path / "a" / "b") as hidden:
        (hidden / "one").touch()
        assert not (tmp_path / "a" / "b").exists()
    assert list_files(tmp_path) == ["a/b/one"]


def test_other_files_of_a_folder_stay(tmp_path):
    (tmp_path / "old").write_text("old")
    (tmp_path / "one").write_text("old")
    fill(tmp_path, "one", "part/two")
    assert list_files(tmp_path) == ["old", "one", "part/two"]
    assert (tmp_path / "one").read_text() == "new"


@pytest.mark.parametrize("there", [True, False])
def test_what_fails_midway_leaves_nothing(tmp_path, there):
    folder = tmp_path / "out"
    if there:
        folder.mkdir()
    with pytest.raises(ZeroDivisionError):
        fail_midway(folder)
    assert os.listdir(tmp_path) == (["out"] if there else [])
    assert list_files(tmp_path) == []


def test_a_full_disk_is_one_line(tmp_path):
    said = "out can't be written: No space left on device; free space or choose another folder"
    with pytest.raises(KisBenchError, match=said), fill_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    (tmp_path / "file").touch()
    with pytest.raises(KisBenchError, match="file can't be written: File exists"):
        fill(tmp_path / "file", "one")


def test_some_files_come_last(tmp_path, monkeypatch):
    moved = []
    monkeypatch.setattr(os, "replace", lambda source, target: moved.append(target.name))
    source = tmp_path / "source"
    (source / "plots").mkdir(parents=True)
    for name in ("report.md", "a.csv", "report.html", "plots/z.png"):
        (source / name).touch()
    move_files(source, tmp_path / "target", last=("report.html", "report.md"))
    assert sorted(moved[:2]) == ["a.csv", "z.png"]
    assert moved[2:] == ["report.html", "report.md"]
