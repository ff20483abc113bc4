"""Draws triplets for people to judge: candidates by how near they stand to the target under a model.

A target's list is the order of all other pictures by similarity. It is cut into bins of ranks, and every combination of
two bins is drawn equally often, so that triplets that are easy and hard, near and far are all there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from kis_bench.errors import KisBenchError
from kis_bench.ranking.similar_items import iterate_orders
from kis_bench.records import Int64s
from kis_bench.triplets.margins import cosine_distances

TARGETS_TRIED = 200  #: in a row without the candidates that a combination of bins asks for
DRAWS_TRIED = 4  #: pairs of candidates of one target
POWERS = "powers"

Bins = tuple[int, int]  #: of two candidates, from 1
FindAlike = Callable[[Sequence[int]], Sequence[Sequence[int]]]  #: near-duplicates of some pictures


@dataclass(frozen=True)
class DrawnTriplets:
    """Triplets as positions in the collection, and what happened while they were drawn."""

    places: Int64s  # [t, 3] target, candidate 1, candidate 2
    bins: Int64s  # [t, 2] of the candidates, from 1
    lacking: dict[Bins, int]  # how many of a combination were planned and not found
    compared: int = 0  # pairs of candidates drawn by the first model alone
    differing: int = 0  # of these, on which two models choose differently


def parse_bin_edges(text: str, n_others: int) -> Int64s:
    """The last rank of each bin: powers of two, or the numbers of a text such as ``1,10,100``; ``[b]``.

    Args:
        n_others: pictures in a target's list; bins end there.

    >>> parse_bin_edges("powers", 10).tolist(), parse_bin_edges("5,50", 10).tolist()
    ([1, 2, 4, 8, 10], [5, 10])
    """
    cells = [cell.strip() for cell in text.split(",")]
    if text == POWERS:
        cells = [str(2**i) for i in range(max(1, n_others).bit_length() + 1)]
    lasts = [int(cell) for cell in cells if cell.isdecimal()]
    if len(lasts) < len(cells) or lasts != sorted({*lasts}) or not lasts[0]:
        raise KisBenchError(
            f"bins {text!r}: write {POWERS}, or the last rank of each bin in ascending order, such as 1,10,100,1000"
        )
    inside = [last for last in lasts if last < n_others]
    return np.array([*inside, *[n_others] * (len(inside) < len(lasts))], np.int64)


def list_combinations(lasts: Int64s) -> list[Bins]:
    """Every combination of two bins, the nearer first; one with itself if it holds two ranks or more.

    >>> list_combinations(np.array([1, 4]))
    [(1, 2), (2, 2)]
    """
    sizes = np.diff(lasts, prepend=0)
    pairs = combinations_with_replacement(range(1, len(lasts) + 1), 2)
    return [(a, b) for a, b in pairs if a < b or sizes[a - 1] > 1]


def spread_evenly(number: int, over: Sequence[Bins], rng: np.random.Generator) -> Counter[Bins]:
    """How often each combination comes: as often as any other or once more, which chance decides."""
    whole, rest = divmod(number, max(1, len(over)))
    found = Counter(dict.fromkeys(over, whole))
    found.update(over[i] for i in rng.permutation(len(over))[:rest].tolist())
    return found


@dataclass
class Drawing:
    """Triplets while they are drawn. Bins are those of the first model; choices of two models have to differ."""

    models: Sequence[Any]
    lasts: Int64s
    every: list[Bins]
    needed: Counter[Bins]
    rng: np.random.Generator
    alike: FindAlike | None
    uses: Int64s  # [n] of each picture as a candidate
    rows: list[tuple[int, ...]] = field(default_factory=list)
    bins: list[tuple[int, ...]] = field(default_factory=list)
    known: set[tuple[int, frozenset[int]]] = field(default_factory=set)
    failed: Counter[Bins] = field(default_factory=Counter)  # targets in a row
    lacking: dict[Bins, int] = field(default_factory=dict)
    differing: list[bool] = field(default_factory=list)

    def add_triplet(self, target: int, orders: Sequence[Int64s]) -> None:
        """Draws a triplet of a target, of the combination that lacks most and can be had."""
        if self.alike is not None:
            near = self.alike([target])[0]
            orders = [order[~np.isin(order, near)] for order in orders]
        if len(orders) > 1:
            self.compare_models(target, orders[0])
        wanted = [one for one, n in self.needed.items() if n]
        chance = self.rng.permutation(len(wanted)).tolist()
        for bins in sorted((wanted[i] for i in chance), key=lambda one: -self.needed[one]):
            if self.draw(target, orders, bins):
                self.failed[bins] = 0
                self.needed[bins] -= 1
                return
            self.failed[bins] += 1

    def draw(self, target: int, orders: Sequence[Int64s], bins: Bins) -> bool:
        for _ in range(DRAWS_TRIED):
            pair = self.draw_pair(orders, bins)
            if pair is not None and self.accepts(target, pair):
                turn = 1 if self.rng.random() < 0.5 else -1
                self.rows.append((target, *pair[::turn]))
                self.bins.append(bins[::turn])
                self.known.add((target, frozenset(pair)))
                self.uses[[*pair]] += 1
                return True
        return False

    def draw_pair(self, orders: Sequence[Int64s], bins: Bins) -> tuple[int, int] | None:
        """Two pictures of these bins; a second model has them in bins of the other order."""
        near, far = (self.take_bin(orders[0], one) for one in bins)
        place = np.zeros(len(self.uses), np.int64)
        if len(orders) > 1 and len(far):
            place[orders[1]] = np.searchsorted(self.lasts, np.arange(1, len(orders[1]) + 1))
            near = near[place[near] > place[far].min()]
        if not len(near):
            return None
        first = self.take_least_used(near)
        far = far[(far != first) & ((len(orders) == 1) | (place[far] < place[first]))]
        return (first, self.take_least_used(far)) if len(far) else None

    def take_bin(self, order: Int64s, number: int) -> Int64s:
        return order[0 if number == 1 else self.lasts[number - 2] : self.lasts[number - 1]]

    def take_least_used(self, items: Int64s) -> int:
        """By chance one of those in the fewest triplets: candidates that many share make intervals too narrow."""
        rarest = items[self.uses[items] == self.uses[items].min()]
        return int(self.rng.choice(rarest))

    def accepts(self, target: int, pair: tuple[int, int]) -> bool:
        """Whether a triplet is new, its candidates don't count as one, and each model has a choice of its own."""
        if (target, frozenset(pair)) in self.known:
            return False
        if self.alike is not None and pair[1] in self.alike(pair[:1])[0]:
            return False
        signs = self.find_choices(target, pair)
        return 0 not in signs and len({*signs}) == len(signs)

    def find_choices(self, target: int, pair: Iterable[int]) -> list[int]:
        """The sign of each model's margin."""
        places = np.array([[target, *pair]])
        return [int(np.sign(cosine_distances(vectors, places)[1][0])) for vectors in self.models]

    def compare_models(self, target: int, order: Int64s) -> None:
        """Notes whether two models choose differently on a pair that was drawn by the first one's bins alone."""
        bins = self.every[int(self.rng.integers(len(self.every)))]
        if pair := self.draw_pair([order], bins):
            self.differing.append(len({*self.find_choices(target, pair)}) > 1)

    def give_up(self, tried: int) -> None:
        """Plans others in place of combinations that no target had for so long."""
        for bins in [one for one, n in self.needed.items() if n and self.failed[one] >= tried]:
            self.lacking[bins] = self.needed.pop(bins)
            self.needed.update(spread_evenly(self.lacking[bins], [*self.needed], self.rng))


def draw_triplets(
    models: Sequence[Any],
    pool: Int64s,
    lasts: Int64s,
    number: int,
    *,
    seed: int = 0,
    alike: FindAlike | None = None,
    advance: Callable[[], None] = lambda: None,
) -> DrawnTriplets:
    """Draws triplets of a collection's pictures; the same seed and vectors give the same ones.

    Targets are drawn without replacement, and again only when all were. Of the pictures of a bin those come first
    that few triplets share. Which candidate is called the first is chance.

    Args:
        models: vectors of the collection under one model, or under two, which then choose differently on every
            triplet: the second has the candidates in bins of the other order.
        pool: positions of the pictures to draw from, ascending; one of each content.
        lasts: the last rank of each bin.
        number: how many triplets; fewer come back where there are no more.
        alike: finds the near-duplicates of pictures, which are not compared with them.
        advance: is called after each target.
    """
    rng = np.random.default_rng(seed)
    every = list_combinations(lasts)
    planned = [bins for bins in every if len(models) == 1 or bins[0] < bins[1]]
    needed = spread_evenly(number, planned, rng)
    uses = np.zeros(len(models[0]), np.int64)
    drawing = Drawing(models, lasts, every, needed, rng, alike, uses)
    targets, tried = rng.permutation(pool), min(TARGETS_TRIED, len(pool))
    while drawing.needed.total():
        lists = zip(*(iterate_orders(vectors, targets, pool) for vectors in models), strict=True)
        for target, orders in zip(targets.tolist(), lists, strict=True):
            drawing.add_triplet(target, orders)
            drawing.give_up(tried)
            advance()
            if not drawing.needed.total():
                break
    return DrawnTriplets(
        np.array(drawing.rows, np.int64).reshape(-1, 3),
        np.array(drawing.bins, np.int64).reshape(-1, 2),
        drawing.lacking,
        len(drawing.differing),
        sum(drawing.differing),
    )
