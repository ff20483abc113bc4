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

from kis_bench.datasets.label_formats.label_files import LONG_FORM, RANGE_COLUMNS
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.vbs.image_targets import ImageTarget, make_image_finder
from kis_bench.exchange.vbs.played_tasks import FindRate
from kis_bench.exchange.vbs.slips import Task, make_remarks
from kis_bench.exchange.vbs.tasks import read_tasks
from kis_bench.files.text import list_first_names
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
    """Rows of a label file, one per task, stage and target, and remarks on tasks that the collection has no target for.

    The target is the middle keyframe of the segment by time, of an even number the earlier of the two; the range is
    the whole segment. Where images were meant, each of them is a target. Tasks that say the same under different names
    are one.

    Raises:
        KisBenchError: the collection has no groups or times that a segment needs, or no target for any task.
    """
    groups, times_s = collection.groups, collection.times_s
    segments = [task for task in tasks if not task.images]
    if segments and (groups is None or times_s is None):
        raise KisBenchError(
            f"dataset {collection.name}: videos and times of its keyframes are not known; give group and time_s in "
            "images.csv, or for V3C put the tables msb/*.tsv that come with it into the dataset folder"
        )
    find, find_image = make_finder(groups or ()), make_image_finder(collection.ids)
    videos = {task.video: find(task.video) for task in segments}
    keyframes: Keyframes = {fits[0]: [] for fits in videos.values() if len(fits) == 1}
    for i, (group, time) in enumerate(zip(groups or (), times_s or (), strict=bool(segments))):
        if group in keyframes and not math.isnan(time):
            keyframes[group].append((time, i))
    rows: list[LabelRow] = []
    said: dict[str, list[str]] = defaultdict(list)
    first: dict[tuple[object, ...], str] = {}
    for task in tasks:
        try:
            if task.images:
                items, absent = find_images(task, find_image)
            else:
                items = (collection.ids[find_target(task, videos[task.video], keyframes)],)
                absent = []
        except LeftOut as reason:
            said[f"left out, {reason.args[0]}"].append(f"{task.name} ({reason.args[1]})")
            continue
        if absent:
            said["some of whose images are not in the collection"].append(
                f"{task.name} ({list_first_names(absent)})"
            )
        group = videos[task.video][0] if task.video else ""
        whole = (items, task.start_s, task.end_s, task.hints)
        if whole in first:
            said["left out, the same as an earlier one"].append(f"{task.name} (as {first[whole]})")
            continue
        first[whole] = task.name
        if group != task.video:
            said["whose video is called otherwise in the collection"].append(
                f"{task.name} ({task.video}: {group})"
            )
        rows += [row for item in items for row in make_task_rows(task, item)]
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
        raise LeftOut(why, f"{task.video}: {list_first_names(fits)}" if fits else task.video)
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


def find_images(
    task: Task, find: Callable[[ImageTarget], list[str]]
) -> tuple[tuple[str, ...], list[str]]:
    """The items that a task's images are, and the names of those that the collection lacks. Raises LeftOut."""
    found = {image: find(image) for image in task.images}
    if vague := [
        f"{image.name}: {list_first_names(fits)}" for image, fits in found.items() if fits[1:]
    ]:
        raise LeftOut("whose image fits several items", vague[0])
    absent = [image.name for image, fits in found.items() if not fits]
    if len(absent) == len(found):
        raise LeftOut("whose images are not in the collection", list_first_names(absent))
    return tuple(dict.fromkeys(fits[0] for fits in found.values() if fits)), absent


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
    ends = ("", "") if task.images else (str(task.start_s), str(task.end_s))
    span = dict(zip(RANGE_COLUMNS, ends, strict=True))
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
    tasks_file: Path,
    collection: Collection,
    out: Path,
    known: Iterable[Query] = (),
    find_rate: FindRate = lambda video: None,
) -> list[str]:
    """Writes a label file for a collection from a file of tasks; gives remarks, the first on what was written.

    Args:
        known: the queries that the dataset has already.
        find_rate: tells the frames a second of a video, as `read_tasks` needs for some files.

    Raises:
        BadFile: as `read_tasks`, or there is no textual known-item task.
        KisBenchError: as `make_label_rows` and `write_labels`, or the dataset has queries
            of these names in these label sets.
    """
    tasks, said = read_tasks(tasks_file, find_rate)
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
    texts = dict.fromkeys((row["label_set"], row["query_id"]) for row in rows)
    sizes = Counter(label_set for label_set, _ in texts)
    asked = len({row["query_id"] for row in rows})
    stages = ", ".join(f"{name} ({n})" for name, n in sizes.items())
    return [f"{out}: {len(texts)} texts of {asked} of {len(tasks)} tasks, {stages}", *said, *more]
