"""The pictures of a folder that may be handed out, and where each lies; of a million only the first are kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kis_bench.datasets import DatasetRow, explain_no_folder
from kis_bench.datasets.archives import find_in_archive
from kis_bench.datasets.file_tree import walk
from kis_bench.datasets.folder_pictures import read_images
from kis_bench.datasets.found import is_encodable
from kis_bench.datasets.layouts import choose_layout
from kis_bench.datasets.listing import ARCHIVES
from kis_bench.datasets.picture_folder import find_picture_folder
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.progress import track_each
from kis_bench.labelling.texts.sampling import draw_items, spread_over_groups
from kis_bench.records import Collection, Picture

MOST_AHEAD = (
    5_000  #: pictures that are kept; once they are used up, the folder is read again for the next
)


class Pool:
    """Pictures in the order in which they are handed out.

    Args:
        wanted: ids of items that were handed out before, whose pictures are needed wherever they stand.
        given: ids in place of a sample, in their order.
        stratify: every group once before any comes again, in place of every picture being as likely.

    Raises:
        KisBenchError: no folder, no pictures, two of one id; no groups to stratify by; a given id isn't there.
    """

    def __init__(
        self,
        row: DatasetRow,
        seed: int,
        wanted: set[str],
        *,
        given: list[str] | None = None,
        stratify: bool = False,
        size: int = MOST_AHEAD,
    ) -> None:
        self.row, self.root, self.seed, self.size = row, require_folder(row), seed, size
        self.pictures: dict[str, Picture] = {}
        self.order: list[str] = []
        self.n_items, self.last = 0, -1
        self.complete = True  # `order` has all there are
        listed = (self.root / "images.csv").is_file()  # or some pictures aren't of the collection
        listed |= bool(choose_layout(row.name, row.layout, row.folder).needs)
        if given is not None or stratify or listed:
            self.read_collection(wanted, given, stratify)
        else:
            self.draw(wanted)

    def read_collection(self, wanted: set[str], given: list[str] | None, stratify: bool) -> None:
        """Reads all of a collection: its list, its groups."""
        collection = read_whole_collection(self.row)
        ids = collection.ids
        if given is not None:
            if absent := [item for item in given if item not in collection.position]:
                raise BadFile(
                    "--items", [f"item {item!r} is not in {self.root}" for item in absent]
                )
            self.order = list(dict.fromkeys(given))
        elif stratify:
            if collection.groups is None:
                raise KisBenchError(
                    f"dataset {self.row.name} has no groups to stratify by; give images.csv a column group, "
                    "or choose a --layout that knows them"
                )
            self.order = spread_over_groups(ids, collection.groups, self.seed)
        else:
            self.order = list(draw_items(((i, None) for i in ids), self.seed, len(ids)).items)
        kept = {*self.order, *wanted}
        self.pictures = {item: collection.paths[i] for i, item in enumerate(ids) if item in kept}
        self.n_items = len(ids)

    def draw(self, wanted: set[str]) -> None:
        """Reads the names below the folder, and keeps the next pictures of the order."""
        folder = find_picture_folder(self.root)
        found = draw_items(
            find_pictures(self.row.name, folder),
            self.seed,
            self.size,
            after=self.last,
            wanted=wanted,
        )
        if found.has_twins or not found.n_items:  # ids have a suffix or are wrong; saved or none
            self.read_collection(wanted, None, stratify=False)
            return
        self.n_items, self.last = found.n_items, found.last
        self.complete = len(found.items) < self.size
        for item, entry in (found.items | found.wanted).items():
            self.pictures[item] = folder / entry if isinstance(entry, str) else entry
        self.order += found.items

    def extend(self) -> bool:
        """Appends the next pictures to ``order``; whether there were any."""
        before = len(self.order)
        if not self.complete:
            self.draw(set())
        return len(self.order) > before


def read_whole_collection(row: DatasetRow) -> Collection:
    """All pictures of a dataset, with their groups."""
    layout = choose_layout(row.name, row.layout, row.folder)
    return read_images(row.name, require_folder(row), layout).collection


def require_folder(row: DatasetRow) -> Path:
    if row.folder is None:
        raise KisBenchError(f"dataset {row.name}: name its folder, {row.name}=FOLDER")
    if not row.folder.is_dir():
        raise KisBenchError(f"dataset {row.name}: {explain_no_folder(row.folder)}")
    return row.folder


def find_pictures(name: str, root: Path) -> Iterator[tuple[str, Picture | str]]:
    """Yields id and place of every picture below a folder, those in archives too; a file's place is relative."""
    ignored: Counter[str] = Counter()
    for path in track_each(walk(root, ignored), f"{name}: listing", unit="file"):
        stem, suffix = os.path.splitext(path)
        kind = suffix.lower()
        if kind in IMAGE_SUFFIXES and is_encodable(path):
            yield stem, path
        elif kind in ARCHIVES:
            folder = path[: path.rfind("/") + 1]
            for inner in find_in_archive(root / path, ignored):
                yield folder + inner.item_id, inner.part
