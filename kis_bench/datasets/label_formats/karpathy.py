"""Karpathy's splits of Flickr8k, Flickr30k and COCO: ``dataset_flickr30k.json`` and the like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
    find_json_files,
    holds_text_at,
    read_json,
    take_list,
)
from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.datasets.parts import ALL, USUAL_SPLIT
from kis_bench.errors import BadFile
from kis_bench.files.text import list_first_names

#: Splits that papers call by one name: they train on ``restval``, too.
JOINT_SPLITS = {"train": ("train", "restval")}


def find_karpathy_files(folder: DatasetFolder) -> list[Path]:
    return find_json_files(folder, images="[", sentences="[", split='"')


def read_karpathy(files: Sequence[Path], split: str) -> CaptionTable:
    """The pictures and texts of a split, ``test`` unless another is asked for; other pictures aren't searched.

    Raises:
        BadFile: with all problems of the file.
    """
    if len(files) > 1:
        names = list_first_names([file.name for file in files])
        raise BadFile(files[0].parent, [f"several files of splits: {names}; leave one here"])
    file = files[0]
    content = read_json(file)
    images = take_list(content, "images", file)
    if wrong := [i for i, one in enumerate(images) if not is_karpathy_image(one)]:
        said = "needs filename, split and a list of sentences; take the original file"
        raise BadFile(file, [f"images[{i}] {said}" for i in wrong])
    counts = Counter(one["split"] for one in images)
    chosen = choose_splits(file, counts, split or USUAL_SPLIT)
    about = str(content.get("dataset", ""))
    table = CaptionTable(file, pictures=[], folders_count=False, about=about)
    table.texts = take_sentences(file, images, chosen, table.problems)
    if table.problems:
        raise BadFile(file, table.problems)
    table.pictures = [*table.texts]
    table.remarks += describe_splits(file, images, counts, chosen)
    return table


def is_karpathy_image(image: Any) -> bool:
    return (
        isinstance(image, dict)
        and isinstance(image.get("filename"), str)
        and isinstance(image.get("split"), str)
        and isinstance(image.get("sentences"), list)
        and isinstance(image.get("filepath", ""), str)
    )


def choose_splits(file: Path, counts: Counter[str], asked: str) -> tuple[str, ...]:
    """The splits of a file that are read. Raises BadFile if it has none of that name."""
    wanted = [*counts] if asked == ALL else JOINT_SPLITS.get(asked, (asked,))
    if found := tuple(name for name in wanted if counts[name]):
        return found
    known = ", ".join(f"NAME:{name}" for name in (*counts, ALL))
    raise BadFile(file, [f"it has no split {asked!r}; ask for one that it has: {known}"])


def take_sentences(
    file: Path, images: Sequence[Any], chosen: Sequence[str], problems: list[str]
) -> dict[str, list[Caption]]:
    """Name of each picture of the splits -> its sentences as they were written."""
    name, texts = str(file), dict[str, list[Caption]]()
    places: dict[str, int] = {}
    without: list[int] = []
    for i, one in enumerate(images):
        if one["split"] not in chosen:
            continue
        folder, sentences = one.get("filepath"), one["sentences"]
        picture = f"{folder}/{one['filename']}" if folder else one["filename"]
        if places.setdefault(picture, i) != i:
            problems.append(f"images[{i}]: {picture!r} is images[{places[picture]}] as well")
        if not sentences:
            without.append(i)
        where = f"images[{i}].sentences[{{}}]"
        try:
            texts[picture] = [
                Caption(name, n, CAPTIONS, put_on_one_line(sentence["raw"]), where)
                for n, sentence in enumerate(sentences)
            ]
        except (AttributeError, KeyError, TypeError):
            said = "raw is missing, and tokens have lost case and punctuation"
            problems.append(f"images[{i}].sentences: {said}; take the original file")
    if without:
        split, n = "+".join(chosen), len(texts)
        said = f"split {split}: {len(without):,} of {n:,} pictures have no sentences"
        problems.insert(0, f"{said}, the first is images[{without[0]}]; take the original file")
    return texts


def describe_splits(
    file: Path, images: Sequence[Any], counts: Counter[str], chosen: Sequence[str]
) -> Iterator[str]:
    """What there is of each split, because another split is the usual reason for another recall."""
    sentences = Counter[str]()
    for one in images:
        sentences[one["split"]] += len(one["sentences"])
    of_each = [f"{name} ({n:,} pictures, {sentences[name]:,} texts)" for name, n in counts.items()]
    yield f"{file.name} has the splits {', '.join(of_each)}; read is {' + '.join(chosen)}"


def has_karpathy_split(files: Sequence[Path], split: str) -> bool:
    """Whether a split is named anywhere; the file isn't parsed for it."""
    wanted = JOINT_SPLITS.get(split, (split,))
    return any(holds_text_at(file, "split", name) for file in files for name in wanted)


FORMAT = replace(
    make_caption_format("karpathy", "Karpathy's splits", 10, find_karpathy_files, read_karpathy),
    has_split=has_karpathy_split,
)
