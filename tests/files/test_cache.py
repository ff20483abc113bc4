"""What is known of files holds as long as they are the same, and only then."""

import os
import subprocess
import sys
import time

import pytest

from kis_bench.errors import BadFile
from kis_bench.files import cache
from kis_bench.files.cache import FileFacts, digest_file


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def counted(monkeypatch):
    read = []
    whole = cache.digest_content
    monkeypatch.setattr(cache, "digest_content", lambda file: (read.append(file), whole(file))[1])
    return read


def aged(file, content, seconds=60):
    file.write_bytes(content)
    then = time.time() - seconds
    os.utime(file, (then, then))
    return file


def test_an_unchanged_file_is_read_once(tmp_path, counted):
    file = aged(tmp_path / "a", b"one")
    assert digest_file(file) == digest_file(file)
    assert len(counted) == 1
    assert digest_file(aged(file, b"two", 50)) != digest_file(aged(tmp_path / "b", b"one"))
    assert len(counted) == 3


def test_a_young_file_is_read_again_because_it_may_change_unnoticed(tmp_path, counted):
    file = aged(tmp_path / "a", b"one", 0)
    before = digest_file(file)
    state = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert digest_file(file) != before
    assert len(counted) == 2


def test_a_damaged_or_unwritable_cache_costs_time_only(tmp_path, counted):
    file = aged(tmp_path / "a", b"one")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "facts.sqlite").write_bytes(
        b"no database at all, but long enough to look like one" * 40
    )
    digest = digest_file(file)
    (tmp_path / "cache" / "facts.sqlite").unlink()
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_bytes(b"a file where a folder should be")
    assert digest_file(file) == digest
    assert len(counted) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadFile, match="nowhere"):
        digest_file(tmp_path / "nowhere")


def test_many_names_and_two_kinds():
    rows = [(f"name {i}", "state", f"fact {i}") for i in range(2500)]
    FileFacts("one").keep(rows)
    states = {name: "state" for name, _, _ in rows} | {"name 7": "another", "unknown": "state"}
    known = FileFacts("one").look_up(states)
    assert known == {name: fact for name, _, fact in rows if name != "name 7"}
    assert FileFacts("two").look_up(states) == {}


WRITER = """
import sys
from kis_bench.files.cache import FileFacts
for i in range(60):
    FileFacts("shared").keep([(f"{sys.argv[1]} {i} {j}", "s", "f") for j in range(20)])
"""


def test_processes_share_it(tmp_path):
    running = [subprocess.Popen([sys.executable, "-c", WRITER, name]) for name in ("a", "b", "c")]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    names = {f"{name} {i} {j}": "s" for name in "abc" for i in range(60) for j in range(20)}
    assert len(FileFacts("shared").look_up(names)) == len(names)


def test_a_killed_writer_leaves_a_cache_that_works(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.replace("range(60)", "range(10**6)"), "k"]
    )
    while not FileFacts("shared").look_up({"k 5 0": "s"}):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    FileFacts("shared").keep([("after", "s", "f")])
    assert FileFacts("shared").look_up({"after": "s", "k 5 0": "s"}) == {"after": "f", "k 5 0": "f"}
