"""Remembers what was found in files as long as they stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

Seen = TypeVar("Seen")
MOST_REMEMBERED = 1024  #: files


def remember_by_state(look: Callable[[Path], Seen]) -> Callable[[Path], Seen]:
    """The same, but a file whose size and time of change are as before isn't looked into again."""

    @lru_cache(maxsize=MOST_REMEMBERED)
    def look_once(file: Path, size: int, changed_ns: int) -> Seen:
        return look(file)

    @wraps(look)
    def look_again(file: Path) -> Seen:
        try:
            about = file.stat()
        except OSError:  # told by those who read it
            return look(file)
        return look_once(file.absolute(), about.st_size, about.st_mtime_ns)

    return look_again
