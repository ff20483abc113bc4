"""Pictures inside larger files: Parquet tables (`picture_tables`), and tar archives such as shards of WebDataset.

Nothing is ever unpacked: a picture is read where it lies, so names inside an archive lead nowhere.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kis_bench.datasets.found import SPECIAL_FILES, Found, is_encodable, is_hidden
from kis_bench.datasets.picture_tables import find_in_parquet
from kis_bench.errors import BadFile
from kis_bench.files.cache import find_once
from kis_bench.files.picture_formats import IMAGE_SUFFIXES

NOWHERE = -1  #: offset of a pipe or device, which has no content


@dataclass(frozen=True, slots=True)
class TarMember:
    archive: Path
    name: str
    offset: int  # bytes from the start of the archive
    size: int  # bytes

    def read_bytes(self) -> bytes:
        with self.archive.open("rb") as stream:
            stream.seek(self.offset)
            content = stream.read(self.size)
        if len(content) < self.size:
            raise OSError(f"the archive ends within {self.name}")
        return content

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


def find_in_archive(archive: Path, ignored: Counter[str]) -> Iterator[Found]:
    """Yields the pictures of one archive, and counts its other files by suffix in ``ignored``.

    Raises:
        BadFile: it is damaged, or not of the form that is read.
    """
    if archive.suffix.lower() != ".tar":
        yield from find_in_parquet(archive, ignored)
        return
    for name, offset, size in list_members(archive):
        if offset == NOWHERE:
            ignored[SPECIAL_FILES] += 1
            continue
        suffix = PurePosixPath(name).suffix
        if suffix.lower() not in IMAGE_SUFFIXES:
            ignored[suffix.lower()] += 1
            continue
        part = TarMember(archive, name, offset, size)
        yield Found(name.removesuffix(suffix), part, suffix=suffix)


def list_members(archive: Path) -> list[tuple[str, int, int]]:
    """Name, offset and size of the files in a tar archive; read again only when the archive has changed."""
    try:
        listed = find_once("tar", archive, lambda file: json.dumps(read_members(file)))
        return [(name, offset, size) for name, offset, size in json.loads(listed)]
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        remedy = "copy it again; a compressed one has to be decompressed"
        raise BadFile(archive, [f"not a readable tar archive ({error}); {remedy}"]) from error


def read_members(archive: Path) -> list[tuple[str, int, int]]:
    problems: list[str] = []
    found: list[tuple[str, int, int]] = []
    length = archive.stat().st_size
    with tarfile.open(archive, "r:") as tar:
        before = -1
        for entry in tar:
            if entry.size < 0 or entry.offset <= before:  # would be listed for ever (CVE-2025-8194)
                raise tarfile.ReadError("a member of negative size")
            before = entry.offset
            name = entry.name.removeprefix("./")
            if entry.isdir() or any(map(is_hidden, PurePosixPath(name).parts)):
                continue
            if entry.isfifo() or entry.isdev():
                found.append((name, NOWHERE, 0))
            elif not entry.isfile() or entry.issparse():
                problems.append(f"{name} is a link or a sparse file; pack the file itself")
            elif entry.offset_data + entry.size > length:
                problems.append(f"{name} is cut off by the end of the archive; copy it again")
            elif "\ufffd" in name or not is_encodable(name):
                problems.append(f"{name!r} is not UTF-8; rename it")
            else:
                found.append((name, entry.offset_data, entry.size))
        if not has_end_mark(archive, tar.offset):  # where no further header was found
            problems.append(
                "it has no end mark behind its last member: cut off, damaged, or two in one; copy it again"
            )
    if problems:
        raise BadFile(archive, problems)
    return found


def has_end_mark(archive: Path, end: int) -> bool:
    """Whether a tar archive consists of zeros, at least one block of them, from ``end`` on.

    Python's reader takes a damaged header for the end, and would lose all that comes behind it without a word.
    """
    with archive.open("rb") as stream:
        stream.seek(end)
        rest = 0
        while chunk := stream.read(2**20):
            if chunk.count(0) < len(chunk):
                return False
            rest += len(chunk)
    return rest >= tarfile.BLOCKSIZE
