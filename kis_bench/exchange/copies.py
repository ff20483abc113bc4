"""Copies folders from and to object stores: whole files only, and none that is there already."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.object_stores import (
    NothingThere,
    ObjectFolder,
    StoredFile,
    open_object_folder,
)
from kis_bench.files.progress import track
from kis_bench.files.strays import HIDDEN, claim_hidden, remove_strays
from kis_bench.threads import map_ahead

SAME_TIME_S = 0.01  #: disks round times


@dataclass(frozen=True)
class CopyCounts:
    """What a copy did."""

    files: int
    bytes: int
    already_there: int


def copy_folder(source: str, target: str, *, threads: int) -> CopyCounts:
    """Copies a folder from or to an object store; exactly one of the two is a URL.

    A file stays as it is in the target where size and time say so: a local one has exactly the time of its object,
    which it got when it was copied, an object is at least as new as the local file. Where a store tells no times,
    the size decides alone. Nothing is deleted.

    Raises:
        KisBenchError: wrong names, or a file can't be read or written; what was finished is kept.
    """
    if ("://" in source) == ("://" in target):
        raise KisBenchError(
            "one of SOURCE and TARGET is a URL such as s3://bucket/folder, the other a folder here"
        )
    if "://" in source:
        return copy_from_store(open_object_folder(source), Path(target), threads)
    return copy_to_store(Path(source), open_object_folder(target), threads)


def copy_from_store(store: ObjectFolder, folder: Path, threads: int) -> CopyCounts:
    """Copies all files of a store's folder into one of this machine."""
    files = store.list_files()
    if not files:
        raise KisBenchError(f"{store.shown}: there is no file in it, or no such folder")
    refuse_outer_names(store.shown, files)
    refuse_links(folder, files)
    stop = threading.Event()

    def go_on() -> None:
        if stop.is_set():
            raise KisBenchError("stopped")

    def fetch(name: str) -> None:
        file, place = files[name], folder / name
        try:
            with claim_hidden(place) as hidden:
                store.read(file, hidden, go_on)
                if hidden.stat().st_size != file.size:
                    store.fail(f"{name} has other bytes than were listed; it changed, or was cut")
                with hidden.open("r+b") as stream:
                    os.fsync(stream.fileno())
                if file.changed_s is not None:
                    os.utime(hidden, (file.changed_s, file.changed_s))
                hidden.replace(place)
        except OSError as error:
            raise explain_disk(place, error) from error

    wanted = {}
    for name, file in files.items():
        place = folder / name
        with suppress(FileNotFoundError, NotADirectoryError):
            about = place.stat()
            there = StoredFile(str(place), about.st_size, about.st_mtime)
            if is_same(file, there) and is_near(file.changed_s, there.changed_s):
                continue
        wanted[name] = file
    for parent in {(folder / name).parent for name in files}:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_disk(parent, error) from error
        remove_strays(parent)
    return copy_each(fetch, wanted, len(files), threads, stop)


def copy_to_store(folder: Path, store: ObjectFolder, threads: int) -> CopyCounts:
    """Copies all files of a folder of this machine into one of a store."""
    files = list_local_files(folder)
    refuse_outer_names(str(folder), files)
    if store.protocol in ("file", "local"):
        refuse_links(Path(store.root), files)
    there: dict[str, StoredFile] = {}
    with suppress(NothingThere):
        there = store.list_files()
    wanted = {
        name: file
        for name, file in files.items()
        if not (name in there and is_same(file, there[name]) and is_older(file, there[name]))
    }
    return copy_each(
        lambda name: store.write(Path(files[name].place), name),
        wanted,
        len(files),
        threads,
        threading.Event(),
    )


def copy_each(
    copy: Callable[[str], None],
    wanted: Mapping[str, StoredFile],
    n_files: int,
    threads: int,
    stop: threading.Event,
) -> CopyCounts:
    """Copies the wanted files, several at once; what was begun ends before an error or Ctrl-C goes on.

    Args:
        stop: set then; what is read can be left unfinished.
    """
    total = sum(file.size for file in wanted.values())
    with (
        track("copy", unit="B", total=total) as step,
        ThreadPoolExecutor(threads) as pool,
    ):
        try:
            done = map_ahead(pool, copy, wanted, 2 * threads)
            for file, _ in zip(wanted.values(), done, strict=True):
                step.advance(file.size)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return CopyCounts(len(wanted), total, n_files - len(wanted))


def list_local_files(folder: Path) -> dict[str, StoredFile]:
    """All files of a folder by their names in it; unfinished ones are left out, links to files are read.

    Raises:
        KisBenchError: there is none, one can't be read, or a folder is a link.
    """

    def fail(error: OSError) -> None:
        raise KisBenchError(f"{error.filename}: {error.strerror}")

    found = {}
    for parent, inner, names in os.walk(folder, onerror=fail):
        for name in inner:
            if Path(parent, name).is_symlink():
                raise KisBenchError(
                    f"{Path(parent, name)} is a link to another folder; copy that by itself"
                )
        for name in names:
            place = Path(parent, name)
            if HIDDEN.fullmatch(name):
                continue
            if not place.is_file():
                raise KisBenchError(f"{place} is no file, or a link to none")
            about = place.stat()
            key = place.relative_to(folder).as_posix()
            found[key] = StoredFile(str(place), about.st_size, about.st_mtime)
    if not found:
        raise KisBenchError(f"{folder}: there is no file in it")
    return found


def refuse_outer_names(where: str, names: Iterable[str]) -> None:
    """Raises BadFile unless every name stays within its folder on all systems, and no file is another's folder."""
    known = set(names)
    problems = []
    for name in sorted(known):
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts) or set(name) & {"\\", "\0"}:
            problems.append(f"{name!r} can't be the name of a file in a folder")
        elif os.name == "nt" and ":" in name:
            problems.append(f"{name!r} can't be the name of a file on Windows")
        elif any("/".join(parts[:n]) in known for n in range(1, len(parts))):
            problems.append(f"{name!r}: a file has the name of its folder")
    if problems:
        raise BadFile(where, problems)


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Raises KisBenchError if a file, or a folder that it lies in, is a link, which may lead out of the folder."""
    places = {Path(name) for name in names}
    places |= {parent for place in places for parent in place.parents} - {Path()}
    for place in sorted(places):
        if (folder / place).is_symlink():
            raise KisBenchError(
                f"{folder / place} is a link, through which nothing is written; remove it"
            )


def is_same(source: StoredFile, target: StoredFile) -> bool:
    return source.size == target.size


def is_near(one_s: float | None, other_s: float | None) -> bool:
    return one_s is None or other_s is None or abs(one_s - other_s) < SAME_TIME_S


def is_older(source: StoredFile, target: StoredFile) -> bool:
    """Whether a target is at least as new, as far as anybody tells."""
    times = source.changed_s, target.changed_s
    return times[0] is None or times[1] is None or times[0] <= times[1]


def explain_disk(place: Path, error: OSError) -> KisBenchError:
    return KisBenchError(
        f"{place} can't be written: {error.strerror}; free space or choose another folder"
    )
