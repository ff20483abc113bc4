"""The first items of a model's lists, which fused lists are made of, with the scores that they are fused by."""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kis_bench.records import Float64s, Int64s, Ranks

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class TopList:
    """The first k items of one model's list for q queries, and where the targets stand in the whole list."""

    items: NDArray[np.int32]  # [q, k] positions in the collection, best first
    scores: Float64s  # [q, k], descending
    best: Int64s  # [q] ranks
    worst: Int64s
    rank: Float64s

    def move_to_file(self) -> TopList:
        """Returns the same list, mapped from a file without a name, so that many lists take no memory."""
        moved = replace(self, items=map_copy(self.items), scores=map_copy(self.scores))
        moved.give_back()
        return moved

    def give_back(self) -> None:
        """Gives the memory of a list in a file back, which took some when it was written or read."""
        for array in (self.items, self.scores):
            if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                array.base.madvise(mmap.MADV_DONTNEED)  # what was written stays in the file


def map_copy(array: NDArray[Number]) -> NDArray[Number]:
    """Returns an array's values in a temporary file that vanishes with it."""
    if not array.size:
        return array
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    return mapped


def make_top_list(ranks: Ranks) -> TopList:
    """Returns the first items that ranks name, with their scores, which have to be among them.

    Scores are good to ``gamma_d(2^-53)`` (`kis_bench.ranking.exact_scores`). Where neighbours are closer than that
    tells, they are the real ones, rounded once: so they never ascend, and are equal where the real ones are.
    """
    assert ranks.top_scores is not None
    named = ranks.top_items.astype(np.int32)
    return TopList(named, ranks.top_scores, ranks.best, ranks.worst, ranks.rank)


def count_fused(scores: Float64s, depth: int) -> Int64s:
    """Counts the items of each list ``[q]`` that are fused, of descending scores ``[q, at most depth + 1]``."""
    above = np.count_nonzero(scores > scores[:, -1:], axis=1)
    return above if scores.shape[1] > depth else np.where(above > 0, scores.shape[1], 0)
