"""A KIS dataset folder: images/ or images.csv, and labels.csv."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kis_bench.datasets.labels import read_queries, read_rows
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files import content_digest
from kis_bench.records import Collection, Dataset

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
COLUMNS, OPTIONAL = ("item_id", "path"), ("group", "time_s")


def read_dataset(name: str, root: Path, note: str = "") -> Dataset:
    """The dataset in a folder. Raises KisBenchError with all problems of the first bad file."""
    if not root.is_dir():
        raise KisBenchError(f"dataset {name}: there is no folder {root}")
    collection = read_collection(name, root)
    labels = root / "labels.csv"
    if not labels.is_file():
        raise KisBenchError(f"dataset {name}: {labels} is missing; its columns are query_id,item_id,label_set,text")
    return Dataset(name, collection, read_queries(labels, collection.position), note=note)


def read_collection(name: str, root: Path) -> Collection:
    listing = root / "images.csv"
    if listing.is_file():
        ids, paths, groups, times = read_listing(listing, root)
    else:
        ids, paths = list_images(name, root / "images")
        groups, times = None, None
    return Collection(name, tuple(ids), tuple(paths), content_digests(paths), groups, times)


def list_images(name: str, images: Path) -> tuple[list[str], list[Path]]:
    """Item ids (path below images/ without extension) and files, in the order of the ids."""
    if not images.is_dir():
        raise KisBenchError(f"dataset {name}: {images.parent} has neither images.csv nor a folder images/")
    found: dict[str, list[Path]] = {}
    for file in images.rglob("*"):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            found.setdefault(file.relative_to(images).with_suffix("").as_posix(), []).append(file)
    twice = [
        f"item {item!r} is there twice: {', '.join(sorted(f.name for f in files))}; rename or delete one"
        for item, files in sorted(found.items())
        if len(files) > 1
    ]
    if twice:
        raise BadFile(images, twice)
    if not found:
        raise KisBenchError(f"dataset {name}: no images in {images}; read are {', '.join(sorted(SUFFIXES))}")
    ids = sorted(found)
    return ids, [found[item][0] for item in ids]


def read_listing(
    file: Path, root: Path
) -> tuple[list[str], list[Path], tuple[str, ...] | None, tuple[float, ...] | None]:
    header, rows = read_rows(file)
    missing = [f"line 1: missing column {c!r}" for c in COLUMNS if c not in header]
    unknown = [f"line 1: unknown column {c!r}" for c in header if c not in COLUMNS + OPTIONAL]
    if missing or unknown:
        raise BadFile(file, [*missing, *unknown, "expected item_id,path (optional: group, time_s)"])
    problems: list[str] = []
    first_line: dict[str, int] = {}
    paths, groups, times = [], [], []
    base = root.resolve()
    for line, row in rows:
        item, path = row["item_id"].strip(), root / row["path"].strip()
        if not item:
            problems.append(f"line {line}: item_id is empty")
        elif item in first_line:
            problems.append(f"line {line}: item {item!r} twice, first on line {first_line[item]}; delete one row")
        if not path.resolve().is_relative_to(base):
            problems.append(f"line {line}: path {row['path']!r} leaves the dataset folder")
        elif not path.is_file():
            problems.append(f"line {line}: there is no file {path}")
        first_line.setdefault(item, line)
        paths.append(path)
        groups.append(row.get("group", "").strip())
        times.append(seconds(row.get("time_s", ""), line, problems))
    if "group" in header and not all(groups):
        problems.append("group is filled on some rows only; fill all or drop the column")
    if problems:
        raise BadFile(file, problems)
    if not paths:
        raise BadFile(file, ["no images; add one row per image"])
    return (
        list(first_line),
        paths,
        tuple(groups) if "group" in header else None,
        tuple(times) if "time_s" in header else None,
    )


def seconds(cell: str, line: int, problems: list[str]) -> float:
    if not cell.strip():
        return math.nan  # not known, and said so
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        problems.append(f"line {line}: time_s {cell!r} is not a number of seconds")
    return value


def content_digests(paths: list[Path]) -> tuple[str, ...]:
    """SHA-256 of each file's bytes."""

    def digest_of(path: Path) -> str:
        try:
            return content_digest(path)
        except OSError as error:
            raise BadFile(path, [f"can't be read: {error.strerror}"]) from error

    with ThreadPoolExecutor(4) as pool:
        return tuple(pool.map(digest_of, paths))
