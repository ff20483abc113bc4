"""Counts groups of items that are above or level with each query's target's group, while blocks of items pass."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.blocks import Block
from kis_bench.ranking.decisions import Decided
from kis_bench.records import Int64s

MARK_ABOVE, MARK_LEVEL = 2, 1  #: of a group with an item above, or level with, the target's group


class SplitGroups(NamedTuple):
    """Marks of some of the groups that reach over several blocks."""

    lines: Int64s  # [s] of `GroupMarks.marks`
    marks: NDArray[np.uint8]  # [s, q]


class GroupMarks:
    """Marks of groups that reach over several blocks; those within one are counted at once.

    Args:
        codes: the group of each item, numbers from 0, ``[n]``.
        width: items in a block.
        q: queries.
    """

    def __init__(self, codes: Int64s, width: int, q: int) -> None:
        self.codes, self.lock = codes, threading.Lock()
        split = find_split_groups(codes, width)
        self.line = np.where(split, np.cumsum(split) - 1, -1)  # of a group in the marks; -1: none
        self.marks = np.zeros((np.count_nonzero(split), q), np.uint8)

    def add(self, block: Block, rows: slice, above: NDArray[np.bool_], decided: Decided) -> Int64s:
        """Takes the items of a block that are above the mark, ``[b, q]``, and those that were decided.

        Returns:
            Groups above and level, of those within the block: ``[2, q]``.
        """
        marks = above.view(np.uint8) * np.uint8(MARK_ABOVE)
        for sign, mark in ((1, MARK_ABOVE), (0, MARK_LEVEL)):
            some = decided.signs == sign
            marks[decided.items[some], decided.rows[some]] = mark
        codes = self.codes[block.start : block.start + block.size]
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        groups = codes[order[starts]]
        items = order if block.number is None else block.number[order]
        best = marks[items] if len(groups) == len(items) else join_rows(marks, items, starts)
        line = self.line[groups]
        split = line >= 0
        if split.any():
            with self.lock:
                lines, part = self.marks[line[split], rows], best[split]
                self.marks[line[split], rows] = np.maximum(lines, part, out=part)
        return count_marks(best[~split])

    def tell(self) -> SplitGroups:
        """What of the marks is set, for `take` of another."""
        lines = np.flatnonzero(self.marks.any(axis=1))
        return SplitGroups(lines, self.marks[lines])

    def take(self, found: SplitGroups) -> None:
        """Takes what another was told of other blocks."""
        self.marks[found.lines] = np.maximum(self.marks[found.lines], found.marks)

    def count(self) -> Int64s:
        """Groups above and level, of those that reach over several blocks: ``[2, q]``."""
        return count_marks(self.marks)


def find_split_groups(codes: Int64s, width: int) -> NDArray[np.bool_]:
    """Which groups have items in several blocks, ``[groups]``."""
    groups = int(codes.max(initial=-1)) + 1
    first, last = np.zeros((2, groups), np.int64)
    place = np.arange(len(codes)) // width
    last[codes] = place
    first[codes[::-1]] = place[::-1]
    split: NDArray[np.bool_] = first != last
    return split


def count_marks(marks: NDArray[np.uint8]) -> Int64s:
    """Groups above and level with the target's for each query, from ``marks [groups, q]``: ``[2, q]``."""
    return np.stack([(marks == mark).sum(axis=0) for mark in (MARK_ABOVE, MARK_LEVEL)])


def join_rows(marks: NDArray[np.uint8], items: Int64s, starts: Int64s) -> NDArray[np.uint8]:
    """The highest of the marks ``[b, q]`` of the items from each start to before the next: ``[g, q]``."""
    best = np.empty((len(starts), marks.shape[1]), np.uint8)
    ends = [*starts[1:].tolist(), len(items)]
    gaps = np.cumsum(np.diff(items, prepend=-1) != 1)
    for g, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        # Groups lie together as a rule; reduceat would go through them number by number.
        together = gaps[start] == gaps[end - 1]
        some = slice(items[start], items[end - 1] + 1) if together else items[start:end]
        np.max(marks[some], axis=0, out=best[g])
    return best
