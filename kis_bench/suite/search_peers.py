"""What other software takes for the same queries, on one thread; what is not installed is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kis_bench.records import Float32s, Int64s
from kis_bench.suite.measured_rows import measure_seconds


class Peer(NamedTuple):
    """Something that searches, or says where targets stand."""

    package: str  # its distribution
    measure: Callable[[Float32s, Float32s, Int64s], float]  # CPU seconds for some queries
    most_scores: int  # that it is asked for; for more its seconds are scaled up
    at_least: float  # how much longer it should take than ranking


def search_faiss(queries: Float32s, items: Float32s, targets: Int64s) -> float:
    """Returns the seconds of the first 100 items of each query, without the rank of a target that is none of them."""
    import faiss  # type: ignore[import-not-found,unused-ignore]

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    index: Any = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    try:
        return measure_seconds(lambda: index.search(queries, min(100, len(items))))
    finally:
        faiss.omp_set_num_threads(threads)


def rank_torchmetrics(queries: Float32s, items: Float32s, targets: Int64s) -> float:
    """Returns the seconds of the reciprocal rank of each query."""
    import torch
    from torchmetrics.functional.retrieval import (  # type: ignore[import-not-found,unused-ignore]
        retrieval_reciprocal_rank,
    )

    def rank_all() -> None:
        scores = torch.from_numpy(queries) @ torch.from_numpy(items).T
        for row, target in zip(scores, targets.tolist(), strict=True):
            relevant = torch.zeros(len(row), dtype=torch.bool)
            relevant[target] = True
            retrieval_reciprocal_rank(row, relevant)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure_seconds(rank_all)
    finally:
        torch.set_num_threads(threads)


def sort_tuples(queries: Float32s, items: Float32s, targets: Int64s) -> float:
    """Returns the seconds of sorting tuples of score and id for each query, as M3RT does."""
    names = [str(i) for i in range(len(items))]

    def sort_all() -> None:
        for query, target in zip(queries, targets.tolist(), strict=True):
            ranked = sorted(zip((items @ query).tolist(), names, strict=True), reverse=True)
            next(i for i, (_, name) in enumerate(ranked, 1) if name == names[target])

    return measure_seconds(sort_all)


PEERS = {
    "faiss flat, first 100": Peer("faiss-cpu", search_faiss, 10**9, 1),
    "torchmetrics": Peer("torchmetrics", rank_torchmetrics, 10**7, 1),
    "sorted tuples": Peer("numpy", sort_tuples, 10**6, 150),
}
