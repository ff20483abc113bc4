"""What a session says at its end: what was skipped or failed and why, what was measured, and where the report is."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kis_bench.choices import BOTH_DIRECTIONS
from kis_bench.datasets.left_out import describe_left_out, describe_unreadable
from kis_bench.encoders.receivers import describe_traffic
from kis_bench.errors import spell_option
from kis_bench.plugin.entry import in_use
from kis_bench.plugin.gating import GATE
from kis_bench.plugin.session import OTHER_DIRECTION, line_up, query_sets

if TYPE_CHECKING:
    from kis_bench.plugin.recorder import Recorder

#: What a skipped test lacked: "model NAME" and the like, its state, and how to get it.
Lack = tuple[str, str, str]
INDENT = " " * 4
SHOWN_APART = (
    "skipped",
    "failed",
    "error",
)  #: categories of pytest's that this says more of than pytest


class OwnReports:
    """Reports of tests over our models and datasets, of which `tell_skipped` and `tell_failed` say more than pytest.

    Pytest's short summary cuts reasons, and names a skipped test where a project asks for that only. It counts these
    tests nevertheless, and lists all others.
    """

    def __init__(self) -> None:
        self.own: list[pytest.TestReport] = []
        self.kept: dict[str, list[Any]] = {}  # what pytest's reporter had

    def take_out(self, reporter: pytest.TerminalReporter) -> None:
        """Hides them from what is written from now on."""
        own = {id(report) for report in self.own}
        for category in SHOWN_APART:
            if found := reporter.stats.get(category):
                self.kept[category] = found
                reporter.stats[category] = [one for one in found if id(one) not in own]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Gives them back once pytest's short summary is written: they count."""
        yield
        terminalreporter.stats.update(self.kept)


def tell_all(recorder: Recorder, reporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Everything, what was measured last."""
    tell_skipped(recorder, reporter)
    tell_files_left_out(recorder, reporter)
    tell_read_vectors(recorder, reporter)
    tell_sent(recorder, reporter)
    tell_failed(recorder.own_reports.own, reporter)
    tell_figures(recorder, reporter)
    tell_gate(recorder, reporter)
    tell_report(recorder, reporter)
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        for line in list_choices(recorder.config):
            reporter.write_line(line)


def tell_skipped(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """What was declared and isn't here, one line per reason."""
    if not recorder.absent:
        return
    nothing = not recorder.ran
    reporter.write_sep("=", "not here", red=nothing)
    if nothing:
        reporter.write_line(
            "kis-bench: nothing was measured: all that was selected isn't here", red=True
        )
    for line in group_lacks(recorder.absent):
        write_wrapped(reporter, line)


def group_lacks(absent: Mapping[Lack, set[str]]) -> list[str]:
    """One line for each reason, with the number of tests; what lacks the same and has one remedy stands together."""
    groups: dict[Lack, dict[str, tuple[str, set[str]]]] = {}
    for (what, state, remedy), tests in absent.items():
        kind, _, name = what.partition(" ")
        general = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "NAME", remedy) if name else ""
        groups.setdefault((kind, state, general), {})[what] = remedy, tests
    lines = []
    for (kind, state, general), names in groups.items():
        tests = set().union(*(own for _, own in names.values()))
        (what, (remedy, _)), *more = names.items()
        if more:
            what = f"{kind}s {', '.join(sorted(name.partition(' ')[2] for name in names))}"
            remedy = general
        lines.append((kind, what, f"skipped {len(tests)}: {what}: {state}. {remedy}".rstrip()))
    return [line for _, _, line in sorted(lines)]


def tell_files_left_out(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """Which files of measured datasets were not searched."""
    for name, about in recorder.provenance["datasets"].items():
        said = [describe_left_out(about["left_out"])] if about.get("left_out") else []
        lost = describe_unreadable(about.get("unreadable", {}), about.get("queries_left_out", ()))
        for line in (*said, *lost, *about.get("unread", ())):
            write_wrapped(reporter, f"left out of {name}: {line}", yellow=True)
        for line in about.get("remarks", ()):
            write_wrapped(reporter, f"read of {name}: {line}")


def tell_read_vectors(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """What was read of models that are vectors on disk, and what was done to it."""
    for name, about in recorder.provenance["models"].items():
        for line in about.get("read", ()):
            write_wrapped(reporter, f"read for {name}: {line}")


def tell_sent(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """What was sent to services, and where to."""
    for name, about in recorder.provenance["models"].items():
        if sent := about.get("sent"):
            write_wrapped(reporter, f"sent for {name}: {describe_traffic(sent)}")


def tell_failed(own: Sequence[pytest.TestReport], reporter: pytest.TerminalReporter) -> None:
    """Tests that failed, in pytest's form but with their whole reasons."""
    chars = {True: "f", False: "E"}  # of pytest's option -r
    failed = [one for one in own if one.failed and reporter.hasopt(chars[one.when == "call"])]
    if not failed:
        return
    reporter.write_sep("=", "failed", red=True)
    for report in failed:
        word = "FAILED" if report.when == "call" else "ERROR"
        first, *rest = explain_failure(report).splitlines() or [""]
        write_wrapped(reporter, f"{word} {report.nodeid} - {first}", red=True)
        for line in rest:
            write_wrapped(reporter, INDENT + line, red=True)


def explain_failure(report: pytest.TestReport) -> str:
    """Why a test failed: its message, or the line with which a traceback ends."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(report.longrepr) if crash is None else str(crash.message)


def tell_figures(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """The tables of what was measured, or why there is no run."""
    for clash in recorder.clashes:
        reporter.write_line(f"kis-bench: {clash}", red=True)
    if recorder.error is not None:
        reporter.write_sep("=", "kis-bench", red=True)
        reporter.write_line(f"the run was measured, but not written: {recorder.error}", red=True)
    if recorder.findings is None:
        return
    from kis_bench.report import NotDrawn
    from kis_bench.report.terminal import summarise_kinds

    tiered = not isinstance(recorder.not_drawn, NotDrawn)  # else comparing may be what failed
    width = recorder.config.get_terminal_writer().fullwidth
    for title, table in summarise_kinds(recorder.findings, width, tiered=tiered).items():
        reporter.write_sep("=", title)
        reporter.write_line(table)


def tell_report(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """Links to the report, which terminals and the pages of build servers open."""
    if recorder.run is None:
        return
    for line in recorder.logged:
        reporter.write_line(f"\n{line}")
    if recorder.not_logged:
        again = f"kis-bench export {recorder.config.option.kis_log} {recorder.run.folder}"
        said = f"kis-bench: the run was not logged: {recorder.not_logged}. It is whole; to log it: {again}"
        reporter.write_line(f"\n{said}", red=True)
    if recorder.not_drawn is not None:
        reporter.write_line(f"\nkis-bench: {recorder.not_drawn}", red=True)
        return
    files = [recorder.run.folder.resolve() / name for name in ("report.html", "report.md")]
    links = [file.as_uri() for file in files if file.is_file()]
    for start, link in zip(("\nreport: ", "        "), links, strict=False):
        reporter.write_line(start + link)


def tell_gate(recorder: Recorder, reporter: pytest.TerminalReporter) -> None:
    """What was judged, for people at a terminal and, where GitHub runs this, for its pages."""
    judge = recorder.config.stash.get(GATE, None)
    if judge is None or recorder.config.option.collectonly:
        return
    import pandas as pd

    from kis_bench.gate.github import error_lines
    from kis_bench.gate.verdicts import NEW, Cell, failed_cells, sentence, told
    from kis_bench.report.sections.gate import count_verdicts, section
    from kis_bench.results.columns import ALL_VERDICTS

    rows, problems = [*recorder.verdicts.values()], recorder.problems
    bad = failed_cells(rows)
    reporter.write_sep("=", "gate", red=bool(bad or problems), green=not (bad or problems))
    table = pd.DataFrame(rows, columns=ALL_VERDICTS)
    reporter.write_line(f"{count_verdicts(table)} ({judge.about()})")
    for cell, failed in bad.items():
        reporter.write_line(f"{cell}:", red=True)
        for line in told(failed):
            reporter.write_line(f"  {line}", red=True)
    for one in [one for one in rows if one["verdict"] == NEW]:
        cell = Cell(one["model"], one["dataset"], one["label_set"])
        reporter.write_line(f"not compared: {cell}: {sentence(one)}")
    for problem in problems:
        reporter.write_line(f"kis-bench: {problem}", red=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in error_lines(rows, problems, find_place(recorder.config.rootpath)):
            reporter.write_line(line)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        parts = ["## kis-bench", "", *section(table, judge.about(), problems, most=50)]
        try:
            with open(summary, "a", encoding="utf-8", errors="replace") as file:
                file.write("\n".join(parts) + "\n")
        except OSError as error:
            reporter.write_line(
                f"$GITHUB_STEP_SUMMARY can't be written: {error.strerror}", red=True
            )


def find_place(project: Path) -> str:
    """Where the project lies in the repository that GitHub runs, as a prefix of its files."""
    whole = os.environ.get("GITHUB_WORKSPACE", "")
    if not whole or not project.resolve().is_relative_to(Path(whole).resolve()):
        return ""
    inside = project.resolve().relative_to(Path(whole).resolve()).as_posix()
    return "" if inside == "." else f"{inside}/"


def list_choices(config: pytest.Config) -> list[str]:
    """Where nothing was selected: what there is to select from."""
    lined = line_up(config)
    if not in_use(config):
        return []
    sets = dict.fromkeys(one.label_set for one in query_sets(config) if one.label_set)
    kinds = (
        ("datasets", [row.name for row in lined.datasets]),
        ("label sets", [*sets]),
        ("models", [model.name for model in lined.models]),
    )
    told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds if names)
    lines = [f"kis-bench: no test was selected; there are {told}"]
    if config.stash.get(OTHER_DIRECTION, False):
        asked = f"{spell_option('direction')} {BOTH_DIRECTIONS}"
        lines.append(f"kis-bench: tests of the other direction take part with {asked}")
    return lines


def write_wrapped(reporter: pytest.TerminalReporter, line: str, **markup: bool) -> None:
    """Writes a line; on a terminal on several, broken between words, the further ones indented."""
    width = reporter.config.get_terminal_writer().fullwidth
    lines = textwrap.wrap(
        line,
        width if reporter.isatty else len(line) + 1,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    for one in lines:
        reporter.write_line(one, **markup)
