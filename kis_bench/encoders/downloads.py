"""Large files from the network: shown while they come, gone on with where they stopped, whole or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kis_bench.errors import KisBenchError
from kis_bench.files.progress import Step, track
from kis_bench.files.whole import digest_content

DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
)


class CountedFile:
    """An open file, each write to which advances a step to where the file ends."""

    def __init__(self, file: BinaryIO, step: Step) -> None:
        self.file, self.step = file, step

    def write(self, content: bytes) -> int:
        n = self.file.write(content)
        self.step.advance(self.file.tell() - self.step.done)
        return n

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@contextmanager
def hide_bars() -> Iterator[None]:
    """Keeps the client's own bars away, which know nothing of what else is on the terminal."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def download(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str = "",
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Fetches ``url`` into ``target``; what an earlier attempt left in ``target.part`` is continued.

    Args:
        size: bytes, where known.
        sha256: of the whole file, or its first digits, where known.

    Raises:
        KisBenchError: the server can't be reached or refuses, the disk is full, or the content is another.
    """
    from huggingface_hub.errors import HTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock

    part, lock = (target.with_name(target.name + end) for end in (".part", ".lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if target.exists():  # another process was quicker
                return target
            with part.open("ab") as stream:
                # One byte is asked for again: servers refuse a range that starts at the end.
                there = max(stream.tell() - 1, 0)
                there = 0 if size is not None and there >= size else there
                stream.truncate(there)
                what = f"downloading {url.rpartition('/')[2]}"
                with hide_bars(), track(what, unit="B", total=size, done=there) as step:
                    counted: Any = CountedFile(stream, step)
                    told = dict(headers or {})
                    http_get(url, counted, resume_size=there, headers=told, expected_size=size)
            if sha256 and not (found := digest_content(part)).startswith(sha256):
                part.unlink()
                raise KisBenchError(
                    f"{url} has the digest {found}, expected was {sha256}; it is thrown away"
                )
            os.replace(part, target)
            lock.unlink(missing_ok=True)  # whoever waited for it finds the target
    except (OSError, HTTPError) as error:
        if isinstance(error, OSError) and error.errno in DISK:
            message = f"{target} can't be written: {error.strerror}; what came is kept"
            raise KisBenchError(message) from error
        raise KisBenchError(
            f"{url} can't be downloaded: {error}; what came is kept, run the command again"
        ) from error
    return target
