"""Texts in files beside the pictures, as img2dataset downloads them: ``00000/000000000.txt`` beside ``….jpg``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kis_bench.datasets.file_tree import walk
from kis_bench.datasets.image_lists import IMAGE_LIST
from kis_bench.datasets.label_formats.caption_queries import CAPTIONS
from kis_bench.datasets.label_formats.download_notes import find_download_notes, tell_failed_rows
from kis_bench.datasets.label_formats.keyed_texts import (
    TEXT_SUFFIXES,
    KeyedTexts,
    ask_keyed_texts,
    pair_texts,
)
from kis_bench.datasets.label_formats.label_format import (
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
)
from kis_bench.records import count_things

MOST_OPENED = 100  #: texts, to see whether they are words


@dataclass(frozen=True)
class LooseText:
    folder: str
    name: str  # its path below the folder

    def read_bytes(self) -> bytes:
        with open(os.path.join(self.folder, self.name), "rb") as stream:
            return stream.read()


def find_loose_texts(folder: DatasetFolder) -> list[Path]:
    """The folder of pictures, if some have texts of their key that hold words, and notes on their download."""
    if (folder.root / IMAGE_LIST).is_file() or not any(map(may_be_text, folder.paths)):
        return []
    found = pair_loose_texts(folder.pictures, folder.paths)
    if not holds_words(found):
        return []
    return [folder.pictures, *find_download_notes(folder.inside)]


def may_be_text(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in TEXT_SUFFIXES


def pair_loose_texts(folder: Path, paths: Iterable[str]) -> KeyedTexts:
    """The texts among files below a folder."""
    return pair_texts(folder, "", paths, lambda path: LooseText(str(folder), path))


def holds_words(found: KeyedTexts) -> bool:
    """Whether one text is more than numbers, as in the boxes that detectors are trained with.

    Of many, at most `MOST_OPENED` are opened, which are spread evenly over all.
    """
    step = -(-len(found.texts) // MOST_OPENED) or 1
    some = dict(islice(found.texts.items(), 0, None, step))
    read = KeyedTexts(found.place, found.above, (), some).read_texts([], [])
    return any(is_prose(one.text) for _, own, _ in read for one in own)


def is_prose(text: str) -> bool:
    """Whether most of what blanks separate in a text is no number.

    >>> is_prose("3 dogs and 1 cat"), is_prose("0 0.5 1e-05"), is_prose("Car 0.00 0 1.57"), is_prose("")
    (True, False, False, False)
    """
    parts = text.split()
    return 2 * sum(map(is_number, parts)) < len(parts)


def is_number(part: str) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def read_loose_texts(files: Sequence[Path], purpose: Purpose) -> Labels:
    """The queries of all texts; those that can't be read are problems of the folder."""
    found = pair_loose_texts(files[0], walk(files[0], Counter()))
    labels = ask_keyed_texts([found], purpose, "files")
    said = f"{count_things(len(labels.queries), 'text')} in files that are called as their pictures"
    labels.remarks.insert(0, said)
    return tell_failed_rows(labels, files)


FORMAT = LabelFormat(
    "loose",
    "texts in files beside their pictures",
    97,
    find_loose_texts,
    lambda files, split, pictures: (CAPTIONS,),
    read_loose_texts,
    parts=False,
    deep=True,
    packed=True,
)
