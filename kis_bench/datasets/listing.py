"""Lists the pictures below a folder, also those inside archives; made for millions of files.

Nothing is opened but archives.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from kis_bench.datasets.archives import find_in_archive
from kis_bench.datasets.captions import Caption
from kis_bench.datasets.file_tree import walk
from kis_bench.datasets.found import Found, is_encodable
from kis_bench.datasets.papers import explain_no_pictures
from kis_bench.datasets.parquet import TableCell, is_same_picture
from kis_bench.datasets.saved_datasets import (
    INFO_FILE,
    STATE_FILE,
    find_saved_tables,
    list_states,
    may_be_saved,
)
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.cache import MOST_NAMES
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.progress import track_each
from kis_bench.records import Part, Picture

ARCHIVES = frozenset({".tar", ".parquet"})


class PictureFiles(Sequence[Picture]):
    """A sequence of pictures that makes Path objects on demand: ``entries`` are paths below ``root``, or parts."""

    def __init__(self, root: Path, entries: Sequence[str | Part]) -> None:
        self.root, self.entries = root, entries

    def __len__(self) -> int:
        return len(self.entries)

    def places(self) -> Iterator[tuple[str, str]]:
        """Yields the name under which facts on each picture are kept, and the file whose state they depend on."""
        base = os.path.abspath(self.root)
        for entry in self.entries:
            if isinstance(entry, str):
                file = os.path.join(base, entry)  # which leaves an absolute one as it is
                yield file, file
            else:  # no name in an archive is a path, and no path holds a NUL
                yield f"{os.path.abspath(entry.archive)}\0{entry.name}", str(entry.archive)

    def chunks(self) -> list[PictureFiles]:
        """Splits the sequence into chunks whose facts are looked up together."""
        return [self[i : i + MOST_NAMES] for i in range(0, len(self), MOST_NAMES)]

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> PictureFiles: ...
    def __getitem__(self, index: int | slice) -> Picture | PictureFiles:
        if isinstance(index, slice):
            return PictureFiles(self.root, self.entries[index])
        entry = self.entries[index]
        return self.root / entry if isinstance(entry, str) else entry


@dataclass
class Listing:
    """What lies below a folder; the lists have one entry per picture, in the order of the ids."""

    ids: list[str]
    pictures: PictureFiles
    groups: list[str | None] | None = None  # where a table gives some
    times_s: list[float | None] | None = None
    captions: dict[str, list[Caption]] = field(default_factory=dict)  # of each item that has some
    ignored: Counter[str] = field(
        default_factory=Counter
    )  # suffix -> how many files are no pictures
    remarks: list[str] = field(default_factory=list)  # on pictures that aren't read


def list_pictures(
    name: str, root: Path, *, only: Container[str] | None = None, labelled: bool = False
) -> Listing:
    """Lists all pictures below ``root``, or those with the ids ``only``, as if archives were unpacked.

    The item id is the path below ``root`` without extension, but with it where that alone tells pictures apart. Names
    that begin with a dot, folders of systems (`found.SYSTEM_FOLDERS`) and runs of our own are left alone.

    Args:
        labelled: the pictures have their texts beside them, so that a saved dataset is read only where there are no
            other pictures: elsewhere it is a copy, or what another program left there.

    Raises:
        BadFile: two pictures of one id, or names that are not UTF-8. KisBenchError: no picture at all, unless ``only``
            some are asked for.
    """
    found: dict[str, str | Found] = {}
    twins: dict[str, list[str | Found]] = {}
    ignored: Counter[str] = Counter()
    problems: list[str] = []
    archives: list[str] = []
    remarks: list[str] = []

    def add(item: str, one: str | Found) -> None:
        if only is not None and item not in only:
            return
        earlier = found.setdefault(item, one)
        if earlier is one:
            return
        if not is_same_picture(get_entry(earlier), get_entry(one)):
            twins.setdefault(item, [earlier]).append(one)
        elif isinstance(earlier, Found) and isinstance(one, Found):
            earlier.captions.extend(one.captions)

    def add_all(paths: Sequence[str]) -> bool:
        opened = track_each(paths, f"{name}: reading archives", unit="archive") if paths else ()
        for path in opened:
            folder = path[: path.rfind("/") + 1]
            for inner in find_in_archive(root / path, ignored):
                add(folder + inner.item_id, inner)
        return bool(paths)

    for path in track_each(walk(root, ignored), f"{name}: listing", unit="file"):
        stem, suffix = os.path.splitext(path)
        if not is_encodable(path):
            problems.append(f"the name {path!r} is not UTF-8; rename the file")
        elif suffix.lower() in IMAGE_SUFFIXES:
            add(stem, path)
        elif suffix.lower() in ARCHIVES or may_be_saved(path):
            archives.append(path)
        else:
            ignored[suffix.lower()] += 1
    saved = [path for path in archives if may_be_saved(path)]
    packed = add_all(sorted({*archives} - {*saved}))
    if labelled and found:
        remarks += leave_saved_out(root, saved, ignored)
    else:
        packed |= add_all(sort_out_saved(root, saved, ignored))
    for item, several in twins.items():
        del found[item]
        suffixes = [get_suffix(one) for one in several]
        ids = [item + suffix for suffix in suffixes]
        if only is not None or not all(suffixes) or len({*ids} - found.keys()) < len(ids):
            places = ", ".join(str(get_entry(one)) for one in several)
            problems.append(f"item {item!r} is there twice: {places}; rename or delete one")
        found.update(zip(ids, several, strict=True))
    if problems:
        raise BadFile(root, sorted(problems))
    if not found and only is None:
        others = ", ".join(
            f"{count} {suffix or 'without suffix'}" for suffix, count in ignored.most_common(5)
        )
        raise KisBenchError(
            f"dataset {name}: no images in {root}; they belong into images/ of the dataset folder; "
            f"read are {', '.join(sorted(IMAGE_SUFFIXES | ARCHIVES))}, and .arrow with {STATE_FILE} and {INFO_FILE}"
            + (f", there are: {others}" if others else "")
            + explain_no_pictures(name)
        )
    if not packed:  # the usual case, in which a million files cost nothing more
        ids = sorted(found)
        loose = [one for item in ids if isinstance(one := found[item], str)]
        return Listing(ids, PictureFiles(root, loose), ignored=ignored, remarks=remarks)
    ids = sort_for_reading({item: get_entry(one) for item, one in found.items()})
    files = PictureFiles(root, [get_entry(found[i]) for i in ids])
    listing = Listing(ids, files, ignored=ignored, remarks=remarks)
    tell_from_tables([found[item] for item in ids], listing)
    return listing


def sort_out_saved(root: Path, paths: Sequence[str], ignored: Counter[str]) -> list[str]:
    """The tables of saved datasets among files, in the order in which texts of a picture go on in the next one.

    Raises:
        BadFile: one that a dataset consists of isn't there.
    """
    files = {root / path: path for path in paths}
    tables, notes = find_saved_tables(files)
    ignored.update(file.suffix.lower() for file in files.keys() - {*tables, *notes})
    return [files[file] for file in tables]


def leave_saved_out(root: Path, paths: Sequence[str], ignored: Counter[str]) -> Iterator[str]:
    """Counts all files of saved datasets as ignored, and says so of each dataset."""
    ignored.update(os.path.splitext(path)[1].lower() for path in paths)
    for state in list_states(root / path for path in paths):
        folder = state.parent.relative_to(root).as_posix()
        yield (
            f"{folder}/ holds a dataset that the library datasets saved, which is not read, because there are labels "
            "and other pictures; move these away to search it"
        )


def tell_from_tables(found: Sequence[str | Found], listing: Listing) -> None:
    """Notes groups, times and captions where tables tell some."""
    groups = [one.group if isinstance(one, Found) else None for one in found]
    times_s = [one.time_s if isinstance(one, Found) else None for one in found]
    if any(group is not None for group in groups):
        listing.groups = groups
    if any(time is not None for time in times_s):
        listing.times_s = times_s
    for item, one in zip(listing.ids, found, strict=True):
        if isinstance(one, Found) and one.captions:
            listing.captions[item] = one.captions


def get_entry(one: str | Found) -> str | Part:
    return one if isinstance(one, str) else one.part


def get_suffix(one: str | Found) -> str:
    return os.path.splitext(one)[1] if isinstance(one, str) else one.suffix


def sort_for_reading(found: Mapping[str, str | Part]) -> list[str]:
    """The ids in order, but for those of one row group, which stay together: reading one of its pictures reads all."""
    first: dict[object, str] = {}  # row group -> its smallest id
    for item, entry in found.items():
        if isinstance(entry, TableCell):
            block = entry.archive, entry.row_group
            first[block] = min(first.get(block, item), item)

    def place(item: str) -> tuple[str, str]:
        entry = found[item]
        return first[entry.archive, entry.row_group] if isinstance(entry, TableCell) else item, item

    return sorted(found, key=place) if first else sorted(found)
