"""What happens around the steps of a measurement: they are timed, and a caller may watch or replace them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kis_bench.encoders.protocol import Encoder
from kis_bench.ranking.relevance import Sets
from kis_bench.records import Dataset, Embeddings, Float64s, Query

Ranked = TypeVar("Ranked")


class Steps:
    """Times each step of one measurement in `timings`; a base for callers that do more."""

    def __init__(self) -> None:
        self.timings: list[dict[str, Any]] = []  # rows of timings.csv

    @contextmanager
    def time(
        self, step: str, n: int, encoder: Encoder | None, dataset: Dataset, label_set: str | None
    ) -> Iterator[None]:
        """Adds a row to the timings; ``encoder`` is None where a step takes several."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self.timings.append(
            {
                "model": encoder.name if encoder else "",
                "dataset": dataset.name,
                "label_set": label_set,
                "step": step,
                "seconds": seconds,
                "n": n,
                "per_second": n / seconds if seconds else None,
                "cached": False,
                "limit": None,
            }
        )

    def embed(
        self,
        step: str,
        encoder: Encoder,
        dataset: Dataset,
        label_set: str,
        n: int,
        embed: Callable[[], Embeddings],
    ) -> Embeddings:
        """Returns the vectors, and adds a row that says whether they were stored, and what encoding waited for."""
        with self.time(step, n, encoder, dataset, label_set):
            found = embed()
        self.timings[-1] |= {"cached": found.limit is None, "limit": found.limit}
        return found

    def check_images(self, encoder: Encoder, dataset: Dataset, items: Embeddings) -> None:
        """Called with the vectors of a dataset's images before anything is done with them."""

    def check_texts(
        self, encoder: Encoder, name: str, queries: tuple[Query, ...], texts: Embeddings
    ) -> None:
        """Called with the vectors of the queries, which the store keeps under a name."""

    def find_wider(
        self, key: tuple[object, ...], find: Callable[[], tuple[Sets, ...]]
    ) -> tuple[Sets, ...]:
        """Returns the wider sets of the queries, which a caller may have kept under the key."""
        return find()

    def rank(self, rank: Callable[[], Ranked]) -> Ranked:
        """Returns the ranks, whose computation a caller may time in a way of its own."""
        return rank()

    def compare(
        self, compare: Callable[[], tuple[Float64s, Float64s]]
    ) -> tuple[Float64s, Float64s]:
        """Returns distances and margins, whose computation a caller may time in a way of its own."""
        return compare()
