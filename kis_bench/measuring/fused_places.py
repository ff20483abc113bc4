"""Where the best target of a query stands in fused lists, of all pairs or all triples of models at once.

Fused scores grow with the scores in the lists. So an item that stands below the target in each list that holds it, as
the target is there, too, stands below it in the fused list; one that stands above the target in some list and in each
that holds the target stands above it. Only for the others, on which lists contradict one another, it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kis_bench.fusion import RRF_K, normalise
from kis_bench.records import Float64s, Int64s

#: Scores that differ by this share are in one order in a list and, added to others that are in no other order, in the
#: fused list: sums, weights and factors round by less than 2^-50. Neighbours among the first 2^18 of a list differ by
#: more in 1 / (60 + rank).
SURELY = 2.0**-40
FUSED_AT_ONCE = 2**13  #: items of several combinations, of each of which up to 14 scores are held


@dataclass(frozen=True)
class Lists:
    """The first k items of m models' lists for b queries; what is behind a list's end counts nothing."""

    items: NDArray[np.int32]  # [m, b, k] positions in the collection
    held: NDArray[np.bool_]  # [m, b, k] whether the item is fused
    scores: Float64s  # [m, b, k] 0 ... 1
    reciprocal: Float64s  # [m, b, k] 1 / (60 + rank)


@dataclass(frozen=True)
class Listed:
    """What m lists say of c items; 0 of those that they lack."""

    scores: Float64s  # [m, c]
    reciprocal: Float64s
    held: Float64s  # 1 or 0

    def fuse(self, at: Int64s, weights: Float64s) -> Float64s:
        """Returns scores ``[w, e]`` in fused lists: RRF, CombSUM, CombMNZ and, of pairs, sums by each weight.

        Args:
            at: places in the flat tables, of one item in the 2 or 3 lists that are fused ``[2 or 3, e]``.
            weights: of the first list of each pair.
        """
        scores, pair = self.scores.take(at), len(at) == 2
        fused = np.empty((3 + len(weights) * pair, at.shape[1]))
        fused[0] = self.reciprocal.take(at).sum(axis=0)
        fused[1] = scores.sum(axis=0)
        fused[2] = fused[1] * self.held.take(at).sum(axis=0)
        if pair:
            np.multiply(weights[:, None], scores[0], out=fused[3:])
            fused[3:] += (1 - weights)[:, None] * scores[1]
        return fused


def read_lists(items: NDArray[np.int32], scores: Float64s, lengths: Int64s) -> Lists:
    """Returns lists ``[m, b, k]`` by the lengths ``[m, b]`` up to which they are fused."""
    k, place = scores.shape[2], np.arange(scores.shape[2])
    held = place < lengths[..., None]
    # Those that tie at the end are left out, and the end of the scale.
    scale = place < (lengths + (lengths < k - 1))[..., None]
    flat = scores.reshape(-1, k)
    ranks = rank_lists(flat, held.reshape(-1, k)).reshape(scores.shape)
    return Lists(items, held, normalise(np.where(scale, scores, np.nan)), 1.0 / (RRF_K + ranks))


def rank_lists(scores: Float64s, held: NDArray[np.bool_]) -> Float64s:
    """Returns `kis_bench.fusion.rank_scores` of the beginnings of descending lists ``[b, k]``.

    Args:
        scores: descending.
        held: the items that are ranked ``[b, k]``; those behind them have any rank.
    """
    own = np.where(held, scores, -np.inf)
    place = np.arange(own.shape[1])
    changes = own[:, 1:] != own[:, :-1]
    starts = np.maximum.accumulate(np.where(np.pad(changes, ((0, 0), (1, 0))), place, 0), axis=1)
    last = np.where(np.pad(changes, ((0, 0), (0, 1)), constant_values=True), place, len(place))
    ends = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    found: Float64s = (starts + ends) / 2 + 1
    return found


def collect_listed(
    lists: Lists, query: int, targets: Int64s, column: NDArray[np.int32]
) -> tuple[Listed, Int64s]:
    """Returns what the lists say of the items in any of them and of the targets ``[t]``, whose columns come second.

    Args:
        column: a number for each item of the collection; of any values, which are written over.
    """
    held = lists.held[:, query]
    named = np.concatenate([lists.items[:, query][held], targets])
    every = np.arange(len(named), dtype=np.int32)
    column[named] = every  # of several that name an item, one stays
    first = named[column[named] == every]
    column[first] = every[: len(first)]
    shape, at = (len(held), len(first)), column[named].astype(np.int64)
    cell = at[: -len(targets)] + np.repeat(np.arange(shape[0]) * shape[1], held.sum(axis=1))
    tables = [np.zeros(shape) for _ in range(3)]
    for table, values in zip(tables, (lists.scores, lists.reciprocal), strict=False):
        table.reshape(-1)[cell] = values[:, query][held]
    tables[2].reshape(-1)[cell] = 1
    return Listed(*tables), at[-len(targets) :]


@dataclass(frozen=True)
class Marks:
    """How items stand to the targets in each list ``[m, c]``; targets are marked as their own rivals."""

    near: NDArray[np.bool_]  # not surely below every target
    over: NDArray[np.bool_]  # surely above every target
    lower: NDArray[np.bool_]  # perhaps not above a target that is in the list


def mark_items(listed: Listed, targets: Int64s) -> Marks:
    """Compares the scores in lists with those of the targets ``[t]``."""
    own, held = listed.scores[:, targets], listed.held > 0
    near = held & (listed.scores >= own.min(axis=1, keepdims=True) * (1 - SURELY))
    near[:, targets] = True
    over = listed.scores > own.max(axis=1, keepdims=True) * (1 + SURELY)
    return Marks(near, over, ~over & held[:, targets].any(axis=1, keepdims=True))


def find_places(
    listed: Listed, targets: Int64s, combinations: Int64s, weights: Float64s, n: int
) -> NDArray[np.int32]:
    """Returns best and worst ranks ``[2, w, p]`` of the best target in p fused lists ``[p, 2 or 3]`` of n items.

    With score 0 all others tie. The w ways are those of `Listed.fuse`; by weights of 0 and 1 ranks may be any.
    """
    marks, members, t = mark_items(listed, targets), combinations.T, len(targets)
    p, c = len(combinations), marks.near.shape[1]
    own = listed.fuse((members[..., None] * c + targets).reshape(len(members), -1), weights)
    own = own.reshape(len(own), p, t)
    target = own.max(axis=2)
    settled = np.logical_or.reduce(marks.over[members])
    settled &= ~np.logical_or.reduce(marks.lower[members])
    above = np.zeros(target.shape, np.int64) + np.add.reduce(settled, axis=1, dtype=np.int64)
    # Targets of one query aren't rivals of one another: of those on a level one counts.
    level = 1 - (own == target[..., None]).sum(axis=2)
    rivals = np.flatnonzero(np.logical_or.reduce(marks.near[members]) & ~settled)
    ends = np.searchsorted(rivals, np.arange(1, p + 1) * c)
    starts = np.append(0, ends[:-1])
    first = 0
    while first < p:
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + FUSED_AT_ONCE)))
        some, part = slice(first, last), slice(starts[first], ends[last - 1])
        sizes = (ends - starts)[some]
        rows = (members[:, some] - np.arange(p)[some]) * c
        fused = listed.fuse(rivals[part] + np.repeat(rows, sizes, axis=1), weights)
        mark = np.repeat(target[:, some], sizes, axis=1)
        for counts, found in ((above, fused > mark), (level, fused == mark)):
            counts[:, some] += np.add.reduceat(
                found.view(np.uint8), starts[some] - starts[first], axis=1, dtype=np.int32
            )
        first = last
    worst = np.where(target > 0, above + level, n - t + 1)
    return np.stack([above + 1, worst]).astype(np.int32)
