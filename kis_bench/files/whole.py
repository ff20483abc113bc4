"""Writes files that appear whole or not at all, and digests their contents."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kis_bench.errors import KisBenchError
from kis_bench.files.strays import claim_hidden, remove_strays
from kis_bench.records import Picture

FAILS = "{folder} can't be written: {why}; free space or choose another folder"
CHUNK_BYTES = 2**20  #: bytes read at once, in each of several threads
#: Flags under which a file is opened: as its bytes, and without waiting for whoever writes into a pipe.
READING_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file that other processes see whole or not at all, also after a power cut."""
    with write_aside(file, content) as unfinished:
        os.replace(unfinished, file)


def write_first(file: Path, content: bytes) -> bool:
    """Writes a file as `write_whole`, unless there is one: of several processes only one does; whether it was this."""
    with write_aside(file, content) as unfinished:
        try:
            os.link(unfinished, file)
        except FileExistsError:
            return False
        except OSError:  # disks that know no links
            if file.exists():
                return False
            os.replace(unfinished, file)
    return True


@contextlib.contextmanager
def write_aside(file: Path, content: bytes) -> Iterator[Path]:
    """A hidden file beside a file, with its content, safe on the disk; gone after the block.

    Raises:
        KisBenchError: it can't be written, or an OSError within the block.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with claim_hidden(file) as unfinished:
            with unfinished.open("r+b") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            yield unfinished
    except OSError as error:
        raise KisBenchError(
            f"{file} can't be written: {error.strerror}; free space or choose another folder"
        ) from error


@contextlib.contextmanager
def fill_folder(folder: Path, *, fails: str = FAILS) -> Iterator[Path]:
    """A hidden folder, whose files are in a folder once the block has ended well: all at once if that wasn't there.

    Else each of them in one step; other files that are there stay.

    Args:
        fails: what to say where that can't be, of ``{folder}`` and ``{why}``.

    Raises:
        KisBenchError: it can't be written, or an OSError within the block.
    """
    try:
        place = folder / "new" if folder.exists() else folder
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(place.parent)
        with claim_hidden(place, folder=True) as hidden:
            yield hidden
            with contextlib.suppress(OSError):
                if not folder.exists():
                    hidden.rename(folder)
            if hidden.exists():
                move_files(hidden, folder)
    except OSError as error:
        raise KisBenchError(fails.format(folder=folder, why=error.strerror or error)) from error


def move_files(source: Path, target: Path, *, last: Sequence[str] = ()) -> None:
    """Moves all that lies in a folder to its place in another, each file in one step, some of them last."""
    order = {name: place for place, name in enumerate(last)}
    for place in sorted(source.rglob("*"), key=lambda place: order.get(place.name, -1)):
        there = target / place.relative_to(source)
        if place.is_dir():
            there.mkdir(parents=True, exist_ok=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            os.replace(place, there)


def require_writable(folder: Path, what: str) -> None:
    """Raises KisBenchError, in the words ``what``, unless files can be made in a folder, or in that it would lie in.

    Nothing stays there, and the folder isn't made.
    """
    near = folder.absolute()
    while not near.exists() and not near.is_symlink() and near != near.parent:
        near = near.parent
    try:
        with tempfile.TemporaryFile(dir=near):
            pass
    except OSError as error:
        raise KisBenchError(
            f"{what}: {near}: {error.strerror or error}; free space, or name another folder"
        ) from error


def digest_content(file: Picture) -> str:
    """SHA-256 of the bytes of a file, or of a picture inside an archive."""
    return digest_chunks(read_chunks(file))


def digest_chunks(chunks: Iterable[bytes]) -> str:
    """SHA-256 of the bytes of all chunks together."""
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(chunk)
    return total.hexdigest()


def read_chunks(file: Picture, n_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yields the bytes of a file, so many at once; those of a picture inside an archive all at once.

    Raises:
        OSError: it can't be read, or is no file.
    """
    if not isinstance(file, Path):
        yield file.read_bytes()
        return
    opened = open_regular(file)
    try:
        while chunk := os.read(opened, n_bytes):
            yield chunk
    finally:
        os.close(opened)


def open_regular(file: Path) -> int:
    """A descriptor of a file, to read its bytes.

    Raises:
        OSError: it can't be read, or is no file: a pipe would be waited for, and a device may never end.
    """
    opened = os.open(file, READING_FLAGS)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "no regular file", str(file))
    return opened
