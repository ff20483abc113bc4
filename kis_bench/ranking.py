"""Exact ranks of known items in bounded memory.

The score of an item is the *real* dot product of the stored float32 vectors (the highest over its v
vectors), so a rank is defined and not an accident of block sizes, threads or libraries. Float32 matrix
products decide what lies outside a proven bound around the target's score; float64 decides the rest
(products of two float32 are exact there), and what its own bound leaves open goes to exact summation.

Error bound: a sum of d products in any order, with unit roundoff u, errs by at most
``gamma_d |q|.|x| <= gamma_d ||q|| ||x||`` with ``gamma_d = d u / (1 - d u)`` (N. J. Higham, *Accuracy and
Stability of Numerical Algorithms*, 2002, section 3.1, and Cauchy-Schwarz).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kis_bench.errors import BadVector
from kis_bench.records import Ranks

BLOCK_ITEMS, BLOCK_QUERIES = 4096, 1024
GROUP_MARKS = 256 * 2**20  #: bytes that the marks of groups may take at once
TINY = 2.0**-60  #: covers what squares and products lose to underflow
Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]
Int: TypeAlias = NDArray[np.int64]


def target_ranks(
    queries: Float32, items: Float32, targets: Sequence[Sequence[int]], *,
    groups: Sequence[Hashable] | None = None, top_k: int = 0,
    block_queries: int | None = None, block_items: int | None = None, engine: str = "numpy",
) -> Ranks:  # fmt: skip
    """Where each query's target stands among all items.

    Args:
        queries: float32 ``[q, d]``.
        items: float32 ``[n, d]`` or ``[n, v, d]``; read in slices, so a memory map stays on disk.
        targets: for each query the positions of its targets; the best-placed one counts.
        groups: the group of each item; then the best group of a target is ranked among
            groups, each scoring as its best item.
        top_k: how many of the best items to name per query; equal scores stand in the order of the items.
        block_queries, block_items: size of a block of scores; they change the speed, never a result.
        engine: ``numpy``.

    Raises:
        ValueError: shapes, targets or groups that don't fit; names the query.
        BadVector: NaN, infinity, or so large that float32 scores overflow; names the query or item.
    """
    if engine != "numpy":
        raise ValueError(f"engine {engine!r} is unknown; known is 'numpy'")
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    n, width = len(items), items.shape[-1]
    if queries.ndim != 2 or len(items.shape) not in (2, 3) or queries.shape[1] != width:
        raise ValueError(f"queries {list(queries.shape)} and items {list(items.shape)} don't fit: [q, d], [n, (v,) d]")
    check_targets(targets, len(queries), n)
    codes: Int | None = None
    if groups is not None:
        if len(groups) != n:
            raise ValueError(f"{len(groups)} groups for {n} items")
        number: dict[Hashable, int] = {}
        codes = np.array([number.setdefault(group, len(number)) for group in groups], dtype=np.int64)
        panel = max(1, GROUP_MARKS // (2 * len(number)))
        if panel < len(queries):  # marks are one byte per query and group: take fewer queries at once
            return joined(
                [
                    target_ranks(queries[i : i + panel], items, targets[i : i + panel], groups=groups, top_k=top_k,
                                 block_queries=block_queries, block_items=block_items)
                    for i in range(0, len(queries), panel)
                ]
            )  # fmt: skip
    query_norms = norms(queries, "query", 0)
    goal = Reference.best_of(queries, query_norms, items, [np.asarray(t) for t in targets])
    best, tied = np.ones(len(queries), np.int64), np.zeros(len(queries), np.int64)
    group_goal, marks = None, None
    if codes is not None:
        members = [np.flatnonzero(np.isin(codes, codes[np.asarray(wanted)])) for wanted in targets]
        group_goal = Reference.best_of(queries, query_norms, items, members)
        marks = GroupMarks(codes, len(queries))
    top = TopItems(min(top_k, n), len(queries))
    rows, columns = block_queries or BLOCK_QUERIES, block_items or BLOCK_ITEMS
    for start in range(0, n, columns):
        block = as_blocks(items[start : start + columns])
        largest = float(norms(block.reshape(-1, width), "item", start * block.shape[1], block.shape[1]).max())
        for first in range(0, len(queries), rows):
            some = slice(first, first + rows)
            error = float32_error(query_norms[some], largest, width, first)
            scores = best_scores(queries[some], block)
            above, equal = goal.compare(queries, query_norms, scores, block, some, error)
            best[some] += above.sum(axis=1)
            np.add.at(tied, first + equal[0], 1)
            if group_goal is not None and marks is not None:
                above, equal = group_goal.compare(queries, query_norms, scores, block, some, error)
                marks.add(start, first, above, equal)
            top.add(start, first, scores, error)
    worst = best - 1 + tied
    return Ranks(
        best, worst, (best + worst) / 2, None if marks is None else marks.ranks(),
        top.ordered(queries, query_norms, items), goal.score.astype(np.float32),
    )  # fmt: skip


def check_targets(targets: Sequence[Sequence[int]], q: int, n: int) -> None:
    if len(targets) != q:
        raise ValueError(f"{len(targets)} lists of targets for {q} queries")
    for i, wanted in enumerate(targets):
        if len(wanted) == 0:
            raise ValueError(f"query {i} has no target")
        if min(wanted) < 0 or max(wanted) >= n:
            raise ValueError(f"query {i}: target {max(wanted, key=abs)} is not among {n} items")


def joined(parts: Sequence[Ranks]) -> Ranks:
    def column(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Ranks(**{name: column(name) for name in Ranks.__dataclass_fields__})  # type: ignore[arg-type]


def as_blocks(items: Float32) -> Float32:
    """``[b, v, d]``, also for one vector per item."""
    block = np.ascontiguousarray(items, dtype=np.float32)
    return block[:, None] if block.ndim == 2 else block


def norms(vectors: Float32, what: str, offset: int, per_item: int = 1) -> Float64:
    """Upper bounds of the lengths of ``[n, d]``, a little above the true ones."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)).astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(lengths))
    if len(wrong):
        raise BadVector(f"{what} {(offset + int(wrong[0])) // per_item}: NaN, infinity or too large for float32")
    above: Float64 = lengths * 1.001 + TINY
    return above


def gamma(d: int, roundoff: float) -> float:
    return d * roundoff / (1 - d * roundoff)


def float32_error(query_norms: Float64, largest: float, d: int, first: int) -> Float64:
    """By how much a float32 score of these queries and items may err, ``[q]``."""
    product = query_norms * largest
    if product.max() > 1e37:
        raise BadVector(f"query {first + int(product.argmax())}: scores overflow float32; normalise the vectors")
    return gamma(d, 2.0**-24) * product + d * 2.0**-126


def best_scores(queries: Float32, block: Float32) -> Float32:
    """Float32 scores ``[q, b]``: each item's best vector."""
    b, v, d = block.shape
    scores: Float32 = queries @ block.reshape(-1, d).T
    return scores if v == 1 else scores.reshape(len(queries), b, v).max(axis=2)


def exact_sign(query: Float32, left: Float32, right: Float32) -> int:
    """Sign of ``query . left - query . right``, with no rounding at all: fsum rounds once, and never across zero."""
    wide = query.astype(np.float64)
    difference = math.fsum(np.concatenate([wide * left, wide * -right.astype(np.float64)]).tolist())
    return (difference > 0) - (difference < 0)


def best_vector(query: Float32, norm: float, vectors: Float32) -> int:
    """Which of ``vectors [m, d]`` has the highest exact score; the first of equals."""
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    largest = float(norms(vectors, "item", 0).max())
    error = 2 * gamma(len(query), 2.0**-53) * norm * largest
    close = np.flatnonzero(scores >= scores.max() - error)
    winner = int(close[0])
    for other in close[1:].tolist():
        if exact_sign(query, vectors[other], vectors[winner]) > 0:
            winner = other
    return winner


@dataclass(frozen=True)
class Reference:
    """For each query one vector whose exact score the others are compared with."""

    vector: Float32  # [q, d]
    score: Float64  # [q], float64 by the one routine that also scores the rivals
    item: Int  # [q] whose vector it is

    @classmethod
    def best_of(
        cls, queries: Float32, query_norms: Float64, items: Float32, members: Sequence[NDArray[np.intp]]
    ) -> Reference:
        """The best-scoring vector among the ``members`` (positions of items) of each query."""
        vectors, chosen = np.empty_like(queries), np.empty(len(queries), np.int64)
        for i, positions in enumerate(members):
            winner = None
            for start in range(0, len(positions), BLOCK_ITEMS):
                some = positions[start : start + BLOCK_ITEMS]
                block = as_blocks(items[some])
                flat = block.reshape(-1, block.shape[2])
                place = best_vector(queries[i], query_norms[i], flat)
                if winner is None or exact_sign(queries[i], flat[place], winner) > 0:
                    winner, chosen[i] = flat[place], some[place // block.shape[1]]
            vectors[i] = winner
        return cls(vectors, float64_scores(queries, vectors), chosen)

    def compare(
        self, queries: Float32, query_norms: Float64, scores: Float32, block: Float32, some: slice, error: Float64
    ) -> tuple[Bool, tuple[Int, Int]]:
        """Which items score exactly above, bool ``[q, b]``; and the (query, item) pairs that score the same."""
        wide = self.score[some]
        slack = error + 2 * gamma(block.shape[2], 2.0**-53) * query_norms[some] * (np.abs(wide) + 2)
        slack += np.spacing(np.abs(wide) + slack)
        high = np.nextafter((wide + slack).astype(np.float32), np.float32(np.inf))[:, None]
        low = np.nextafter((wide - slack).astype(np.float32), np.float32(-np.inf))[:, None]
        above = scores > high
        row, column = np.nonzero((scores >= low) & ~above)
        signs = np.empty(len(row), np.int64)
        for i in range(0, len(row), BLOCK_ITEMS):
            part = slice(i, i + BLOCK_ITEMS)
            signs[part] = self.signs(queries, query_norms, some.start + row[part], block[column[part]])
        above[row, column] = signs > 0
        same = signs == 0
        return above, (row[same], column[same])

    def signs(self, queries: Float32, query_norms: Float64, row: Int, rivals: Float32) -> Int:
        """Sign of the exact score of each rival item ``[p, v, d]`` less that of the reference of its query."""
        p, v, d = rivals.shape
        row, rivals = np.repeat(row, v), rivals.reshape(-1, d)
        difference = float64_scores(queries[row], rivals) - self.score[row]
        lengths = norms(rivals, "item", 0) + norms(self.vector[row], "item", 0)
        open_ = np.abs(difference) <= 2 * gamma(d, 2.0**-53) * query_norms[row] * lengths
        signs = np.sign(difference).astype(np.int64)
        same = (rivals == self.vector[row]).all(axis=1)  # duplicates need no arithmetic
        signs[same] = 0
        for i in np.flatnonzero(open_ & ~same).tolist():
            signs[i] = exact_sign(queries[row[i]], rivals[i], self.vector[row[i]])
        highest: Int = signs.reshape(p, v).max(axis=1)
        return highest


def float64_scores(queries: Float32, vectors: Float32) -> Float64:
    """Row by row, ``[p, d]`` and ``[p, d]`` -> ``[p]``."""
    scores: Float64 = np.einsum("ij,ij->i", queries, vectors, dtype=np.float64)
    return scores


class GroupMarks:
    """Which groups have an item above, or level with, the best item of the target's group."""

    def __init__(self, codes: Int, q: int) -> None:
        self.codes = codes
        self.above, self.level = (np.zeros((q, int(codes.max()) + 1), bool) for _ in range(2))

    def add(self, start: int, first: int, above: Bool, equal: tuple[Int, Int]) -> None:
        codes = self.codes[start : start + above.shape[1]]
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        reduced = np.logical_or.reduceat(above[:, order], starts, axis=1)
        self.above[first : first + len(above), present] |= reduced
        self.level[first + equal[0], codes[equal[1]]] = True

    def ranks(self) -> Float64:
        best = 1 + self.above.sum(axis=1)
        worst = (self.above | self.level).sum(axis=1)
        middle: Float64 = (best + worst) / 2
        return middle


@dataclass
class TopItems:
    """Keeps, while blocks pass by, every item that could still be among the best k of a query."""

    k: int
    q: int
    kept: dict[int, tuple[Int, Int, Float32]] = field(default_factory=dict)  # first query -> row, item, score
    floor: dict[int, Float32] = field(default_factory=dict)

    def add(self, start: int, first: int, scores: Float32, error: Float64) -> None:
        if self.k == 0:
            return
        q, b = scores.shape
        margin = np.nextafter((2 * error).astype(np.float32), np.float32(np.inf))
        floor = self.floor.get(first)
        if floor is None:
            floor = np.partition(scores, b - self.k, axis=1)[:, b - self.k] if b >= self.k else scores.min(axis=1)
        row, column = np.nonzero(scores >= np.nextafter(floor - margin, np.float32(-np.inf))[:, None])
        old = self.kept.get(first, (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)))
        row, item = np.concatenate([old[0], row]), np.concatenate([old[1], start + column])
        score = np.concatenate([old[2], scores[row[len(old[0]) :], column]])
        order = np.lexsort((item, -score, row))
        row, item, score = row[order], item[order], score[order]
        counts = np.bincount(row, minlength=q)
        starts = np.cumsum(counts) - counts
        enough = counts >= self.k
        kth = np.full(q, -np.inf, np.float32)
        kth[enough] = score[starts[enough] + self.k - 1]
        keep = score >= np.nextafter(kth - margin, np.float32(-np.inf))[row]
        self.floor[first], self.kept[first] = kth, (row[keep], item[keep], score[keep])

    def ordered(self, queries: Float32, query_norms: Float64, items: Float32) -> Int:
        """The best k items of each query, ``[q, k]``, by exact score and then by position."""
        found = np.zeros((self.q, self.k), np.int64)
        for first, (row, item, _) in self.kept.items():
            ends = np.searchsorted(row, np.arange(row.max() + 2))
            for local in range(len(ends) - 1):
                query = first + local
                candidates = np.unique(item[ends[local] : ends[local + 1]])
                found[query] = best_in_order(queries[query], query_norms[query], candidates, items)[: self.k]
        return found


def best_in_order(query: Float32, norm: float, candidates: Int, items: Float32) -> list[int]:
    block = as_blocks(items[candidates])
    vectors = [one[best_vector(query, norm, one)] for one in block] if block.shape[1] > 1 else block[:, 0]
    scores = np.array(vectors, np.float64) @ query.astype(np.float64)
    error = 4 * gamma(len(query), 2.0**-53) * norm * float(norms(np.asarray(vectors), "item", 0).max())

    def compare(a: int, b: int) -> int:
        if abs(scores[a] - scores[b]) > error:
            return -1 if scores[a] > scores[b] else 1
        return -exact_sign(query, vectors[a], vectors[b]) or a - b

    order = sorted(range(len(candidates)), key=functools.cmp_to_key(compare))
    return [int(candidates[i]) for i in order]
