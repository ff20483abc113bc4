"""The vectors of several shards as one array, copied where they are small, mapped where they are large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from kis_bench.errors import KisBenchError
from kis_bench.files.mapped_arrays import MappedArray
from kis_bench.records import Vectors
from kis_bench.store.shards import digest_shard, map_shard, take_vectors

READ_AT_ONCE = 64 * 2**20  #: bytes; several shards below this become one array


def join(
    parts: Sequence[Vectors], files: Sequence[Path] = (), digests: Sequence[str] = ()
) -> Vectors:
    """Several arrays as one; ``files`` they are mapped from are where another process finds them, by their digests."""
    if len(parts) == 1:
        return parts[0]
    if sum(part.nbytes for part in parts) <= READ_AT_ONCE:
        return np.concatenate(parts)
    return ShardedVectors(parts, files, digests)  # type: ignore[return-value]


class ShardedVectors(MappedArray):
    """Several mapped arrays that read as one ``[n, v, d]``; slices touch only what they need.

    Those of a store go to another process, of another machine even, as the names of their files, and are opened there.
    """

    def __init__(
        self, parts: Sequence[Vectors], files: Sequence[Path] = (), digests: Sequence[str] = ()
    ) -> None:
        self.parts, self.files, self.digests = (
            parts,
            [file.absolute() for file in files],
            [*digests],
        )
        if isinstance(parts, ShardFiles):
            lengths, shape, dtype = parts.lengths, parts.shape, np.dtype(np.float32)
        else:
            lengths, shape, dtype = [*map(len, parts)], parts[0].shape[1:], parts[0].dtype
        self.starts = np.cumsum([0, *lengths])
        super().__init__((int(self.starts[-1]), *shape), dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.files:
            return type(self), ([*self.parts],)
        lengths = np.diff(self.starts).tolist()
        return open_sharded, (list(map(str, self.files)), self.digests, lengths, self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.concatenate([*self.parts]).astype(dtype or self.dtype, copy=False)

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


def open_sharded(
    files: Sequence[str], digests: Sequence[str], lengths: Sequence[int], shape: tuple[int, ...]
) -> ShardedVectors:
    """The vectors of a store as they were in another process, from files that every machine sees."""
    places = [*map(Path, files)]
    return ShardedVectors(ShardFiles(places, digests, lengths, shape), places, digests)


class ShardFiles(Sequence[Vectors]):
    """The vectors of a store's files, of which each is opened when something asks for it.

    Args:
        files: of one entry.
        digests: SHA-256 of each, where the work comes from.
        lengths: how many items each has.
        shape: ``(v, d)`` of an item.

    Raises:
        KisBenchError: a file isn't there, or is another one, once something asks for it.
    """

    def __init__(
        self,
        files: Sequence[Path],
        digests: Sequence[str],
        lengths: Sequence[int],
        shape: tuple[int, ...],
    ) -> None:
        self.files, self.digests, self.lengths, self.shape = files, digests, lengths, shape
        self.opened: dict[int, Vectors] = {}

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Vectors: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Vectors]: ...

    def __getitem__(self, index: int | slice) -> Vectors | Sequence[Vectors]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        if i not in self.opened:
            if not self.files[i].exists():
                raise KisBenchError(
                    f"{self.files[i]} isn't there; the store has to be in a shared folder, of one name on all machines"
                )
            if digest_shard(self.files[i], anew=False)[0] != self.digests[i]:
                raise KisBenchError(
                    f"{self.files[i]} holds other vectors than where the run was started; the store has to be one "
                    "folder that all machines share"
                )
            self.opened[i] = take_vectors(map_shard(self.files[i]))
        return self.opened[i]
