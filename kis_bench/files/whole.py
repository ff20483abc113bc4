"""Writes files that appear whole or not at all, and digests their contents."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kis_bench.errors import KisBenchError
from kis_bench.files.strays import claim_hidden
from kis_bench.records import Picture

CHUNK_BYTES = 2**20  #: bytes read at once, in each of several threads


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
    if not isinstance(file, Path):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    with file.open("rb") as stream:
        return digest_stream(stream)


def digest_stream(stream: IO[bytes]) -> str:
    """SHA-256 of what follows in a stream."""
    total = hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        total.update(chunk)
    return total.hexdigest()
