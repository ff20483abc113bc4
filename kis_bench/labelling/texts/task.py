"""What annotators are asked for: the label sets, what is said to them, how many pictures, from memory or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile, UnknownName
from kis_bench.files.toml_tables import read_toml

TEXT_LETTERS = 2_000  #: of a text at most
GOAL_PICTURES = 100
MOST_LINES = 20
GUIDE = (
    "Imagine that you remember this picture and want to find it again among thousands. "
    "Write what you would type to find it: what can be seen, not what you know about it."
)


@dataclass(frozen=True)
class TextTask:
    """One text that is asked for of each picture."""

    name: str
    guide: str = ""
    lines: int = 3  # height of its field
    optional: bool = False


@dataclass(frozen=True)
class LabelTask:
    """All that is asked of annotators."""

    label_sets: tuple[TextTask, ...]
    guide: str = GUIDE
    goal: int = GOAL_PICTURES
    memory_s: int = 0  # seconds after which a picture disappears; 0: it stays

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.label_sets)

    def find_problems(self, typed: Mapping[str, str]) -> dict[str, str]:
        """What is wrong with texts, by label set; each is given as it was typed."""
        problems = {}
        for one in self.label_sets:
            text = typed[one.name]
            if not text.strip() and not one.optional:
                problems[one.name] = "Nothing is written here yet."
            elif len(text) > TEXT_LETTERS:
                problems[one.name] = (
                    f"{len(text):,} characters; {TEXT_LETTERS:,} are the most. Nothing was cut: shorten it."
                )
            elif "\0" in text:
                problems[one.name] = "It holds a character that no text file can."
        return problems


SHORT_LABEL = TextTask("short", "A few words, as you would type them into a search box.", 2)
LONG_LABEL = TextTask(
    "long", "One or two sentences: what is where, colours, setting, what makes it different.", 5
)
#: What the thesis had written: a short and a long label of each of 100 pictures of a collection.
PRESETS = {"thesis": LabelTask((SHORT_LABEL, LONG_LABEL), goal=100)}
TASK_KEYS = {"guide": str, "goal": int, "memory_s": int, "label_set": list}
LABEL_SET_KEYS = {"name": str, "guide": str, "lines": int, "optional": bool}


def choose_task(
    given: str | None,
    label_sets: list[str],
    *,
    goal: int | None = None,
    memory_s: int | None = None,
) -> LabelTask:
    """The task of a preset or a TOML file, with what was said besides on the command line.

    Args:
        label_sets: names in place of the task's; those that it has keep their guide.
        goal, memory_s: in place of the task's; None where nothing was said.

    Raises:
        BadFile: the file has problems; all of them are named. UnknownName: it is neither preset nor file.
    """
    task = PRESETS["thesis"]
    if given is not None and given not in PRESETS:
        if not (given.endswith(".toml") or Path(given).is_file()):
            raise UnknownName("task", given, PRESETS, "Or name a TOML file.")
        task = read_task(Path(given))
    if label_sets:
        known = {one.name: one for one in task.label_sets}
        task = replace(
            task, label_sets=tuple(known.get(name, TextTask(name)) for name in label_sets)
        )
        if problems := find_bad_names(task.names):
            raise BadFile("--labels", problems)
    return replace(
        task,
        goal=task.goal if goal is None else goal,
        memory_s=task.memory_s if memory_s is None else memory_s,
    )


def read_task(file: Path) -> LabelTask:
    """The task in a TOML file. Raises BadFile with all problems."""
    content = read_toml(file)
    problems = check_keys(content, TASK_KEYS, "")
    rows = content.get("label_set", [])
    tables = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if not tables or len(tables) != len(rows):
        problems.append("no label set; add one as [[label_set]] with name = ...")
    for number, row in enumerate(tables, start=1):
        place = f"[[label_set]] {number}: "
        problems += check_keys(row, LABEL_SET_KEYS, place)
        if "name" not in row:
            problems.append(f"{place}name is missing")
        if not 1 <= row.get("lines", 3) <= MOST_LINES:
            problems.append(f"{place}lines is not 1 to {MOST_LINES}")
    for key in ("goal", "memory_s"):
        if isinstance(value := content.get(key, 1), int) and value < (key == "goal"):
            problems.append(f"{key} is {value}; write a number from {int(key == 'goal')} on")
    if not problems:
        problems = find_bad_names([row["name"] for row in tables])
    if problems:
        raise BadFile(file, problems)
    settings = {key: value for key, value in content.items() if key != "label_set"}
    return LabelTask(tuple(TextTask(**row) for row in tables), **settings)


def check_keys(row: dict[str, Any], kinds: dict[str, type], place: str) -> list[str]:
    """What is wrong with the keys of a table and the types of their values."""
    words = {str: "a text in quotes", int: "a whole number", bool: "true or false", list: "a list"}
    problems = []
    for key, value in row.items():
        if key not in kinds:
            problems.append(f"{place}unknown key {key!r}; known are {', '.join(kinds)}")
        elif type(value) is not kinds[key]:
            problems.append(f"{place}{key} is not {words[kinds[key]]}")
    return problems


def find_bad_names(names: list[str] | tuple[str, ...]) -> list[str]:
    """What is wrong with names of label sets, which stand in a column of labels.csv and in test ids."""
    problems = [
        f"label set {name!r}: a name has no blanks at its ends and stands on one line"
        for name in names
        if not name or name != " ".join(name.split()) or not name.isprintable()
    ]
    return problems + [f"label set {n!r} is there twice" for n in {*names} if names.count(n) > 1]
