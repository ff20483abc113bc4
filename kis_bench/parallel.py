"""Work in threads, in order and within bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

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
