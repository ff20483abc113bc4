"""A drawing that fails, or is killed, costs nothing that was measured."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import gated_project
import pytest

from kis_bench.results import read_run

pytestmark = pytest.mark.slow
BREAKS = """
    import os
    import signal

    from kis_bench.report.sections import datasets

    def fail(*_, **__):
        if os.environ["FAILS"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["FAILS"] == "full":
            raise OSError(28, "No space left on device", "plots/growth.png")
        if os.environ["FAILS"] == "stopped":
            raise KeyboardInterrupt
        raise ZeroDivisionError("no such axis")

    datasets.draw_growth = fail
"""
WHOLE = ("run.json", "ranks.parquet", "metrics.csv", "timings.csv", "verdicts.csv")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = gated_project.make(tmp_path_factory.mktemp("drawing"))
    (folder / "breaks.py").write_text("\n".join(line[4:] for line in BREAKS.splitlines()))
    return folder


@pytest.mark.parametrize(
    ("fails", "gate", "code", "reason"),
    [
        ("raises", (), 2, r"ZeroDivisionError: no such axis \(breaks\.py, line \d+\)"),
        ("full", (), 2, r"No space left on device \(plots/growth\.png\)"),
        ("stopped", (), 2, "it was stopped"),
        ("raises", ("mrr", 1.0), 1, "ZeroDivisionError"),
    ],
)
def test_a_drawing_that_fails_leaves_the_run_whole(
    project: Path, fails: str, gate: tuple[str, float], code: int, reason: str
) -> None:
    arguments = []
    if gate:
        limits = project / "limits.toml"
        limits.write_text(f'[[threshold]]\nmetric = "{gate[0]}"\nmin = {gate[1]}\n')
        arguments = [f"--kis-thresholds={limits}"]
    worse = {"WORSE": "5:0.4"} if gate else {}
    done = gated_project.run(project, "-p", "breaks", *arguments, FAILS=fails, **worse)
    assert done.returncode == code, done.stdout + done.stderr
    said = re.search(
        r"the report could not be drawn: (.*)\. The run's tables are whole; kis-bench report (\S+) draws it",
        done.stdout,
    )
    assert said is not None
    assert re.search(reason, said[1])
    assert "known-item search" in done.stdout  # the figures are told all the same
    assert "report.md" not in done.stdout
    folder = Path(said[2])
    run = read_run(folder)
    assert len(run.ranks) == 2 * gated_project.N
    assert (project / "reports" / "latest").resolve() == folder.resolve()
    assert not (folder / "report.md").exists()
    assert (folder / "gate.md").is_file() == bool(gate)
    drawn = gated_project.cli(project, "report", str(folder))
    assert drawn.returncode == 0, drawn.stderr
    for file in ("report.md", "report.html"):
        assert (folder / file).is_file()
    assert read_run(folder).ranks.equals(run.ranks)


def test_a_process_killed_while_drawing_leaves_a_run(project: Path) -> None:
    done = gated_project.run(project, "-p", "breaks", "-k", "first", FAILS="killed")
    assert done.returncode == -signal.SIGKILL
    folder = (project / "reports" / "latest").resolve()
    assert [name for name in WHOLE if not (folder / name).is_file()] == []
    assert len(read_run(folder).ranks) == gated_project.N
    assert not (folder / "report.md").exists()
    assert not [each for each in (project / "reports").iterdir() if each.name.startswith(".")]
    drawn = gated_project.cli(project, "report", str(folder))
    assert drawn.returncode == 0, drawn.stderr
    assert (folder / "report.md").is_file()


def test_a_report_that_cannot_be_drawn_anew_says_why(project: Path) -> None:
    gated_project.run(project, "-k", "first")
    folder = (project / "reports" / "latest").resolve()
    (folder / "tables" / "growth.csv").unlink()
    (folder / "tables" / "growth.csv").mkdir()
    done = gated_project.cli(project, "report", str(folder))
    assert done.returncode == 2
    assert "the report could not be drawn" in done.stderr
    assert "The run's tables are whole" in done.stderr
    assert not (folder / "report.md").exists()
