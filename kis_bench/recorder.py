"""On the controller of a test session: gathers what the tests measured and writes the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.records import Collection, Dataset
from kis_bench.session import PAYLOAD, line_up, load_dataset

if TYPE_CHECKING:
    from kis_bench.triplets import Floats


class Recorder:
    """On the controller: gathers what the tests measured and writes the run folder."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.ranks: list[dict[str, Any]] = []
        self.measured: set[tuple[str, str, str]] = set()  # model, dataset, label set of the ranks
        self.timings: list[dict[str, Any]] = []
        self.distances: dict[str, dict[str, tuple[Floats, Floats]]] = {}  # dataset -> model -> distances, margins
        self.fused: list[dict[str, list[Any]]] = []  # of each query set: column -> values
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
            rows = payload.get("ranks", [])
            measured = {(row["model"], row["dataset"], row["label_set"]) for row in rows}
            if measured and measured <= self.measured:  # alone and then among others, from the same vectors
                continue
            self.measured |= measured
            self.ranks += rows
            self.timings += payload["timings"]
            for dataset, model, *columns in payload.get("distances", []):
                *distances, margins = (np.array(column, np.float64) for column in columns)
                self.distances.setdefault(dataset, {})[model] = np.stack(distances, axis=1), margins
            self.fused += [payload["fused"]] if "fused" in payload else []
            for kind, found in payload["provenance"].items():
                for name, facts in found.items():
                    self.provenance[kind].setdefault(name, {}).update(facts)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self.ranks and not self.distances:
            return
        import pandas as pd

        from kis_bench.published import read_published
        from kis_bench.runs import write_measured

        option, hook = self.config.option, self.config.hook
        try:
            files = [file for some in hook.pytest_kis_published(config=self.config) for file in some]
            self.folder = write_measured(
                option.kis_report or self.config.rootpath / "reports",
                ranks=self.in_order(),
                timings=self.timings,
                similar=[(self.dataset(name), measured) for name, measured in self.distances.items()],
                published=read_published(files, {*self.provenance["datasets"]}),
                fused=pd.concat(map(pd.DataFrame, self.fused), ignore_index=True) if self.fused else None,
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

    def in_order(self) -> list[dict[str, Any]]:
        """Ranks as datasets and their label sets are declared, whatever order or process tests ran in."""
        declared = [(name, label_set) for name, about in self.provenance["datasets"].items()
                    for label_set in about.get("n_queries", ())]  # fmt: skip
        places = {key: place for place, key in enumerate(declared)}
        return sorted(self.ranks, key=lambda row: places[row["dataset"], row["label_set"]])

    def dataset(self, name: str) -> Dataset:
        """A dataset that was measured, here perhaps by another process."""
        return load_dataset(self.config, line_up(self.config).dataset(name))

    def pictures(self) -> dict[str, Collection]:
        if self.config.option.kis_privacy:
            return {}
        return {name: self.dataset(name).collection for name in self.provenance["datasets"]}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.error is not None:
            terminalreporter.section("kis-bench", red=True)
            terminalreporter.write_line(f"the run was measured, but not written: {self.error}", red=True)
        if self.folder is None:
            return
        from kis_bench.results import read_run
        from kis_bench.runs import summaries

        for title, table in summaries(read_run(self.folder)).items():
            terminalreporter.section(title)
            terminalreporter.write_line(table)
        terminalreporter.write_line(f"\nreport: {self.folder / 'report.md'}")
