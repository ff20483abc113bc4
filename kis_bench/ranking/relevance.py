"""Finds the items that count as a hit: the target itself, its segment, its near-duplicates.

Each function gives for every query the positions of items that will do, the targets among them, in ascending order;
none where nobody can know, because the target has no time. Groups need no such list: their rank is one of groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.choices import IDENTICAL, NEAR_DUPLICATE_METHODS, SEGMENT_S
from kis_bench.colours import same_colours
from kis_bench.errors import KisBenchError
from kis_bench.records import Collection, Float32s, Int64s, Query

Sets = list[tuple[int, ...]]
BLOCK_ITEMS = 4096


@dataclass(frozen=True)
class NearDuplicates:
    """A rule for images that count as one: ``identical`` files, or those near by hash or embedding."""

    method: str = IDENTICAL
    threshold: float = 0.0

    @classmethod
    def parse(cls, text: str) -> NearDuplicates:
        """``identical``, ``phash:6`` or ``cosine:0.95``. Raises KisBenchError for anything else."""
        method, colon, number = text.partition(":")
        most = {"phash": 64.0, "cosine": 1.0}.get(method)
        if text == IDENTICAL:
            return cls()
        try:
            threshold = float(number)
        except ValueError:
            threshold = -1.0
        whole = method != "phash" or threshold.is_integer()
        if most is None or not colon or not 0 <= threshold <= most or not whole:
            raise KisBenchError(f"near-duplicates {text!r}: choose {NEAR_DUPLICATE_METHODS}")
        return cls(method, threshold)

    def __str__(self) -> str:
        return self.method if self.method == IDENTICAL else f"{self.method}:{self.threshold:g}"


def find_target_positions(collection: Collection, queries: Sequence[Query]) -> Sets:
    return [
        tuple(sorted(collection.position[item] for item in query.item_ids)) for query in queries
    ]


def find_segments(
    collection: Collection, queries: Sequence[Query], within_s: float = SEGMENT_S
) -> Sets:
    """Items of the target's group in the query's range of time, or else within some seconds of the target."""
    wanted = find_target_positions(collection, queries)
    if collection.groups is None or collection.times_s is None:
        return [()] * len(wanted)
    groups, times = collection.groups, np.asarray(collection.times_s, np.float64)
    positions: dict[str, list[int]] = {groups[t]: [] for some in wanted for t in some}
    for position, group in enumerate(groups):
        if group in positions:
            positions[group].append(position)
    members = {group: np.array(some) for group, some in positions.items()}
    found = []
    for query, some in zip(queries, wanted, strict=True):
        segment: set[int] = set()
        for target in some:
            near = members[groups[target]]
            start, end = query.range_s or (times[target] - within_s, times[target] + within_s)
            segment.update(near[(times[near] >= start) & (times[near] <= end)].tolist())
        known = query.range_s is not None or segment
        found.append(tuple(sorted(segment.union(some))) if known else ())
    return found


def find_identical(content: Sequence[str], wanted: Sets) -> Sets:
    """Items whose files are the same byte for byte; ``content [n]``: a digest of each."""
    copies: dict[str, list[int]] = {content[t]: [] for some in wanted for t in some}
    for position, digest in enumerate(content):
        if digest in copies:
            copies[digest].append(position)
    return [tuple(sorted({copy for t in some for copy in copies[content[t]]})) for some in wanted]


def find_close_hashes(
    hashes: NDArray[np.uint64], wanted: Sets, bits: int, colours: NDArray[np.int8] | None = None
) -> Sets:
    """Items whose hash ``[n]`` differs in at most so many bits from that of a target.

    Hashes see no colours. Of items with ``colours`` (as ``compute_colour_grids`` gives them) these have
    to be the same, too.
    """
    found = []
    for some in wanted:
        near = np.zeros(len(hashes), bool)
        for t in some:
            near |= looks_like(
                hashes, colours, hashes[t], None if colours is None else colours[t], bits
            )
        found.append(tuple(np.flatnonzero(near).tolist()))
    return found


def looks_like(
    hashes: NDArray[np.uint64],
    colours: NDArray[np.int8] | None,
    other: np.uint64,
    other_colours: NDArray[np.int8] | None,
    bits: int,
) -> NDArray[np.bool_]:
    """Whether items ``[n]`` differ from another in at most ``bits`` bits and, if colours are known, in no colour."""
    near = count_differing_bits(hashes, other) <= bits
    if colours is not None and other_colours is not None:
        some = np.flatnonzero(near)
        near[some] = same_colours(colours[some], other_colours)
    return near


def count_differing_bits(hashes: NDArray[np.uint64], other: np.uint64) -> Int64s:
    """Hamming distance of 64-bit hashes ``[n]`` to one of them: int64 ``[n]``."""
    different = np.ascontiguousarray(hashes ^ other)
    if hasattr(np, "bitwise_count"):  # from NumPy 2 on
        bits: Int64s = np.bitwise_count(different).astype(np.int64)
        return bits
    bits = np.unpackbits(different.view(np.uint8).reshape(-1, 8), axis=1).sum(
        axis=1, dtype=np.int64
    )
    return bits


def find_close_vectors(items: Any, wanted: Sets, similarity: float) -> Sets:
    """Items whose vector has at least this cosine with that of a target; of ``[n, v, d]`` the mean vector counts."""
    owners = sorted({t for some in wanted for t in some})
    lines = np.concatenate([average_vectors(items[t : t + 1]) for t in owners])
    near: dict[int, set[int]] = {t: {t} for t in owners}
    for start in range(0, len(items), BLOCK_ITEMS):
        close = lines @ average_vectors(items[start : start + BLOCK_ITEMS]).T >= similarity
        for row, column in np.argwhere(close).tolist():
            near[owners[row]].add(start + column)
    return [tuple(sorted(set().union(*(near[t] for t in some)))) for some in wanted]


def average_vectors(block: Any) -> Float32s:
    """The mean of each item's vectors, of length 1: float32 ``[b, d]``; zero where they cancel out."""
    mean = np.asarray(block, np.float32)
    mean = mean.mean(axis=1) if mean.ndim == 3 else mean
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    scaled: Float32s = np.divide(mean, length, out=np.zeros_like(mean), where=length > 0)
    return scaled
