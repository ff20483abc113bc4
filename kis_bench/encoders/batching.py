"""How many inputs a model encodes at once: as many as memory holds, found by trying."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeVar

from kis_bench.errors import KisBenchError

T = TypeVar("T")
DEFAULT = 64  #: for encoders that suggest nothing
SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "Unable to allocate")


class Batches:
    """Splits work into batches and halves their size when memory runs out; the results don't depend on it.

    Args:
        size: what to begin with; None: what the encoder suggests as ``batch_size``, else 64.

    Raises:
        KisBenchError: a size that can't be.
    """

    def __init__(self, encoder: object, size: int | None = None) -> None:
        self.size = getattr(encoder, "batch_size", DEFAULT) if size is None else size
        if not isinstance(self.size, Integral) or isinstance(self.size, bool) or self.size < 1:
            raise KisBenchError(
                f"model {getattr(encoder, 'name', '')}: batch_size is {self.size!r}; it has to be a "
                "whole number of at least 1"
            )

    def run(
        self,
        encode: Callable[[Sequence[Any]], T],
        inputs: Sequence[Any],
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[T]:
        """``encode`` of one batch after the other.

        Args:
            advance: is told the size of each batch that is done.

        Raises:
            MemoryError, torch.OutOfMemoryError: one input alone is too much.
        """
        results: list[T] = []
        start = 0
        while start < len(inputs):
            batch = inputs[start : start + self.size]
            try:
                results.append(encode(batch))
            except (MemoryError, RuntimeError) as error:
                if len(batch) == 1 or not out_of_memory(error):
                    raise
            else:
                start += len(batch)
                advance(len(batch))
                continue
            # Outside of the handler, whose traceback would keep the failed batch alive.
            self.size = len(batch) // 2
            free()
        return results


def out_of_memory(error: BaseException) -> bool:
    """torch has an exception for GPUs only; on a CPU the message tells."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in SAID)


def free() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
