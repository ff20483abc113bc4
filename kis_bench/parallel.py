"""Work in threads, in order and within bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from kis_bench.progress import progress

A = TypeVar("A")
B = TypeVar("B")


def ahead(pool: Executor, function: Callable[[A], B], inputs: Iterable[A], most: int) -> Iterator[B]:
    """``map`` in the pool's threads, in order, with at most that many results waiting: memory stays bounded."""
    waiting: deque[Future[B]] = deque()
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


def in_threads(function: Callable[[A], B], inputs: Sequence[A], threads: int, what: str, *, unit: str) -> Iterator[B]:
    """``map`` in so many threads, in order and within bounded memory, under a progress bar."""
    with ThreadPoolExecutor(threads) as pool:
        yield from progress(ahead(pool, function, inputs, 2 * threads), what, unit=unit, total=len(inputs))
