"""How many threads numpy's matrix products run on, and work that is shared out to threads of one product each."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

MANY_TERMS = (
    2**29
)  #: multiplications of a product of matrices, from which on several threads are worth it

In = TypeVar("In")
Out = TypeVar("Out")


class BlasHold:
    """One limit of one thread for all who ask for it at once: the first sets it, the last takes it back.

    It holds for the whole process. If each took back what it found, who came second would take back the limit itself.
    """

    def __init__(self) -> None:
        self.lock, self.holders = threading.Lock(), 0
        self.limit: Any = None
        self.threads = 1  # before the limit

    def __enter__(self) -> None:
        with self.lock:
            if self.holders == 0:
                self.threads = read_blas_threads()
                self.limit = find_blas().limit(limits=1, user_api="blas")
            self.holders += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                self.limit.restore_original_limits()

    def count_threads(self) -> int:
        """Threads of a product of matrices, but for this limit."""
        with self.lock:
            return self.threads if self.holders else read_blas_threads()


HOLD = BlasHold()


@contextmanager
def one_blas_thread(terms: int = 0) -> Iterator[None]:
    """Runs the matrix products inside on one thread, unless each takes `MANY_TERMS` multiplications or more.

    Threads of BLAS wait for the next product by spinning: thin products one after the other cost four times the CPU
    time on two threads, and are no sooner done.
    """
    if terms >= MANY_TERMS:
        yield
        return
    with HOLD:
        yield


def read_blas_threads() -> int:
    """Threads that products of matrices run on at the moment; 1 where nothing can control that."""
    return max((each["num_threads"] for each in find_blas().info()), default=1)


def share_out(
    function: Callable[[In], Out], inputs: Iterable[In], terms: int, most: int | None = None
) -> Iterator[Out]:
    """``map`` in threads with one thread of BLAS each, in order and in bounded memory.

    Args:
        terms: multiplications of all products together; below `MANY_TERMS` one thread does it all.
        most: threads; None: as many as a product of matrices would run on, as by OMP_NUM_THREADS.
    """
    threads = count_shares(terms, most)
    with one_blas_thread():
        if threads == 1:
            yield from map(function, inputs)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from map_ahead(pool, function, inputs, 2 * threads)


def count_shares(terms: int, most: int | None = None) -> int:
    """The threads that `share_out` shares its inputs out to."""
    return 1 if terms < MANY_TERMS else most or HOLD.count_threads()


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


@functools.cache
def find_blas() -> Any:
    """What controls the libraries that are loaded with numpy."""
    import numpy  # noqa: F401  # before its library is looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
