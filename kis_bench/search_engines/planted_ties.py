"""A small collection of our own with equal items, which shows what an engine does with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.ranking.unit_vectors import make_unit
from kis_bench.records import Float32s, Int64s
from kis_bench.search_engines.protocol import NO_ITEM

GROUP_SIZES = (2, 5, 20, 60)  #: of items that are the same vector
GROUPS_OF_A_SIZE, SINGLE_ITEMS = 10, 500
QUERY_NOISE = 0.3  #: of a query beside the item it is about, as a length
PLANTED_DEPTHS = (1, 10, 100)  #: results that are asked for; the last holds the largest group
ASCENDING, DESCENDING, MIXED = "ascending", "descending", "neither"


@dataclass(frozen=True)
class PlantedTies:
    """Items of which several are equal, in a random order, and queries near each group, each asked twice."""

    items: Float32s  # [n, d]
    queries: Float32s  # [2 g, d] the second half is the first once more
    groups: Int64s  # [n] of each item; -1: it is alone

    @classmethod
    def make(cls, d: int) -> PlantedTies:
        rng = np.random.default_rng(0)
        sizes = np.repeat(GROUP_SIZES, GROUPS_OF_A_SIZE)
        centres = make_unit(rng.standard_normal((len(sizes) + SINGLE_ITEMS, d)))
        group = np.repeat(np.arange(len(centres)), [*sizes, *[1] * SINGLE_ITEMS])
        group = rng.permutation(group)
        noise = make_unit(rng.standard_normal((len(sizes), d)))
        near = make_unit(centres[: len(sizes)] + np.float64(QUERY_NOISE) * noise)
        return cls(
            centres[group],
            np.concatenate([near, near]),
            np.where(group < len(sizes), group, -1),
        )

    def save(self, folder: Path) -> None:
        np.save(folder / "items.npy", self.items)
        np.save(folder / "queries.npy", self.queries)

    def judge(self, answers: dict[int, Int64s]) -> dict[str, Any]:
        """Returns what an engine did with equals, from its answers ``[2 g, k]`` for each number of results.

        ``ties_order`` is the order of the ids of equals where all results were asked for, ``ties_change`` the share of
        queries whose first of all equals is another where fewer were, ``twins_found`` the share of equals that were
        returned where there was room for all, and ``equal_queries`` that of queries which get the same answer twice.
        """
        whole, asked = answers[max(answers)], len(self.queries) // 2
        orders, found, changes = [], [], []
        for row in range(asked):
            ids = self.keep_group(whole[row], row)
            found.append(len(ids) / (self.groups == row).sum())
            orders.append(name_order(ids))
            firsts = {self.find_first(each[row], row) for each in answers.values()} - {NO_ITEM}
            changes.append(len(firsts) > 1)
        halves = whole[:asked], whole[asked:]
        kinds = set(filter(None, orders))
        return {
            "ties_order": kinds.pop() if len(kinds) == 1 else MIXED if kinds else "",
            "ties_change": float(np.mean(changes)),
            "twins_found": float(np.mean(found)),
            "equal_queries": float((halves[0] == halves[1]).all(axis=1).mean()),
        }

    def keep_group(self, ids: Int64s, group: int) -> Int64s:
        """The ids of an answer that belong to a group."""
        given = ids[ids != NO_ITEM]
        own: Int64s = given[self.groups[given] == group]
        return own

    def find_first(self, ids: Int64s, group: int) -> int:
        """The first item of a group in an answer, -1 if there is none."""
        own = self.keep_group(ids, group)
        return int(own[0]) if len(own) else NO_ITEM


def name_order(ids: Int64s) -> str:
    """How ids stand, "" for fewer than two.

    >>> name_order(np.array([3, 5, 9])), name_order(np.array([9, 5, 3])), name_order(np.array([3, 9, 5]))
    ('ascending', 'descending', 'neither')
    """
    steps = np.diff(ids)
    if not len(steps):
        return ""
    return ASCENDING if (steps > 0).all() else DESCENDING if (steps < 0).all() else MIXED
