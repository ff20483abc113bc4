"""On the controller of a test session: gathers what the tests measured and writes the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kis_bench.errors import KisBenchError, spell_option
from kis_bench.gate.verdicts import UNUSABLE
from kis_bench.plugin.entry import PAYLOAD, REFUSED
from kis_bench.plugin.gating import GATE
from kis_bench.plugin.named import explain_refusal
from kis_bench.plugin.session import (
    hide_private,
    line_up,
    load_dataset,
)
from kis_bench.plugin.stopping import stop
from kis_bench.plugin.summary import Lack, OwnReports, tell_all
from kis_bench.records import Collection, Dataset, Float64s

if TYPE_CHECKING:
    import pandas as pd

    from kis_bench.analysis.findings import Findings
    from kis_bench.gate.verdicts import Row
    from kis_bench.measuring.run import RunRecord
    from kis_bench.results import Run

VERDICT_KEY = (
    "model",
    "dataset",
    "label_set",
    "metric",
    "rule",
    "judged_by",
)  #: a test that is run again gives it anew
ABSENT = "absent"  #: in what a skipped test hands on: what it lacked
SELECTED = "kis_bench_selected"  #: under which a process of pytest-xdist says what it collected


class Recorder:
    """On the controller: gathers what the tests measured and writes the run folder."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        # model, dataset, label set -> columns of ranks.parquet
        self.ranks: dict[tuple[str, str, str], Mapping[str, list[Any]]] = {}
        self.image_to_text: dict[tuple[str, str, str], Mapping[str, list[Any]]] = {}  # the same
        self.timings: list[dict[str, Any]] = []
        self.distances: dict[
            str, dict[str, tuple[Float64s, Float64s]]
        ] = {}  # dataset -> model -> distances, margins
        self.fused: list[dict[str, list[Any]]] = []  # of each query set: column -> values
        self.provenance: dict[str, dict[str, Any]] = {"models": {}, "datasets": {}}
        self.verdicts: dict[tuple[str, ...], Row] = {}
        self.problems: list[str] = []  # why the gate can't be said to have passed
        self.absent: dict[Lack, set[str]] = {}  # what isn't here -> tests that were skipped for it
        self.own_reports = OwnReports()
        self.ran = False  # whether any test was not skipped
        self.clashes: list[str] = []  # models that can't be told apart: exit code 2
        self.run: Run | None = None  # as it was written
        self.findings: Findings | None = None  # of that run
        self.error: KisBenchError | None = None  # why it was not
        self.not_drawn: KisBenchError | None = None  # why there is no report of it
        self.logged: list[str] = []  # where an experiment tracker has it
        self.not_logged = ""  # why it hasn't

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes the measurements off the report, before JUnit XML and others print them."""
        mine: list[Any] = [value for name, value in report.user_properties if name == PAYLOAD]
        lacks = [tuple(payload[ABSENT]) for payload in mine if ABSENT in payload]
        if mine and (report.failed or (report.skipped and lacks)):
            self.own_reports.own.append(report)
        if report.skipped and not hasattr(report, "wasxfail"):
            for lack in lacks:
                self.absent.setdefault(lack, set()).add(report.nodeid)
        elif report.when == "call" or report.failed:
            self.ran = True
        mine = [payload for payload in mine if "timings" in payload]
        if not any(name == PAYLOAD for name, _ in report.user_properties):
            return
        report.user_properties = [
            (name, value) for name, value in report.user_properties if name != PAYLOAD
        ]
        if report.when != "call" or report.outcome not in ("passed", "failed", "skipped"):
            return  # pytest repeats the properties in the report on the teardown; what is run again comes again
        from kis_bench.results.provenance import unite_facts

        for payload in mine:
            for one in payload.get("verdicts", []):
                self.verdicts[tuple(one[name] for name in VERDICT_KEY)] = one
            self.clashes += clashes(
                self.provenance["models"], payload["provenance"].get("models", {})
            )
            if columns := payload.get("ranks"):
                cell = columns["model"][0], columns["dataset"][0], columns["label_set"][0]
                if cell in self.ranks:  # alone and then among others, from the same vectors
                    continue
                self.ranks[cell] = columns
            if columns := payload.get("image_to_text"):
                cell = columns["model"][0], columns["dataset"][0], columns["label_set"][0]
                self.image_to_text[cell] = columns
            self.add_timings(payload["timings"])
            for dataset, model, *arrays in payload.get("distances", []):
                *distances, margins = (np.array(array, np.float64) for array in arrays)
                self.distances.setdefault(dataset, {})[model] = np.stack(distances, axis=1), margins
            self.fused += [payload["fused"]] if "fused" in payload else []
            for kind, found in payload["provenance"].items():
                for name, facts in found.items():
                    known = self.provenance[kind].get(name, {})
                    self.provenance[kind][name] = unite_facts(known, facts)

    def add_timings(self, rows: Sequence[dict[str, Any]]) -> None:
        """Takes a test's timings, but for vectors that a test of the other direction had before it."""
        known = {name_step(row) for row in self.timings}
        self.timings += [row for row in rows if not (row["cached"] and name_step(row) in known)]

    @property
    def measured(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.ranks or self.image_to_text or self.distances)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a process of pytest-xdist collected; this one collects nothing then."""
        judge = self.config.stash.get(GATE, None)
        if judge is not None and (cells := getattr(node, "workeroutput", {}).get(SELECTED)):
            judge.selected = [tuple(cell) for cell in cells]
        if lines := getattr(node, "workeroutput", {}).get(REFUSED):
            stop(self.config, explain_refusal(lines))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.measured:
            self.arrange()
        self.judge_the_rest(session, exitstatus)
        if self.absent and not self.ran and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = 2  # all that was selected isn't here
        self.clashes = [hide_private(self.config, one) for one in dict.fromkeys(self.clashes)]
        if self.clashes:
            session.exitstatus = 2
        if not self.measured:
            return
        from kis_bench.analysis.findings import Findings
        from kis_bench.measuring.run import write_measured
        from kis_bench.results import read_run

        parent = find_reports(self.config)
        try:
            self.run = read_run(write_measured(parent, self.record(session, exitstatus)))
            self.findings = Findings(self.run)
        except KisBenchError as error:
            self.error = error
            session.exitstatus = 2
        else:
            self.draw(session, self.run)
            if tracker := self.config.option.kis_log:
                self.log(session, self.run, tracker)

    def record(self, session: pytest.Session, exitstatus: int) -> RunRecord:
        """All that was measured, for `kis_bench.measuring.run.write_measured`."""
        import pandas as pd

        from kis_bench.measuring.run import RunRecord
        from kis_bench.results.published import read_published

        option, hook = self.config.option, self.config.hook
        judge = self.config.stash.get(GATE, None)
        files = [file for some in hook.pytest_kis_published(config=self.config) for file in some]
        fused = [pd.DataFrame(table) for table in self.fused]
        return RunRecord(
            ranks=join_columns([*self.ranks.values()]),
            timings=self.timings,
            similar=[(self.dataset(name), measured) for name, measured in self.distances.items()],
            published=read_published(files, self.provenance["datasets"]),
            fused=pd.concat(fused, ignore_index=True) if fused else None,
            image_to_text=join_columns([*self.image_to_text.values()]),
            provenance=self.provenance,
            command=["pytest", *self.config.invocation_params.args],
            device=name_used(self.provenance["models"], "device") or option.kis_device,
            interrupted=is_stopped(session, exitstatus),
            verdicts=[*self.verdicts.values()],
            gate=None if judge is None else judge.about(),
            remarks=[*self.clashes, *(hide_private(self.config, one) for one in self.problems)],
            privacy=option.kis_privacy,
            repository=self.config.rootpath,
        )

    def draw(self, session: pytest.Session, run: Run) -> None:
        """Draws the report of a run whose tables are safe; if that fails, a session that passed ends with 2.

        Where a test or the gate failed, that stays the exit code: what was measured is whole, and says so.
        """
        from kis_bench.report import NotDrawn, write_report

        try:
            write_report(
                run.folder,
                run,
                self.pictures(),
                findings=self.findings,
                forms=self.config.option.kis_plots,
            )
        except NotDrawn as error:
            self.not_drawn = error
        except KisBenchError as error:  # a dataset that was measured is gone
            self.not_drawn = NotDrawn(run.folder, str(error))
        except KeyboardInterrupt:
            self.not_drawn = NotDrawn(run.folder, "it was stopped")
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if self.not_drawn is not None and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = 2

    def log(self, session: pytest.Session, run: Run, tracker: str) -> None:
        """Hands a run on to an experiment tracker; if that fails, a session that passed ends with 2."""
        from kis_bench.exchange.tracking import log_run

        try:
            self.logged = log_run(tracker, run)
        except KisBenchError as error:
            self.not_logged = str(error)
        except KeyboardInterrupt:
            self.not_logged = "it was stopped"
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if self.not_logged and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = 2

    def judge_the_rest(self, session: pytest.Session, exitstatus: int) -> None:
        """A gate that was given something to judge by, and didn't judge, has not passed: exit code 2."""
        judge = self.config.stash.get(GATE, None)
        if judge is None or session.config.option.collectonly:
            return
        for name, about in self.provenance["models"].items():
            judge.called(about.get("row", name), name)
        if not is_stopped(session, exitstatus):  # else what is missing is missing for that reason
            self.problems = judge.not_judged(self.verdicts.values())
        passed = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        unusable = any(one["verdict"] == UNUSABLE for one in self.verdicts.values())
        if unusable or (self.problems and passed):
            session.exitstatus = 2

    def arrange(self) -> None:
        """Puts all that was measured into one order, whatever order or process the tests ran in.

        That is the order in which datasets, their label sets and models are declared; what an object or a study calls
        its own comes after.
        """
        from kis_bench.results.provenance import of_study

        lined, about = line_up(self.config), self.provenance
        datasets = [one.name for one in lined.datasets]
        label_sets = {
            name: [*facts.get("n_queries", ())] for name, facts in about["datasets"].items()
        }
        models = {one.name: (place, 0, "") for place, one in enumerate(lined.models)}

        def of_model(name: str) -> tuple[int, int, str]:
            if name in models or not name:
                return models.get(name, (len(models), 2, ""))
            studied = of_study(about, name)
            return (
                len(models),
                int(studied),
                "" if studied else name,
            )  # a study's are in the order of its table

        def of_cell(dataset: str, label_set: str | None, model: str) -> tuple[Any, ...]:
            sets = label_sets.get(dataset, [])
            return place_in(datasets, dataset), place_in(sets, label_set or ""), of_model(model)

        def of_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
            return of_cell(row["dataset"], row["label_set"], row["model"])

        for cells in (self.ranks, self.image_to_text):
            in_order = sorted(
                cells.items(), key=lambda one: of_cell(one[0][1], one[0][2], one[0][0])
            )
            cells.clear()
            cells.update(in_order)
        self.timings.sort(key=of_row)
        self.verdicts = dict(sorted(self.verdicts.items(), key=lambda one: of_row(one[1])))
        self.fused.sort(key=lambda table: of_cell(table["dataset"][0], table["label_set"][0], ""))
        self.distances = {
            name: dict(sorted(measured.items(), key=lambda one: of_model(one[0])))
            for name, measured in sorted(
                self.distances.items(), key=lambda one: place_in(datasets, one[0])
            )
        }

    def dataset(self, name: str) -> Dataset:
        """A dataset that was measured, here perhaps by another process."""
        return load_dataset(self.config, line_up(self.config).dataset(name))

    def pictures(self) -> dict[str, Collection]:
        if self.config.option.kis_privacy:
            return {}
        return {name: self.dataset(name).collection for name in self.provenance["datasets"]}

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """After other plugins, before pytest's own short summary."""
        tell_all(self, terminalreporter, exitstatus)
        self.own_reports.take_out(terminalreporter)


def find_reports(config: pytest.Config) -> Path:
    """The folder that run folders are written into."""
    folder: Path = config.option.kis_report or config.rootpath / "reports"
    return folder


def require_reports(config: pytest.Config) -> None:
    """Ends a session whose run could not be written, before it measures anything, with exit code 2."""
    from kis_bench.files.whole import require_writable

    if hasattr(config, "workerinput"):
        return
    parent, what = find_reports(config), f"no run can be written ({spell_option('report')})"
    try:
        require_writable(parent, what)
        if (latest := parent / "latest").is_dir() and not latest.is_symlink():
            raise KisBenchError(
                f"{what}: {latest} is a folder, where the link to the last run belongs; rename it"
            )
    except KisBenchError as error:
        stop(config, hide_private(config, str(error)))


def require_log(config: pytest.Config) -> None:
    """Ends a session whose run could not be logged, before it measures anything, with exit code 2."""
    if not config.option.kis_log or hasattr(config, "workerinput"):
        return
    from kis_bench.exchange.tracking import require_tracker

    try:
        require_tracker(config.option.kis_log)
    except KisBenchError as error:
        stop(config, f"{error} ({spell_option('log')}); nothing was measured")


def join_columns(tables: Sequence[Mapping[str, list[Any]]]) -> pd.DataFrame:
    """Returns tables of the same columns below one another."""
    import pandas as pd

    names = tables[0] if tables else {}
    return pd.DataFrame({name: [*chain.from_iterable(t[name] for t in tables)] for name in names})


def name_step(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Of which model, dataset and label set a row of timings is, and of which step."""
    return tuple(row[name] for name in ("model", "dataset", "label_set", "step"))


def place_in(names: Sequence[str], name: str) -> int:
    """Where a name stands among some; behind them if it is none of them."""
    return names.index(name) if name in names else len(names)


def name_used(models: Mapping[str, Mapping[str, Any]], what: str) -> str:
    """What the models of a run were computed on or with; empty: nobody knows."""
    return " and ".join(sorted({str(about[what]) for about in models.values() if about.get(what)}))


def clashes(
    known: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Models that have a name or a key in common, so that results or stored vectors could be the other's."""
    found = []
    for name, about in new.items():
        before = known.get(name, about)
        if before.get("key") != about.get("key"):
            sources = f"{before.get('source')} and {about.get('source')}"
            found.append(f"two models are called {name}: {sources}; give one of them another name")
        for other, facts in known.items():
            for key in ("key", "own_key"):
                if other != name and about.get(key) and facts.get(key) == about[key]:
                    found.append(
                        f"models {other} and {name} have one key, {about[key]!r}; give each a key of its own"
                    )
    return found


def is_stopped(session: pytest.Session, exitstatus: int) -> bool:
    """Whether the session ended before all that it was asked for, by Ctrl-C, ``-x`` and the like."""
    early = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    return exitstatus in early or bool(session.shouldstop or session.shouldfail)
