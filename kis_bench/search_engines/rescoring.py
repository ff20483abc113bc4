"""Returned items scored again: whether each is above, level with or below the target, as exact ranks have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.decisions import Mark, decide_pairs
from kis_bench.ranking.exact_scores import CHUNK_VECTORS, bound_lengths
from kis_bench.ranking.marks import ItemSets, find_mark
from kis_bench.records import Float32s, Float64s, Int64s
from kis_bench.search_engines.protocol import NO_ITEM

NO_SIGN, NOT_ASKED = -2, -3  #: in place of a sign: no item, or nobody asked before
KNOWN_PAIRS = 2**28  #: of a query and an item, up to which signs are remembered: a byte each
RESCORED_PAIRS = 2**20  #: of a returned vector and a query


class Places(NamedTuple):
    """Where the targets of q queries stand among what an engine returned, scored again; 0: no target was returned."""

    best: Int64s  # [q] 1 + number of returned items above the best target that was returned
    worst: Int64s  # [q] number of those at least as high as it
    level: Int64s  # [q] returned items as high as the best of all targets, whether that was returned or not
    above: Int64s  # [q] returned items above the best of all targets


class Rescorer:
    """Compares returned items with the targets of queries, by the scores that ranks are made of."""

    def __init__(
        self, queries: Float32s, items: Float32s, targets: Sequence[Sequence[int]]
    ) -> None:
        """
        Args:
            queries: ``[q, d]``.
            items: contiguous ``[n, v, d]``, also mapped.
            targets: the positions of each query's targets.
        """
        self.queries, self.items = queries, items
        self.vectors = items.reshape(-1, items.shape[-1])
        self.lengths = bound_lengths(queries)
        self.longest = max(
            (
                float(bound_lengths(np.asarray(self.vectors[i : i + CHUNK_VECTORS])).max())
                for i in range(0, len(self.vectors), CHUNK_VECTORS)
            ),
            default=0.0,
        )
        self.targets = ItemSets.check(targets, len(queries), len(items))
        self.mark = self.find_mark(self.targets)
        shape = len(queries), len(items)
        #: Signs of items against the best target of each query: engines return much the same items.
        self.known = np.full(shape, NOT_ASKED, np.int8) if np.prod(shape) <= KNOWN_PAIRS else None

    def find_mark(self, sets: ItemSets) -> Mark:
        return find_mark(self.queries, self.lengths, self.items, *sets.split(), 0)

    def find_targets(self, ids: Int64s) -> NDArray[np.bool_]:
        """Where the answers ``[q, k]`` name a target of their query: bool ``[q, k]``."""
        n = len(self.items)
        own = self.targets.owner * n + self.targets.positions
        rows = np.arange(len(ids))[:, None] * n
        found: NDArray[np.bool_] = np.isin(rows + ids, own) & (ids != NO_ITEM)
        return found

    def compare_targets(self, ids: Int64s) -> NDArray[np.int8]:
        """Signs of the scores of items ``[q, k]`` minus that of the best target, -2 for none: int8 ``[q, k]``."""
        here = ids != NO_ITEM
        if self.known is None:
            return self.compare(ids, self.mark, np.arange(len(ids)), here)
        signs: NDArray[np.int8] = np.take_along_axis(self.known, np.where(here, ids, 0), axis=1)
        signs[~here] = NO_SIGN
        lacks = signs == NOT_ASKED
        if lacks.any():
            found = self.compare(ids, self.mark, np.arange(len(ids)), lacks)
            signs[lacks] = found[lacks]
            row, column = np.nonzero(lacks)
            self.known[row, ids[row, column]] = signs[lacks]
        return signs

    def compare(
        self, ids: Int64s, mark: Mark, rows: Int64s, wanted: NDArray[np.bool_]
    ) -> NDArray[np.int8]:
        """Signs of the scores of items ``[r, k]`` minus their query's mark, -2 where not wanted: int8 ``[r, k]``."""
        signs = np.full(ids.shape, NO_SIGN, np.int8)
        v, (row, column) = self.items.shape[1], np.nonzero(wanted)
        for start in range(0, len(row), max(1, RESCORED_PAIRS // v)):
            part = slice(start, start + max(1, RESCORED_PAIRS // v))
            item = ids[row[part], column[part]]
            vector = (item[:, None] * v + np.arange(v)).reshape(-1)
            who = np.repeat(rows[row[part]], v)
            own = decide_pairs(
                self.queries, self.lengths, mark, self.vectors, self.longest, vector, who
            )
            signs[row[part], column[part]] = own.reshape(-1, v).max(axis=1)
        return signs

    def place(self, ids: Int64s) -> Places:
        """Where targets stand among the answers ``[q, k]`` once these are put into their exact order."""
        q = len(ids)
        signs, named = self.compare_targets(ids), self.find_targets(ids)
        above, level = (signs > 0).sum(axis=1), (signs == 0).sum(axis=1)
        found, held = named.any(axis=1), (named & (signs == 0)).any(axis=1)
        best, worst = np.where(held, 1 + above, 0), np.where(held, above + level, 0)
        rest = np.flatnonzero(found & ~held)  # another target than the best was returned
        if len(rest):
            place, column = np.nonzero(named[rest])
            sets = ItemSets(rest[place], ids[rest[place], column], q)
            order = np.lexsort((sets.positions, sets.owner))
            mark = self.find_mark(ItemSets(sets.owner[order], sets.positions[order], q))
            own = self.compare(ids[rest], mark, rest, ids[rest] != NO_ITEM)
            best[rest] = 1 + (own > 0).sum(axis=1)
            worst[rest] = (own >= 0).sum(axis=1)
        return Places(best, worst, level, above)


def count_hits(places: Places, tied: Int64s, k: int) -> Float64s:
    """Chance of each target to be among the first k of what was returned, put into its exact order: float64 ``[q]``.

    Items that score the same stand for one another: of ``tied [q]`` items as high as the target, the target is each one
    with the same chance, so an engine that returns one in place of another has lost nothing.
    """
    room = np.clip(k - places.above, 0, places.level)
    other = (places.best > 0) & (places.best > 1 + places.above)  # a lower target was returned
    width = np.maximum(1, places.worst - places.best + 1)
    lower = np.where(other, np.clip(k - places.best + 1, 0, width) / width, 0)
    hits: Float64s = np.maximum(room / tied, lower)
    return hits
