"""The triplets that are judged: the folder's table, checked, and the pictures that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets import DatasetRow
from kis_bench.datasets.folder_pictures import read_images
from kis_bench.datasets.layouts import choose_layout
from kis_bench.datasets.reset import (
    TRIPLET_COLUMNS,
    find_triplet_file,
    parse_triplets,
    read_study_table,
)
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.whole import write_whole
from kis_bench.records import Picture, Triplet


@dataclass(frozen=True)
class JudgedTriplets:
    """What there is to judge."""

    file: Path
    triplets: tuple[Triplet, ...]
    paths: Mapping[
        str, tuple[str, str]
    ]  # of both candidates as the table spells them, by triplet id
    pictures: Mapping[str, Picture]  # by item id; some may be missing

    @property
    def complete(self) -> list[Triplet]:
        """Those whose pictures are all there."""
        there = self.pictures.keys()
        return [t for t in self.triplets if {t.target, t.candidate1, t.candidate2} <= there]


def read_judged_triplets(row: DatasetRow, root: Path, out: Path) -> JudgedTriplets:
    """Reads the table of triplets in the folder of judgments, or else of the pictures, which is copied there.

    Raises:
        BadFile: the table has problems. KisBenchError: there is none, or none of its triplets has all its pictures.
    """
    file = find_triplet_file(out) or find_triplet_file(root)
    if file is None:
        raise KisBenchError(
            f"{root} has no triplets.csv; kis-bench triplets {root} --model MODEL draws triplets to judge"
        )
    problems: list[str] = []
    table = read_study_table(file, TRIPLET_COLUMNS, problems)
    triplets = () if table is None else parse_triplets(table.rows, problems)
    if problems or table is None:
        raise BadFile(file, problems)
    paths = {
        line["triplet_id"].strip(): (line["candidate1_path"], line["candidate2_path"])
        for _, line in table.rows
    }
    wanted = {item for t in triplets for item in (t.target, t.candidate1, t.candidate2)}
    collection = read_images(
        row.name, root, choose_layout(row.name, row.layout, row.folder), only=wanted
    ).collection
    pictures = dict(zip(collection.ids, collection.paths, strict=True))
    found = JudgedTriplets(file, triplets, paths, pictures)
    if not found.complete:
        raise KisBenchError(
            f"{file}: no triplet has all its pictures in {root}; of {len(wanted):,} that are named "
            f"{len(pictures):,} are there; put the others beside them"
        )
    if file.parent != out:
        write_whole(out / file.name, file.read_bytes())
    return found
