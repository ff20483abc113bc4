"""Writes a label file from textual known-item tasks of the Video Browser Showdown, one label set per stage."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kis_bench.datasets.labels import LONG_FORM, RANGE_COLUMNS
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.vbs.tasks import Task, make_remarks, read_tasks
from kis_bench.files.whole import write_whole
from kis_bench.records import Collection, Query

LabelRow = dict[str, str]
Keyframes = dict[
    str, list[tuple[float, int]]
]  #: of a group: times in seconds, positions in the collection
VIDEO_SUFFIX = re.compile(r"\.(?:mp4|m4v|mkv|webm|mov|avi|mpe?g|ogv|wmv|flv)$", re.IGNORECASE)


class LeftOut(Exception):
    """A collection has no target for a task: the general reason, and details."""


def make_label_rows(
    tasks: Sequence[Task], collection: Collection
) -> tuple[list[LabelRow], list[str]]:
    """Rows of a label file, one per task and stage, and remarks on tasks that the collection has no target for.

    The target is the middle keyframe of the segment by time, of an even number the earlier of the two; the range is
    the whole segment. Tasks that say the same under different names are one.

    Raises:
        KisBenchError: the collection has no groups or times, or no target for any task.
    """
    if collection.groups is None or collection.times_s is None:
        raise KisBenchError(
            f"dataset {collection.name}: videos and times of its keyframes are not known; give group and time_s in "
            "images.csv, or for V3C put the tables msb/*.tsv that come with it into the dataset folder"
        )
    find = make_finder(collection.groups)
    videos = {task.video: find(task.video) for task in tasks}
    keyframes: Keyframes = {fits[0]: [] for fits in videos.values() if len(fits) == 1}
    for i, (group, time) in enumerate(zip(collection.groups, collection.times_s, strict=True)):
        if group in keyframes and not math.isnan(time):
            keyframes[group].append((time, i))
    rows: list[LabelRow] = []
    said: dict[str, list[str]] = defaultdict(list)
    first: dict[tuple[object, ...], str] = {}
    for task in tasks:
        try:
            item = collection.ids[find_target(task, videos[task.video], keyframes)]
        except LeftOut as reason:
            said[f"left out, {reason.args[0]}"].append(f"{task.name} ({reason.args[1]})")
            continue
        group, whole = videos[task.video][0], (item, task.start_s, task.end_s, task.hints)
        if whole in first:
            said["left out, the same as an earlier one"].append(f"{task.name} (as {first[whole]})")
            continue
        first[whole] = task.name
        if group != task.video:
            said["whose video is called otherwise in the collection"].append(
                f"{task.name} ({task.video}: {group})"
            )
        rows += make_task_rows(task, item)
    if not rows:
        raise KisBenchError(
            "\n  ".join(
                [
                    f"dataset {collection.name} has no target for any task:",
                    *make_remarks("task", said),
                ]
            )
        )
    return sorted(rows, key=lambda row: int(row["stage"])), make_remarks("task", said)


def find_target(task: Task, fits: Sequence[str], keyframes: Keyframes) -> int:
    """The position of the middle one of the keyframes in a task's segment. Raises LeftOut."""
    if len(fits) != 1:
        why = "whose video fits several groups" if fits else "whose video is not in the collection"
        raise LeftOut(why, f"{task.video}: {', '.join(fits[:9])}" if fits else task.video)
    known = keyframes[fits[0]]
    if not known:
        raise LeftOut("whose video's keyframes have no times", task.video)
    inside = sorted(one for one in known if task.start_s <= one[0] <= task.end_s)
    if not inside:
        away = min(max(task.start_s - time, time - task.end_s) for time, _ in known)
        raise LeftOut(
            "without a keyframe in the segment", f"{task.video}, the nearest is {away:.2f} s away"
        )
    return inside[(len(inside) - 1) // 2][1]


def make_finder(groups: Iterable[str]) -> Callable[[str], list[str]]:
    """Makes a function from a video's name to the groups it may stand for; several if that is ambiguous.

    That is the group of this name; else those of this name without suffix; else those whose path ends in it; else
    those whose path ends in the same number, however many zeros are before it.
    """
    tables: list[dict[str | None, list[str]]] = [defaultdict(list) for _ in range(4)]
    for group in dict.fromkeys(groups):
        whole = VIDEO_SUFFIX.sub("", group)
        last = whole.rpartition("/")[2]
        for table, key in zip(tables, (group, whole, last, find_digits(last)), strict=True):
            table[key].append(group)

    def find(video: str) -> list[str]:
        whole = VIDEO_SUFFIX.sub("", video)
        keys = zip(tables, (video, whole, whole, find_digits(whole)), strict=True)
        return next((table[key] for table, key in keys if key is not None and key in table), [])

    return find


def find_digits(name: str) -> str | None:
    return name.lstrip("0") if name.isdigit() else None


def make_task_rows(task: Task, item: str) -> list[LabelRow]:
    span = dict(zip(RANGE_COLUMNS, (str(task.start_s), str(task.end_s)), strict=True))
    return [
        {
            "query_id": task.name,
            "item_id": item,
            "label_set": f"stage-{n}",
            "text": hint,
            "stage": str(n),
            **span,
        }
        for n, hint in enumerate(task.hints, start=1)
        if hint
    ]


def write_labels(file: Path, rows: Sequence[LabelRow]) -> None:
    """A label file of rows, whole or not at all. Raises KisBenchError where there is a file already."""
    if os.path.lexists(file):
        raise KisBenchError(f"{file} is there already; delete it, or choose another file")
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, (*LONG_FORM, "stage", *RANGE_COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    write_whole(file, stream.getvalue().encode())


def import_tasks(
    tasks_file: Path, collection: Collection, out: Path, known: Iterable[Query] = ()
) -> list[str]:
    """Writes a label file for a collection from a file of tasks; gives remarks, the first on what was written.

    Args:
        known: the queries that the dataset has already.

    Raises:
        BadFile: as `read_tasks`, or there is no textual known-item task.
        KisBenchError: as `make_label_rows` and `write_labels`, or the dataset has queries
            of these names in these label sets.
    """
    tasks, said = read_tasks(tasks_file)
    if not tasks:
        raise BadFile(tasks_file, ["there are no textual known-item tasks", *said])
    rows, more = make_label_rows(tasks, collection)
    there = {(query.label_set, query.query_id) for query in known}
    twice = sorted(
        {row["query_id"] for row in rows if (row["label_set"], row["query_id"]) in there}
    )
    if twice:
        raise KisBenchError(
            f"dataset {collection.name} has {len(twice)} of these tasks already, first {twice[0]!r}; "
            "delete the label file that they came with, or rename the tasks"
        )
    write_labels(out, rows)
    sizes = Counter(row["label_set"] for row in rows)
    asked = len({row["query_id"] for row in rows})
    stages = ", ".join(f"{name} ({n})" for name, n in sizes.items())
    return [f"{out}: {len(rows)} texts of {asked} of {len(tasks)} tasks, {stages}", *said, *more]
