"""The order in which pictures are handed out: seeded, without replacement, every picture as likely as any other.

A picture's place follows from a keyed hash of its id, so that it is the same whatever else is in the collection, and
the first of a million are found in one pass without keeping the others.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np

About = TypeVar("About")


def hash_item(seed: int, item_id: str) -> int:
    """64 bits by which items are ordered under a seed."""
    found = blake2b(item_id.encode(), digest_size=8, key=str(seed).encode())
    return int.from_bytes(found.digest(), "big")


@dataclass
class Draw(Generic[About]):
    """The first items of the order, with whatever came with each, and which of those that are wanted are there."""

    items: dict[str, About]  # in order
    wanted: dict[str, About] = field(default_factory=dict)
    n_items: int = 0
    has_twins: bool = False  # an id may have come twice
    last: int = -1  # hash of the last of `items`; the next draw goes on after it


def draw_items(
    found: Iterable[tuple[str, About]],
    seed: int,
    size: int,
    *,
    after: int = -1,
    wanted: Container[str] = (),
) -> Draw[About]:
    """The first ``size`` items of the order among those found, in whatever order they come.

    Args:
        after: a hash; only items behind it are drawn.
        wanted: ids that are returned wherever they stand.
    """
    draw: Draw[About] = Draw({})
    hashes = array("Q")
    first: list[
        tuple[int, str, About]
    ] = []  # a heap with the last of them on top: hashes are negated
    bound = 2**64
    for item_id, about in found:
        place = hash_item(seed, item_id)
        hashes.append(place)
        if item_id in wanted:
            draw.wanted[item_id] = about
        if not after < place < bound or size == 0:
            continue
        heapq.heappush(first, (-place, item_id, about))
        if len(first) > size:
            heapq.heappop(first)
            bound = -first[0][0]
    draw.n_items = len(hashes)
    ordered = np.sort(np.frombuffer(hashes, np.uint64)) if hashes else np.zeros(0, np.uint64)
    draw.has_twins = bool((ordered[1:] == ordered[:-1]).any())
    first.sort(key=lambda entry: (-entry[0], entry[1]))
    draw.items = {item_id: about for _, item_id, about in first}
    draw.last = -first[-1][0] if first else after
    return draw


def spread_over_groups(ids: Sequence[str], groups: Sequence[str], seed: int) -> list[str]:
    """All items so that each group comes once before any comes again; within a group in the order of `hash_item`."""
    in_order = sorted(zip(ids, groups, strict=True), key=lambda one: hash_item(seed, one[0]))
    seen: dict[str, int] = {}
    rounds = []
    for item_id, group in in_order:
        seen[group] = turn = seen.get(group, 0) + 1
        rounds.append((turn, hash_item(seed, group), item_id))
    return [item_id for _, _, item_id in sorted(rounds, key=lambda one: one[:2])]
