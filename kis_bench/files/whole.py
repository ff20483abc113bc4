"""Writes files that appear whole or not at all, and digests their contents."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from kis_bench.errors import KisBenchError
from kis_bench.records import Picture

CHUNK_BYTES = 2**20  #: bytes read at once, in each of several threads


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file that other processes see whole or not at all, also after a power cut."""
    unfinished: Path | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        with unfinished.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, file)
        unfinished = None
    except OSError as error:
        raise KisBenchError(
            f"{file} can't be written: {error.strerror}; free space or choose another folder"
        ) from error
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


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
    total = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()
