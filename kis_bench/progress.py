"""Progress bars on standard error; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def progress(items: Sequence[T], what: str, *, unit: str, done: int = 0) -> Iterable[T]:
    """``items`` with a bar that starts at ``done``; no bar unless standard error is a terminal."""
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, desc=what, unit=unit, initial=done, total=done + len(items), leave=False)
