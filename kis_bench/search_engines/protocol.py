"""What a search engine has to do to be measured."""

from __future__ import annotations

from typing import Protocol

from kis_bench.errors import KisBenchError
from kis_bench.records import Float32s, Int64s

NO_ITEM = -1  #: in an answer that has no more items


class SearchEngine(Protocol):
    """One setting of one engine, in the process of its own in which it is measured.

    It is made with a folder of its own, which is empty; making it imports no library, building it does. Scores are
    inner products, which of unit vectors are cosine similarities. A slow one may have ``most_pairs``, a number: it is
    asked for so many of the queries, evenly spread, that make at most so many pairs with the items.
    """

    @property
    def name(self) -> str:
        """Engine and setting, such as ``"usearch: HNSW, i8"``; the words before the colon are the engine."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions that it needs, whose versions are recorded."""

    @property
    def largest_k(self) -> int | None:
        """How many results it gives at most; None: as many as there are items."""

    def build(self, items: Float32s) -> None:
        """Takes the items, unit vectors ``[n, d]``, whose ids are their positions.

        Raises:
            EngineRefused: it can't take them, such as vectors of so many numbers.
        """

    def search(self, queries: Float32s, k: int) -> Int64s:
        """Returns the ids of the ``k`` best items of each query ``[q, d]``, best first: int64 ``[q, k]``.

        Where it gives fewer, the rest of the row is -1.
        """

    def close(self) -> None:
        """Saves the index in its folder, if it isn't there and can be, so that its size is known; lets go of it."""


class EngineRefused(KisBenchError):
    """A search engine doesn't take these vectors; says which limit of it that is."""


class Ending:
    """How the measurement of a setting ended, as the table says it."""

    MEASURED = "measured"
    REFUSED = "refused"  # it doesn't take such vectors
    FAILED = "failed"  # it raised an error
    WRONG = "wrong ids"  # it returned what can't be ids
    CRASHED = "crashed"  # its process ended
