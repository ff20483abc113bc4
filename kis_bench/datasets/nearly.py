"""Finds tables whose names are nearly right, so that none is left out in silence."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path

from kis_bench.datasets.reset import find_triplet_file, is_study

#: What people call the table of their texts.
TEXT_TABLES = (
    "labels",
    "label",
    "queries",
    "query",
    "captions",
    "caption",
    "metadata",
    "annotations",
    "annotation",
    "descriptions",
    "prompts",
    "texts",
    "text",
)
#: Tables that carry names like ours and are ours to read.
STUDY_TABLES = ("participants", "triplets", "triplets_extended", "triplet_judgements")
PICTURE_TABLES = ("images", "image")
COMMA_SUFFIXES = (".csv",)
SHEET_SUFFIXES = (".tsv", ".tab", ".psv", ".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
OTHER_SUFFIXES = (
    ".txt",
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".feather",
    ".yaml",
    ".yml",
    ".xml",
)
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".zst")
TABLE_SUFFIXES = (*COMMA_SUFFIXES, *SHEET_SUFFIXES, *OTHER_SUFFIXES)
LEAST_LIKENESS = 0.83  #: of a misspelt name: one letter too many, too few or swapped


def find_unread_tables(
    root: Path, labels: Collection[Path] = (), labelled: bool = False
) -> list[str]:
    """The tables in a dataset folder that seem meant for us but aren't read, each with its remedy.

    Args:
        labels: files of labels that are read.
        labelled: whether there are queries; then, as where there are label files, only names that begin like those
            are meant, because ``metadata.csv`` beside ``labels.csv`` may be anything.
    """
    found = []
    labelled = labelled or bool(labels)
    for folder, name in list_tables(root, labelled):
        right = guess_meant_name(folder, name, labelled)
        if (
            right
            and root / folder / name not in labels
            and not is_same_file(root / folder / name, root / right)
        ):
            found.append(f"{folder}{name} is not read; {suggest_remedy(name, right)}")
    if (triplets := find_triplet_file(root)) and not is_study(root):
        found.append(
            f"{triplets.name} is not read, because nobody has judged its triplets; kis-bench judge shows them to people"
        )
    return found


def list_tables(root: Path, labelled: bool) -> list[tuple[str, str]]:
    """Folder (empty or ending in a slash) and name of each table in the dataset folder and in folders like ``labels/``.

    Where nothing is labelled, also those in ``images/``, where somebody may have put the labels.
    """
    folders = ("labels", "label", *(() if labelled else PICTURE_TABLES))
    found: list[tuple[str, str]] = []

    def look(folder: str) -> list[str]:
        with os.scandir(root / folder) as entries:  # of perhaps a million files
            inner = []
            for entry in entries:
                if not folder and entry.name.lower() in folders and entry.is_dir():
                    inner.append(f"{entry.name}/")
                elif looks_like_table(entry.name) and entry.is_file():
                    found.append((folder, entry.name))
        return inner

    try:
        for folder in look(""):
            look(folder)
    except OSError:  # told by those who read the folder
        pass
    return sorted(found)


def looks_like_table(name: str) -> bool:
    kept = [
        suffix.lower() for suffix in Path(name).suffixes if suffix.lower() not in PACKED_SUFFIXES
    ]
    return bool(kept) and kept[-1] in TABLE_SUFFIXES and not name.startswith((".", "~"))


def is_same_file(file: Path, other: Path) -> bool:
    """Whether both names lead to one file, as on file systems that ignore case."""
    try:
        return os.path.samefile(file, other)
    except OSError:
        return False


def guess_meant_name(folder: str, name: str, labelled: bool) -> str:
    """The name under which a table would be read; empty if it is read already or doesn't look like ours."""
    if is_read(folder, name):
        return ""
    bare, of_sheets = (
        strip_suffixes(name),
        Path(name).suffix.lower() in (*COMMA_SUFFIXES, *SHEET_SUFFIXES),
    )
    if folder.lower() in ("labels/", "label/"):
        return f"labels/{bare}.csv"
    if not folder and of_sheets and bare in PICTURE_TABLES:
        return "images.csv"
    if not folder and of_sheets and bare in STUDY_TABLES:
        return f"{bare}.csv"
    first, *rest = re.split(r"[^a-z0-9]+", bare)
    if first in ("labels", "label") or resembles(first, "labels"):
        kept = "-".join(filter(None, rest))
        return f"labels-{kept}.csv" if kept else "labels.csv"
    return "labels.csv" if not labelled and {first, *rest} & {*TEXT_TABLES} else ""


def is_read(folder: str, name: str) -> bool:
    """Whether a table of this name is read, as labels, a list of pictures, or part of a study."""
    if folder:
        return folder == "labels/" and name.endswith(".csv")
    ours = ("labels.csv", "images.csv", *(f"{table}.csv" for table in STUDY_TABLES))
    return name in ours or (name.startswith("labels-") and name.endswith(".csv"))


def strip_suffixes(name: str) -> str:
    """A name in lower case without the suffixes of table formats: ``labels`` for ``Labels.csv.gz``."""
    bare, suffix = os.path.splitext(name.lower())
    while suffix in (*TABLE_SUFFIXES, *PACKED_SUFFIXES):
        bare, suffix = os.path.splitext(bare)
    return f"{bare}{suffix}".strip()


def resembles(name: str, wanted: str) -> bool:
    return difflib.SequenceMatcher(None, name, wanted).ratio() >= LEAST_LIKENESS


def suggest_remedy(name: str, right: str) -> str:
    """How to turn a file of this name into one that is read."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes[-1] in COMMA_SUFFIXES:
        return f"call it {right}"
    if suffixes[-1] in PACKED_SUFFIXES:
        return f"unpack it as {right}"
    if (
        suffixes[-2:-1] == [".csv"] and suffixes[-1] == ".txt"
    ):  # as editors save it that hide suffixes
        return f"call it {right}"
    if suffixes[-1] in SHEET_SUFFIXES:
        return f"save it as {right}, with commas, in UTF-8"
    return f"only CSV is; write {right}"
