"""Which files of a folder hold vectors of pictures and of texts, and which name their rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.errors import BadFile

SUFFIXES = (".npy", ".safetensors", ".faiss", ".index", ".parquet")
ID_SUFFIXES = (".txt", ".json", ".csv", ".npy")
METADATA = "metadata"  #: clip-retrieval's folder of tables, a row for each vector
#: Names, without their suffixes, of what may name the rows of each side; the first that is there does.
NAMES_OF_ROWS = {
    "images": ("images_ids", "image_ids", "item_ids", "ids", "images"),
    "texts": ("texts_ids", "text_ids", "query_ids", "texts"),
}
#: Folders of clip-retrieval.
PART_FOLDERS = {"images": "img_emb", "texts": "text_emb"}


@dataclass(frozen=True)
class SideFiles:
    """The files of one side of a folder: vectors, and what beside them names their rows."""

    side: str  # images or texts
    vectors: tuple[Path, ...]
    names: tuple[Path, ...] = ()  # none, or one for each
    by_text: bool = False  # the ids are those of pictures, so that texts go by what they say

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((*self.vectors, *self.names)))


def find_side(folder: Path, side: str) -> SideFiles | None:
    """The files of ``images`` or ``texts``; None: there are none.

    Raises:
        BadFile: several that could be meant, or parts without their tables.
    """
    single = [folder / f"{side}{suffix}" for suffix in SUFFIXES]
    parts = folder / PART_FOLDERS[side]
    found = [place for place in (*single, parts) if place.exists()]
    if len(found) > 1:
        names = " and ".join(place.name for place in found)
        raise BadFile(folder, [f"{names} are both there; keep one of them"])
    if not found:
        return None
    if found[0] == parts:
        return find_parts(side, parts, folder / METADATA)
    return SideFiles(side, (found[0],), find_names(folder, side, found[0]))


def find_names(folder: Path, side: str, vectors: Path) -> tuple[Path, ...]:
    places = (folder / f"{stem}{suffix}" for stem in NAMES_OF_ROWS[side] for suffix in ID_SUFFIXES)
    return tuple(file for file in places if file.is_file() and file != vectors)[:1]


def find_parts(side: str, folder: Path, metadata: Path) -> SideFiles:
    """The parts that clip-retrieval writes: ``img_emb_0.npy`` and ``metadata_0.parquet`` beside, by their numbers."""
    arrays, tables = number_files(folder, ".npy"), number_files(metadata, ".parquet")
    lone = sorted({*arrays} ^ {*tables})
    if lone or not arrays:
        which = f"part {lone[0]} has one of them" if lone else "there are none"
        said = f"each NAME_NUMBER.npy needs its {METADATA}/{METADATA}_NUMBER.parquet; {which}"
        raise BadFile(folder, [said])
    order = sorted(arrays)
    vectors, names = (tuple(each[n] for n in order) for each in (arrays, tables))
    return SideFiles(side, vectors, names, by_text=side == "texts")


def number_files(folder: Path, suffix: str) -> dict[int, Path]:
    found = folder.glob(f"*{suffix}") if folder.is_dir() else ()
    numbered = {file: re.search(r"(\d+)$", file.stem) for file in found}
    return {int(number[1]): file for file, number in numbered.items() if number}


def list_sides(folder: Path) -> Sequence[tuple[str, SideFiles]]:
    """The sides that a folder has, with their files.

    Raises:
        BadFile: see `find_side`.
    """
    found = [(side, find_side(folder, side)) for side in ("images", "texts")]
    return [(side, files) for side, files in found if files is not None]
