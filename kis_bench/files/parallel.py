"""Runs functions in threads, in order and in bounded memory."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def map_ahead(
    pool: Executor, function: Callable[[In], Out], inputs: Iterable[In], most: int
) -> Iterator[Out]:
    """``map`` in the pool's threads, in order, with at most ``most`` results waiting."""
    waiting: deque[Future[Out]] = deque()
    try:
        for each in inputs:
            waiting.append(pool.submit(function, each))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:  # stopped early: nobody wants the rest
            future.cancel()


def map_in_threads(
    function: Callable[[In], Out],
    inputs: Sequence[In],
    threads: int,
    what: str,
    *,
    unit: str,
) -> Iterator[Out]:
    """``map`` in threads, in order and in bounded memory, with a progress bar."""
    with ThreadPoolExecutor(threads) as pool:
        yield from show_progress(
            map_ahead(pool, function, inputs, 2 * threads), what, unit=unit, total=len(inputs)
        )


Element = TypeVar("Element")


def show_progress(
    items: Iterable[Element], what: str, *, unit: str, done: int = 0, total: int | None = None
) -> Iterable[Element]:
    """Yields ``items`` under a progress bar that starts at ``done``; without one unless standard error is a terminal.

    How many there are in all is told by ``total``, or by their length; without either they are only counted.
    """
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    if total is None and isinstance(items, Sized):
        total = done + len(items)
    return tqdm(items, desc=what, unit=unit, initial=done, total=total, leave=False)
