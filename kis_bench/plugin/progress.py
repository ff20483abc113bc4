"""Shows how far long steps are: below the line that pytest writes, in a log, and of the processes of pytest-xdist."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kis_bench.files.progress import Step, watch
from kis_bench.files.status_line import StatusLine

FOLDER = (
    "kis_bench_progress"  #: under which a process of pytest-xdist is told where to write its steps
)
WRITTEN_EVERY_S = 0.5
STEP_FIELDS = ("what", "unit", "total", "done", "began_with", "limit", "started_s")


class StepFile:
    """Writes the innermost step of this process into a file, which another one shows. A `Watcher`.

    A process that is killed leaves its file; whoever shows it knows which processes live.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self.clock = file, clock
        self.steps: list[Step] = []
        self.written_s = 0.0

    def begin(self, step: Step) -> None:
        self.steps.append(step)
        self.write()

    def update(self, step: Step) -> None:
        if self.clock() - self.written_s >= WRITTEN_EVERY_S:
            self.write()

    def end(self, step: Step) -> None:
        self.steps.remove(step)
        self.write()

    def write(self) -> None:
        """A file that can't be written is no reason to stop what is measured."""
        self.written_s = self.clock()
        with contextlib.suppress(OSError):
            if not self.steps:
                self.file.unlink(missing_ok=True)
                return
            shown = {name: getattr(self.steps[-1], name) for name in STEP_FIELDS}
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps(shown), encoding="utf-8")
            os.replace(new, self.file)


def read_steps(folder: Path) -> list[Step]:
    """The steps that processes have written into a folder, each its innermost."""
    found = []
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):  # it ended just now
            found.append(Step(**json.loads(file.read_text(encoding="utf-8"))))
    return found


class SessionProgress:
    """The plugin of a session that shows its steps; a quiet one, or one without a terminal reporter, shows none."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.line: StatusLine | None = None
        self.folder: Path | None = None  # where processes of pytest-xdist write
        self.open = ExitStack()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        worker = getattr(self.config, "workerinput", None)
        if worker is not None:
            folder = Path(worker.get(FOLDER) or os.devnull)
            here = folder.is_dir()  # it may lie on another machine
            name = f"{worker['workerid']}.json"
            self.open.enter_context(watch(StepFile(folder / name) if here else None))
            return
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and self.config.get_verbosity() >= 0:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream without file
                file = os.dup(sys.stdout.fileno())
                self.open.callback(os.close, file)
                self.folder = Path(tempfile.mkdtemp(prefix="kis-bench-progress-"))
                self.open.callback(shutil.rmtree, self.folder, ignore_errors=True)
                self.line = StatusLine(
                    file, below=True, others=self.read_others, say=self.make_say(file, reporter)
                )
        self.open.enter_context(watch(self.line))

    def make_say(self, file: int, reporter: Any) -> Callable[[str], None]:
        """Writes a line into a log, on a line of its own; pytest names the file of its dots anew then."""

        def say(line: str) -> None:
            start = "\n" if reporter.currentfspath is not None else ""
            reporter.currentfspath = None
            with contextlib.suppress(OSError):
                os.write(file, f"{start}{line}\n".encode("utf-8", "replace"))

        return say

    def read_others(self) -> list[Step]:
        return [] if self.folder is None else read_steps(self.folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self.folder is not None:
            node.workerinput[FOLDER] = str(self.folder)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process that was killed does nothing any more."""
        if self.folder is not None:
            (self.folder / f"{node.gateway.id}.json").unlink(missing_ok=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """In the process that starts others, their steps are shown while they work."""
        if self.line is None or not self.config.pluginmanager.hasplugin("dsession"):
            return (yield)
        with self.line.keep_watching():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        """Other processes' steps stand below while pytest writes what came of a test."""
        if self.line is None:
            return (yield)
        with self.line.out_of_the_way():
            return (yield)

    def pytest_unconfigure(self) -> None:
        self.open.close()
