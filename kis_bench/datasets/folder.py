"""Reads a KIS dataset folder: pictures or a list of them, and label files."""

from __future__ import annotations

import difflib
import math
import os
from collections import Counter
from collections.abc import Sequence, Set
from pathlib import Path

from kis_bench.datasets.digests import Digests
from kis_bench.datasets.labels import find_label_files, read_labels
from kis_bench.datasets.layouts import Groups, Layout, Times, require_all_groups
from kis_bench.datasets.left_out import UNLISTED, UNREADABLE_PICTURES, count_by_kind
from kis_bench.datasets.listing import Listing, PictureFiles, list_pictures, walk
from kis_bench.datasets.nearly import find_unread_tables
from kis_bench.datasets.reset import JUDGMENTS_DATABASE, TRIPLET_FILES, Study, is_study, read_study
from kis_bench.datasets.unreadable import leave_out_queries, leave_out_unreadable
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.csv_tables import find_unexpected_columns, parse_seconds, read_rows
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.records import Collection, Dataset

PICTURE_FOLDERS = (
    "images",
    "keyframes",
    "data",
)  #: the first that is there; else the dataset folder itself
OWN_TABLES = {
    "images.csv",
    "labels.csv",
    "participants.csv",
    "triplet_judgements.csv",
    *TRIPLET_FILES,
}
#: Of kis-bench label and kis-bench judge, with what belongs to them and damaged ones beside them.
OWN_DATABASES = ("labels.sqlite", JUDGMENTS_DATABASE)
LISTING_COLUMNS, OPTIONAL_LISTING_COLUMNS = ("item_id", "path"), ("group", "time_s")


def explain_no_folder(folder: Path) -> str:
    """What is wrong with a folder that isn't there, and the names beside it that are much like it."""
    if folder.exists():
        return f"{folder} is a file, not a folder"
    try:
        beside = [entry.name for entry in os.scandir(folder.parent) if entry.is_dir()]
    except OSError:
        beside = []
    close = difflib.get_close_matches(folder.name, beside, n=2, cutoff=0.75)
    return f"there is no folder {folder}" + (
        f" (did you mean {' or '.join(close)}?)" if close else ""
    )


def read_dataset(
    name: str, root: Path, layout: Layout, note: str = "", *, skip_unreadable: bool = False
) -> Dataset:
    """The dataset in a folder. Raises KisBenchError with all problems of its files.

    Args:
        skip_unreadable: leave out pictures that can't be read, with the queries for them, and say so.
    """
    if not root.is_dir():
        raise KisBenchError(f"dataset {name}: {explain_no_folder(root)}")
    files = find_label_files(root)
    study = read_study_in(root, layout)
    collection, ignored = read_images(name, root, layout, only=list_wanted_images(study, files))
    left_out = {} if study is not None and not files else count_by_kind(ignored)
    study = study or Study()
    labels = read_labels(files, collection)
    wrong = [BadFile(file, problems) for file, problems in labels.problems.items() if problems]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else KisBenchError("\n".join(map(str, wrong)))
    queries, unreadable, unasked = tuple(labels.queries), dict[str, str](), tuple[str, ...]()
    if skip_unreadable:
        collection, unreadable = leave_out_unreadable(collection)
        queries, unasked = leave_out_queries(queries, unreadable)
        left_out |= {UNREADABLE_PICTURES: len(unreadable)} if unreadable else {}
    return Dataset(
        name,
        collection,
        queries,
        study.triplets,
        study.judgments,
        study.participants,
        study.distances,
        note,
        (*study.remarks, *note_missing_images(study.images, collection)),
        left_out,
        tuple(find_unread_tables(root, labelled=bool(files))),
        unreadable,
        unasked,
    )


def read_study_in(root: Path, layout: Layout) -> Study | None:
    """The study in a dataset folder; None if neither layout nor files announce one. Raises as ``read_study``."""
    return (
        read_study(root) if root.is_dir() and (layout.name == "reset" or is_study(root)) else None
    )


def list_wanted_images(study: Study | None, labels: Sequence[Path]) -> Set[str] | None:
    """The ids of the images that a study names; None if there are label files, whose queries search all images.

    A study without queries is about few of a million keyframes.
    """
    return study.images if study is not None and not labels else None


def note_missing_images(named: Set[str], collection: Collection) -> list[str]:
    """A remark on images that triplets name and that are missing."""
    absent = sorted(named - collection.position.keys())
    if not absent:
        return []
    if len(absent) == len(named):
        return [
            f"none of the {len(named):,} images that the triplets name is there; put them into keyframes/"
        ]
    return [
        f"{len(absent):,} of {len(named):,} images that the triplets name are missing, such as {', '.join(absent[:3])}"
    ]


def read_images(
    name: str, root: Path, layout: Layout, *, only: Set[str] | None = None
) -> tuple[Collection, Counter[str]]:
    """The images of a dataset folder, and the number of files beside them that are not read, by suffix.

    Nothing is read of an image until its digest is asked for. ``only``: the images of these ids alone, as far
    as they are there, perhaps none.
    """
    table = root / "images.csv"
    if table.is_file():
        listing, groups, times = select_ids(only, *read_listing(table, root))
        if only is None:
            listing.ignored = count_unlisted(root, listing)
    else:
        listing = list_pictures(name, find_picture_folder(root), only=only)
        groups, times = layout.read(root, listing)
        if listing.groups is not None:
            groups = require_all_groups(root, listing, listing.groups)
        if listing.times_s is not None:
            times = tuple(math.nan if time is None else time for time in listing.times_s)
    if find_picture_folder(root) == root:  # there, the tables lie among the pictures
        own = sum(entry.name in OWN_TABLES for entry in root.glob("*.csv"))
        listing.ignored[".csv"] -= own + len(
            [file for file in find_label_files(root) if file.name not in OWN_TABLES]
        )
        for entry in root.glob("*.sqlite*"):
            listing.ignored[entry.suffix.lower()] -= entry.name.startswith(OWN_DATABASES)
    digests = Digests(name, listing.pictures)
    return Collection(
        name, tuple(listing.ids), listing.pictures, digests, groups, times
    ), listing.ignored


def count_unlisted(root: Path, listing: Listing) -> Counter[str]:
    """Number of files per suffix that lie beside the listed pictures but in no row of images.csv."""
    folder = find_picture_folder(root)
    prefix = "" if folder == root else f"{folder.name}/"
    listed = {
        os.path.normpath(entry) for entry in listing.pictures.entries if isinstance(entry, str)
    }
    found: Counter[str] = Counter()
    for path in walk(folder):
        if os.path.normpath(prefix + path) not in listed:
            suffix = os.path.splitext(path)[1].lower()
            found[UNLISTED if suffix in IMAGE_SUFFIXES else suffix] += 1
    return found


def find_picture_folder(root: Path) -> Path:
    return next((root / name for name in PICTURE_FOLDERS if (root / name).is_dir()), root)


def read_listing(file: Path, root: Path) -> tuple[Listing, Groups, Times]:
    """The rows of images.csv, in its order."""
    problems: list[str] = []
    header, rows = read_rows(file, problems)
    if columns := find_unexpected_columns(header, LISTING_COLUMNS, OPTIONAL_LISTING_COLUMNS):
        raise BadFile(
            file, [*columns, "expected item_id,path (optional: group, time_s)", *problems]
        )
    first_line: dict[str, int] = {}
    paths, groups, times = [], [], []
    # Besides the dataset folder itself the picture folder may be a link to where there is more room.
    bases = {str(folder.resolve()) for folder in (root, *(root / name for name in PICTURE_FOLDERS))}
    for line, row in rows:
        item, path = row["item_id"].strip(), row["path"].strip()
        if not item:
            problems.append(f"line {line}: item_id is empty; give each image a name of its own")
        elif item in first_line:
            problems.append(
                f"line {line}: item {item!r} twice, first on line {first_line[item]}; delete one row"
            )
        if not path:
            problems.append(f"line {line}: path is empty; write where the image lies")
        elif not is_within(os.path.realpath(root / path), bases):
            problems.append(
                f"line {line}: path {row['path']!r} leaves the dataset folder; move the image into it"
            )
        elif not os.path.isfile(root / path):
            problems.append(
                f"line {line}: there is no file {root / path}; correct path or add the image"
            )
        first_line.setdefault(item, line)
        paths.append(path)
        groups.append(row.get("group", "").strip())
        times.append(parse_seconds(row.get("time_s", ""), "time_s", line, problems))
    if "group" in header and not all(groups):
        problems.append("group is filled on some rows only; fill all or drop the column")
    if not paths and not problems:
        problems.append("no images; add one row per image")
    if problems:
        raise BadFile(file, problems)
    listing = Listing(list(first_line), PictureFiles(root, paths))
    return (
        listing,
        tuple(groups) if "group" in header else None,
        tuple(times) if "time_s" in header else None,
    )


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


def is_within(path: str, bases: set[str]) -> bool:
    return any(path.startswith(base + os.sep) for base in bases)
