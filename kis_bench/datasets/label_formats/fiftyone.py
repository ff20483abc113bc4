"""Datasets as FiftyOne exports them: ``samples.json`` beside ``data/``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kis_bench.datasets.captions import CAPTION_COLUMN, Caption, flatten_texts
from kis_bench.datasets.label_formats.caption_queries import CaptionTable, make_caption_format
from kis_bench.datasets.label_formats.json_files import find_json_files, read_json, take_list
from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.errors import BadFile
from kis_bench.files.text import list_first_names


def find_fiftyone_files(folder: DatasetFolder) -> list[Path]:
    return find_json_files(folder, samples="[", filepath='"')


def read_fiftyone(files: Sequence[Path], split: str) -> CaptionTable:
    """The texts in fields that are called as captions are; classes are none. Raises BadFile."""
    file = files[0]
    if len(files) > 1:
        names = list_first_names([one.name for one in files])
        raise BadFile(file.parent, [f"several exports of FiftyOne: {names}; leave one here"])
    samples = take_list(read_json(file), "samples", file)
    table = CaptionTable(file)
    others: dict[str, None] = {}
    for i, sample in enumerate(samples):
        path = sample.get("filepath") if isinstance(sample, dict) else None
        if not isinstance(path, str) or not path:
            table.problems.append(f"samples[{i}]: filepath is missing; export the dataset anew")
            continue
        texts = table.texts.setdefault(os.path.abspath(file.parent / path), [])
        for field, value in sample.items():
            named, cell = CAPTION_COLUMN.fullmatch(field), take_field(value)
            if named and cell is not None:
                where = f"samples[{{}}].{field}"
                texts += [Caption(str(file), i, named[1], t, where) for t in flatten_texts(cell)]
            elif isinstance(value, dict) and "label" in value:
                others[field] = None
    if table.problems:
        raise BadFile(file, table.problems)
    if not any(table.texts.values()):
        said = "no field of its samples is called caption, text or description"
        raise BadFile(
            file, [f"{said}; classes are no texts: {list_first_names([*others]) or 'none'}"]
        )
    if others:
        table.unread.append(f"fields of classes in {file.name}: {list_first_names([*others])}")
    return table


def take_field(value: Any) -> Any:
    """The text or texts in a field, also of a label; None if it holds something else."""
    if isinstance(value, dict):
        value = value.get("label")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    return value if isinstance(value, str) else None


FORMAT = make_caption_format(
    "fiftyone", "an export of FiftyOne", 26, find_fiftyone_files, read_fiftyone
)
