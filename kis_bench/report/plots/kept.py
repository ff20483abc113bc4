"""Plots that were drawn before, in the cache: by the digest of all that they follow from, and no more than so many."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kis_bench.files.cache import find_folder, keep_bytes

CACHED_BYTES = 200_000_000  #: of all plots in the cache; those that were used longest ago go first
DIGEST_BYTES = 32
UNFINISHED_S = 3600  #: a file without its name after so long was left by a process that was killed


def find_plot(name: str, forms: Sequence[str]) -> dict[str, bytes] | None:
    """The content of a plot in these forms; None unless all are there and whole."""
    found = {}
    for form in forms:
        file = find_folder("figures") / f"{name}-{form}"
        try:
            content = file.read_bytes()
        except OSError:
            return None
        data = content[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != content[:DIGEST_BYTES]:
            return None
        found[form] = data
        with contextlib.suppress(OSError):
            os.utime(file)
    return found


def keep_plot(name: str, content: Mapping[str, bytes]) -> None:
    """Keeps the content of a plot; where that can't be, it is drawn anew the next time."""
    for form, data in content.items():
        keep_bytes(find_folder("figures") / f"{name}-{form}", hashlib.sha256(data).digest() + data)


def prune_plots() -> None:
    """Removes what was used longest ago until the rest takes at most `CACHED_BYTES`."""
    total, now = 0, time.time()
    with contextlib.suppress(OSError):
        files = [(entry.stat(), entry) for entry in os.scandir(find_folder("figures"))]
        for state, entry in sorted(files, key=lambda each: -each[0].st_mtime):
            total += state.st_size
            old = entry.name.startswith(".") and now - state.st_mtime > UNFINISHED_S
            if total > CACHED_BYTES or old:
                Path(entry).unlink(missing_ok=True)
