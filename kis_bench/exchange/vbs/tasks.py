"""Textual known-item tasks of the Video Browser Showdown, as its archive and its servers write them.

Three kinds of JSON are known by their keys, beside the older forms of `played_tasks`; whatever else a file holds is not
looked at:

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile
from kis_bench.exchange.vbs.clocks import FPS, MILLISECONDS, SECONDS, UNIT, make_clock
from kis_bench.exchange.vbs.image_targets import aims_at_images, take_images
from kis_bench.exchange.vbs.json_values import HINT, LIST, TEXT_NOT_BLANK, Place
from kis_bench.exchange.vbs.played_tasks import (
    ASK_FOR_RATES,
    TEXTS,
    FindRate,
    find_played_tasks,
    name_played_kind,
    take_played_parts,
)
from kis_bench.exchange.vbs.slips import Task, find_oddities, make_remarks, mend_known_slips
from kis_bench.files.encodings import decode
from kis_bench.files.text import list_first_names

SHAPES = (
    "a list of {query_name, hints, answer, videorange}, DRES' tasks, on top or in template or description, "
    "or the Showdown's own tasks.csv or tasks.db of 2018 to 2020"
)
TARGETS, HINTS = (
    {"MEDIA_ITEM_TEMPORAL_RANGE", "VideoSegmentTarget"},
    {"TEXT", "TextHint", "EMPTY"},
)  #: DRES 2 and 1
LARGEST_FILE_BYTES = 2**26
MOST_VIDEOS = 20  #: videos
#: The key of a task's name; what reads a task; what tells the kind of one that is none of textual search.
TaskForm = tuple[str, Callable[[Place], list[Task]], Callable[[Any], str | None]]


def read_tasks(
    file: Path, find_rate: FindRate = lambda video: None
) -> tuple[list[Task], list[str]]:
    """The textual known-item tasks of a file, and remarks on them and on the tasks of other kinds.

    Hints that are blank, or say the same as the one before, keep their place, so that a stage's number tells when it
    was shown. Where different videos have the same single hint, it describes none of them and such tasks are left out:
    in conversational search it only tells people to ask.

    Args:
        find_rate: tells the frames a second of a video, for files that count in frames and don't.

    Raises:
        BadFile: it is of no known shape, or tasks have problems; all of them are named.
    """
    problems: list[str] = []
    text = read_text(file, problems)
    played = find_played_tasks(text)
    content = parse_json(file, text, problems) if played is None else {"tasks": played}
    holders = (
        [content.get(key) for key in ("template", "description")]
        if isinstance(content, dict)
        else []
    )
    holder = next((one for one in holders if isinstance(one, dict)), content)
    listed = holder.get("tasks") if isinstance(holder, dict) else holder
    if not isinstance(listed, list) or not listed:
        raise BadFile(file, [*problems, f"there are no tasks; give {SHAPES}"])
    unrated: list[str] = []
    forms: dict[str, TaskForm] = {
        "archive": ("query_name", read_archive_task, lambda found: None),
        "DRES": ("name", read_dres_task, name_other_kind),
        "played": ("name", partial(read_played_task, find_rate, unrated), name_played_kind),
    }
    form = "played" if played is not None else "archive" if listed is content else "DRES"
    key, read, name_kind = forms[form]
    tasks: list[Task] = []
    others: Counter[str] = Counter()
    first: dict[str, int] = {}
    for number, found in enumerate(listed, start=1):
        name = found.get(key) if isinstance(found, dict) else None
        name = name.strip() if isinstance(name, str) else ""
        place = f"task {number} ({name[:80]!r})" if name else f"task {number}"
        if (kind := name_kind(found)) is not None:
            others[kind] += 1
            continue
        if name and first.setdefault(name, number) != number:
            problems.append(f"{place}: task {first[name]} has that name too; give each its own")
        tasks += read(Place(found, place, problems))
    if unrated:
        videos = list_first_names([*dict.fromkeys(unrated)], MOST_VIDEOS)
        said = f"it counts in frames, and frames a second aren't known of videos {videos}"
        problems.append(f"{said}; give them as --fps FILE: {ASK_FOR_RATES}")
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
    if played is not None:
        idle = [one.get("name") for one in played if one.get("startTimeStamp", 0) is None]
        named = {
            "that the file marks as not played, and kept": [t.name for t in tasks if t.name in idle]
        }
        mended += make_remarks("task", named)
    return tasks, [*kinds, *make_remarks("task", left), *mended, *find_oddities(tasks)]


def read_text(file: Path, problems: list[str]) -> str:
    if os.path.isfile(file) and os.path.getsize(file) > LARGEST_FILE_BYTES:
        said = f"it has more than {LARGEST_FILE_BYTES:,} bytes; export the template without its run"
        raise BadFile(file, [said])
    return decode(file, problems)


def parse_json(file: Path, text: str, problems: list[str]) -> Any:
    def constant(name: str) -> float:
        problems.append(f"{name} is no number in JSON; write a number, or null")
        return math.nan

    try:
        return json.loads(text, parse_constant=constant)
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


def read_played_task(find_rate: FindRate, unrated: list[str], task: Place) -> list[Task]:
    """The task of an older Showdown; ``unrated`` takes its video where nobody knows how fast that is."""
    video, frames, shown = take_played_parts(task)
    rate = find_rate(video) if video else None
    if video and rate is None:
        unrated.append(video)
    ends = [None if frame is None or rate is None else frame / rate for frame in frames]
    return make_tasks(task, "name", video, ends, shown, rate, listed=TEXTS)


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
    listed: str = "hints",
) -> list[Task]:
    """The task in a list, or an empty list if a part of it is missing."""
    name, (start, end) = task.take(key, TEXT_NOT_BLANK), ends
    hints = [text for _, text in sorted(shown, key=lambda pair: pair[0]) if text is not None]
    if task.take(listed, LIST) is not None and len(hints) == len(shown) and not any(hints):
        task.problems.append(f"{task.name}.{listed} hold no text; write one, or delete the task")
    if start is not None and end is not None and end < start:
        task.problems.append(
            f"{task.name} has a range to {end:g} s that begins at {start:g} s; swap start and end"
        )
    if name is None or video is None or start is None or end is None:
        return []
    return [Task(name, video, start, end, tuple(hints), fps)]
