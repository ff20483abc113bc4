"""The vectors of several shards as one array, copied where they are small, mapped where they are large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.files.mapped_arrays import MappedArray
from kis_bench.records import Vectors

READ_AT_ONCE = 64 * 2**20  #: bytes; several shards below this become one array


def join(parts: list[Vectors]) -> Vectors:
    if len(parts) == 1:
        return parts[0]
    if sum(part.nbytes for part in parts) <= READ_AT_ONCE:
        return np.concatenate(parts)
    return ShardedVectors(parts)  # type: ignore[return-value]


class ShardedVectors(MappedArray):
    """Several mapped arrays that read as one ``[n, v, d]``; slices touch only what they need."""

    def __init__(self, parts: list[Vectors]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0] + [len(part) for part in parts])
        super().__init__((int(self.starts[-1]), *parts[0].shape[1:]), parts[0].dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.concatenate(self.parts).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(first, slice):
            rows = self._slice(first)
            return rows[(slice(None), *rest)]
        wanted = np.atleast_1d(np.asarray(first))
        if wanted.dtype == bool:
            wanted = np.flatnonzero(wanted)
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        if ((wanted < 0) | (wanted >= len(self))).any():
            raise IndexError(f"index out of range for {len(self)} items")
        part = np.searchsorted(self.starts, wanted, side="right") - 1
        rows = np.stack(
            [self.parts[p][i - self.starts[p]] for p, i in zip(part, wanted, strict=True)]
        )
        return (rows[0] if np.ndim(first) == 0 else rows)[
            (slice(None), *rest) if np.ndim(first) else (*rest,)
        ]

    def _slice(self, wanted: slice) -> Vectors:
        start, stop, step = wanted.indices(len(self))
        if step != 1:
            return self[np.arange(start, stop, step)] if start != stop else self.parts[0][:0]
        pieces = self.list_pieces(start, stop)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def list_pieces(self, start: int, stop: int) -> list[Vectors]:
        """The items from one to before another where they lie, mapped, one array or more: nothing is copied."""
        if start >= stop:
            return [self.parts[0][:0]]
        first, last = np.searchsorted(self.starts, [start, stop - 1], side="right") - 1
        parts = zip(self.parts[first : last + 1], self.starts[first : last + 1], strict=True)
        return [part[max(start - offset, 0) : stop - offset] for part, offset in parts]

    def __iter__(self) -> Iterator[Vectors]:
        for part in self.parts:
            yield from part
