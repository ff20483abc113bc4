"""The folder of things that can be made again, and the digests of large files in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files import content_digest, write_whole


def folder(kind: str) -> Path:
    """``KIS_CACHE`` or the user's cache folder, and in it the folder for one kind of things."""
    import platformdirs

    return Path(os.environ.get("KIS_CACHE") or platformdirs.user_cache_dir("kis-bench")) / kind


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; read again only when size or time of change differ.

    Raises:
        BadFile: it can't be read.
    """
    try:
        about = file.stat()
        path = str(file.resolve())
        state = {"file": path, "bytes": about.st_size, "changed_ns": about.st_mtime_ns}
        note = folder("digests") / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"
        try:
            known = json.loads(note.read_text(encoding="utf-8"))
            if {name: known.get(name) for name in state} == state:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, AttributeError):
            pass  # not there or damaged: it is made again
        digest = content_digest(file)
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    write(note, json.dumps({**state, "sha256": digest}))
    return digest


def write(file: Path, text: str) -> None:
    """Whole or not at all; a cache that can't be written costs time, not the result."""
    with contextlib.suppress(KisBenchError):
        write_whole(file, text.encode())
