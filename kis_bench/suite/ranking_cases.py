"""Queries and items made for measuring how fast ranking is, against the matrix products that it can't do without."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kis_bench.ranking import target_ranks
from kis_bench.records import Float32s, Ranks
from kis_bench.suite.measured_rows import SpeedRow, find_spread, measure_seconds
from kis_bench.suite.rank_oracle import compare_with_best
from kis_bench.threads import find_blas

QUERIES_AT_ONCE = 1024  #: of the products that ranking is compared with
BLOCK_SIZES = (2048, 4096)  #: of vectors in a block of items; with several threads also ...
LARGE_BLOCKS = (16384,)
TRIED_VECTORS, TRIALS = 16384, 3  #: of all ways to multiply, before the quickest is measured
#: Multiplications of the ranks that are computed again, of two queries at least.
ORACLE_TERMS = 2**30

#: How a product is laid out; numpy copies nothing, but for the last the queries are copied once.
PRODUCT_LAYOUTS = ("queries x items", "items x queries", "items x copied columns of queries")


@dataclass(frozen=True)
class Work:
    """Queries that are ranked among random unit vectors."""

    name: str
    queries: int
    items: int
    dim: int
    at_least: float = math.nan  #: the ratio that we want
    vectors: int = 1
    threads: int = 1
    rounds: int = 3
    noise: float = 3.0  #: of a query beside its target; infinite: it has nothing to do with it
    groups: int = 0
    wider: int = 0  #: sets of 10 items, the target among them
    top_k: int = 0


@dataclass(frozen=True)
class Product:
    """A way to multiply all items by all queries, block by block."""

    layout: str
    width: int  # vectors in a block of items

    def measure(self, queries: Float32s, items: Any, clock: str) -> float:
        """Returns the seconds of the float32 products alone, into memory that was used before."""
        (n, *inner, d), seconds = items.shape, 0.0
        v = inner[0] if inner else 1
        step = max(1, self.width // v)
        buffer = np.empty(min(len(queries), QUERIES_AT_ONCE) * step * v, np.float32)
        panels = [queries[i : i + QUERIES_AT_ONCE] for i in range(0, len(queries), QUERIES_AT_ONCE)]
        if self.layout == PRODUCT_LAYOUTS[2]:
            panels = [np.ascontiguousarray(some.T).T for some in panels]
        for start in range(0, n, step):
            block = np.ascontiguousarray(items[start : start + step], np.float32).reshape(-1, d)
            for some in panels:
                left, right = (some, block) if self.layout == PRODUCT_LAYOUTS[0] else (block, some)
                out = buffer[: len(left) * len(right)].reshape(len(left), len(right))
                seconds += measure_seconds(partial(np.matmul, left, right.T, out=out), clock)
        return seconds


def make_units(rng: np.random.Generator, *shape: int) -> Float32s:
    """Returns random vectors of length 1, float32 ``shape``."""
    vectors = rng.standard_normal(shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors


class Case:
    """Queries near their targets, as those of a model are, among items that are there or drawn."""

    ranks: Ranks

    def __init__(self, work: Work, items: Any = None) -> None:
        rng = np.random.default_rng(0)
        shape = (work.vectors, work.dim) if work.vectors > 1 else (work.dim,)
        self.work, self.clock = work, "CPU" if work.threads == 1 else "wall"
        self.items = make_units(rng, work.items, *shape) if items is None else items
        self.targets = rng.integers(0, work.items, work.queries)
        self.queries = make_units(rng, work.queries, work.dim)
        if math.isfinite(work.noise):
            near = [np.reshape(self.items[t : t + 1], (-1, work.dim))[0] for t in self.targets]
            self.queries = np.stack(near) + np.float32(work.noise) * self.queries
            self.queries /= np.linalg.norm(self.queries, axis=1, keepdims=True)
        self.groups = rng.integers(0, work.groups, work.items) if work.groups else None
        around = rng.integers(0, work.items, (work.wider, work.queries, 9)).tolist()
        self.sets = [
            [sorted({int(target), *some}) for target, some in zip(self.targets, one, strict=True)]
            for one in around
        ]

    def rank(self, **options: Any) -> float:
        """Returns the seconds of `target_ranks`."""
        wanted = [[target] for target in self.targets.tolist()]
        groups = None if self.groups is None else self.groups.tolist()
        options = {"groups": groups, "relevant": self.sets, "top_k": self.work.top_k} | options

        def rank_all() -> None:
            self.ranks = target_ranks(self.queries, self.items, wanted, **options)

        return measure_seconds(rank_all, self.clock)

    def choose_product(self) -> Product:
        """Returns the quickest way to multiply a part of the items by a part of the queries."""
        sizes = BLOCK_SIZES + (LARGE_BLOCKS if self.work.threads > 1 else ())
        some = np.asarray(self.items[: max(1, TRIED_VECTORS // self.work.vectors)])
        ways = [Product(layout, size) for layout in PRODUCT_LAYOUTS for size in sizes]
        asked = self.queries[:QUERIES_AT_ONCE]
        tried = [[way.measure(asked, some, self.clock) for way in ways] for _ in range(TRIALS)]
        return ways[int(np.min(tried, axis=0).argmin())]

    def compare(
        self,
        first: Callable[[], float] | None = None,
        against: str = "product",
        **options: Any,
    ) -> SpeedRow:
        """Returns a row of the ratios of the seconds of ``first`` to those of ranking, whose ranks are verified.

        Args:
            first: measures what ranking is compared with; None: the quickest products.
            against: what that is.
            options: of `target_ranks`.
        """
        work, note = self.work, ""
        with find_blas().limit(limits=work.threads, user_api="blas"):
            if first is None:
                product = self.choose_product()
                note = f"{product.layout}, blocks of {product.width}"
                first = partial(product.measure, self.queries, self.items, self.clock)
            if work.rounds > 1:  # else warming up would be waste
                self.rank(**options)
            pairs = [(first(), self.rank(**options)) for _ in range(work.rounds)]
        return SpeedRow(
            "ranking",
            work.name,
            against,
            *find_spread([a / b for a, b in pairs]),
            items=work.items,
            rounds=len(pairs),
            seconds=float(np.median([b for _, b in pairs])),
            clock=self.clock,
            threads=work.threads,
            queries=work.queries,
            dim=work.dim,
            vectors=work.vectors,
            at_least=work.at_least,
            verified=self.verify(),
            note=note,
        )

    def verify(self) -> int:
        """Computes the ranks of some queries again, plainly; returns of how many.

        Raises:
            AssertionError: a rank differs.
        """
        work, ranks = self.work, self.ranks
        terms = work.items * work.vectors * work.dim * (1 + work.wider + bool(work.groups))
        many = min(work.queries, max(2, ORACLE_TERMS // terms))
        chosen = np.unique(np.linspace(0, work.queries - 1, many).astype(int)).tolist()
        for i in chosen:
            query, target = self.queries[i], int(self.targets[i])
            signs = compare_with_best(query, self.items, [target])
            assert (ranks.best[i], ranks.worst[i]) == (1 + (signs > 0).sum(), (signs >= 0).sum())
            for j, sets in enumerate(self.sets):
                signs = compare_with_best(query, self.items, sets[i])
                best = 1 + (signs > 0).sum()
                worst = best + np.delete(signs == 0, sets[i]).sum()
                assert (ranks.relevant_best[i, j], ranks.relevant_worst[i, j]) == (best, worst)
            if self.groups is not None:
                assert ranks.group_rank is not None
                own = np.flatnonzero(self.groups == self.groups[target]).tolist()
                signs = compare_with_best(query, self.items, own)
                above, reach = (
                    len(np.unique(self.groups[some])) for some in (signs > 0, signs >= 0)
                )
                assert ranks.group_rank[i] == (1 + above + reach) / 2
            if work.top_k:
                self.verify_top(i)
        return len(chosen)

    def verify_top(self, row: int) -> None:
        """Compares the first items of a query with a plain sort, up to the rounding of float64."""
        shape = (self.work.items, self.work.vectors, self.work.dim)
        wide = np.reshape(self.items, shape).astype(np.float64)
        scores = (wide @ self.queries[row].astype(np.float64)).max(axis=1)
        wanted = np.sort(scores)[::-1][: self.work.top_k]
        named = self.ranks.top_items[row]
        assert len(np.unique(named)) == len(named)
        np.testing.assert_allclose(scores[named], wanted, rtol=0, atol=1e-12)
