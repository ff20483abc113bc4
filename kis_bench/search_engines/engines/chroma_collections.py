"""Chroma: a collection in a folder, searched by a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.engines.short_rows import pad_rows, search_in_parts


@dataclass
class GraphCollection:
    """A collection without an embedding function."""

    name: str
    folder: Path
    graph: Mapping[str, int | str] = field(default_factory=dict)
    packages: tuple[str, ...] = ("chromadb",)
    largest_k: int | None = None
    client: Any = field(default=None, repr=False)
    collection: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        import chromadb
        from chromadb.config import Settings

        own = Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(str(self.folder), settings=own)
        self.collection = self.client.create_collection(
            "items", embedding_function=None, configuration={"hnsw": dict(self.graph)}
        )
        size = self.client.get_max_batch_size()
        for start in range(0, len(items), size):
            part = items[start : start + size]
            ids = [str(i) for i in range(start, start + len(part))]
            self.collection.add(ids=ids, embeddings=part)

    def search(self, queries: Float32s, k: int) -> Int64s:
        return search_in_parts(self.search_together, queries, k)

    def search_together(self, queries: Float32s, k: int) -> Int64s:
        # with texts or metadata, which it includes unless told otherwise, more than 32,766 results of all queries fail
        found = self.collection.query(query_embeddings=queries, n_results=k, include=[])
        return pad_rows((list(map(int, ids)) for ids in found["ids"]), k)

    def close(self) -> None:
        self.client.close()
        self.client = self.collection = None


def make(folder: Path) -> list[GraphCollection]:
    tuned: dict[str, int | str] = {
        "space": "cosine",
        "max_neighbors": 32,
        "ef_construction": 256,
        "ef_search": 256,
    }
    return [
        GraphCollection("chroma: HNSW, L2", folder),
        GraphCollection("chroma: HNSW, cosine, M 32, ef 256/256", folder, tuned),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    graph = GraphCollection("chroma", folder)
    graph.build(items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = {} if k is None else {"n_results": k}
        found = graph.collection.query(query_embeddings=queries, include=["distances"], **limit)
        return [
            PlainAnswer([int(i) for i in ids], far)
            for ids, far in zip(found["ids"], found["distances"], strict=True)
        ]

    return search
