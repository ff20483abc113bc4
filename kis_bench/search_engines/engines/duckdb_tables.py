"""DuckDB: a column of arrays, searched whole or by the graph of its extension vss, which a package brings."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.errors import NotReady
from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.engines.short_rows import SLOW_PAIRS, make_column, pad_rows

#: Of the connection: no extension is looked for, and none comes from the net.
OFFLINE_CONFIG = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


@dataclass
class ArrayColumn:
    """A table in a file; each query is a statement, for only such ones use the graph."""

    name: str
    folder: Path
    order: str = "array_cosine_distance"  # ascending
    graph: str = ""  # what CREATE INDEX is told of it; none without
    ef: int | None = None
    packages: tuple[str, ...] = ("duckdb", "duckdb-extension-vss")
    largest_k: int | None = None
    most_pairs: int | None = SLOW_PAIRS
    database: Any = field(default=None, repr=False)
    statement: str = field(default="", repr=False)

    def build(self, items: Float32s) -> None:
        import duckdb

        self.database = duckdb.connect(str(self.folder / "items.duckdb"), config=OFFLINE_CONFIG)
        kind = f"float[{items.shape[1]}]"
        self.statement = f"select id from items order by {self.order}(vector, ?::{kind}) limit ?"
        self.load_extension()
        self.database.register("given", make_column(items))
        columns = f"id, vector::{kind} as vector"
        self.database.execute(f"create table items as select {columns} from given")
        self.database.unregister("given")
        if self.graph:
            self.database.execute("set hnsw_enable_experimental_persistence = true")
            self.database.execute(f"create index graph on items using hnsw (vector) {self.graph}")
        if self.ef:
            self.database.execute(f"set hnsw_ef_search = {self.ef}")

    def load_extension(self) -> None:
        """Loads the file that the package brings for this version."""
        found = importlib.util.find_spec("duckdb_extension_vss")
        folders = list(found.submodule_search_locations or ()) if found else []
        version = self.database.execute("select library_version from pragma_version()").fetchone()[
            0
        ]
        for folder in folders:
            file = Path(folder, "extensions", version, "vss.duckdb_extension")
            if file.exists():
                self.database.load_extension(str(file))
                return
        raise NotReady(
            self.name,
            f"the package duckdb-extension-vss has no extension for DuckDB {version}",
            "Install both in one command, so that their versions agree",
        )

    def search(self, queries: Float32s, k: int) -> Int64s:
        asked = ([query.tolist(), k] for query in queries)
        found = (self.database.execute(self.statement, values).fetchnumpy() for values in asked)
        return pad_rows((columns["id"] for columns in found), k)

    def close(self) -> None:
        self.database.close()


def make(folder: Path) -> list[ArrayColumn]:
    cosine = "with (metric = 'cosine')"
    return [
        ArrayColumn("duckdb: exact, cosine", folder),
        ArrayColumn("duckdb: exact, inner product", folder, "array_negative_inner_product"),
        ArrayColumn("duckdb: HNSW", folder, graph=cosine),
        ArrayColumn("duckdb: HNSW, M 16, ef 128/256", folder, graph=cosine, ef=256),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    column = ArrayColumn("duckdb", folder)
    column.build(items)
    score = f"array_cosine_similarity(vector, ?::float[{items.shape[1]}])"
    statement = f"select id, {score} as score from items order by score desc"

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limited = statement if k is None else f"{statement} limit {k}"
        found = (column.database.execute(limited, [query.tolist()]) for query in queries)
        return [PlainAnswer.from_pairs(rows.fetchall()) for rows in found]

    return search
