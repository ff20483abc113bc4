"""How far long steps are: the code that does them says so, and whoever watches shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Element = TypeVar("Element")


class Watcher(Protocol):
    """What is told about steps; every method comes from the thread that does the step, and must be quick."""

    def begin(self, step: Step) -> None: ...

    def update(self, step: Step) -> None: ...

    def end(self, step: Step) -> None: ...


@dataclass(eq=False)
class Step:
    """One long step."""

    what: str
    unit: str = ""  # of what is counted, in the singular; bytes are "B"; "" for nothing
    total: int | None = None
    done: int = 0
    began_with: int = 0  # of done, what was there before
    limit: str = ""  # the stage that it waits for longest, where somebody measures that
    started_s: float = field(default_factory=time.time)
    watcher: Watcher | None = None

    def advance(self, n: int = 1) -> None:
        self.done += n
        if self.watcher is not None:
            self.watcher.update(self)


WATCHING: list[Watcher | None] = []  #: the last one is told; None is told nothing


@contextmanager
def watch(watcher: Watcher | None) -> Iterator[None]:
    """Lets it be told about all steps of this process; None: nobody."""
    WATCHING.append(watcher)
    try:
        yield
    finally:
        WATCHING.remove(watcher)


@contextmanager
def track(what: str, *, unit: str = "", total: int | None = None, done: int = 0) -> Iterator[Step]:
    """Opens a step; within it ``advance(n)`` tells how far it is.

    Without `watch`, a line on standard error shows it where that is a terminal.

    Args:
        done: how many of ``total`` there were before.
    """
    watcher = WATCHING[-1] if WATCHING else find_default()
    step = Step(what, unit, total, done, done, watcher=watcher)
    if watcher is not None:
        watcher.begin(step)
    try:
        yield step
    finally:
        if watcher is not None:
            watcher.end(step)


def find_default() -> Watcher | None:
    """The line of a program that uses this package from Python; None unless it runs at a terminal."""
    try:
        if not sys.stderr.isatty():
            return None
        from kis_bench.files.status_line import StatusLine

        return StatusLine(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # no standard error, or one of another kind
        return None


def track_each(
    items: Iterable[Element], what: str, *, unit: str, total: int | None = None
) -> Iterator[Element]:
    """Yields ``items`` as a step that advances with each; their number is ``total`` or their length, if known."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with track(what, unit=unit, total=total) as step:
        for item in items:
            yield item
            step.advance()
