"""Progress bars on standard error; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sized
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], what: str, *, unit: str, done: int = 0, total: int | None = None) -> Iterable[T]:
    """``items`` with a bar that starts at ``done``; no bar unless standard error is a terminal.

    How many there are in all is told by ``total``, or by their length; without either they are only counted.
    """
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    if total is None and isinstance(items, Sized):
        total = done + len(items)
    return tqdm(items, desc=what, unit=unit, initial=done, total=total, leave=False)
