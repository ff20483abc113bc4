"""A task as it is imported, known slips of the archive's list, and remarks on oddities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kis_bench.exchange.vbs.image_targets import ImageTarget

#: Task, video, start and end in s as the archive's list has them -> frame and rate in the file that it was played from.
ERRATA = {("Textual2019-13", "03439", 30.0, 320.24): (7507, 25)}
#: Tasks of which the list has sentences without the line break that stood between them, nor a blank.
LOST_BREAKS = ("Textual2020-31", "Textual2020-32")
SENTENCES_END = re.compile(r"(?<=[a-z][.])(?=[A-Z])")
LONG_S = 120.0  #: segments of the Showdown last about 20 s


@dataclass(frozen=True)
class Task:
    """A segment of a video, or images any of which will do, and the texts by which it was to be found."""

    name: str
    video: str  # "" where images were meant, as for its range
    start_s: float  # seconds within the video
    end_s: float
    hints: tuple[str, ...]  # in the order of their start; "" where a stage is blank
    fps: float | None  # frames per second of the video, where the file tells
    images: tuple[ImageTarget, ...] = ()


def mend_known_slips(tasks: Sequence[Task]) -> tuple[list[Task], list[str]]:
    """Puts right where the archive's list contradicts the file that the task was played from, and remarks on it."""
    mended, said, broken = [], [], []
    for task in tasks:
        whole = tuple(SENTENCES_END.sub(" ", hint) for hint in task.hints)
        if task.name in LOST_BREAKS and whole != task.hints:
            task = replace(task, hints=whole)
            broken.append(task.name)
        slip = ERRATA.get((task.name, task.video, task.start_s, task.end_s))
        if slip:
            (frame, rate), listed = slip, task.start_s
            task = replace(task, start_s=frame / rate)
            said.append(
                f"{task.name} ({task.start_s:g} s in place of {listed:g} s: frame {frame} of {rate} a second)"
            )
        mended.append(task)
    found = {
        "begun where the Showdown's own file has it": said,
        "with a blank between sentences where the list has lost a line break": broken,
    }
    return mended, make_remarks("task", found)


def find_oddities(tasks: Sequence[Task]) -> list[str]:
    """Remarks on oddities that may be intended or mistakes."""
    steps = [
        (task, n, pair)
        for task in tasks
        for n, pair in enumerate(pairwise(("", *task.hints)), start=1)
    ]
    blank = [f"{task.name} stage {n}" for task, n, (_, hint) in steps if not hint]
    same = [
        f"{task.name} stage {n}" for task, n, (before, hint) in steps if hint and hint == before
    ]
    long = [
        f"{t.name} ({t.start_s:g} to {t.end_s:g} s)" for t in tasks if t.end_s - t.start_s > LONG_S
    ]
    hints = {
        "without text, whose stages are left out": blank,
        "the same as the one before, and kept": same,
    }
    return make_remarks("hint", hints) + make_remarks(
        "task", {f"longer than {LONG_S:g} s, which may be a slip": long}
    )


def make_remarks(noun: str, found: Mapping[str, Sequence[str]]) -> list[str]:
    """One line per reason, with the number and the names of its tasks."""
    lines = []
    for why, names in found.items():
        listed = ", ".join(name if name.isprintable() else repr(name) for name in names)
        lines += [f"{len(names)} {noun}{'s' * (len(names) > 1)} {why}: {listed}"] * bool(names)
    return lines
