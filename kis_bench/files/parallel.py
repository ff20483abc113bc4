"""Runs functions in threads, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from kis_bench.files.progress import track_each

In = TypeVar("In")
Out = TypeVar("Out")


def map_ahead(
    pool: Executor, function: Callable[[In], Out], inputs: Iterable[In], most: int
) -> Generator[Out, None, None]:
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
    """``map`` in threads, in order and in bounded memory, as a step that is tracked."""
    with ThreadPoolExecutor(threads) as pool:
        yield from track_each(
            map_ahead(pool, function, inputs, 2 * threads), what, unit=unit, total=len(inputs)
        )
