"""Textual known-item tasks of the Video Browser Showdown, as its archive and its server DRES write them.

Three kinds of JSON are known by their keys; whatever else a file holds is not looked at:

- the archive's aggregate, a list of ``{query_name, hints: [text, ...], answer, videorange: {start, end}, fps}``, in ms;
- DRES 2: ``template.tasks`` of a run, or ``tasks`` of a template, with ``{name, taskType, targets, hints}`` each;
- DRES 1: ``description.tasks`` of a run, or ``tasks`` of a description, with ``target`` instead of ``targets``.

A task of DRES is textual known-item search if its one target is a range of a video, or its targets are images, and its
hints are texts, whatever its type is called. Problems count tasks from 1, in the order of the file.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile
from kis_bench.exchange.vbs.clocks import FPS, MILLISECONDS, SECONDS, UNIT, make_clock
from kis_bench.exchange.vbs.image_targets import ImageTarget, aims_at_images, take_images
from kis_bench.exchange.vbs.json_values import HINT, LIST, TEXT_NOT_BLANK, Place
from kis_bench.files.encodings import decode

SHAPES = "a list of {query_name, hints, answer, videorange}, or DRES' tasks, on top or in template or description"
TARGETS, HINTS = (
    {"MEDIA_ITEM_TEMPORAL_RANGE", "VideoSegmentTarget"},
    {"TEXT", "TextHint", "EMPTY"},
)  #: DRES 2 and 1
LARGEST_FILE_BYTES = 2**26
#: Task, video, start and end in s as the archive's list has them -> frame and rate in the file that it was played from.
ERRATA = {("Textual2019-13", "03439", 30.0, 320.24): (7507, 25)}
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


def read_tasks(file: Path) -> tuple[list[Task], list[str]]:
    """The textual known-item tasks of a file, and remarks on them and on the tasks of other kinds.

    Hints that are blank, or say the same as the one before, keep their place, so that a stage's number tells when it
    was shown. Where different videos have the same single hint, it describes none of them and such tasks are left out:
    in conversational search it only tells people to ask.

    Raises:
        BadFile: it is of no known shape, or tasks have problems; all of them are named.
    """
    problems: list[str] = []
    content = parse_json(file, problems)
    holders = (
        [content.get(key) for key in ("template", "description")]
        if isinstance(content, dict)
        else []
    )
    holder = next((one for one in holders if isinstance(one, dict)), content)
    listed = holder.get("tasks") if isinstance(holder, dict) else holder
    if not isinstance(listed, list) or not listed:
        raise BadFile(file, [*problems, f"there are no tasks; give {SHAPES}"])
    key, read = ("query_name", read_archive_task) if listed is content else ("name", read_dres_task)
    tasks: list[Task] = []
    others: Counter[str] = Counter()
    first: dict[str, int] = {}
    for number, found in enumerate(listed, start=1):
        name = found.get(key) if isinstance(found, dict) else None
        name = name.strip() if isinstance(name, str) else ""
        place = f"task {number} ({name[:80]!r})" if name else f"task {number}"
        if read is read_dres_task and (kind := name_other_kind(found)) is not None:
            others[kind] += 1
            continue
        if name and first.setdefault(name, number) != number:
            problems.append(f"{place}: task {first[name]} has that name too; give each its own")
        tasks += read(Place(found, place, problems))
    if problems:
        raise BadFile(file, dict.fromkeys(problems))
    asked: dict[tuple[str, ...], set[object]] = defaultdict(set)
    for task in tasks:
        asked[task.hints].add(task.images or task.video)
    vague = {
        task.name: task for task in tasks if len(task.hints) == 1 and len(asked[task.hints]) > 1
    }
    left = {"left out, because different videos have the same single hint": list(vague)}
    tasks = [task for task in tasks if task.name not in vague]
    kinds = [
        f"{n} task{'s' * (n > 1)} of type {kind!r} left out, no textual known-item search"
        for kind, n in others.items()
    ]
    tasks, mended = mend_known_slips(tasks)
    return tasks, [*kinds, *make_remarks("task", left), *mended, *find_oddities(tasks)]


def parse_json(file: Path, problems: list[str]) -> Any:
    def constant(name: str) -> float:
        problems.append(f"{name} is no number in JSON; write a number, or null")
        return math.nan

    if os.path.isfile(file) and os.path.getsize(file) > LARGEST_FILE_BYTES:
        raise BadFile(
            file,
            [f"it has more than {LARGEST_FILE_BYTES:,} bytes; export the template without its run"],
        )
    try:
        return json.loads(decode(file, problems), parse_constant=constant)
    except (RecursionError, ValueError) as error:
        why = (
            "it is nested too deep"
            if isinstance(error, RecursionError)
            else f"it is no JSON: {error}"
        )
        raise BadFile(file, [*problems, f"{why}; give {SHAPES}"]) from error


def name_other_kind(found: Any) -> str | None:
    """The type of a DRES task that certainly isn't a textual known-item search; None for others."""
    if not isinstance(found, dict):
        return None
    targets = [found["target"]] if "target" in found else found.get("targets")
    one = not isinstance(targets, list) or len(targets) == 1
    segment = one and list_types(targets) <= TARGETS
    if (segment or aims_at_images(targets)) and list_types(found.get("hints")) <= HINTS:
        return None
    kind = found.get("taskType")
    kind = kind.get("name") if isinstance(kind, dict) else kind
    return kind[:80] if isinstance(kind, str) else "unknown"


def list_types(found: Any) -> set[str]:
    kinds = (
        [one.get("type") for one in found if isinstance(one, dict)]
        if isinstance(found, list)
        else []
    )
    return {kind for kind in kinds if isinstance(kind, str)}


def read_archive_task(task: Place) -> list[Task]:
    ends = [task.take(f"videorange.{end}", MILLISECONDS) for end in ("start", "end")]
    seconds = [None if end is None else end / 1000 for end in ends]
    hints = [(0.0, each.take("", HINT)) for each in task.each("hints")]
    return make_tasks(
        task,
        "query_name",
        task.take("answer", TEXT_NOT_BLANK),
        seconds,
        hints,
        task.take("fps", FPS, needed=False),
    )


def read_dres_task(task: Place) -> list[Task]:
    old = isinstance(task.found, dict) and "target" in task.found
    span, text = ("temporalRange", "text") if old else ("range", "description")
    targets = (
        [Place(task.found["target"], f"{task.name}.target", task.problems)]
        if old
        else task.each("targets")
    )
    if aims_at_images([one.found for one in targets]):
        images = take_images(targets)
        made = make_tasks(task, "name", "", (0.0, 0.0), take_hints(task, text), None)
        return [replace(one, images=images) for one in made if images]
    target = targets[0] if targets else Place({}, task.name, [])  # else a problem is known
    target.take("type", TEXT_NOT_BLANK)
    fps = target.take("item.fps", FPS, needed=False)
    ends = [read_moment(target, f"{span}.{end}", old, fps) for end in ("start", "end")]
    hints = take_hints(task, text)
    return make_tasks(task, "name", target.take("item.name", TEXT_NOT_BLANK), ends, hints, fps)


def take_hints(task: Place, text: str) -> list[tuple[float, str | None]]:
    """The texts of a task of DRES, each with the second from which it was shown."""
    hints = []
    for each in task.each("hints"):
        since = each.take("start", SECONDS, needed=False) or 0.0
        if each.take("type", TEXT_NOT_BLANK) != "EMPTY":
            hints.append((since, each.take(text, HINT)))
    return hints


def read_moment(target: Place, path: str, old: bool, fps: float | None) -> float | None:
    """A point in time, in seconds. In DRES 1 its type is its unit, and its key is called like that."""
    unit = target.take(f"{path}.{'type' if old else 'unit'}", UNIT)
    found = unit and target.take(f"{path}.{unit.lower() if old else 'value'}", make_clock(unit))
    rate = target.take(f"{path}.fps", FPS, needed=False) or fps
    if not found:
        return None
    seconds, frames = found
    if frames and rate is None:
        target.problems.append(
            f"{target.name}.{path} counts frames; add item.fps, or write milliseconds"
        )
        return None
    return seconds + frames / (rate or 1.0)


def make_tasks(
    task: Place,
    key: str,
    video: str | None,
    ends: Sequence[float | None],
    shown: list[tuple[float, str | None]],
    fps: float | None,
) -> list[Task]:
    """The task in a list, or an empty list if a part of it is missing."""
    name, (start, end) = task.take(key, TEXT_NOT_BLANK), ends
    hints = [text for _, text in sorted(shown, key=lambda pair: pair[0]) if text is not None]
    if task.take("hints", LIST) is not None and len(hints) == len(shown) and not any(hints):
        task.problems.append(f"{task.name}.hints hold no text; write one, or delete the task")
    if start is not None and end is not None and end < start:
        task.problems.append(
            f"{task.name} has a range to {end:g} s that begins at {start:g} s; swap start and end"
        )
    if name is None or video is None or start is None or end is None:
        return []
    return [Task(name, video, start, end, tuple(hints), fps)]


def mend_known_slips(tasks: Sequence[Task]) -> tuple[list[Task], list[str]]:
    """Puts right where the archive's list contradicts the file that the task was played from, and remarks on it."""
    mended, said = [], []
    for task in tasks:
        slip = ERRATA.get((task.name, task.video, task.start_s, task.end_s))
        if slip:
            (frame, rate), listed = slip, task.start_s
            task = replace(task, start_s=frame / rate)
            said.append(
                f"{task.name} ({task.start_s:g} s in place of {listed:g} s: frame {frame} of {rate} a second)"
            )
        mended.append(task)
    return mended, make_remarks("task", {"begun where the Showdown's own file has it": said})


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
