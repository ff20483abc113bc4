"""What databases are given and answer: tables of Arrow, and lists of ids of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.protocol import NO_ITEM, EngineRefused, SearchEngine

#: What one request answers to all its queries, so that it needs little memory beside the index.
RESULTS_AT_ONCE = 100_000
#: Of a query and an item, that engines are asked for which take tenths of a second for each among 100,000 items.
SLOW_PAIRS = 10_000_000


def pad_rows(rows: Iterable[Sequence[int] | Int64s], k: int) -> Int64s:
    """Returns lists of ids as rows of ``k``, the rest of a short one -1.

    >>> pad_rows([[4, 2], [], [7, 8, 9]], 3)
    array([[ 4,  2, -1],
           [-1, -1, -1],
           [ 7,  8,  9]])
    """
    given = list(rows)
    padded = np.full((len(given), k), NO_ITEM, dtype=np.int64)
    for row, ids in zip(padded, given, strict=True):
        row[: len(ids)] = ids
    return padded


def refuse_results(engine: SearchEngine, k: int) -> None:
    """
    Raises:
        EngineRefused: more results are asked for than the engine ever gives.
    """
    if engine.largest_k is not None and k > engine.largest_k:
        raise EngineRefused(
            f"{engine.name} gives at most {engine.largest_k:,} results, and {k:,} are asked for"
        )


def search_in_parts(search: Callable[[Float32s, int], Int64s], queries: Float32s, k: int) -> Int64s:
    """Asks for groups of queries that have at most `RESULTS_AT_ONCE` results together, one query at least."""
    size = max(1, RESULTS_AT_ONCE // k)
    starts = range(0, len(queries), size)
    return np.concatenate([search(queries[start : start + size], k) for start in starts])


def make_column(items: Float32s) -> Any:
    """Returns items as an Arrow table of ``id`` and ``vector``, a list of fixed length, sharing their memory."""
    import pyarrow as pa

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(items.ravel()), items.shape[1])
    return pa.table({"id": pa.array(np.arange(len(items))), "vector": vectors})
