"""What search engines are asked: vectors, queries, their targets, and the exact ranks of these."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.ranking import target_ranks
from kis_bench.records import Float32s, Int64s, Ranks
from kis_bench.search_engines.planted_ties import PlantedTies
from kis_bench.search_engines.rescoring import Rescorer
from kis_bench.statistics.clusters import link_sets


@dataclass(frozen=True)
class SearchInput:
    """The vectors of a model, the queries of a label set, and their targets."""

    model: str
    dataset: str
    label_set: str
    query_ids: Sequence[str]
    queries: Float32s  # [q, d]
    items: Any  # [n, v, d], as the store has them
    targets: Sequence[Sequence[int]]  # positions, of each query
    model_key: str = ""  # of the weights and how they are used
    dataset_key: str = ""  # fingerprint of the dataset


@dataclass(frozen=True)
class SearchedVectors:
    """What one model and label set ask engines for, beside the exact answer."""

    known: SearchInput
    clusters: Int64s  # [q] queries that share a target have the same
    ranks: Ranks
    rescorer: Rescorer
    planted: PlantedTies
    folder: tempfile.TemporaryDirectory[str]
    vectors: Path  # folder of items.npy and queries.npy
    fewer: dict[int, SearchedVectors] = field(default_factory=dict)  # by how many queries

    @property
    def equals(self) -> Path:
        return Path(self.folder.name) / "planted"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items, vectors of each, numbers of each vector."""
        n, v, d = self.rescorer.items.shape
        return n, v, d

    @classmethod
    def prepare(cls, known: SearchInput, engine: Any = "numpy") -> SearchedVectors:
        """Ranks exactly, once for all engines, and writes the vectors where they can read them.

        Args:
            known: what they are asked for.
            engine: as `target_ranks` takes it.
        """
        ranks = target_ranks(known.queries, known.items, known.targets, engine=engine)
        folder = tempfile.TemporaryDirectory(prefix="kis-fidelity-")
        place, (n, v, d) = Path(folder.name), known.items.shape
        planted = PlantedTies.make(d)
        for name in ("vectors", "planted"):
            (place / name).mkdir()
        planted.save(place / "planted")
        items, queries = place / "vectors" / "items.npy", np.ascontiguousarray(known.queries)
        np.save(items, np.ascontiguousarray(known.items[:], np.float32).reshape(n * v, d))
        np.save(place / "vectors" / "queries.npy", queries)
        rescorer = Rescorer(queries, np.load(items, mmap_mode="r").reshape(n, v, d), known.targets)
        clusters = link_sets(known.targets)
        return cls(known, clusters, ranks, rescorer, planted, folder, place / "vectors")

    def take(self, most_pairs: int | None) -> SearchedVectors:
        """The same for fewer of the queries, evenly spread, that make at most so many pairs with the vectors."""
        n, v, _ = self.shape
        few = take_evenly(len(self.known.query_ids), most_pairs, n * v)
        if len(few) == len(self.known.query_ids):
            return self
        if len(few) not in self.fewer:
            self.fewer[len(few)] = self.pick(few)
        return self.fewer[len(few)]

    def pick(self, few: Sequence[int]) -> SearchedVectors:
        """The same for the queries at some positions."""
        targets = [self.known.targets[i] for i in few]
        ids, queries = [self.known.query_ids[i] for i in few], self.rescorer.queries[few]
        place = Path(self.folder.name) / f"vectors-{len(few)}"
        place.mkdir()
        os.link(self.vectors / "items.npy", place / "items.npy")
        np.save(place / "queries.npy", queries)
        columns: dict[str, Any] = {one.name: getattr(self.ranks, one.name) for one in fields(Ranks)}
        picked: dict[str, Any] = {
            name: None if each is None else each[few] for name, each in columns.items()
        }
        return replace(
            self,
            known=replace(self.known, query_ids=ids, queries=queries, targets=targets),
            clusters=self.clusters[few],
            ranks=replace(self.ranks, **picked),
            rescorer=Rescorer(queries, self.rescorer.items, targets),
            vectors=place,
            fewer={},
        )


def take_evenly(q: int, most_pairs: int | None, n: int) -> list[int]:
    """Returns the positions of so many of q queries, from the first to the last, that make few pairs with n vectors.

    One at least, if there is any; all where there is no limit.

    >>> take_evenly(9, 500, 100), take_evenly(3, None, 100), take_evenly(9, 10, 100)
    ([0, 2, 4, 6, 8], [0, 1, 2], [0])
    """
    most = q if most_pairs is None else min(q, max(1, most_pairs // n))
    few: list[int] = np.linspace(0, q - 1, most).round().astype(int).tolist()
    return few
