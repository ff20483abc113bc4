"""Runs one setting of an engine in a process of its own, whose end can't cost the session anything but a row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.records import Int64s
from kis_bench.search_engines import worker
from kis_bench.search_engines.answers import WrongIds, check_answer, join_vectors_of_items
from kis_bench.search_engines.catalogue import Setting
from kis_bench.search_engines.fidelity import ASKED_ALONE, BUILDS, DEPTHS, TIMED_RESULTS, Answers
from kis_bench.search_engines.planted_ties import PLANTED_DEPTHS
from kis_bench.search_engines.protocol import Ending

LIMIT_S = 3600.0  #: for one setting
REPEATED_S = 1.0  #: for which the timed search is repeated
REBUILT_S = 60.0  #: of one build and search, up to which there are several
LOG_FILE = "log.txt"
LAST_LINES = 3  #: of what a process that crashed wrote, which are told


@dataclass(frozen=True)
class Outcome:
    """How the measurement of one setting ended."""

    status: str
    said: str = ""  # what went wrong
    figures: Mapping[str, Any] = field(default_factory=dict)
    answers: Answers | None = None
    planted: Mapping[int, Int64s] = field(default_factory=dict)


def run_setting(
    setting: Setting,
    vectors: Path,
    planted: Path,
    folder: Path,
    vectors_per_item: int = 1,
    limit_s: float = LIMIT_S,
) -> Outcome:
    """Builds an engine, asks it, and checks what it says.

    Args:
        setting: of an engine that is installed.
        vectors: folder of ``items.npy [n v, d]`` and ``queries.npy [q, d]``.
        planted: likewise, of `PlantedTies`.
        folder: an empty one, for its index and its answers.
        vectors_per_item: v, whose best counts.
        limit_s: seconds after which it is ended.
    """
    job = worker.Job(
        setting.engine,
        setting.name,
        setting.packages,
        str(folder),
        str(vectors),
        str(planted),
        DEPTHS,
        TIMED_RESULTS,
        REPEATED_S,
        BUILDS,
        REBUILT_S,
        ASKED_ALONE,
        vectors_per_item,
        PLANTED_DEPTHS,
    )
    job.write()
    log = folder / LOG_FILE
    try:
        code = run_apart(worker.__name__, [str(folder)], log, limit_s)
    except subprocess.TimeoutExpired:
        return Outcome(Ending.FAILED, f"{setting.name}: took longer than {limit_s:,.0f} s")
    problem, measured = folder / worker.PROBLEM_FILE, folder / worker.FIGURES_FILE
    if problem.exists():
        told = json.loads(problem.read_text(encoding="utf-8"))
        return Outcome(told["kind"], told["said"])
    if code or not measured.exists():  # a library may end the process with any code
        return Outcome(Ending.CRASHED, explain_crash(setting.name, code, log))
    figures = json.loads(measured.read_text(encoding="utf-8"))
    try:
        return read_outcome(setting, job, folder, figures)
    except WrongIds as error:
        return Outcome(Ending.WRONG, str(error), figures)


def run_apart(module: str, arguments: Sequence[str], log: Path, limit_s: float) -> int:
    """Runs a module in a process of its own, and returns its exit code, negative for a signal.

    All that it started ends with it.

    Raises:
        subprocess.TimeoutExpired: it took longer than ``limit_s``, and was ended.
    """
    inside = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, map(str, sys.path)))}
    command = [sys.executable, "-m", module, *arguments]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, stdout=out, stderr=out, env=inside, start_new_session=True
        ) as process,
    ):
        try:
            return process.wait(limit_s)
        finally:
            with suppress(OSError):  # of none is left
                os.killpg(process.pid, signal.SIGKILL)


def read_outcome(
    setting: Setting, job: worker.Job, folder: Path, figures: Mapping[str, Any]
) -> Outcome:
    """Checks all that an engine returned."""
    shapes = {}
    for name, place in (("", job.vectors), ("planted", job.planted)):
        shapes[name] = [
            len(np.load(Path(place) / f"{each}.npy", mmap_mode="r"))
            for each in ("queries", "items")
        ]
    (q, n), (asked, planted) = shapes[""], shapes["planted"]
    v = job.vectors_per_item

    def read(name: str, depth: int, q: int) -> Int64s:
        answer = np.load(folder / f"{name}.npy")
        ids = check_answer(setting.name, answer, q, min(depth * v, n), n)
        return join_vectors_of_items(ids, v, min(depth, n // v))

    few = min(job.alone, q)
    answers = Answers(
        {depth: read(f"answers-{depth}", depth, q) for depth in job.depths},
        read("again", job.timed, few),
        read("alone", job.timed, few),
        [read(f"built-{number}", job.timed, q) for number in range(1, figures["builds"])],
    )
    ties = {
        k: check_answer(
            setting.name, np.load(folder / f"planted-{k}.npy"), asked, min(k, planted), planted
        )
        for k in job.planted_depths
    }
    return Outcome(Ending.MEASURED, "", figures, answers, ties)


def explain_crash(name: str, code: int, log: Path) -> str:
    """Returns what is known of a process that ended without a word of its own."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:])
    how = f"exit code {code}" if code >= 0 else f"signal {name_signal(-code)}"
    memory = " (as where memory runs out)" if how.endswith("SIGKILL") else ""
    return f"{name}: its process ended with {how}{memory}" + (f": {last}" if last else "")


def name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
