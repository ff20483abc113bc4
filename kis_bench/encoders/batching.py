"""How many inputs a model encodes at once: as many as memory holds, found by trying."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeVar

from kis_bench.errors import KisBenchError

T = TypeVar("T")
DEFAULT = 64  #: for encoders that suggest nothing
FITTING: dict[
    tuple[str, ...], int
] = {}  #: batches that fitted where larger ones didn't, in this process
SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "Unable to allocate")


class Batches:
    """Splits work into batches and halves their size when memory runs out; the results don't depend on it.

    The size that was found is kept: what the same model encodes next on the same device begins with it.

    Args:
        size: what to begin with; None: what the encoder suggests as ``batch_size``, else 64.
        unit: what is encoded, for pictures and texts take different memory.

    Raises:
        KisBenchError: a size that can't be.
    """

    def __init__(self, encoder: object, size: int | None = None, unit: str = "") -> None:
        self.size = getattr(encoder, "batch_size", DEFAULT) if size is None else size
        if not isinstance(self.size, Integral) or isinstance(self.size, bool) or self.size < 1:
            raise KisBenchError(
                f"model {getattr(encoder, 'name', '')}: batch_size is {self.size!r}; it has to be a "
                "whole number of at least 1"
            )
        known = [str(getattr(encoder, name, "")) for name in ("key", "device")]
        self.fitting = (*known, unit)
        self.size = min(self.size, FITTING.get(self.fitting, self.size))

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
            whole = (
                len(batch) == self.size
            )  # fewer, as of large pictures or at the end, tell nothing of others
            self.size = len(batch) // 2
            if whole and self.fitting[0] and self.fitting[-1]:
                FITTING[self.fitting] = self.size
            free()
        return results


def out_of_memory(error: BaseException) -> bool:
    """torch has an exception for GPUs only; on a CPU the message tells."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in SAID)


def free() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
