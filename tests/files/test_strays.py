"""What killed processes left half written goes; what a living one writes stays."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kis_bench.errors import KisBenchError
from kis_bench.files import strays
from kis_bench.files.strays import claim_hidden, hold_lock, remove_strays
from kis_bench.files.whole import write_first, write_whole

CLAIM = """
import sys, time
from pathlib import Path
from kis_bench.files.strays import claim_hidden
folder = sys.argv[2] == "folder"
with claim_hidden(Path(sys.argv[1]), folder=folder) as hidden:
    (hidden / "part" if folder else hidden).write_text("half")
    print(hidden.name, flush=True)
    time.sleep(600)
"""


def start_writer(place, kind):
    """A process in the middle of writing, and the name under which it does."""
    command = [sys.executable, "-c", CLAIM, str(place), kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_what_a_killed_process_wrote_goes(tmp_path, kind):
    killed, stray = start_writer(tmp_path / "run", kind)
    stopped, living = start_writer(tmp_path / "run", kind)
    try:
        stopped.send_signal(signal.SIGSTOP)
        killed.kill()
        killed.wait()
        assert {stray, living} == {*os.listdir(tmp_path)}
        remove_strays(tmp_path)
        assert os.listdir(tmp_path) == [living]
    finally:
        stopped.kill()
        stopped.wait()
        stopped.stdout.close()
        killed.stdout.close()


def test_files_of_users_stay(tmp_path):
    kept = [".hidden", ".notes-0123", "run-0123456789abcdef", ".a-0123456789ABCDEF", "x.partial"]
    gone = [".ranks.arrow-0123456789abcdef", ".20260101T000000Z-abc123.partial"]
    for name in (*kept, *gone):
        (tmp_path / name).touch()
    remove_strays(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    remove_strays(tmp_path / "nowhere")


def test_without_locks_age_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(strays, "fcntl", None)
    young, old = (tmp_path / f".{name}-0123456789abcdef" for name in ("young", "old"))
    young.touch()
    old.touch()
    os.utime(old, (0, time.time() - strays.SURELY_DEAD_S - 60))
    remove_strays(tmp_path)
    assert os.listdir(tmp_path) == [young.name]
    write_whole(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_name_that_another_process_just_took_for_a_stray_is_not_used(tmp_path, monkeypatch):
    taken = []

    def take_first(place, **options):
        if not taken:
            taken.append(place)
            place.unlink()
        return hold_lock(place, **options)

    monkeypatch.setattr(strays, "hold_lock", take_first)
    with claim_hidden(tmp_path / "file") as hidden:
        assert hidden != taken[0]
        assert os.listdir(tmp_path) == [hidden.name]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_the_first_of_several_writers_counts(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    assert write_first(tmp_path / "file", b"one")
    assert not write_first(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["file"]


def test_a_place_that_can_not_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KisBenchError, match="file/x can't be written: File exists; free"):
        write_first(tmp_path / "file" / "x", b"")
