"""sqlite-vec: a virtual table of SQLite that is searched whole, and its distance over an ordinary table.

SQLite comes with apsw, because the sqlite3 of many Pythons can't load extensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.engines.short_rows import SLOW_PAIRS, pad_rows, refuse_results
from kis_bench.search_engines.protocol import EngineRefused

SQLITE_PACKAGES = ("sqlite-vec", "apsw")
MOST_RESULTS = 4096  #: of a search of vec0, built into sqlite-vec
#: What messages about vectors that it can't take have in them.
SAID_OF_LIMITS = ("Dimension on vector column", "length divisible by 8")
VIRTUAL = "create virtual table items using vec0(vector {column})"
SEARCH = "select rowid from items where vector match {value} and k = ? order by distance"


@dataclass
class SqliteTable:
    """Vectors in a table, one statement a query."""

    name: str
    folder: Path
    column: str = "float[{d}]"  # with the metric, if it isn't the default, L2
    value: str = "?"  # that is stored and looked for, from float32 in bytes
    table: str = VIRTUAL
    query: str = SEARCH
    largest_k: int | None = MOST_RESULTS
    most_pairs: int | None = SLOW_PAIRS
    packages: tuple[str, ...] = SQLITE_PACKAGES
    database: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        import apsw
        import sqlite_vec

        self.database = apsw.Connection(str(self.folder / "items.db"))
        self.database.enable_load_extension(True)
        self.database.load_extension(sqlite_vec.loadable_path())
        self.database.enable_load_extension(False)
        insert = f"insert into items(rowid, vector) values (?, {self.value})"
        try:
            self.database.execute(self.table.format(column=self.column.format(d=items.shape[1])))
            with self.database:
                self.database.executemany(insert, bind_items(items))
        except apsw.SQLError as error:
            self.close()
            if not any(limit in str(error) for limit in SAID_OF_LIMITS):
                raise
            raise EngineRefused(f"{self.name}: {error}") from error

    def search(self, queries: Float32s, k: int) -> Int64s:
        refuse_results(self, k)
        statement = self.query.format(value=self.value)
        found = (self.database.execute(statement, (query.tobytes(), k)) for query in queries)
        return pad_rows(([row[0] for row in rows] for rows in found), k)

    def close(self) -> None:
        self.database.close()


def bind_items(items: Float32s) -> Iterator[tuple[int, bytes]]:
    for i, vector in enumerate(items):
        yield i, vector.tobytes()


def make(folder: Path) -> list[SqliteTable]:
    int8 = ("int8[{d}] distance_metric=cosine", "vec_quantize_int8(?, 'unit')")
    return [
        SqliteTable("sqlite-vec: vec0, L2", folder),
        SqliteTable("sqlite-vec: vec0, cosine", folder, "float[{d}] distance_metric=cosine"),
        SqliteTable("sqlite-vec: vec0, int8", folder, *int8),
        SqliteTable("sqlite-vec: vec0, binary", folder, "bit[{d}]", "vec_quantize_binary(?)"),
        SqliteTable(
            "sqlite-vec: vec_distance_cosine",
            folder,
            table="create table items (vector blob)",
            query="select rowid from items order by vec_distance_cosine(vector, {value}) limit ?",
            largest_k=None,
        ),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    table = SqliteTable("sqlite-vec", folder)
    table.build(items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = "" if k is None else "and k = ?"
        statement = f"select rowid, distance from items where vector match ? {limit}"
        values = () if k is None else (k,)
        found = (table.database.execute(statement, (one.tobytes(), *values)) for one in queries)
        return [PlainAnswer.from_pairs(rows) for rows in found]

    return search
