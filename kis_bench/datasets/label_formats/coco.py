"""Captions as COCO hands them out: ``captions_val2017.json`` beside ``val2017/``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kis_bench.datasets.captions import Caption, put_on_one_line
from kis_bench.datasets.label_formats.caption_queries import (
    CAPTIONS,
    CaptionTable,
    make_caption_format,
)
from kis_bench.datasets.label_formats.json_files import (
    choose_file,
    find_json_files,
    holds_lists,
    read_json,
    take_list,
)
from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.errors import BadFile

ABOUT = "captions of COCO"
SPLIT_NAME = re.compile(r"(?:.*_)?captions_(.+)|(.+)")


def find_coco_files(folder: DatasetFolder) -> list[Path]:
    """Files in which captions and the images that they are about stand; results of models have no images."""
    found = find_json_files(folder, image_id="", caption="", file_name='"')
    return [file for file in found if holds_lists(file, "images", "annotations")]


def name_coco_split(file: Path) -> str:
    """The part of COCO that a file is about, as its name tells: ``val2017``."""
    named = SPLIT_NAME.fullmatch(file.stem)
    return (named[1] or named[2]) if named else file.stem


def read_coco(files: Sequence[Path], split: str) -> CaptionTable:
    """What a file says of its pictures, which it calls by numbers of its own. Raises BadFile."""
    file = choose_file(files, split, [name_coco_split(one) for one in files], ABOUT)
    content = read_json(file)
    table = CaptionTable(file, within=name_coco_split(file))
    names = name_coco_images(take_list(content, "images", file), table.problems)
    table.texts = {name: [] for name in names.values()}  # pictures without a text are searched, too
    place = "annotations[{}]"
    for i, one in enumerate(take_list(content, "annotations", file)):
        text = one.get("caption") if isinstance(one, dict) else None
        if not isinstance(text, str):
            table.problems.append(f"annotations[{i}]: caption is not a text; write one")
        elif (name := names.get(make_hashable(one.get("image_id")))) is None:
            said = f"image_id {one.get('image_id')!r} is the id of none of the images"
            table.problems.append(f"annotations[{i}]: {said}; correct it or add the image")
        else:
            text = put_on_one_line(text)
            table.texts[name].append(Caption(str(file), i, CAPTIONS, text, place))
    if table.problems:
        raise BadFile(file, table.problems)
    return table


def make_hashable(key: Any) -> Any:
    return key if isinstance(key, int | str) else repr(key)


def name_coco_images(images: Sequence[Any], problems: list[str]) -> dict[Any, str]:
    """Maps the number of each image to the name of its file."""
    names: dict[Any, str] = {}
    owners: dict[str, int] = {}
    for i, one in enumerate(images):
        name = one.get("file_name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(f"images[{i}]: file_name is missing; name the file of the picture")
            continue
        key = make_hashable(one.get("id"))
        if key in names:
            problems.append(f"images[{i}]: id {key!r} is there twice; give each image its own")
        if owners.setdefault(name, i) != i:
            problems.append(f"images[{i}]: {name!r} is images[{owners[name]}] as well; delete one")
        names[key] = name
    return names


def has_coco_split(files: Sequence[Path], split: str) -> bool:
    return any(name_coco_split(file).startswith(split) for file in files)


FORMAT = replace(
    make_caption_format("coco", ABOUT, 20, find_coco_files, read_coco), has_split=has_coco_split
)
