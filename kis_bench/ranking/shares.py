"""Ranking that is done in shares of the blocks, each apart from the others: in other processes, on other machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from kis_bench.ranking.engines import Engine, MakeEngine
from kis_bench.records import Float32s
from kis_bench.threads import Out

OutCo = TypeVar("OutCo", covariant=True)


class BlockRange(NamedTuple):
    """Blocks from ``start`` to before ``stop``."""

    start: int
    stop: int


class SharedWork(Protocol[OutCo]):
    """What is to be done with all items, in blocks that don't depend on one another; it can be pickled."""

    @property
    def terms(self) -> int:
        """Multiplications of all blocks together."""

    def count_blocks(self) -> int:
        """How many blocks there are."""

    def run(self, items: Any, share: BlockRange) -> OutCo:
        """Does some of them.

        Args:
            items: all of the collection, as `kis_bench.ranking.target_ranks` takes them.
            share: which blocks.
        """


@runtime_checkable
class MakeShares(Protocol):
    """A `kis_bench.ranking.engines.MakeEngine` that does work in shares, wherever it likes.

    Called with queries it makes what multiplies within a share.
    """

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str: ...

    @property
    def spelling(self) -> str:
        """The name by which another process of this machine finds the same."""

    def __call__(self, queries: Float32s, /) -> Engine: ...

    def run_shares(self, work: SharedWork[Out], items: Any) -> Iterator[tuple[BlockRange, Out]]:
        """Does all of some work: each block in one share, which come in any order."""

    def close(self) -> None:
        """Ends what was started for it."""


def find_shares(make_engine: MakeEngine) -> MakeShares | None:
    """What does the work in shares, or None: it is done here, in one."""
    return make_engine if isinstance(make_engine, MakeShares) else None
