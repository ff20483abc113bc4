"""Datasets that the library ``datasets`` saved to disk: ``state.json`` lists the Arrow files of each, in order."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kis_bench.datasets.arrow_files import ARROW_SUFFIX
from kis_bench.datasets.parts import ALL, USUAL_SPLIT
from kis_bench.errors import BadFile

STATE_FILE, INFO_FILE = "state.json", "dataset_info.json"  #: beside the tables of a dataset
SPLITS_FILE = "dataset_dict.json"  #: above folders that are splits
#: Of releases 1: rows that a selection or an order of rows has kept, which no later release looks at.
INDICES_KEYS = ("_indices_data_files", "_indices_files")


def may_be_saved(path: str) -> bool:
    """Whether a file of this name may belong to a saved dataset."""
    name = os.path.basename(path)
    return name.endswith(ARROW_SUFFIX) or name in (STATE_FILE, INFO_FILE, SPLITS_FILE)


def find_saved_tables(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The tables of all saved datasets among files, in their order, and the files that tell about them.

    Other Arrow files, such as what ``map`` left there, are in neither list.

    Raises:
        BadFile: one lacks a table, or was saved by a release that left rows in it which don't count.
    """
    there = {file for file in files if may_be_saved(file.name)}  # few of perhaps a million
    tables, notes = list[Path](), list[Path]()
    for state in list_states(there):
        if (own := list_data_files(state)) is None:
            continue
        if absent := [file.name for file in own if file not in there]:
            remedy = "copy the whole folder, or save the dataset anew"
            raise BadFile(state, [f"{name} isn't beside it; {remedy}" for name in absent])
        tables += own
        beside = (state, state.with_name(INFO_FILE), state.parent.parent / SPLITS_FILE)
        notes += [file for file in beside if file in there and file not in notes]
    return tables, notes


def list_states(files: Iterable[Path]) -> list[Path]:
    """The ``state.json`` of each saved dataset; without the library's other note beside it, it is another program's."""
    notes = {file for file in files if file.name in (STATE_FILE, INFO_FILE)}
    states = sorted(file for file in notes if file.name == STATE_FILE)
    return [state for state in states if state.with_name(INFO_FILE) in notes]


def list_data_files(state: Path) -> list[Path] | None:
    """The tables that a ``state.json`` lists; None if it is another program's. Raises BadFile."""
    content = read_note(state)
    named = content.get("_data_files") if isinstance(content, dict) else None
    if not isinstance(named, list):
        return None
    names = [one.get("filename") if isinstance(one, dict) else None for one in named]
    wrong = [n for n in names if not isinstance(n, str) or os.path.basename(n) != n or not n]
    if wrong or not all(str(name).endswith(ARROW_SUFFIX) for name in names):
        said = "_data_files has a name that is none of an .arrow file beside it"
        raise BadFile(state, [f"{said}; save the dataset anew"])
    if any(content.get(key) for key in INDICES_KEYS):
        said = "it has an indices file, by which rows of its tables don't count or are in another order"
        remedy = (
            "load it with the release of datasets that saved it, and save it with one of 2 or later"
        )
        raise BadFile(state, [f"{said}; {remedy}"])
    return [state.with_name(str(name)) for name in names]


def read_note(file: Path) -> Any:
    """The content of a JSON file about a dataset; None if it is none of JSON. Raises BadFile: it can't be read."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    except (ValueError, RecursionError):
        return None


def group_by_split(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Split -> its tables, of those files that lie in folders which a ``dataset_dict.json`` among them calls splits."""
    splits: dict[str, list[Path]] = {}
    for file in files:
        if file.name == SPLITS_FILE:
            content = read_note(file)
            named = content.get("splits") if isinstance(content, dict) else None
            for split in named if isinstance(named, list) else ():
                own = [one for one in files if one.parent == file.parent / str(split)]
                splits.setdefault(str(split), []).extend(
                    one for one in own if one.suffix == ARROW_SUFFIX
                )
    return {split: own for split, own in splits.items() if own}


def pick_split(splits: Mapping[str, Sequence[Path]], split: str) -> str:
    """The split that is read: the one asked for, else ``test`` or the only one; empty where all are.

    Raises:
        BadFile: there is none of this name.
    """
    if not splits or split == ALL:
        return ""
    asked = split or (next(iter(splits)) if len(splits) == 1 else USUAL_SPLIT)
    if asked not in splits:
        known = ", ".join(f"NAME:{name}" for name in (*splits, ALL))
        file = next(iter(splits.values()))[0].parent.parent / SPLITS_FILE
        raise BadFile(file, [f"there is no split {asked!r}; ask for one that there is: {known}"])
    return asked
