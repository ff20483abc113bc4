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
        ("raises", ("mrr", 1.0), 1, "ZeroDivisionError"),
    ],
)
def test_a_plot_that_fails_is_named_and_the_rest_of_the_report_is_there(
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
        r"1 plot of the report could not be drawn: (growth-\S+): (.*)\. "
        r"The rest of the report: (\S+)/report\.md; kis-bench report (\S+) draws it anew",
        done.stdout,
    )
    assert said is not None, done.stdout
    assert re.search(reason, said[2])
    assert said[3] == said[4]
    assert "known-item search" in done.stdout  # the figures are told all the same
    folder = Path(said[4])
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text.index("could not be drawn") < text.index("## ")  # at the top, and in its place
    (place,) = re.findall(
        r"^\*Missing here: Recall against the size .* could not be drawn: .*", text, re.M
    )
    assert re.search(reason, place.replace("\\", ""))
    drawn = {file.stem for file in (folder / "plots").glob("*.png")}
    assert said[1] not in drawn
    assert {*re.findall(r"\]\(plots/(\S+)\.png\)", text)} == drawn
    assert {"curves", "grid", "combinations"} <= {name.split("-")[0] for name in drawn}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Missing here: Recall against the size" in page
    run = read_run(folder)
    assert len(run.ranks) == 2 * gated_project.N
    assert (project / "reports" / "latest").resolve() == folder.resolve()
    assert (folder / "gate.md").is_file() == bool(gate)
    anew = gated_project.cli(project, "report", str(folder))
    assert anew.returncode == 0, anew.stderr
    assert "could not be drawn" not in (folder / "report.md").read_text(encoding="utf-8")
    assert (folder / "plots" / f"{said[1]}.png").is_file()
    assert read_run(folder).ranks.equals(run.ranks)


def test_a_drawing_that_is_stopped_leaves_the_run_whole(project: Path) -> None:
    done = gated_project.run(project, "-p", "breaks", FAILS="stopped")
    assert done.returncode == 2, done.stdout + done.stderr
    said = re.search(
        r"the report could not be drawn: it was stopped\. The run's tables are whole; "
        r"kis-bench report (\S+) draws it",
        done.stdout,
    )
    assert said is not None
    assert "report.md" not in done.stdout
    assert len(read_run(Path(said[1])).ranks) == 2 * gated_project.N
    assert not (Path(said[1]) / "report.md").exists()


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


def test_reports_that_cannot_be_written_end_the_session_before_it_measures(project: Path) -> None:
    (project / "taken").write_text("a file")
    for more in ((), ("-n", "2")):
        done = gated_project.run(project, "--kis-report=taken/reports", "-p", "xdist", *more)
        assert done.returncode == 2, done.stdout + done.stderr
        said = "no run can be written (--kis-report): "
        assert said in done.stdout + done.stderr
        assert "taken: Not a directory" in done.stdout + done.stderr
        assert "passed" not in done.stdout
    assert not (project / "taken" / "reports").exists()


def test_a_folder_where_the_link_to_the_last_run_belongs_ends_the_session_first(
    project: Path,
) -> None:
    (project / "copied" / "latest").mkdir(parents=True)
    done = gated_project.run(project, "--kis-report=copied", "-k", "first")
    assert done.returncode == 2, done.stdout + done.stderr
    said = "copied/latest is a folder, where the link to the last run belongs; rename it"
    assert said in done.stdout + done.stderr
    assert [each.name for each in (project / "copied").iterdir()] == ["latest"]


def test_the_command_says_first_that_a_report_cannot_be_written(project: Path) -> None:
    gated_project.run(project, "-k", "first", drawn=False)
    run = (project / "reports" / "latest").resolve()
    done = gated_project.cli(
        project, "report", str(run), str(run), "--out", str(project / "breaks.py" / "out")
    )
    assert done.returncode == 2
    assert "the report can't be written: " in done.stderr
    assert "recall" not in done.stdout
