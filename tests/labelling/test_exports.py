"""Tables that others read: never half, never over somebody's edits."""

import sqlite3

import pytest

from kis_bench.labelling.exports import Exports
from kis_bench.labelling.truth import Truth


class Project:
    def __init__(self, folder):
        self.folder, self.content, self.said = folder, b"one\n", []
        self.truth = Truth(folder / "a.sqlite", kind="notes", tables="", backup="")
        self.restart()

    def restart(self):
        self.exports = Exports(
            self.truth,
            self.folder,
            lambda: {"a.csv": self.content},
            remedy="Start again with --from a.csv",
            say=self.said.append,
        )

    @property
    def written(self):
        return (self.folder / "a.csv").read_bytes()


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    made.truth.close()


def test_a_change_is_written_and_once_more_at_the_end(project):
    project.exports.start()
    assert project.written == b"one\n"
    project.content = b"two\n"
    project.exports.request()
    project.exports.stop()
    assert project.written == b"two\n"
    assert project.said == []


def test_edits_are_left_alone_and_named_once(project):
    project.exports.write()
    (project.folder / "a.csv").write_bytes(b"edited\n")
    for content in (b"two\n", b"three\n"):
        project.content = content
        project.exports.write()
    assert project.written == b"edited\n"
    assert "changed by hand" in project.exports.problem
    (said,) = project.said
    assert "--from a.csv" in said
    (project.folder / "a.csv").unlink()
    project.exports.write()
    assert (project.written, project.exports.problem) == (b"three\n", "")


def test_a_file_that_was_there_before_is_an_edit(project):
    (project.folder / "a.csv").write_bytes(b"mine\n")
    project.exports.write()
    assert project.written == b"mine\n"
    assert "changed by hand" in project.exports.problem


def test_an_edit_between_two_starts_is_noticed(project):
    project.exports.write()
    project.restart()
    project.content = b"two\n"
    project.exports.write()
    assert project.written == b"two\n"
    (project.folder / "a.csv").write_bytes(b"edited\n")
    project.restart()
    project.exports.write()
    assert project.written == b"edited\n"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_death_beside_the_writing_is_no_edit(project, monkeypatch, moment):
    """Both what was there and what was about to be are known before the file changes."""
    import kis_bench.labelling.exports as module

    project.exports.write()
    project.content, write = b"two\n", module.write_whole

    def die(file, content):
        if moment == "after":
            write(file, content)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_whole", die)
    with pytest.raises(KeyboardInterrupt):
        project.exports.write()
    monkeypatch.setattr(module, "write_whole", write)
    project.restart()
    project.content = b"three\n"
    project.exports.write()
    assert (project.written, project.exports.problem) == (b"three\n", "")


def test_a_disk_that_fails_is_tried_again(project, monkeypatch):
    import kis_bench.labelling.exports as module
    from kis_bench.errors import KisBenchError

    project.exports.write()
    write = module.write_whole

    def fail(file, content):
        raise KisBenchError(f"{file} can't be written: No space left on device")

    project.content = b"two\n"
    monkeypatch.setattr(module, "write_whole", fail)
    project.exports.write()
    assert "No space left" in project.exports.problem
    monkeypatch.setattr(module, "write_whole", write)
    project.exports.write()
    assert (project.written, project.exports.problem) == (b"two\n", "")
    assert project.said[-1] == "the tables are written again"


def test_one_edited_table_keeps_no_other_from_being_written(project):
    tables = {"a.csv": b"one\n", "b.csv": b"one\n"}
    project.exports.render = lambda: tables
    project.exports.write()
    (project.folder / "a.csv").write_bytes(b"edited\n")
    tables["b.csv"] = b"two\n"
    project.exports.write()
    assert (project.written, (project.folder / "b.csv").read_bytes()) == (b"edited\n", b"two\n")
    assert "a.csv was changed by hand" in project.exports.problem
    assert "b.csv" not in project.exports.problem


def test_a_database_that_cannot_be_read_is_said_and_tried_again(project):
    def fail():
        raise sqlite3.OperationalError("disk I/O error")

    render, project.exports.render = project.exports.render, fail
    project.exports.start()
    assert "disk I/O error" in project.exports.problem
    project.exports.render = render
    project.exports.stop()
    assert (project.written, project.exports.problem) == (b"one\n", "")


def test_what_a_dead_process_left_half_written_is_removed(project):
    left = [".a.csv-0123456789abcdef", ".a.csv-fedcba9876543210"]
    others = [".b.csv-0123456789abcdef", ".a.csv-notes", "a.csv-0123456789abcdef"]
    for name in left + others:
        (project.folder / name).write_bytes(b"on")
    project.exports.start()
    project.exports.stop()
    there = {file.name for file in project.folder.iterdir()}
    assert there >= {*others, "a.csv"}
    assert not there & {*left}
