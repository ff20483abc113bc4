"""Progress of real sessions: at a terminal, in a log, and of several processes."""

import itertools
import os
import re
import subprocess
import sys
from textwrap import dedent
from types import SimpleNamespace

import pytest
from builders import run_pytest
from PIL import Image

from kis_bench.files.progress import Step
from kis_bench.plugin.progress import SessionProgress, StepFile, read_steps

PROJECT = {
    "conftest.py": """
        from pathlib import Path

        from kis_bench import encoders
        from kis_bench.datasets import DatasetRow
        from kis_bench.files.status_line import StatusLine
        from kis_bench.records import Checkpoint

        StatusLine.patience_s, StatusLine.drawn_every_s, StatusLine.said_every_s = 0.0, 0.02, 0.0

        def pytest_kis_models(config):
            return [Checkpoint(f"slow{i}", f"python:slow:load{i}") for i in (1, 2)]

        def pytest_kis_datasets(config):
            return [DatasetRow("colours", Path(__file__).parent / "colours")]
    """,
    "slow.py": """
        import time
        from kis_bench.encoders import colour_words

        class Slow(colour_words.ColourWords):
            batch_size = 1

            def encode_prepared(self, prepared):
                time.sleep(0.1)
                return super().encode_prepared(prepared)

        def load1():
            return Slow("slow1", "slow1-1")

        def load2():
            return Slow("slow2", "slow2-1")
    """,
    "test_search.py": """
        def test_search(model, dataset, query_set, known_item_search):
            known_item_search(model, dataset, query_set)
    """,
}
N_IMAGES = 12


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(dedent(text), encoding="utf-8")
    images = tmp_path / "colours" / "images"
    images.mkdir(parents=True)
    for i in range(N_IMAGES):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(images / f"{i}.png")
    (tmp_path / "colours" / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq,1,short,red\n"
    )
    monkeypatch.setenv("KIS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


class Screen:
    """As much of a terminal as a session of pytest uses."""

    def __init__(self, columns=80, rows=24):
        self.columns, self.rows = columns, rows
        self.lines = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.saved = (0, 0)

    def down(self):
        if self.row == self.rows - 1:
            self.lines = [*self.lines[1:], [" "] * self.columns]
        else:
            self.row += 1

    def write(self, text):
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[D78]|[^\x1b]", text):
            if part == "\n":
                self.down()
            elif part == "\r":
                self.column = 0
            elif part == "\x1bD":
                self.down()
            elif part == "\x1b[A":
                self.row = max(0, self.row - 1)
            elif part == "\x1b[B":
                self.row = min(self.rows - 1, self.row + 1)
            elif part == "\x1b7":
                self.saved = (self.row, self.column)
            elif part == "\x1b8":
                self.row, self.column = self.saved
            elif part == "\x1b[2K":
                self.lines[self.row] = [" "] * self.columns
            elif not part.startswith("\x1b"):
                if self.column == self.columns:
                    self.column = 0
                    self.down()
                self.lines[self.row][self.column] = part
                self.column += 1

    def shown(self):
        return ["".join(line).rstrip() for line in self.lines]


def run_at_terminal(folder, *arguments):
    """Every screen that a session shows at a terminal of 80 x 24, the last one last."""
    fcntl, pty, struct, termios = (
        pytest.importorskip(name) for name in ("fcntl", "pty", "struct", "termios")
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen, shown = Screen(), []
    while True:
        try:
            text = os.read(ours, 1 << 16).decode("utf-8", "replace")
        except OSError:  # the session has ended
            break
        if not text:
            break
        for part in re.split(r"(?<=\x1b8)", text):
            screen.write(part)
            shown.append(screen.shown())
    os.close(ours)
    return process.wait(), shown


def test_the_line_of_the_running_test_stays_and_the_progress_goes(project):
    code, screens = run_at_terminal(project, "-k", "slow1")
    assert code == 0, "\n".join(screens[-1])
    counts = set()
    for lines in screens:
        for above, line in itertools.pairwise(lines):
            if found := re.match(rf"colours: images with slow1: (\d+)/{N_IMAGES} images", line):
                counts.add(int(found[1]))
                assert above == "test_search.py"
    assert len(counts) > 2, counts
    last = "\n".join(screens[-1])
    assert "images with" not in last
    assert re.search(r"^test_search.py \. +\[100%\]$", last, re.M)


def test_processes_are_shown_in_one_line_which_goes(project):
    code, screens = run_at_terminal(project, "-n", "2")
    assert code == 0, "\n".join(screens[-1])
    pattern = re.compile(r"^(2 processes: )?colours: im.*/\d+ images")
    assert any(pattern.match(line) for lines in screens for line in lines)
    assert all(sum(map(bool, map(pattern.match, lines))) <= 1 for lines in screens)
    assert not any(map(pattern.match, screens[-1]))
    waiting = re.compile(r"^(2 processes: )?colours: im.*/\d+ images.*, waits for forward")
    assert any(waiting.match(line) for lines in screens for line in lines)


def test_a_log_has_lines_of_their_own_and_a_quiet_session_none(project):
    settings = {"cwd": project, "drawn": False}
    done = run_pytest("-k", "slow1", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^kis-bench: colours: images with slow1: \d+/12 images", done.stdout, re.M)
    assert "\x1b" not in done.stdout
    assert re.search(r"^\. +\[100%\]$", done.stdout, re.M)
    for quiet in (["-q"], ["-p", "no:terminal"]):
        done = run_pytest("-k", "slow2", *quiet, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "images with" not in done.stdout + done.stderr


def test_a_process_that_was_killed_is_shown_no_more(tmp_path):
    file = StepFile(tmp_path / "gw0.json", clock=lambda: 1.0)
    step = Step("colours: images", "image", 10, limit="decode", watcher=file)
    file.begin(step)
    step.advance(3)  # too soon to be written
    (shown,) = read_steps(tmp_path)
    assert (shown.what, shown.total, shown.done) == ("colours: images", 10, 0)
    assert shown.limit == "decode"
    (tmp_path / "gw1.json").write_text("{")
    assert len(read_steps(tmp_path)) == 1
    progress = SessionProgress(None)
    progress.folder = tmp_path
    progress.pytest_testnodedown(SimpleNamespace(gateway=SimpleNamespace(id="gw0")))
    assert read_steps(tmp_path) == []
    file.end(step)
    assert not (tmp_path / "gw0.json").exists()


def test_a_folder_on_another_machine_is_written_into_by_nobody(tmp_path):
    file = StepFile(tmp_path / "gone" / "gw0.json")
    step = Step("x", watcher=file)
    file.begin(step)
    step.advance()
    file.end(step)
