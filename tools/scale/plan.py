"""From measured costs to those of collections that nobody measured: arithmetic, its assumptions as arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Line:
    """A cost that grows with the number of items: ``fixed + n * each``."""

    fixed: float
    each: float

    def at(self, n: float) -> float:
        return self.fixed + n * self.each


def draw_line(rows: Rows, step: str, column: str) -> Line:
    """The line through the two largest collections that were measured in a step.

    Not a fit over all of them: what a step costs at the start would bend it, and the largest ones are what a larger one
    resembles.

    Raises:
        ValueError: the step was measured at one size or none.
    """
    points = sorted((int(row["items"]), float(row[column])) for row in rows if row["step"] == step)
    if len(points) < 2:
        raise ValueError(f"{step} was measured at {len(points)} sizes, and a line needs two")
    (n, low), (m, high) = points[-2:]
    each = (high - low) / (m - n)
    return Line(low - n * each, each)


def count_bytes(n: int, dim: int, overhead_bytes: float, vectors: int = 1) -> float:
    """Bytes of a store of ``n`` items: float32 vectors, and what ids and the like take an item."""
    return n * (4 * dim * vectors + overhead_bytes)


def count_gpu_hours(n: int, rate: float) -> float:
    """Hours that one GPU computes, at ``rate`` pictures a second."""
    return n / rate / 3600


def count_gpus(n: int, rate: float, hours: float, busy: float) -> int:
    """GPUs that embed ``n`` pictures within some hours, if each is busy for a share of the time.

    >>> count_gpus(10_000_000, 1_000, 24, 1), count_gpus(1_000_000_000, 1_000, 24, 0.9)
    (1, 13)
    """
    return max(1, math.ceil(count_gpu_hours(n, rate) / (hours * busy) - 1e-9))


def count_decoding_cores(rate: float, decode_s: float) -> float:
    """Cores that a GPU of ``rate`` pictures a second needs beside it, at so many CPU seconds a picture."""
    return rate * decode_s


@dataclass(frozen=True)
class Machine:
    """What ranking was measured on."""

    terms_per_s: float  #: numbers of pairs of vectors that are multiplied and added, by all cores
    read_bytes_per_s: float  #: from its disk


def count_ranking_seconds(
    n: int, queries: int, dim: int, machine: Machine, nodes: int = 1
) -> float:
    """Seconds that counting takes on nodes that each have a share of the items: products, or reading if it is slower.

    Blocks are read ahead while others are multiplied; that is why the slower of both counts.
    """
    products = n * queries * dim / machine.terms_per_s
    reading = n * dim * 4 / machine.read_bytes_per_s
    return max(products, reading) / nodes


def count_nodes(seconds: float, wanted_s: float) -> int:
    """Nodes that share out what one does in some seconds, so that it takes ``wanted_s`` at most."""
    return max(1, math.ceil(seconds / wanted_s - 1e-9))


def bound_makespan(durations_s: Sequence[float], actors: int) -> tuple[float, float]:
    """The least and the most seconds that jobs take which go to whichever actor is free.

    The least is what no schedule beats: all work shared out evenly, or the longest job. The most is the bound of list
    scheduling (R. L. Graham, 1969): ``sum / m + (1 - 1 / m) longest``.

    >>> bound_makespan([1, 1, 1, 1], 2)
    (2.0, 2.5)
    """
    total, longest = float(sum(durations_s)), float(max(durations_s))
    return max(total / actors, longest), total / actors + (1 - 1 / actors) * longest
