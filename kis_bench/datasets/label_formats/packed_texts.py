"""Texts that lie in the same tables as the pictures: in columns of Parquet files, and of datasets saved to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kis_bench.datasets.arrow_files import ARROW_SUFFIX
from kis_bench.datasets.captions import read_caption_sets
from kis_bench.datasets.image_lists import IMAGE_LIST
from kis_bench.datasets.label_formats.download_notes import find_download_notes, tell_failed_rows
from kis_bench.datasets.label_formats.label_format import (
    IN_TABLES,
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
    tell_no_parts,
)
from kis_bench.datasets.label_formats.numbered_captions import ask_captions, take_first_captions
from kis_bench.datasets.parts import ALL
from kis_bench.datasets.saved_datasets import (
    SPLITS_FILE,
    find_saved_tables,
    group_by_split,
    pick_split,
)
from kis_bench.records import count_things

PARQUET_SUFFIX = ".parquet"
PICTURE_TABLE_SUFFIXES = (PARQUET_SUFFIX, ARROW_SUFFIX)


def find_packed_texts(folder: DatasetFolder) -> list[Path]:
    """The tables of pictures, and what tells the splits of some."""
    if (folder.root / IMAGE_LIST).is_file():  # which lists files alone
        return []
    saved, notes = find_saved_tables(folder.inside)
    parquet = [file for file in folder.inside if file.suffix.lower() == PARQUET_SUFFIX]
    about = [file for file in notes if file.name == SPLITS_FILE]
    tables = [*parquet, *saved]
    return tables and [*tables, *about, *find_download_notes(folder.inside)]


def list_packed_sets(files: Sequence[Path], split: str, pictures: Path) -> tuple[str, ...]:
    splits = group_by_split(files)
    chosen = pick_split(splits, split)
    tables = (
        splits[chosen]
        if chosen
        else [f for f in files if f.suffix.lower() in PICTURE_TABLE_SUFFIXES]
    )
    return tuple(dict.fromkeys(name for file in tables for name in read_caption_sets(file)))


def read_packed_texts(files: Sequence[Path], purpose: Purpose) -> Labels:
    """The queries of the tables, of one split where they are splits; its pictures are searched alone."""
    part, splits = purpose.part, group_by_split(files)
    chosen = pick_split(splits, part.split)
    owners = find_owning_splits(purpose, splits)
    texts = {
        item: take_first_captions(own, part.most_texts)
        for item, own in purpose.packed.items()
        if not chosen or owners.get(item) == chosen
    }
    labels = ask_captions(texts, purpose.collection, spell_kinds(files))
    if chosen:
        labels.searched = frozenset(item for item, split in owners.items() if split == chosen)
    if splits:
        labels.remarks.append(count_splits(owners, purpose, chosen or ALL))
    elif part.split not in ("", ALL):
        labels.remarks.append(tell_no_parts("a folder of tables without splits"))
    if part.most_texts is not None:
        said = f"texts read of each picture, as the name asks: the first {part.most_texts:,}"
        labels.remarks.append(said)
    return tell_failed_rows(labels, files)


def find_owning_splits(purpose: Purpose, splits: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Item -> the split in whose tables it lies; without those that lie in none."""
    owners = {file: split for split, tables in splits.items() for file in tables}
    entries = getattr(purpose.collection.paths, "entries", ()) if owners else ()
    archives = (getattr(entry, "archive", None) for entry in entries)
    named = zip(purpose.collection.ids, archives, strict=False)
    return {item: owners[file] for item, file in named if file in owners}


def count_splits(owners: Mapping[str, str], purpose: Purpose, read: str) -> str:
    """How many pictures and texts each split has, as papers count them, and which is read."""
    counts: dict[str, list[int]] = {}
    for item, split in owners.items():
        pictures_texts = counts.setdefault(split, [0, 0])
        pictures_texts[0] += 1
        pictures_texts[1] += sum(bool(one.text) for one in purpose.packed.get(item, ()))
    said = ", ".join(
        f"{split} ({count_things(pictures, 'picture')}, {count_things(texts, 'text')})"
        for split, (pictures, texts) in counts.items()
    )
    return f"{SPLITS_FILE} has the splits {said}; read is {read}"


def spell_kinds(files: Sequence[Path]) -> str:
    """What tables are there, in words."""
    kinds = {file.suffix.lower() for file in files}
    named = (("Parquet", PARQUET_SUFFIX), ("Arrow", ARROW_SUFFIX))
    return f"{' and '.join(name for name, kind in named if kind in kinds)} tables"


FORMAT = LabelFormat(
    IN_TABLES,
    "tables of pictures",
    99,
    find_packed_texts,
    list_packed_sets,
    read_packed_texts,
    deep=True,
    packed=True,
)
