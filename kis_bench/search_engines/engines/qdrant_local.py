"""Qdrant's local mode, which its client has: every point is compared in numpy, there is no graph and no server."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.engines.short_rows import SLOW_PAIRS, pad_rows, search_in_parts

POINTS_AT_ONCE = 2000


@dataclass
class LocalPoints:
    """A collection in memory."""

    name: str
    folder: Path
    packages: tuple[str, ...] = ("qdrant-client",)
    largest_k: int | None = None
    most_pairs: int | None = SLOW_PAIRS
    client: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        from qdrant_client import QdrantClient, models

        self.client = QdrantClient(":memory:")
        metric = models.VectorParams(size=items.shape[1], distance=models.Distance.COSINE)
        self.client.create_collection("items", vectors_config=metric)
        with (
            warnings.catch_warnings()
        ):  # of more than 20,000 points, for which a server is recommended
            warnings.simplefilter("ignore", UserWarning)
            for start in range(0, len(items), POINTS_AT_ONCE):
                part = items[start : start + POINTS_AT_ONCE]
                ids = list(range(start, start + len(part)))
                self.client.upsert("items", models.Batch(ids=ids, vectors=part.tolist()))

    def search(self, queries: Float32s, k: int) -> Int64s:
        return search_in_parts(self.search_together, queries, k)

    def search_together(self, queries: Float32s, k: int) -> Int64s:
        from qdrant_client import models

        asked = [models.QueryRequest(query=query.tolist(), limit=k) for query in queries]
        found = self.client.query_batch_points("items", asked)
        return pad_rows(([point.id for point in one.points] for one in found), k)

    def close(self) -> None:
        self.client.close()
        self.client = None


def make(folder: Path) -> list[LocalPoints]:
    return [LocalPoints("qdrant: local, exact", folder)]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    points = LocalPoints("qdrant", folder)
    points.build(items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = {} if k is None else {"limit": k}
        found = (points.client.query_points("items", query=query, **limit) for query in queries)
        return [PlainAnswer.from_pairs((p.id, p.score) for p in one.points) for one in found]

    return search
