"""Exact ranks of known items in bounded memory.

The score of an item is the real dot product of the stored float32 vectors (the highest over its v vectors), so a
rank is a fact about the vectors and the same for every block size, thread count and library. Float32 matrix
products decide what lies outside a proven error bound around the target's score; the few others are decided in
float64, and what that can't separate by exact summation (`kis_bench.ranking.exact_scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from kis_bench.ranking.engines import MakeEngine, find_engine
from kis_bench.ranking.exact_scores import (
    bound_lengths,
    require_finite,
)
from kis_bench.ranking.marks import ItemSets
from kis_bench.ranking.panel import Panel
from kis_bench.records import Float32s, Int64s, Ranks

GROUP_MARK_BYTES = 256 * 2**20  #: for one byte per query and group


def target_ranks(
    queries: Float32s,
    items: Any,
    targets: Sequence[Sequence[int]],
    *,
    groups: Sequence[Hashable] | None = None,
    relevant: Sequence[Sequence[Sequence[int]]] = (),
    top_k: int = 0,
    top_scores: bool = False,
    block_queries: int | None = None,
    block_items: int | None = None,
    engine: str | MakeEngine = "numpy",
    advance: Callable[[int], None] | None = None,
) -> Ranks:
    """Ranks each query's target among all items.

    With s the highest score over a query's targets: ``best = 1 + #{score > s}``, ``worst = #{score >= s}``,
    ``rank = (best + worst) / 2``.

    Args:
        queries: float32 ``[q, d]``.
        items: float32 ``[n, d]`` or ``[n, v, d]``, or anything with a length, a shape and slices; read by blocks.
        targets: the positions of each query's targets.
        groups: the group of each item. The group rank is that of the best of the target's groups, by the same
            formulas, a group scoring as its best item.
        relevant: wider sets of items that will do as well, each with the positions for every query, such as a segment
            or near-duplicates; empty for a query that has none. Ranked in the same pass by the same formulas, but
            items of one set are no rivals of one another: only others that tie count for ``worst``.
        top_k: how many of the best items to name; equal scores in the order of the items.
        top_scores: whether their scores are wanted, too. They are good to rounding in float64: their last bits, and
            nothing else, depend on blocks and engine.
        block_queries: queries in a block of scores. It changes speed and memory, never a result.
        block_items: items in a block of scores, likewise.
        engine: ``"numpy"``, ``"torch"`` (on a GPU where there is one), ``"ray"`` or ``"ray:ADDRESS"`` (on nodes of a
            cluster), or what makes an engine, such as `kis_bench.ranking.engines.find_engine` for a device; ranks are
            the same.
        advance: is told the number of scores in each block, or share of a cluster, that is done; there are q x n.

    Raises:
        ValueError: shapes, targets or groups that don't fit, an unknown engine.
        KisBenchError: the library of an engine isn't installed, or a cluster doesn't do its work.
        BadVector: NaN or infinity, or vectors so long that a float32 score could overflow.
    """
    make_engine = find_engine(engine) if isinstance(engine, str) else engine
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    check_shapes(queries.shape, tuple(items.shape), groups, top_k, block_queries, block_items)
    q, n = len(queries), len(items)
    wanted = ItemSets.check(targets, q, n)
    wider = [ItemSets.check(some, q, n, may_lack=True) for some in relevant]
    query_lengths = bound_lengths(queries)
    require_finite(query_lengths, "query", np.arange(q))
    codes = None if groups is None else number_groups(groups)
    panel = max(1, q)
    if codes is not None:
        panel = min(panel, max(1, GROUP_MARK_BYTES // max(1, int(codes.max(initial=0)) + 1)))
    parts = []
    for first in range(0, max(1, q), panel):
        some = slice(first, first + panel)
        job = Panel(
            queries[some],
            query_lengths[some],
            items,
            wanted.slice(first, min(first + panel, q)),
            [sets.slice(first, min(first + panel, q)) for sets in wider],
            codes,
            first,
            make_engine,
        )
        parts.append(job.ranks(top_k, block_queries, block_items, advance, scored=top_scores))
    return parts[0] if len(parts) == 1 else join_ranks(parts)


def check_shapes(
    queries: tuple[int, ...],
    items: tuple[int, ...],
    groups: Sequence[Hashable] | None,
    top_k: int,
    *blocks: int | None,
) -> None:
    if len(queries) != 2 or len(items) not in (2, 3) or queries[1] != items[-1] or 0 in items[1:]:
        raise ValueError(
            f"queries {list(queries)} and items {list(items)} do not fit [q, d] and [n, (v,) d]"
        )
    if items[-1] >= 2**20:
        raise ValueError(
            f"vectors of {items[-1]} numbers are longer than float32 products can rank"
        )
    if groups is not None and len(groups) != items[0]:
        raise ValueError(f"{len(groups)} groups for {items[0]} items")
    if top_k < 0 or any(size is not None and size < 1 for size in blocks):
        raise ValueError("top_k can't be negative, and a block holds at least 1")


def number_groups(groups: Sequence[Hashable]) -> Int64s:
    """Numbers from 0 for the labels, in the order of first appearance: ``[n]``."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(group, len(number)) for group in groups], dtype=np.int64)


def join_ranks(parts: Sequence[Ranks]) -> Ranks:
    columns = ([getattr(part, column.name) for part in parts] for column in fields(Ranks))
    return Ranks(*(None if some[0] is None else np.concatenate(some) for some in columns))  # type: ignore[arg-type]
