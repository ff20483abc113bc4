"""Milvus Lite: Milvus' interface over a folder of files and indexes of faiss, served within the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.engines.short_rows import SLOW_PAIRS, pad_rows, search_in_parts

INSERTED_AT_ONCE = 2000


@dataclass
class LiteCollection:
    """A collection in a file, its index built before it is asked for the first time."""

    name: str
    folder: Path
    index: str
    build_with: Mapping[str, int] = field(default_factory=dict)
    search_with: Mapping[str, int] = field(default_factory=dict)
    packages: tuple[str, ...] = ("milvus-lite", "pymilvus", "faiss-cpu")
    largest_k: int | None = None
    most_pairs: int | None = SLOW_PAIRS
    client: Any = field(default=None, repr=False)

    @property
    def file(self) -> str:
        return str(self.folder / "items.db")

    def build(self, items: Float32s) -> None:
        from pymilvus import DataType, MilvusClient

        self.client = MilvusClient(self.file)
        schema = self.client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=items.shape[1])
        self.client.create_collection("items", schema=schema)
        for start in range(0, len(items), INSERTED_AT_ONCE):
            rows = enumerate(items[start : start + INSERTED_AT_ONCE], start)
            self.client.insert("items", [{"id": i, "vector": row} for i, row in rows])
        self.client.flush("items")
        # what was written is indexed in the background and compared one by one until then, and nothing tells
        # when that is; opened anew, it is indexed before loading returns
        self.close()
        self.client = MilvusClient(self.file)
        params = self.client.prepare_index_params()
        made = {
            "index_type": self.index,
            "metric_type": "COSINE",
            "params": dict(self.build_with),
        }
        params.add_index("vector", **made)
        self.client.create_index("items", params)
        self.client.load_collection("items")

    def search(self, queries: Float32s, k: int) -> Int64s:
        return search_in_parts(self.search_together, queries, k)

    def search_together(self, queries: Float32s, k: int) -> Int64s:
        # whole vectors come with the results where no field is named, which takes far longer than the search
        wanted = {"output_fields": ["id"], "search_params": {"params": dict(self.search_with)}}
        found = self.client.search("items", list(queries), limit=k, **wanted)
        return pad_rows(([hit["id"] for hit in hits] for hits in found), k)

    def close(self) -> None:
        from milvus_lite.server_manager import server_manager_instance

        self.client.close()
        self.client = None
        server_manager_instance.release_server(self.file)  # the client leaves its server running


def make(folder: Path) -> list[LiteCollection]:
    return [
        LiteCollection("milvus-lite: FLAT", folder, "FLAT"),
        LiteCollection("milvus-lite: IVF_FLAT", folder, "IVF_FLAT"),
        LiteCollection("milvus-lite: HNSW", folder, "HNSW"),
        LiteCollection(
            "milvus-lite: HNSW, M 32, ef 256/256",
            folder,
            "HNSW",
            {"M": 32, "efConstruction": 256},
            {"ef": 256},
        ),
        LiteCollection("milvus-lite: HNSW_SQ", folder, "HNSW_SQ"),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    from pymilvus import MilvusClient

    client = MilvusClient(str(folder / "items.db"))
    client.create_collection("items", dimension=items.shape[1])
    for start in range(0, len(items), INSERTED_AT_ONCE):
        rows = enumerate(items[start : start + INSERTED_AT_ONCE], start)
        client.insert("items", [{"id": i, "vector": row} for i, row in rows])

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = {} if k is None else {"limit": k}
        found = client.search("items", list(queries), **limit)
        return [
            PlainAnswer.from_pairs((hit["id"], hit["distance"]) for hit in hits) for hits in found
        ]

    return search
