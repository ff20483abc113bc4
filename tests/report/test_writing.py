"""A report that is drawn anew takes the place of the earlier one whole, or leaves it."""

import os
import signal

import pandas as pd
import pytest
from builders import make_ranks, run_python

from kis_bench.report import NotDrawn, write_report, writing
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import JUDGMENTS, TIMINGS, VERDICTS

KILLED = """
import os, signal, sys
from pathlib import Path
from kis_bench.report import write_report, writing
from kis_bench.results import read_run

folder, moves = Path(sys.argv[1]), int(sys.argv[2])
replace, left = os.replace, [moves]

def count(source, target):
    if Path(source).parts[: len(folder.parts)] == folder.parts:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = count
write_report(folder, read_run(folder))
"""


@pytest.fixture
def run(tmp_path):
    """A run folder with its report."""
    folder = write_run(
        tmp_path,
        ranks=pd.concat([make_ranks(range(1, 31)), make_ranks(range(30, 0, -1), model="b")]),
        judgments=pd.DataFrame(columns=JUDGMENTS),
        timings=pd.DataFrame(columns=TIMINGS),
        verdicts=pd.DataFrame(columns=VERDICTS),
        provenance={"models": {}, "datasets": {}},
    )
    write_report(folder, read_run(folder))
    return folder


def list_files(folder):
    found = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


@pytest.mark.slow
@pytest.mark.parametrize("moves", [0, 3], ids=["while it is drawn", "while files are moved"])
def test_a_kill_loses_nothing(run, moves):
    before = list_files(run)
    assert {"report.md", "report.html"} < {*before}
    done = run_python("-c", KILLED, run, moves)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (stray,) = [name for name in os.listdir(run) if name.startswith(".")]
    left = {name: content for name, content in list_files(run).items() if stray not in name}
    assert left.keys() == before.keys()
    assert left["report.md"] == before["report.md"]
    write_report(run, read_run(run))  # which removes the stray
    assert list_files(run).keys() == before.keys()


def test_what_fails_while_it_is_drawn_leaves_the_earlier_report(run, monkeypatch):
    before = list_files(run)

    def fill_disk(*_, **__):
        raise OSError(28, "No space left on device", str(run / "plots" / "grid.png"))

    monkeypatch.setattr(writing, "page", fill_disk)
    with pytest.raises(NotDrawn, match=r"No space left on device \(.*/plots/grid\.png\)") as said:
        write_report(run, read_run(run))
    assert len(str(said.value).splitlines()) == 1
    assert list_files(run) == before


def test_nothing_of_an_earlier_report_stays(run):
    (run / "plots" / "older.png").touch()
    (run / "tables" / "older.csv").touch()
    (run / "report" / "thumbnails").mkdir(parents=True)
    (run / "report" / "thumbnails" / "older.webp").touch()
    write_report(run, read_run(run))
    assert "older" not in " ".join(list_files(run))
    assert not (run / "report").exists()


def test_files_that_can_not_be_replaced_leave_no_report_that_does_not_fit(run):
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    with pytest.raises(NotDrawn, match=r"Is a directory \(.*/report\.html\)"):
        write_report(run, read_run(run))
    assert not (run / "report.md").exists()
