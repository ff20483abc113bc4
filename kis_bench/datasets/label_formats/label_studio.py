"""What people wrote in Label Studio: its export as JSON, and as JSON-MIN."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kis_bench.datasets.captions import Caption, flatten_texts
from kis_bench.datasets.label_formats.caption_queries import CaptionTable, make_caption_format
from kis_bench.datasets.label_formats.json_files import find_json_files, read_json
from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.datasets.label_formats.picture_names import strip_picture_suffix
from kis_bench.datasets.parts import ALL
from kis_bench.errors import BadFile
from kis_bench.files.text import list_first_names
from kis_bench.records import count_things

#: Of a record of JSON-MIN: what is neither of the task nor an answer.
RECORD_KEYS = {
    *("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"),
}
PICTURE_KEYS = ("captioning", "image")  #: as its templates call the picture; others are tried, too
UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-(.+)")  #: before the name of an uploaded file
Answer = tuple[str, list[str], str | None]  #: the control's name, texts, who wrote them


def find_label_studio_files(folder: DatasetFolder) -> list[Path]:
    """Full exports; where there are none, those as JSON-MIN, which tell less."""
    full = find_json_files(folder, completed_by="", annotations="[")
    return full or find_json_files(folder, annotation_id="-0123456789n", annotator="")


def read_label_studio(files: Sequence[Path], split: str) -> CaptionTable:
    """The answers to the tasks of a project; tasks without one are counted. Raises BadFile."""
    if len(files) > 1:
        listed = list_first_names([file.name for file in files])
        raise BadFile(
            files[0].parent, [f"several exports of Label Studio: {listed}; leave one here"]
        )
    file = files[0]
    tasks = read_json(file)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise BadFile(file, ["it isn't a list of tasks; export them as JSON or JSON-MIN"])
    table = CaptionTable(file, folders_count=False)
    full = any("annotations" in task for task in tasks)
    asked = "" if split == ALL else split
    control = asked if full else find_text_key(tasks, table, asked)
    unanswered, known = 0, dict[str, None]()
    for i, task in enumerate(tasks):
        about = task.get("data") if full else task
        names = list_picture_names(about) if isinstance(about, dict) else []
        answers = list_full_answers(task) if full else list_short_answers(task, control)
        if not names:
            table.problems.append(f"[{i}]: no value is the path of a picture; export the task anew")
            continue
        texts = table.texts.setdefault(names[0], [])
        table.aliases[names[0]] = names[1:]
        answered = False
        for label_set, own, annotator in answers:
            known[label_set] = None
            if control not in ("", label_set):
                continue
            answered = answered or any(own)
            texts += [
                Caption(str(file), i, label_set, text, "[{}]", annotator) for text in own if text
            ]
        unanswered += not answered
    if asked and asked not in known:
        table.problems.append(explain_no_control(asked, [*known]))
    if table.problems:
        raise BadFile(file, table.problems)
    if unanswered:
        said = f"{file.name}: {count_things(unanswered, 'record')} without an answer"
        table.remarks.append(said)
    return table


def list_picture_names(task: dict[str, Any]) -> list[str]:
    """The names that the picture of a task may have: its whole path, and what an upload was called before.

    >>> list_picture_names({"id": 1, "captioning": "/data/upload/3/0a1b2c3d-my_cat.jpg"})
    ['data/upload/3/0a1b2c3d-my_cat.jpg', 'my_cat.jpg']
    >>> list_picture_names({"image": "/data/local-files/?d=mine/a%20cat.png"})
    ['mine/a cat.png']
    >>> list_picture_names({"image": "https://host/b/c.png?sign=1"})
    ['https://host/b/c.png']
    """
    values = [task.get(key) for key in PICTURE_KEYS] + [*task.values()]
    for value in values:
        if not isinstance(value, str):
            continue
        address, _, query = value.partition("?")
        local = query.partition("d=")[2].partition("&")[0]
        path = (unquote(local) if local else address).lstrip("/")
        name = path.rpartition("/")[2]
        if strip_picture_suffix(name) == name:
            continue
        uploaded = UPLOAD_PREFIX.fullmatch(name) if "/upload/" in path and not local else None
        return [path, uploaded[1]] if uploaded else [path]
    return []


def list_full_answers(task: dict[str, Any]) -> Iterator[Answer]:
    """The texts that people wrote for a task, without cancelled ones."""
    for annotation in task.get("annotations") or ():
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        by = annotation.get("completed_by")
        by = by.get("id") if isinstance(by, dict) else by
        for result in annotation.get("result") or ():
            if isinstance(result, dict) and result.get("type") == "textarea":
                value = result.get("value")
                texts = value.get("text") if isinstance(value, dict) else None
                yield str(result.get("from_name")), take_answer(texts), tell_annotator(by)


def list_short_answers(task: dict[str, Any], control: str) -> Iterator[Answer]:
    """The answer in a record of JSON-MIN; none where nobody has annotated it, whatever stands there."""
    if task.get("annotation_id") is not None:
        value = task.get(control)
        texts = value.get("text") if isinstance(value, dict) else value
        yield control, take_answer(texts), tell_annotator(task.get("annotator"))


def take_answer(texts: Any) -> list[str]:
    right = isinstance(texts, str) or (
        isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    )
    return [*flatten_texts(texts)] if right and texts else []


def tell_annotator(by: Any) -> str | None:
    return None if by is None else str(by)


def explain_no_control(asked: str, known: Sequence[str]) -> str:
    named = ", ".join(f"NAME:{one}" for one in known) or "none"
    return f"no control {asked!r} has texts; ask for one that has: {named}"


def find_text_key(tasks: Sequence[dict[str, Any]], table: CaptionTable, asked: str) -> str:
    """The control of JSON-MIN that texts were written into; a remark where some may have been there before.

    Args:
        asked: the one that is meant, where it is known.

    Raises:
        BadFile: it can't be told.
    """
    keys = dict.fromkeys(key for task in tasks for key in task if key not in RECORD_KEYS)
    holding = [key for key in keys if any(holds_answer(task.get(key)) for task in tasks)]
    if asked and asked not in holding:
        raise BadFile(table.file, [explain_no_control(asked, holding)])
    holding = [asked] if asked else holding
    if len(holding) != 1:  # texts of tasks are written as answers are, and so are choices
        said = f"which key holds the texts isn't told by {list_first_names(holding or [*keys])}"
        remedy = "export the project as JSON, which tells it"
        if holding:
            remedy += f", or ask for the one that does, as in NAME:{holding[0]}"
        raise BadFile(table.file, [f"{said}; {remedy}"])
    filled = [task for task in tasks if task.get("annotation_id") is None and task.get(holding[0])]
    if filled:
        said = (
            f"{count_things(len(filled), 'record')} that nobody annotated has a text all the same"
        )
        table.remarks.append(
            f"{table.file.name}: {said}, so that texts of tasks may pass for answers; export the project as JSON"
        )
    return holding[0]


def holds_answer(value: Any) -> bool:
    """Whether a value may be a text that somebody wrote: no path of a picture, and no number."""
    if isinstance(value, dict):
        return isinstance(value.get("text"), list)
    return isinstance(value, str) and not list_picture_names({"value": value})


FORMAT = make_caption_format(
    "label-studio", "an export of Label Studio", 25, find_label_studio_files, read_label_studio
)
