"""Lists the pictures of a dataset folder, by `images.csv` or by what lies there, with their groups and times."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.captions import Caption
from kis_bench.datasets.digests import Digests
from kis_bench.datasets.file_tree import walk
from kis_bench.datasets.image_lists import IMAGE_LIST, read_image_list
from kis_bench.datasets.label_formats import FoundLabels
from kis_bench.datasets.layouts import Groups, Layout, NamedGroups, Times, require_all_groups
from kis_bench.datasets.left_out import STRAYS, UNLISTED
from kis_bench.datasets.listing import Listing, PictureFiles, list_pictures
from kis_bench.datasets.picture_folder import PICTURE_FOLDERS, find_picture_folder
from kis_bench.datasets.reset import JUDGMENTS_DATABASE, TRIPLET_FILES
from kis_bench.errors import BadFile
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.text import list_first_names
from kis_bench.records import Collection

OWN_TABLES = {
    IMAGE_LIST,
    "labels.csv",
    "participants.csv",
    "triplet_judgements.csv",
    *TRIPLET_FILES,
}
#: Of kis-bench label and kis-bench judge, with what belongs to them and damaged ones beside them.
OWN_DATABASES = ("labels.sqlite", JUDGMENTS_DATABASE)


@dataclass(frozen=True)
class ListedPictures:
    """The images of a dataset folder, and what lies beside them."""

    collection: Collection
    ignored: Counter[str]  # suffix -> how many files are not searched
    strays: str  # names the images that the layout can't place, and why; empty if there are none
    captions: Mapping[str, Sequence[Caption]]  # item id -> texts in tables that may be queries
    remarks: Sequence[str]  # on pictures that aren't read


def read_images(
    name: str,
    root: Path,
    layout: Layout,
    *,
    only: Set[str] | None = None,
    labels: FoundLabels | None = None,
) -> ListedPictures:
    """The images of a dataset folder, but for the few that its layout can't place.

    Nothing is read of an image until its digest is asked for.

    Args:
        only: the images of these ids alone, as far as they are there, perhaps none.
        labels: of the folder; their files aren't counted as files that lie among the pictures.
    """
    table, strays, captions = root / IMAGE_LIST, "", dict[str, list[Caption]]()
    remarks: list[str] = []
    groups: Groups
    if table.is_file():
        listing, groups, times = select_ids(only, *read_image_list(table, root, PICTURE_FOLDERS))
        if only is None:
            listing.ignored = count_unlisted(root, listing)
    else:
        labelled = labels is None or not labels.in_tables or only is not None
        folder = find_picture_folder(root)
        listing = list_pictures(name, folder, only=only, labelled=labelled)
        remarks = listing.remarks
        captions = listing.captions if only is None else {}
        named, times = layout.read(root, listing)
        if listing.groups is not None:
            groups = require_all_groups(root, listing, listing.groups)
        else:
            listing, groups, times, strays = leave_strays_out(root, layout, listing, named, times)
        if listing.times_s is not None:
            times = tuple(math.nan if time is None else time for time in listing.times_s)
    own_tables: set[Path] = set()
    if find_picture_folder(root) == root:  # there, the tables lie among the pictures
        own_tables = {entry for entry in root.glob("*.csv") if entry.name in OWN_TABLES}
        listing.ignored[".csv"] -= len(own_tables)
        for entry in root.glob("*.sqlite*"):
            listing.ignored[entry.suffix.lower()] -= entry.name.startswith(OWN_DATABASES)
    for file in labels.files if labels is not None and labels.beside else ():
        if find_picture_folder(root) in file.parents and file not in own_tables:
            listing.ignored[file.suffix.lower()] -= 1
    digests = Digests(name, listing.pictures)
    collection = Collection(name, tuple(listing.ids), listing.pictures, digests, groups, times)
    return ListedPictures(collection, listing.ignored, strays, captions, remarks)


def count_unlisted(root: Path, listing: Listing) -> Counter[str]:
    """Number of files per suffix that lie beside the listed pictures but in no row of images.csv."""
    folder = find_picture_folder(root)
    prefix = "" if folder == root else f"{folder.name}/"
    listed = {
        os.path.normpath(entry) for entry in listing.pictures.entries if isinstance(entry, str)
    }
    found: Counter[str] = Counter()
    for path in walk(folder, found):
        if os.path.normpath(prefix + path) not in listed:
            suffix = os.path.splitext(path)[1].lower()
            found[UNLISTED if suffix in IMAGE_SUFFIXES else suffix] += 1
    return found


def select_ids(
    only: Set[str] | None, listing: Listing, groups: Groups, times: Times
) -> tuple[Listing, Groups, Times]:
    """A listing, or the part of it with the ids ``only``."""
    if only is None:
        return listing, groups, times
    places = [i for i, item in enumerate(listing.ids) if item in only]
    entries = [listing.pictures.entries[i] for i in places]
    return (
        Listing([listing.ids[i] for i in places], PictureFiles(listing.pictures.root, entries)),
        None if groups is None else tuple(groups[i] for i in places),
        None if times is None else tuple(times[i] for i in places),
    )


def leave_strays_out(
    root: Path, layout: Layout, listing: Listing, groups: NamedGroups, times: Times
) -> tuple[Listing, Groups, Times, str]:
    """The pictures that have a group, or all if nobody knows groups, and words that name the others.

    Raises:
        BadFile: those without a group are more than the others, so that the layout isn't that of this folder.
    """
    if groups is None:
        return listing, None, times, ""
    strays = [item for item, group in zip(listing.ids, groups, strict=True) if group is None]
    placed = tuple(group for group in groups if group is not None)
    if not strays:
        return listing, placed, times, ""
    if len(strays) > len(placed):
        raise BadFile(root, [f"{item}: {layout.needs}" for item in strays])
    kept = {*listing.ids} - {*strays}
    ignored = listing.ignored + Counter({STRAYS: len(strays)})
    all_groups = tuple(group or "" for group in groups)
    listing, _, times = select_ids(kept, listing, all_groups, times)
    listing.ignored = ignored
    return listing, placed, times, f"{list_first_names(strays, 3)}: {layout.needs}"
