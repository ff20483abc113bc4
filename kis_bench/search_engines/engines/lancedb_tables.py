"""LanceDB: a table in files, searched whole or by inverted lists with codes or graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.records import Float32s, Int64s, count_things
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.engines.short_rows import make_column, pad_rows, search_in_parts
from kis_bench.search_engines.protocol import EngineRefused

LEAST_FOR_CODES = (
    256  #: items that product quantisation is trained with, as many as a code has values
)


@dataclass
class LanceTable:
    """A table, and an index of `lancedb.index` with its own settings."""

    name: str
    folder: Path
    index: str = ""  # a class of lancedb.index; none: searched whole
    search_with: Mapping[str, int] = field(default_factory=dict)  # methods of the query
    ef: int = 0  # candidates of a graph at least, for it refuses fewer than it is to find
    packages: tuple[str, ...] = ("lancedb",)
    largest_k: int | None = None
    table: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        import lancedb
        import lancedb.index

        database = lancedb.connect(str(self.folder))
        self.table = database.create_table("items", make_column(items))
        if self.index:
            config = getattr(lancedb.index, self.index)(distance_type="cosine")
            self.table.create_index("vector", config=config)
            self.refuse_gaps()

    def refuse_gaps(self) -> None:
        """Makes sure that all rows are in the index: it takes no codes from few rows, and is silent about it."""
        (index,) = self.table.list_indices()
        left_out = self.table.index_stats(index.name).num_unindexed_rows
        if left_out:
            self.close()
            raise EngineRefused(
                f"{self.name}: {count_things(left_out, 'item')} would be compared one by one, for its index "
                f"takes none of so few ({LEAST_FOR_CODES} train it)"
            )

    def search(self, queries: Float32s, k: int) -> Int64s:
        return search_in_parts(self.search_together, queries, k)

    def search_together(self, queries: Float32s, k: int) -> Int64s:
        request = self.table.search(list(queries)).distance_type("cosine").limit(k)
        for method, value in self.search_with.items():
            request = getattr(request, method)(value)
        if self.ef:
            request = request.ef(max(self.ef, k * self.search_with.get("refine_factor", 1)))
        found = request.select(["id", "_distance"]).to_arrow()
        ids = found["id"].to_numpy()
        if len(queries) == 1:  # which is no column then
            return pad_rows([ids], k)
        of = found["query_index"].to_numpy()
        return pad_rows((ids[of == i] for i in range(len(queries))), k)

    def close(self) -> None:
        self.table = None  # its files are written, and closed with it


def make(folder: Path) -> list[LanceTable]:
    wide = {"nprobes": 64}
    return [
        LanceTable("lancedb: flat", folder),
        LanceTable("lancedb: IVF, PQ", folder, "IvfPq"),
        LanceTable(
            "lancedb: IVF, PQ, nprobes 64, refined", folder, "IvfPq", wide | {"refine_factor": 10}
        ),
        LanceTable("lancedb: IVF, HNSW, SQ", folder, "HnswSq"),
        LanceTable(
            "lancedb: IVF, HNSW, SQ, ef 256, refined", folder, "HnswSq", {"refine_factor": 2}, 256
        ),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    table = LanceTable("lancedb", folder)
    table.build(items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        asked = (table.table.search(query) for query in queries)
        found = [one if k is None else one.limit(k) for one in asked]
        return [
            PlainAnswer(rows["id"].to_pylist(), rows["_distance"].to_pylist())
            for rows in (one.to_arrow() for one in found)
        ]

    return search
