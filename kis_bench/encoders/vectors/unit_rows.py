"""Rows of files as unit vectors: read and scaled when they are asked for, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.files.mapped_arrays import MappedArray
from kis_bench.ranking.unit_vectors import LENGTH_ROUNDING
from kis_bench.records import Float32s, Float64s, Int64s

READ_BYTES = 4 * 2**20  #: of float32 that are looked at in one go
LEAST_LENGTH, MOST_LENGTH = 1e-30, 1e30  #: that can be divided by without losing digits


class UnitRows(MappedArray):
    """Rows of mapped files that read as one float32 array ``[n, v, d]``; slices touch only what they need.

    A row is divided by its length, which is known, so that its numbers don't depend on what is read with it.

    Args:
        parts: numbers ``[m_i, v, d]`` of any float type, one behind the other.
        lengths: of all rows ``[m, v]``, where they have to be made 1; None: they are.
        rows: which of the m rows there are, in this order ``[n]``.
    """

    def __init__(
        self, parts: Sequence[NDArray[Any]], lengths: Float32s | None, rows: Int64s
    ) -> None:
        self.parts, self.lengths, self.rows = parts, lengths, rows
        self.starts = np.cumsum([0, *(len(part) for part in parts)])
        super().__init__((len(rows), *parts[0].shape[1:]), np.dtype(np.float32))

    def __iter__(self) -> Iterator[Float32s]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.take(self.rows).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        rows = self.rows[first]
        if np.ndim(rows) == 0:
            return self.take(np.array([rows]))[0][rest]
        return self.take(rows)[(slice(None), *rest)]

    def take(self, rows: Int64s) -> Float32s:
        """Some of the m rows as unit vectors ``[r, v, d]``."""
        places = np.searchsorted(self.starts, rows, side="right") - 1
        used = np.unique(places)
        if len(used) == 1:
            found = take_from_part(self.parts[used[0]], rows - self.starts[used[0]])
        else:
            found = np.empty((len(rows), *self.shape[1:]), np.float32)
            for place in used:
                some = places == place
                found[some] = take_from_part(self.parts[place], rows[some] - self.starts[place])
        return found if self.lengths is None else found / self.lengths[rows][:, :, None]


def scale_to_unit(vectors: Float32s) -> tuple[Float32s, Float64s]:
    """Vectors ``[n, v, d]`` divided by their lengths, unless all are 1 already; also these lengths ``[n, v]``.

    Those that have no length, or more than can be divided by, stay as they are.
    """
    lengths = measure_lengths([vectors])
    if np.abs(lengths - 1).max(initial=0) <= LENGTH_ROUNDING:
        return vectors, lengths
    fit = (lengths >= LEAST_LENGTH) & (lengths <= MOST_LENGTH)
    scales = np.where(fit, lengths, 1).astype(np.float32)
    return vectors / scales[:, :, None], lengths


def describe_lengths(lengths: Float64s) -> str:
    """What is done to vectors of these lengths, in words for runs and terminals.

    >>> describe_lengths(np.array([[0.5], [2.0]]))
    'all made length 1, from which they differed by at most 1'
    """
    off = np.abs(lengths[np.isfinite(lengths)] - 1).max(initial=0)
    if off <= LENGTH_ROUNDING:
        return f"taken as they are, lengths differ from 1 by at most {off:.2g}"
    return f"all made length 1, from which they differed by at most {off:.2g}"


def take_from_part(part: NDArray[Any], rows: Int64s) -> Float32s:
    """Rows of one array as float32; neighbours in one piece, and without a copy where they are float32."""
    together = len(rows) > 0 and bool((np.diff(rows) == 1).all())
    found = part[rows[0] : rows[-1] + 1] if together else part[rows]
    return np.asarray(found, np.float32)


def measure_lengths(parts: Sequence[NDArray[Any]]) -> Float64s:
    """The length of each row ``[m, v]`` of arrays ``[m_i, v, d]``, rounded to float32 first; one block at a time."""
    return np.concatenate([lengths for part in parts for lengths in iterate_lengths(part)])


def iterate_lengths(part: NDArray[Any]) -> Iterator[Float64s]:
    _, v, d = part.shape
    step = max(1, READ_BYTES // (4 * v * d))
    for start in range(0, len(part), step):
        with np.errstate(over="ignore"):  # what is no float32 becomes infinite, and is told
            block = np.asarray(part[start : start + step], np.float32)
            yield np.sqrt(np.einsum("nvd,nvd->nv", block, block, dtype=np.float64))
