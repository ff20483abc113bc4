"""Reads users' datasets: files in; Collection, Query and Triplet records out."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kis_bench.datasets import openmoji, reset
from kis_bench.datasets.catalogue import BUILT_IN, EMBEDDED, DatasetRow
from kis_bench.datasets.folder import explain_no_folder, read_dataset
from kis_bench.datasets.label_formats import find_labels
from kis_bench.datasets.layouts import GENERAL_LAYOUTS, LAYOUTS, choose_layout
from kis_bench.datasets.nearly import find_unread_tables
from kis_bench.datasets.papers import PAPER_COLLECTIONS, explain_no_texts
from kis_bench.datasets.parts import DatasetPart
from kis_bench.datasets.reset import find_triplet_file, is_study
from kis_bench.errors import KisBenchError, NotReady, UnknownName, spell_option
from kis_bench.files import cache
from kis_bench.records import Dataset, Participant, Readiness

__all__ = [
    "BUILT_IN",
    "EMBEDDED",
    "DatasetRow",
    "explain_no_folder",
    "explain_no_queries",
    "find_cache_folder",
    "find_data_folder",
    "find_readiness",
    "has_queries",
    "has_triplets",
    "list_extractors",
    "list_label_sets",
    "load",
    "parse_row",
    "resolve",
]

NO_LABELS = "write labels.csv into its folder, with the columns query_id,item_id,label_set,text"


def find_cache_folder() -> Path:
    """Where rendered pictures are kept: ``KIS_CACHE``, or the user's cache folder."""
    return cache.find_folder("datasets")


def find_data_folder(given: Path | None = None) -> Path | None:
    """The folder in which dataset folders lie: the given one, else ``KIS_DATA``, else none."""
    return given or (Path(os.environ["KIS_DATA"]) if os.environ.get("KIS_DATA") else None)


def parse_row(
    text: str,
    declared: Sequence[DatasetRow] = (),
    data: Path | None = None,
    *,
    layout: str | None = None,
) -> DatasetRow:
    """The row of a dataset as users name it: ``NAME``, ``NAME=FOLDER``, or a folder, which then gives its own name.

    Behind a name or a folder may stand the part that is meant, as in ``coco:val2017``. A name is that of a declared
    row, of a built-in one or of a folder below ``data`` or ``KIS_DATA``, else that of a folder right here.

    Raises:
        KisBenchError: a name or a folder is missing. UnknownName: nothing has this name.
    """
    name, equals, folder = text.partition("=")
    if is_folder(text):
        place = Path(text).expanduser()
        whole_place = place.parent / DatasetPart.parse(place.name).whole
        if not place.is_dir() and whole_place.is_dir() and place.name:
            part = place.name.partition(":")[2]
            return DatasetRow(f"{whole_place.resolve().name}:{part}", whole_place, layout=layout)
        return DatasetRow(place.resolve().name, place, layout=layout)
    if not DatasetPart.parse(name).whole or (equals and not folder):
        raise KisBenchError(f"dataset {text!r}: write NAME, NAME=FOLDER, or a folder")
    by_name = {row.name: row for row in declared}
    whole = DatasetPart.parse(name).whole
    own = by_name.get(name) or by_name.get(whole) or DatasetRow(name, layout=layout)
    row = replace(own, name=name)
    if equals:
        return replace(row, folder=Path(folder).expanduser())
    row = resolve(row, data)
    if (
        not by_name.keys().isdisjoint({name, whole})
        or whole in {*BUILT_IN} - PAPER_COLLECTIONS.keys()
        or (row.folder is not None and os.path.isdir(row.folder))
    ):
        return row
    for right_here in (Path(name), Path(whole)):
        if right_here.is_dir():
            return replace(row, folder=right_here)
    if row.folder is not None or whole in BUILT_IN:  # messages say where it was looked for
        return row
    known = {*by_name, *BUILT_IN}
    raise UnknownName("dataset", name, known, f"Give its folder as {name}=FOLDER, or set KIS_DATA.")


def is_folder(text: str, start: Path = Path()) -> bool:
    """Whether what may be NAME=FOLDER is a folder, perhaps one with an equals sign in its name below ``start``."""
    name, equals, folder = text.partition("=")
    there = equals and (start / text).is_dir() and not (start / Path(folder).expanduser()).is_dir()
    return is_path(name) or bool(there)


def is_path(text: str) -> bool:
    """Whether a dataset is given as a folder and not by its name."""
    return text.startswith((".", "~")) or "/" in text or os.sep in text


def resolve(row: DatasetRow, data: Path | None = None) -> DatasetRow:
    """The row with its folder filled in from the folder of datasets, ``data`` or ``KIS_DATA``."""
    data = find_data_folder(data)
    if row.folder is None and row.name not in EMBEDDED and data is not None:
        whole = data / DatasetPart.parse(row.name).whole
        own = data / row.name
        return replace(row, folder=whole if whole.is_dir() and not own.is_dir() else own)
    return row


def find_readiness(row: DatasetRow) -> Readiness:
    if row.folder is None and row.name in EMBEDDED:
        return openmoji.check_packages()
    layout = choose_layout(row.name, row.layout, row.folder)
    get = f"{layout.get}; " if layout.name not in GENERAL_LAYOUTS else ""
    if known := PAPER_COLLECTIONS.get(DatasetPart.parse(row.name, row.folder).whole):
        get = f"{known.get}; "
    if row.folder is None:
        return Readiness(
            False,
            "no data",
            f"{get}then {spell_option('dataset')} {row.name}=FOLDER, or put it into the folder KIS_DATA names",
        )
    if not os.path.isdir(row.folder):
        where = explain_no_folder(row.folder)
        return Readiness(
            False, "no data", f"{where}; {get}{spell_option('dataset')} {row.name}=FOLDER"
        )
    return Readiness(True, "ready")


def explain_no_queries(row: DatasetRow) -> NotReady:
    """The error for a dataset without queries: its unread tables, else how to write labels."""
    unread = [] if row.folder is None else find_unread_tables(row.folder)
    if row.folder is not None and (files := find_labels(row.folder, beside=True).files):
        unread = [f"{file.name} has no rows; add one per query" for file in files]
    missing = explain_no_texts(DatasetPart.parse(row.name, row.folder).whole) or NO_LABELS
    return NotReady(f"dataset {row.name}", "no queries", "; ".join(unread) or missing)


def list_label_sets(row: DatasetRow) -> tuple[str, ...]:
    """The label sets of a dataset that is ready; reads no image, and is empty if there are no texts."""
    if row.name == "openmoji" and row.folder is None:
        known: tuple[str, ...] = ("short", "long")
    elif row.folder is None:
        return ()
    else:
        part = DatasetPart.parse(row.name, row.folder)
        known = find_labels(row.folder, part).list_sets(part)
    for name in row.label_sets or ():
        if name not in known:
            raise UnknownName("label set", name, known, f"Dataset: {row.name}.")
    return row.label_sets or known


def load(
    name: str,
    root: str | Path | None = None,
    *,
    layout: str | None = None,
    skip_unreadable: bool = False,
) -> Dataset:
    """A dataset by name: an embedded one, a folder ``root``, or a folder below ``KIS_DATA`` or right here.

    Without ``root`` the name may also be that of a folder with its path, such as ``./mine``.

    Args:
        layout: how its files are named, one of LAYOUTS; None: that of the name, else any folder.
        skip_unreadable: leave out pictures that can't be read, and queries of which no target can; the dataset names
            them. Each picture is decoded for it, once.

    Raises:
        UnknownName: nothing has this name. NotReady: its folder isn't there.
        BadFile: files of the dataset have problems; all of them are named.
    """
    row = (
        parse_row(name, layout=layout)
        if root is None
        else DatasetRow(name, Path(root), layout=layout)
    )
    name = row.name
    if not (state := find_readiness(row)).ready:
        raise NotReady(f"dataset {name}", state.state, state.remedy)
    if row.folder is not None:
        chosen = choose_layout(name, layout, row.folder)
        return read_dataset(name, row.folder, chosen, skip_unreadable=skip_unreadable)
    emoji = read_openmoji(openmoji.prepare(find_cache_folder()))
    if name == "openmoji":
        return emoji
    note = f"{openmoji.TRIPLETS_NOTE} {openmoji.OPENMOJI_NOTE}"
    triplets, judgments = openmoji.make_taxonomy_triplets()
    judge = Participant(openmoji.TAXONOMY)
    return Dataset(
        name,
        emoji.collection,
        triplets=triplets,
        judgments=judgments,
        participants=(judge,),
        note=note,
    )


@functools.lru_cache(maxsize=1)  # both built-in datasets are of the same pictures
def read_openmoji(folder: Path) -> Dataset:
    return read_dataset("openmoji", folder, LAYOUTS["folder"], note=openmoji.OPENMOJI_NOTE)


def has_triplets(row: DatasetRow) -> bool:
    """Whether a dataset is about image similarity; known without its folder if its layout says so."""
    if row.folder is None or choose_layout(row.name, row.layout, row.folder).name == "reset":
        return (
            row.name == "openmoji-triplets"
            or choose_layout(row.name, row.layout, row.folder).name == "reset"
        )
    return is_study(row.folder)


def has_queries(row: DatasetRow) -> bool:
    """Whether a dataset has queries; one about image similarity has if there are label files beside its tables."""
    return not has_triplets(row) or (
        row.folder is not None and find_labels(row.folder, beside=True).beside
    )


def list_extractors(row: DatasetRow) -> tuple[str, ...]:
    """Names of the extractors whose distances stand in a dataset's table of triplets, from its header."""
    file = find_triplet_file(row.folder) if row.folder is not None and has_triplets(row) else None
    return () if file is None else reset.read_extractor_names(file)
