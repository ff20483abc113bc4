"""Runs functions in threads, in order and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from kis_bench.files.progress import track_each
from kis_bench.threads import In, Out, map_ahead


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
