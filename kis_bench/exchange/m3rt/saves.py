"""Reads M3RT's saves: pickles of image features, ranks and cumulations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.m3rt.pickles import (
    LENGTH_TOLERANCE_BY_TYPE,
    REMEDY,
    Reader,
    Tensor,
    TensorReader,
    read_pickle,
)
from kis_bench.records import Float32s

SAVE_FOLDERS = {"features": "image_features", "ranks": "ranks", "cumulation": "cumulations"}
STUDY_FOLDER = "reset_csvs"  #: with the tables of RESET
LABEL_SETS = ("short", "long")
#: M3RT's name -> ours, where they differ. The second is all of MVK, which it encoded for a competition, without labels.
DATASET_NAMES = {"marine": "mvk", "marine_compet": "mvk-competition"}
LAYOUT_NAMES = {"mvk-competition": "mvk"}  #: our name -> layout, where it isn't that of the name
MOST_LABELS = 1_000_000  #: that a cumulation may count
HALF_CHARACTERS = re.compile("[\ud800-\udfff]")  #: of characters; UTF-8 has none


def is_text(value: object) -> bool:
    """Whether a value is a text that can be written as UTF-8; pickles may hold halves of characters."""
    return type(value) is str and not HALF_CHARACTERS.search(value)


def read_features(file: Path) -> tuple[tuple[str, ...], Float32s]:
    """Ids and vectors, float32 ``[n, d]``, of one model on one dataset, in the file's order.

    Lengths are 1 within 0.001, or what the type that they were saved in allows
    (`LENGTH_TOLERANCE_BY_TYPE`); finer and coarser types come as float32.

    Raises:
        BadFile: it is not what M3RT saves, or holds anything besides.
    """
    pair = read_pickle(file, TensorReader)
    if (
        type(pair) is not tuple
        or len(pair) != 2
        or type(pair[0]) is not list
        or type(pair[1]) is not Tensor
    ):
        raise BadFile(file, [f"not a pair of image ids and a tensor; {REMEDY}"])
    ids, vectors = pair[0], pair[1].numbers()
    if not all(is_text(item) and item for item in ids):
        raise BadFile(file, [f"image ids are not all texts; {REMEDY}"])
    if vectors.size == 0 or len(ids) != len(vectors):
        raise BadFile(
            file,
            [
                f"{len(ids)} image ids and a tensor of {list(vectors.shape)}; encode the images again"
            ],
        )
    if len(set(ids)) < len(ids):
        twice = next(item for item, after in pairwise(sorted(ids)) if item == after)
        raise BadFile(
            file, [f"image {twice!r} is there twice; rename one and encode the images again"]
        )
    off = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1)
    wrong = np.flatnonzero(~(off <= LENGTH_TOLERANCE_BY_TYPE[pair[1].kind]))
    if len(wrong):
        message = f"{len(wrong)} vectors are not finite or not of length 1, first that of image {ids[wrong[0]]!r}"
        raise BadFile(file, [f"{message}; encode the images again"])
    return tuple(ids), vectors


def read_ranks(file: Path) -> list[tuple[str, int]]:
    """Label texts and the ranks of their images, from 0; -1 if an image wasn't among those searched.

    Raises:
        BadFile: it is not what M3RT saves, or holds anything besides.
    """
    ranks = read_pickle(file, Reader)
    if type(ranks) is not list or not ranks:
        raise BadFile(file, [f"not a list of labels with their ranks; {REMEDY}"])
    for number, pair in enumerate(ranks, start=1):
        whole = type(pair) is tuple and len(pair) == 2 and is_text(pair[0]) and type(pair[1]) is int
        if not whole or pair[1] < -1:
            raise BadFile(
                file,
                [f"entry {number} is not a label and a rank from 0 (or -1: not found); {REMEDY}"],
            )
    return ranks


def read_cumulation(file: Path) -> list[int]:
    """Numbers of targets at rank 1, at rank 2 or better, and so on, one for each image searched.

    Raises:
        BadFile: it is not what M3RT saves, or holds anything besides.
    """
    counts = read_pickle(file, Reader)
    if type(counts) is not list or not counts or any(type(count) is not int for count in counts):
        raise BadFile(file, [f"not a list of whole numbers; {REMEDY}"])
    if counts[-1] > MOST_LABELS:
        raise BadFile(file, [f"it counts more than {MOST_LABELS:,} targets; {REMEDY}"])
    for number, (before, count) in enumerate(pairwise([0, *counts]), start=1):
        if count < before:
            raise BadFile(
                file,
                [f"entry {number} is {count}, less than {before}, and counts never fall; {REMEDY}"],
            )
    return counts


@dataclass(frozen=True)
class Save:
    """One of M3RT's files, described by its name."""

    kind: str  # features, ranks or cumulation
    thesis_model: str
    model: str
    thesis_dataset: str
    dataset: str
    label_set: str | None  # None: of features
    path: Path


def find_saves(folder: Path, models: Mapping[str, str]) -> tuple[tuple[Save, ...], tuple[str, ...]]:
    """The saves in M3RT's folder, or in its ``saves``, and remarks on files that were left out.

    Args:
        models: M3RT's name of each known model, as it stands in names of files -> ours.

    Raises:
        KisBenchError: there are no saves. BadFile: a file is of a model that nobody knows, or two are of one kind.
    """
    base = find_saves_folder(folder)
    files = [
        (kind, file)
        for kind, name in SAVE_FOLDERS.items()
        for file in sorted((base / name).glob("*"))
    ]
    if not files and not (base / STUDY_FOLDER).is_dir():
        wanted = ", ".join([*SAVE_FOLDERS.values(), STUDY_FOLDER])
        raise KisBenchError(
            f"{folder} holds no saves of M3RT; name the folder with saves/ in it, and {wanted} in that"
        )
    found: dict[tuple[str, str, str, str | None], Save] = {}
    remarks, problems = [], []
    for kind, file in files:
        model = max(
            (name for name in models if file.name.startswith(f"{name}-")), key=len, default=None
        )
        save = parse_file_name(kind, file, model, models[model]) if model else None
        if file.suffix != ".pkl" or not file.is_file():
            remarks.append(f"{file}: left out, it is not a .pkl file")
        elif model is None:
            problems.append(
                f"{file}: of no model that is known; known are {', '.join(sorted(models))}; for others give "
                "--model THEIRS=NAME, with THEIRS as files begin"
            )
        elif save is None:
            form = (
                "MODEL-DATASET.pkl"
                if kind == "features"
                else "MODEL-DATASET-short.pkl or -long.pkl"
            )
            remarks.append(f"{file}: left out, its name is not of the form {form}")
        elif (cell := (kind, save.model, save.dataset, save.label_set)) in found:
            problems.append(
                f"{file}: of the same model and dataset as {found[cell].path.name}; take one away"
            )
        else:
            found[cell] = save
    if problems:
        raise BadFile(base, [*problems, "rename such files, or move them away"])
    return tuple(found.values()), tuple(remarks)


def find_saves_folder(folder: Path) -> Path:
    return folder / "saves" if (folder / "saves").is_dir() else folder


def parse_file_name(kind: str, file: Path, thesis_model: str, model: str) -> Save | None:
    """Parses a file's name behind the model; None if it isn't one of M3RT's."""
    dataset, label_set = file.stem.removeprefix(f"{thesis_model}-"), None
    if kind != "features":
        dataset, _, label_set = dataset.rpartition("-")
        if label_set not in LABEL_SETS:
            return None
    ours = DATASET_NAMES.get(dataset, dataset)
    return Save(kind, thesis_model, model, dataset, ours, label_set, file) if dataset else None
