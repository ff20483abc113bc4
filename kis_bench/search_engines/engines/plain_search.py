"""A library asked as its own first example does it, which tells what it does by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kis_bench.records import Float32s


@dataclass(frozen=True)
class PlainAnswer:
    """What came for one query, nothing left out, nothing changed."""

    ids: Sequence[int]
    scores: Sequence[float]  # distances or similarities, as the library gives them

    @classmethod
    def from_pairs(cls, pairs: Iterable[Sequence[float]]) -> PlainAnswer:
        given = list(pairs)
        return cls([int(i) for i, _ in given], [float(score) for _, score in given])


#: Takes queries ``[q, d]`` and how many results are wanted; None: that isn't said.
PlainSearch: TypeAlias = Callable[[Float32s, "int | None"], list[PlainAnswer]]
