"""Folders copied from and to fsspec's stores: in memory, and in files of this machine."""

import os
import signal
import subprocess
import sys

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench import cli
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.copies import copy_folder, refuse_outer_names
from kis_bench.exchange.object_stores import find_secrets, find_time, hide_credentials

ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals, links, limits of files")
CONTENT = {"labels.csv": b"id,text\n", "images/a.jpg": b"\xff\xd8" * 999, "images/deep/b": b""}


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def fill(folder, content=CONTENT):
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read(folder):
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in folder.rglob("*")
        if place.is_file()
    }


def count(capsys):
    words = capsys.readouterr().out.split()
    return int(words[0]), int(words[-4])


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_there_and_back(kind, memory, tmp_path, capsys):
    mine = fill(tmp_path / "mine")
    url = "memory://bucket/x" if kind == "memory" else (tmp_path / "store").as_uri()
    assert cli.main(["copy", str(mine), url]) == 0
    assert count(capsys) == (3, 0)
    back = tmp_path / "back"
    assert cli.main(["copy", url, str(back), "--threads", "2"]) == 0
    assert read(back) == CONTENT
    assert count(capsys) == (3, 0)
    for pair in ((str(mine), url), (url, str(back))):
        assert cli.main(["copy", *pair]) == 0
        assert count(capsys) == (0, 3)


def test_what_changed_is_copied_again(tmp_path, capsys):
    store = fill(tmp_path / "store")
    url, here = store.as_uri(), tmp_path / "here"
    copy_folder(url, str(here), threads=2)
    (store / "labels.csv").write_bytes(b"ID,TEXT\n")  # as long, and newer
    later = (store / "labels.csv").stat().st_mtime + 5
    os.utime(store / "labels.csv", (later, later))
    (here / "images/a.jpg").write_bytes(b"cut")
    done = copy_folder(url, str(here), threads=2)
    assert (done.files, done.already_there) == (2, 1)
    assert read(here) == read(store)
    (here / "labels.csv").write_bytes(b"id,texT\n")
    os.utime(here / "labels.csv", (later + 5, later + 5))
    assert copy_folder(str(here), url, threads=2).files == 1
    assert read(here) == read(store)


SLOW = """
import sys, time
from fsspec.implementations.local import LocalFileSystem
from kis_bench.cli import main
whole = LocalFileSystem.get_file
def get_file(self, source, target, **settings):
    if not source.endswith("z.bin"):
        return whole(self, source, target, **settings)
    with open(source, "rb") as bytes_in, open(target, "wb") as out:
        out.write(bytes_in.read(500))
        out.flush()
        print("half", flush=True)
        time.sleep(600)
LocalFileSystem.get_file = get_file
main(["copy", *sys.argv[1:], "--threads", "1"])
"""


@ON_POSIX
def test_a_killed_copy_leaves_whole_files_and_goes_on(tmp_path):
    store = fill(tmp_path / "store", {**CONTENT, "images/deep/z.bin": bytes(1000)})
    here = tmp_path / "here"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, store.as_uri(), str(here)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"half\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    left = read(here)
    hidden = [name for name in left if "/." in name]
    assert len(hidden) == 1
    assert len(left[hidden[0]]) == 500
    whole = {name: data for name, data in left.items() if name not in hidden}
    assert whole.items() <= read(store).items()
    assert "images/deep/z.bin" not in whole
    done = copy_folder(store.as_uri(), str(here), threads=1)
    assert (done.files, done.already_there) == (4 - len(whole), len(whole))
    assert read(here) == read(store)


STEADY = """
import sys, time
import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from kis_bench.cli import main
def get_file(self, source, target, callback, **settings):
    with open(target, "wb") as out:
        while True:
            out.write(b"1")
            out.flush()
            callback.relative_update(1)
            print("more", flush=True)
            time.sleep(0.02)
MemoryFileSystem.get_file = get_file
fsspec.filesystem("memory").pipe("/bucket/x/a", bytes(1000))
sys.exit(main(["copy", "memory://bucket/x", sys.argv[1]]))
"""


@ON_POSIX
def test_ctrl_c_ends_a_transfer_from_a_store(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", STEADY, str(tmp_path / "here")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"more\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in told
    assert read(tmp_path / "here") == {}


def test_no_name_leads_out(memory, tmp_path):
    memory.pipe("/bucket/x/..\\evil", b"1")
    with pytest.raises(BadFile, match="can't be the name"):
        copy_folder("memory://bucket/x", str(tmp_path / "here"), threads=1)
    assert not (tmp_path / "here").exists()


@ON_POSIX
@pytest.mark.parametrize("linked", ["images", "images/a.jpg"])
@pytest.mark.parametrize("there", ["here", "store"])
def test_nothing_is_written_through_a_link(linked, there, tmp_path):
    outside = fill(tmp_path / "outside")
    link = tmp_path / there / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / linked)
    fill(tmp_path / "source", dict.fromkeys(CONTENT, b"new"))
    pair = (tmp_path / "source").as_uri(), str(tmp_path / there)
    if there == "store":
        pair = str(tmp_path / "source"), (tmp_path / there).as_uri()
    with pytest.raises(KisBenchError, match="is a link"):
        copy_folder(*pair, threads=1)
    assert read(outside) == CONTENT


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "c\\d", "e\0", "ü"]), min_size=1))
def test_names_that_pass_stay_within(parts):
    name = "/".join(parts)
    inside = all(part in ("a", "b", "ü") for part in parts)
    if inside:
        refuse_outer_names("x", [name])
    else:
        with pytest.raises(BadFile):
            refuse_outer_names("x", [name])


def test_a_file_that_is_a_folder():
    with pytest.raises(BadFile, match="'a/b': a file has the name of its folder"):
        refuse_outer_names("x", ["a", "a/b"])


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("here", "there"), "one of SOURCE and TARGET is a URL"),
        (("memory://a/b", "memory://c/d"), "one of SOURCE and TARGET is a URL"),
        (("memory://nothing/x", "here"), "memory://nothing/x: there is no such bucket or folder"),
        (("memory://", "here"), "name a bucket or a folder"),
        (("zip://x::memory://y/z", "here"), "of one store"),
        (("nosuch://a/b", "here"), "nosuch"),
        (("missing", "memory://a/b"), "missing: No such file or directory"),
    ],
)
def test_wrong_use(pair, said, memory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["copy", *pair]) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "url", "said"),
    [
        ("s3fs", "s3://a/b", "python -m pip install s3fs"),
        ("gcsfs", "gs://a/b", "python -m pip install gcsfs"),
        ("adlfs", "az://a/b", "python -m pip install adlfs"),
        ("fsspec", "s3://a/b", "[cloud]"),
    ],
)
def test_what_is_not_installed(module, url, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["copy", url, str(tmp_path / "here")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (PermissionError("Forbidden for hunter22"), "no permission: Forbidden for ***"),
        (RuntimeError("at memory://joe:hunter22@b/x?sig=abc123: no"), "RuntimeError"),
    ],
)
def test_credentials_are_never_shown(raised, said, memory, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(type(memory), "ls", fail)
    url = "memory://joe:hunter22@b/x?sig=abc123"
    assert cli.main(["copy", url, str(tmp_path / "here")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "memory://b/x: " in told
    assert not any(secret in told for secret in ("hunter22", "joe", "abc123"))


def test_hiding():
    assert hide_credentials("s3://b/a@2x.png and s3://b/c") == "s3://b/a@2x.png and s3://b/c"
    assert hide_credentials("s3://key:se/cret@b/c") == "s3://b/c"
    for secret in ("me", "me:p@ss", "me/x:y"):
        assert hide_credentials(f"sftp://{secret}@host/x") == "sftp://host/x"
    assert "p@ss" in find_secrets("sftp://me:p%40ss@host/x")
    assert find_secrets("s3://b/a@2x.png") == ()


@ON_POSIX
def test_a_full_disk(memory, tmp_path):
    """A limit of file sizes stands for a disk without room."""
    fill(tmp_path / "store", {"a.bin": bytes(200_000)})
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from kis_bench.cli import main; sys.exit(main(['copy', *sys.argv[1:]]))"
    )
    command = [sys.executable, "-c", code, (tmp_path / "store").as_uri(), str(tmp_path / "here")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "a.bin can't be written: File too large; free space" in done.stderr
    assert read(tmp_path / "here") == {}


def test_a_file_in_the_place_of_a_folder(memory, tmp_path):
    memory.pipe("/bucket/x/a/b", b"1")
    fill(tmp_path, {"a": b"mine"})
    with pytest.raises(KisBenchError, match="a can't be written: File exists"):
        copy_folder("memory://bucket/x", str(tmp_path), threads=1)
    assert read(tmp_path) == {"a": b"mine"}


def test_a_file_that_goes_away_meanwhile(memory, tmp_path, monkeypatch):
    memory.pipe("/bucket/x/a", b"1")

    def fail(*_, **__):
        raise FileNotFoundError("a")

    monkeypatch.setattr(type(memory), "get_file", fail)
    with pytest.raises(KisBenchError, match="x: a was there, and is gone"):
        copy_folder("memory://bucket/x", str(tmp_path / "here"), threads=1)
    assert read(tmp_path / "here") == {}


def test_a_file_that_is_cut_on_the_way(memory, tmp_path, monkeypatch):
    memory.pipe("/bucket/x/a", b"12345")
    monkeypatch.setattr(
        type(memory), "get_file", lambda self, source, target, **_: open(target, "wb").close()
    )
    with pytest.raises(KisBenchError, match="a has other bytes than were listed"):
        copy_folder("memory://bucket/x", str(tmp_path / "here"), threads=1)
    assert read(tmp_path / "here") == {}


def test_times_as_stores_tell_them():
    """As s3fs, adlfs, gcsfs and local files do."""
    from datetime import datetime, timezone

    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    for about in (
        {"LastModified": moment},
        {"last_modified": moment},
        {"updated": "2026-01-02T00:00:00.000Z"},
        {"mtime": moment.timestamp()},
    ):
        assert find_time(about) == moment.timestamp()
    assert find_time({}) is None
