"""Reads images.csv, which says for each picture what file names otherwise tell."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kis_bench.datasets.layouts import Groups, Times
from kis_bench.datasets.listing import Listing, PictureFiles
from kis_bench.errors import BadFile
from kis_bench.files.csv_tables import find_unexpected_columns, parse_seconds, read_rows

IMAGE_LIST = "images.csv"
LISTING_COLUMNS, OPTIONAL_LISTING_COLUMNS = ("item_id", "path"), ("group", "time_s")


def read_image_list(
    file: Path, root: Path, picture_folders: Iterable[str]
) -> tuple[Listing, Groups, Times]:
    """The rows of images.csv, in its order; links in the dataset folder are followed.

    Args:
        picture_folders: folders below ``root`` that pictures may lie in, though they be links to where there is room.

    Raises:
        BadFile: with all problems of the table.
    """
    problems: list[str] = []
    header, rows = read_rows(file, problems)
    if columns := find_unexpected_columns(header, LISTING_COLUMNS, OPTIONAL_LISTING_COLUMNS):
        raise BadFile(
            file, [*columns, "expected item_id,path (optional: group, time_s)", *problems]
        )
    first_line: dict[str, int] = {}
    paths, groups, times = [], [], []
    bases = {str(folder.resolve()) for folder in (root, *(root / name for name in picture_folders))}
    for line, row in rows:
        item, path = row["item_id"].strip(), find_path(root, row["path"].strip())
        if not item:
            problems.append(f"line {line}: item_id is empty; give each image a name of its own")
        elif item in first_line:
            problems.append(
                f"line {line}: item {item!r} twice, first on line {first_line[item]}; delete one row"
            )
        if not path:
            problems.append(f"line {line}: path is empty; write where the image lies")
        elif not lies_within(root, path, bases):
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


def find_path(root: Path, written: str) -> str:
    """A path as it is written, or with the slashes of this system where only those are wrong."""
    turned = written.replace("\\", "/")
    return written if turned == written or os.path.isfile(root / written) else turned


def lies_within(root: Path, path: str, bases: set[str]) -> bool:
    """Whether a path stays in the dataset folder: as it is written, or when all links are followed."""
    if ".." not in Path(path).parts:
        place, bases = os.path.abspath(root / path), {os.path.abspath(root), *bases}
        if any(place.startswith(base + os.sep) for base in bases):
            return True
    return any(os.path.realpath(root / path).startswith(base + os.sep) for base in bases)
