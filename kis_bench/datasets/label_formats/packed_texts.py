"""Texts that lie in the same tables as the pictures: in columns of Parquet files, and of datasets saved to disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
)
from kis_bench.datasets.label_formats.numbered_captions import ask_captions, take_first_captions
from kis_bench.datasets.parquet import PARQUET_SUFFIX, spell_tables
from kis_bench.datasets.parts import ALL
from kis_bench.datasets.saved_datasets import (
    SPLITS_FILE,
    find_saved_tables,
    group_by_split,
    pick_split,
)
from kis_bench.records import count_things

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
    labels = ask_captions(texts, purpose.collection, spell_tables(files))
    if chosen:
        labels.searched = frozenset(item for item, split in owners.items() if split == chosen)
    if splits:
        labels.remarks += count_splits(owners, purpose, chosen or ALL)
    elif part.split not in ("", ALL):
        said = (
            f"these tables have no splits, so that all of them are read, not {part.split!r} alone"
        )
        labels.remarks.append(said)
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


def count_splits(owners: Mapping[str, str], purpose: Purpose, read: str) -> Iterator[str]:
    """How many pictures and texts each split has, as papers count them, and which is read; then those of none."""
    counts: dict[str, list[int]] = {}
    for item in purpose.collection.ids:
        pictures_texts = counts.setdefault(owners.get(item, ""), [0, 0])
        pictures_texts[0] += 1
        pictures_texts[1] += sum(bool(one.text) for one in purpose.packed.get(item, ()))
    said = {
        split: f"{count_things(pictures, 'picture')}, {count_things(texts, 'text')}"
        for split, (pictures, texts) in counts.items()
    }
    outside = said.pop("", "")
    of_each = ", ".join(f"{split} ({counted})" for split, counted in said.items())
    yield f"{SPLITS_FILE} has the splits {of_each}; read is {read}"
    if outside:
        done = "read, too" if read == ALL else f"not read; NAME:{ALL} reads them"
        yield f"in no split, but beside them: {outside}, which are {done}"


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
