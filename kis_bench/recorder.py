"""On the controller of a test session: gathers what the tests measured and writes the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kis_bench.errors import KisBenchError
from kis_bench.records import Collection
from kis_bench.session import PAYLOAD, line_up, load_dataset


class Recorder:
    """On the controller: gathers what the tests measured and writes the run folder."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.ranks: list[dict[str, Any]] = []
        self.timings: list[dict[str, Any]] = []
        self.provenance: dict[str, dict[str, Any]] = {"models": {}, "datasets": {}}
        self.folder: Path | None = None
        self.error: KisBenchError | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes the measurements off the report, before JUnit XML and others print them."""
        mine: list[Any] = [value for name, value in report.user_properties if name == PAYLOAD]
        if not mine:
            return
        report.user_properties = [(name, value) for name, value in report.user_properties if name != PAYLOAD]
        if report.when != "call":  # pytest repeats the properties in the report on the teardown
            return
        for payload in mine:
            self.ranks += payload["ranks"]
            self.timings += payload["timings"]
            for kind, found in payload["provenance"].items():
                self.provenance[kind] |= found

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self.ranks:
            return
        from kis_bench.runs import write_measured

        option = self.config.option
        try:
            self.folder = write_measured(
                option.kis_report or self.config.rootpath / "reports",
                ranks=self.ranks,
                timings=self.timings,
                provenance=self.provenance,
                command=["pytest", *self.config.invocation_params.args],
                device=option.kis_device,
                interrupted=exitstatus == pytest.ExitCode.INTERRUPTED,
                pictures=self.pictures(),
                privacy=option.kis_privacy,
                repository=self.config.rootpath,
            )
        except KisBenchError as error:
            self.error = error
            session.exitstatus = 2

    def pictures(self) -> dict[str, Collection]:
        if self.config.option.kis_privacy:
            return {}
        rows = [row for row in line_up(self.config).datasets if row.name in self.provenance["datasets"]]
        return {row.name: load_dataset(self.config, row).collection for row in rows}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.error is not None:
            terminalreporter.section("kis-bench", red=True)
            terminalreporter.write_line(f"the run was measured, but not written: {self.error}", red=True)
        if self.folder is None:
            return
        from kis_bench.results import read_run
        from kis_bench.runs import summary

        terminalreporter.section("known-item search")
        terminalreporter.write_line(summary(read_run(self.folder)))
        terminalreporter.write_line(f"\nreport: {self.folder / 'report.md'}")
