"""How many threads numpy's matrix products run on."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MANY_TERMS = (
    2**29
)  #: multiplications of a product of matrices, from which on several threads are worth it


@contextmanager
def one_blas_thread(terms: int) -> Iterator[None]:
    """Runs the matrix products inside on one thread, unless each takes `MANY_TERMS` multiplications or more.

    Threads of BLAS wait for the next product by spinning: thin products one after the other cost four times the CPU
    time on two threads, and are no sooner done.
    """
    if terms >= MANY_TERMS:
        yield
        return
    with find_blas().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def find_blas() -> Any:
    """What controls the libraries that are loaded with numpy."""
    import numpy  # noqa: F401  # before its library is looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
