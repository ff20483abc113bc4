"""usearch: its graph at several precisions, and its exact search."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.protocol import NO_ITEM


@dataclass
class UsearchIndex:
    """An index compared by inner product."""

    name: str
    folder: Path
    options: dict[str, Any]
    exact: bool = False
    packages: tuple[str, ...] = ("usearch",)
    largest_k: int | None = None
    index: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        from usearch.index import Index

        self.index = Index(ndim=items.shape[1], metric="ip", **self.options)
        self.index.add(np.arange(len(items)), items)

    def search(self, queries: Float32s, k: int) -> Int64s:
        found = self.index.search(queries, k, exact=self.exact)
        # One query has a row without a number of results; rows of several are filled up with key 0, a valid one.
        counts = getattr(found, "counts", [len(found)])
        ids = np.full((len(queries), k), NO_ITEM, np.int64)
        keys = np.reshape(found.keys, (len(queries), -1))
        given = np.arange(keys.shape[1]) < np.reshape(counts, (-1, 1))
        ids[:, : keys.shape[1]] = np.where(given, keys.astype(np.int64), NO_ITEM)
        return ids

    def close(self) -> None:
        self.index.save(str(self.folder / "index.usearch"))
        self.index = None


def make(folder: Path) -> list[UsearchIndex]:
    return [
        UsearchIndex("usearch: default", folder, {}),
        UsearchIndex("usearch: f32", folder, {"dtype": "f32"}),
        UsearchIndex("usearch: i8", folder, {"dtype": "i8"}),
        UsearchIndex(
            "usearch: f32, M 16, ef 128/512", folder, {"dtype": "f32", "expansion_search": 512}
        ),
        UsearchIndex("usearch: f32, exact", folder, {"dtype": "f32"}, exact=True),
        UsearchIndex("usearch: i8, exact", folder, {"dtype": "i8"}, exact=True),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    from usearch.index import Index

    index = Index(ndim=items.shape[1])
    index.add(np.arange(len(items)), items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = () if k is None else (k,)
        found = index.search(queries, *limit)
        rows = (
            np.reshape(each, (len(queries), -1)).tolist() for each in (found.keys, found.distances)
        )
        return [PlainAnswer(*row) for row in zip(*rows, strict=True)]

    return search
