"""hnswlib: its graph as it comes, and with more links and candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.protocol import NO_ITEM

#: In what it says where it found fewer for some query, and then it gives none at all.
TOO_FEW = "Cannot return the results"


@dataclass
class HnswlibIndex:
    """A graph compared by inner product."""

    name: str
    folder: Path
    options: dict[str, int]
    ef: int | None = None  # candidates of a search; None: what the library takes, which is 10
    packages: tuple[str, ...] = ("hnswlib",)
    largest_k: int | None = None
    index: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=items.shape[1])
        self.index.init_index(max_elements=len(items), **self.options)
        self.index.add_items(items, np.arange(len(items)))
        if self.ef is not None:
            self.index.set_ef(self.ef)

    def search(self, queries: Float32s, k: int) -> Int64s:
        try:
            ids, _ = self.index.knn_query(queries, k)
        except RuntimeError as error:
            if TOO_FEW not in str(error):
                raise
            return np.concatenate([self.search_alone(query[None], k) for query in queries])
        found: Int64s = ids.astype(np.int64)
        return found

    def search_alone(self, query: Float32s, k: int) -> Int64s:
        """As many results of one query as it gives, their number found by halving what is between."""
        row, given, refused = np.full((1, k), NO_ITEM, np.int64), 0, k + 1
        while refused - given > 1:
            asked = (given + refused) // 2
            try:
                ids, _ = self.index.knn_query(query, asked)
            except RuntimeError as error:
                if TOO_FEW not in str(error):
                    raise
                refused = asked
            else:
                row[:, :asked], given = ids.astype(np.int64), asked
        return row

    def close(self) -> None:
        self.index.save_index(str(self.folder / "index.hnswlib"))
        self.index = None


def make(folder: Path) -> list[HnswlibIndex]:
    return [
        HnswlibIndex("hnswlib: default", folder, {}),
        HnswlibIndex(
            "hnswlib: M 32, ef 256/256", folder, {"M": 32, "ef_construction": 256}, ef=256
        ),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    graph = HnswlibIndex("hnswlib", folder, {})
    graph.build(items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = () if k is None else (k,)
        rows = (each.tolist() for each in graph.index.knn_query(queries, *limit))
        return [PlainAnswer(*row) for row in zip(*rows, strict=True)]

    return search
