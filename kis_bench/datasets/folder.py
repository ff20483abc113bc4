"""Reads a KIS dataset folder: pictures or a list of them, and label files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Set
from pathlib import Path

from kis_bench.datasets.flat_pictures import name_flat, note_missing_images, place_study
from kis_bench.datasets.folder_pictures import read_images
from kis_bench.datasets.label_formats import FoundLabels, find_labels
from kis_bench.datasets.label_formats.label_format import Purpose
from kis_bench.datasets.layouts import Layout
from kis_bench.datasets.left_out import UNREADABLE_PICTURES, count_by_kind
from kis_bench.datasets.nearly import find_unread_tables
from kis_bench.datasets.parts import DatasetPart
from kis_bench.datasets.reset import Study, is_study, read_study
from kis_bench.datasets.unreadable import (
    leave_out_queries,
    leave_out_unreadable,
    select_items,
)
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.records import Collection, Dataset


def explain_no_folder(folder: Path) -> str:
    """What is wrong with a folder that isn't there, and the names beside it that are much like it."""
    try:
        if folder.exists():
            return f"{folder} is a file, not a folder"
    except OSError as error:
        return f"{folder} can't be read: {error.strerror}"
    try:
        beside = [entry.name for entry in os.scandir(folder.parent) if entry.is_dir()]
    except OSError:
        beside = []
    close = difflib.get_close_matches(folder.name, beside, n=2, cutoff=0.75)
    return f"there is no folder {folder}" + (
        f" (did you mean {' or '.join(close)}?)" if close else ""
    )


def read_dataset(
    name: str, root: Path, layout: Layout, note: str = "", *, skip_unreadable: bool = False
) -> Dataset:
    """The dataset in a folder. Raises KisBenchError with all problems of its files.

    Args:
        skip_unreadable: leave out pictures that can't be read, with the queries for them, and say so.
    """
    if not os.path.isdir(root):
        raise KisBenchError(f"dataset {name}: {explain_no_folder(root)}")
    study = read_study_in(root, layout)
    part = DatasetPart.parse(name, root)
    found = find_labels(root, part, beside=study is not None)
    pictures = read_images(name, root, layout, only=list_wanted_images(study, found), labels=found)
    collection = pictures.collection
    purpose = Purpose(collection, pictures.captions, part, skip_unreadable)
    labels = found.read(purpose)
    ignored = pictures.ignored - labels.used
    left_out = {} if study is not None and not found.beside else count_by_kind(ignored)
    study = place_study(study or Study(), collection.position.keys())
    strays = [pictures.strays] * bool(pictures.strays)
    wrong = [
        BadFile(file, [*problems, *strays])
        for file, problems in labels.problems.items()
        if problems
    ]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else KisBenchError("\n".join(map(str, wrong)))
    collection = narrow_collection(collection, labels.searched)
    queries, unreadable, unasked = tuple(labels.queries), dict[str, str](), tuple[str, ...]()
    if skip_unreadable:
        collection, unreadable = leave_out_unreadable(collection)
        queries, unasked = leave_out_queries(queries, unreadable)
        left_out |= {UNREADABLE_PICTURES: len(unreadable)} if unreadable else {}
    return Dataset(
        name,
        collection,
        queries,
        study.triplets,
        study.judgments,
        study.participants,
        study.distances,
        note,
        (
            *study.remarks,
            *pictures.remarks,
            *note_missing_images(study.images, collection.position.keys()),
            *labels.remarks,
        ),
        left_out,
        (*strays, *labels.unread, *find_unread_tables(root, found.files, bool(queries))),
        unreadable,
        unasked,
        labels.repeated,
    )


def read_study_in(root: Path, layout: Layout) -> Study | None:
    """The study in a dataset folder; None if neither layout nor files announce one. Raises as ``read_study``."""
    return (
        read_study(root)
        if os.path.isdir(root) and (layout.name == "reset" or is_study(root))
        else None
    )


def narrow_collection(collection: Collection, searched: Set[str] | None) -> Collection:
    """The items that are searched, where labels are about a part of what lies in the folder."""
    if searched is None or len(searched) == len(collection):
        return collection
    return select_items(collection, [i for i, x in enumerate(collection.ids) if x in searched])


def list_wanted_images(study: Study | None, labels: FoundLabels) -> Set[str] | None:
    """The ids that images of a study may have; None if there are labels, whose queries search all images.

    A study without queries is about few of a million keyframes.
    """
    if study is None or labels.beside:
        return None
    return study.images | name_flat(study.images).keys()
