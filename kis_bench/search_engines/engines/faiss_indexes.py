"""faiss: flat, inverted lists, graphs, scalar and product quantisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.engines.plain_search import PlainAnswer, PlainSearch
from kis_bench.search_engines.protocol import EngineRefused

LISTS = "IVF{lists},Flat"  #: of about the square root of the number of items
PART, CENTRES = (
    8,
    256,
)  #: numbers that product quantisation turns into a byte, and what a byte stands for


@dataclass
class FaissIndex:
    """An index that ``faiss.index_factory`` makes, compared by inner product."""

    name: str
    folder: Path
    factory: (
        str  # as faiss spells it, with {lists} and {parts} for numbers that depend on the items
    )
    tune: Callable[[Any], None] = lambda index: None
    packages: tuple[str, ...] = ("faiss-cpu",)
    largest_k: int | None = None
    index: Any = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        import faiss

        n, d = items.shape
        lists = max(1, round(n**0.5))
        if "PQ" in self.factory and (d % PART or n < CENTRES):
            takes = f"vectors of a multiple of {PART} numbers, and {CENTRES} items or more"
            raise EngineRefused(f"{self.name} takes {takes}: here are {n} of {d} numbers")
        factory = self.factory.format(lists=lists, parts=d // PART)
        self.index = faiss.index_factory(d, factory, faiss.METRIC_INNER_PRODUCT)
        self.tune(self.index)
        if not self.index.is_trained:
            self.index.train(items)
        self.index.add(items)

    def search(self, queries: Float32s, k: int) -> Int64s:
        _, ids = self.index.search(queries, k)  # -1 where there are no more
        found: Int64s = ids
        return found

    def close(self) -> None:
        import faiss

        faiss.write_index(self.index, str(self.folder / "index.faiss"))
        self.index = None


def probe_lists(count: int) -> Callable[[Any], None]:
    """Sets how many inverted lists a query looks into."""

    def tune(index: Any) -> None:
        index.nprobe = count

    return tune


def widen_graph(ef: int) -> Callable[[Any], None]:
    """Sets how many candidates building and searching of a graph keep."""

    def tune(index: Any) -> None:
        index.hnsw.efConstruction = index.hnsw.efSearch = ef

    return tune


def make(folder: Path) -> list[FaissIndex]:
    return [
        FaissIndex("faiss: flat", folder, "Flat"),
        FaissIndex("faiss: flat, float16", folder, "SQfp16"),
        FaissIndex("faiss: flat, 8 bit", folder, "SQ8"),
        FaissIndex("faiss: flat, 4 bit", folder, "SQ4"),
        FaissIndex("faiss: flat, product quantised", folder, "PQ{parts}"),
        FaissIndex("faiss: IVF, nprobe 1", folder, LISTS),
        FaissIndex("faiss: IVF, nprobe 16", folder, LISTS, probe_lists(16)),
        FaissIndex("faiss: HNSW, M 32, ef 40/16", folder, "HNSW32"),
        FaissIndex("faiss: HNSW, M 32, ef 256/256", folder, "HNSW32", widen_graph(256)),
    ]


def open_plainly(folder: Path, items: Float32s) -> PlainSearch:
    import faiss

    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)

    def search(queries: Float32s, k: int | None) -> list[PlainAnswer]:
        limit = () if k is None else (k,)
        scores, ids = index.search(queries, *limit)
        return [PlainAnswer(*row) for row in zip(ids.tolist(), scores.tolist(), strict=True)]

    return search
