"""Large files from the network: shown while they come, gone on with where they stopped, whole or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from kis_bench.errors import KisBenchError
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
                http_get(
                    url, stream, resume_size=there, headers=dict(headers or {}), expected_size=size
                )
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
