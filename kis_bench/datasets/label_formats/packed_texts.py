"""Texts that lie in the same archives as the pictures: in columns of Parquet tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kis_bench.datasets.captions import read_caption_sets
from kis_bench.datasets.image_lists import IMAGE_LIST
from kis_bench.datasets.label_formats.label_format import (
    IN_TABLES,
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
)
from kis_bench.datasets.label_formats.numbered_captions import ask_captions


def find_packed_texts(folder: DatasetFolder) -> list[Path]:
    if (folder.root / IMAGE_LIST).is_file():  # which lists files alone
        return []
    return [file for file in folder.inside if file.suffix.lower() == ".parquet"]


def list_packed_sets(files: Sequence[Path], split: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for file in files for name in read_caption_sets(file)))


def read_packed_texts(files: Sequence[Path], purpose: Purpose) -> Labels:
    return ask_captions(purpose.packed, purpose.collection, "Parquet tables")


FORMAT = LabelFormat(
    IN_TABLES,
    "Parquet tables of pictures",
    99,
    find_packed_texts,
    list_packed_sets,
    read_packed_texts,
    parts=False,
    deep=True,
    packed=True,
)
