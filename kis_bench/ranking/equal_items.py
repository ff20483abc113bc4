"""Items that must have the same score, because they are the same in all places where a query isn't 0."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.exact_scores import to_block
from kis_bench.records import Float32s, Int64s

QUERIES_A_PATTERN = (
    8  #: that have to be 0 in the same places for the items to be compared once for all
)
PROBES = 8  #: coordinates that tell whether items may be copies of one another
SHARE_OF_COPIES = 1 / 16  #: of a block of items, from which on it is worth while to know them
MOST_NUMBERS = 2**23  #: of all items, which are held at once


class EqualItems:
    """The items that some queries can't tell apart, for each pattern of places where a query is 0.

    Nothing is looked at before it is asked for.
    """

    def __init__(self, queries: Float32s, items: Any) -> None:
        self.queries, self.items = queries, items

    @cached_property
    def patterns(self) -> tuple[NDArray[np.bool_], Int64s]:
        """The different patterns, True where a query isn't 0, ``[p, d]``, and which one each query has ``[q]``.

        Where nearly each query has its own, all have the one that is True where any isn't 0.
        """
        q, d = self.queries.shape
        used = self.queries != 0
        if q and used.all():  # as vectors of models are, as a rule
            return np.ones((1, d), bool), np.zeros(q, np.int64)
        packed = np.packbits(used, axis=1)
        seen, pattern = np.unique(packed, axis=0, return_inverse=True)
        if len(seen) * QUERIES_A_PATTERN > max(q, QUERIES_A_PATTERN):
            return used.any(axis=0, keepdims=True), np.zeros(q, np.int64)
        columns = np.unpackbits(seen, axis=1, count=d).astype(bool)
        return columns, pattern.reshape(-1)

    @property
    def few(self) -> bool:
        """Whether the items are few, so that looking for equal ones costs little."""
        return int(np.prod(tuple(self.items.shape))) <= MOST_NUMBERS

    @cached_property
    def block(self) -> Float32s:
        return to_block(self.items[:])

    @cached_property
    def numbers(self) -> list[tuple[Int64s, Int64s]]:
        """What `number_equal` says under each pattern."""
        return [number_equal(self.block, columns) for columns in self.patterns[0]]

    @cached_property
    def own_numbers(self) -> NDArray[np.int32]:
        """Numbers of the items under each pattern, ``[p, n]``."""
        return np.stack([number for _, number in self.numbers]).astype(np.int32)

    def find_equal(self, rows: Int64s, others: Int64s, items: Int64s) -> NDArray[np.bool_]:
        """Whether some queries can't tell items from others: bool ``[p]``.

        Args:
            rows: the queries ``[p]``.
            others: an item for each of them ``[p]``.
            items: the item that is compared with it ``[p]``.
        """
        pattern = self.patterns[1][rows]
        equal: NDArray[np.bool_] = (
            self.own_numbers[pattern, items] == self.own_numbers[pattern, others]
        )
        return equal


def find_copies(
    block: Float32s, columns: NDArray[np.bool_] | None = None
) -> tuple[Int64s, Int64s] | None:
    """What `number_equal` says of items ``[b, v, d]``, or None where hardly any is a copy.

    Some coordinates of each tell whether to look at all.
    """
    used = np.arange(block.shape[2]) if columns is None else np.flatnonzero(columns)
    mixed = np.sort(mix_probes(block, used)) if len(used) else np.zeros(len(block), np.uint64)
    fewest = len(block) * SHARE_OF_COPIES
    if np.count_nonzero(mixed[1:] == mixed[:-1]) < fewest:
        return None
    first, number = number_equal(
        block, np.ones(block.shape[2], bool) if columns is None else columns
    )
    return (first, number) if len(block) - len(first) >= fewest else None


def number_equal(block: Float32s, columns: NDArray[np.bool_]) -> tuple[Int64s, Int64s]:
    """Numbers items ``[n, v, d]`` so that those that are the same in the columns ``[d]`` share a number.

    Returns:
        The first item of each number ``[u]``, and the number of each item ``[n]``.
    """
    used = np.flatnonzero(columns)
    if not len(used) or not len(block):
        return np.zeros(min(1, len(block)), np.int64), np.zeros(len(block), np.int64)
    _, kind, counts = np.unique(mix_probes(block, used), return_inverse=True, return_counts=True)
    alone = counts[kind.reshape(-1)] == 1
    single, some = np.flatnonzero(alone), np.flatnonzero(~alone)
    rows = block[some] if columns.all() else block[some][:, :, used]
    own, shared = number_rows(rows.reshape(len(some), rows.shape[1] * len(used)))
    number = np.empty(len(block), np.int64)
    number[single], number[some] = np.arange(len(single)), shared + len(single)
    return np.append(single, some[own]), number


def mix_probes(block: Float32s, used: Int64s) -> NDArray[np.uint64]:
    """`mix_rows` of some coordinates of the items ``[n, v, d]``, by which most that differ are told apart ``[n]``."""
    probes = used[np.linspace(0, len(used) - 1, PROBES).astype(np.int64)]
    shown = block[:, 0, probes] + np.float32(0)  # never -0, which has other bytes
    return mix_rows(np.ascontiguousarray(shown).view(np.uint32))


def number_rows(rows: Float32s) -> tuple[Int64s, Int64s]:
    """The first of the equal ``rows [n, m]`` for each number ``[u]``, and the number of each row ``[n]``."""
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    flat = np.ascontiguousarray(rows) + np.float32(0)
    words = flat.view(np.uint32)
    _, first, number = np.unique(mix_rows(words), return_index=True, return_inverse=True)
    if len(first) < len(flat) and (words[first][number] != words).any():  # mixed alike by chance
        whole = flat.view(np.dtype((np.void, flat.itemsize * flat.shape[1]))).reshape(-1)
        _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    return first, number.reshape(-1)


def mix_rows(words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A number for each row of ``words [n, m]``; those of different rows are different, but for chance."""
    mixed: NDArray[np.uint64] = np.einsum("ij,j->i", words, draw_odd_numbers(words.shape[1]))
    return mixed


@lru_cache(maxsize=4)
def draw_odd_numbers(size: int) -> NDArray[np.uint64]:
    """Whole numbers without a pattern."""
    drawn = np.random.default_rng(8).integers(2**62, 2**63, size, dtype=np.uint64)
    return drawn | np.uint64(1)
