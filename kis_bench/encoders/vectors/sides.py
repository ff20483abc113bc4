"""The vectors of one side of a folder, pictures or texts: checked, scaled and taken by rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kis_bench.encoders.vectors.tables import VectorTable
from kis_bench.encoders.vectors.unit_rows import (
    LEAST_LENGTH,
    MOST_LENGTH,
    UnitRows,
    describe_lengths,
    measure_lengths,
)
from kis_bench.errors import BadVector
from kis_bench.ranking.unit_vectors import LENGTH_ROUNDING
from kis_bench.records import Float32s, Float64s, Int64s

MOST_BYTES_IN_MEMORY = (
    64 * 2**20
)  #: of float32; what takes more is read from the files again and again
NAMED_ROWS = 5  #: in a message


@dataclass(frozen=True)
class Side:
    """The vectors of pictures or of texts."""

    table: VectorTable

    @cached_property
    def lengths(self) -> Float64s:
        """Of all rows, ``[m, v]``."""
        return measure_lengths(self.table.parts)

    @cached_property
    def scales(self) -> Float32s | None:
        """What rows are divided by; None: their lengths are 1 as they are."""
        off = np.abs(self.lengths - 1)
        return None if off.max() <= LENGTH_ROUNDING else self.lengths.astype(np.float32)

    def take(self, rows: Int64s) -> NDArray[np.float32]:
        """Some rows as unit vectors ``[n, v, d]``: in memory, or an object that reads them by slices.

        Raises:
            BadVector: one of them is NaN, infinity or of length zero; names the file and the row.
        """
        own = self.lengths[rows]
        for wrong, what in (
            (~np.isfinite(own) | (own > MOST_LENGTH), "NaN, infinity or numbers beyond float32"),
            (own < LEAST_LENGTH, "length zero"),
        ):
            bad = rows[wrong.any(axis=1)]
            if len(bad):
                shown = "; ".join(self.table.locate(int(row)) for row in bad[:NAMED_ROWS])
                more = f" and {len(bad) - NAMED_ROWS:,} more" if len(bad) > NAMED_ROWS else ""
                said = f"{len(bad):,} of {len(rows):,} vectors have {what}: {shown}{more}"
                raise BadVector(f"{said}; make these anew, or take pictures and vectors out")
        found = UnitRows(self.table.parts, self.scales, rows)
        n_bytes = 4 * int(np.prod(found.shape))
        return np.asarray(found) if n_bytes <= MOST_BYTES_IN_MEMORY else found  # type: ignore[return-value]

    def describe(self) -> str:
        """Numbers, type and what was done to lengths, in words for runs and terminals."""
        parts, m = self.table.parts, len(self.table)
        files = self.table.files
        name = (
            files[0].name if len(files) == 1 else f"{files[0].parent.name} ({len(files):,} files)"
        )
        types = " and ".join(sorted({str(part.dtype) for part in parts}))
        done = describe_lengths(self.lengths)
        return f"{name}: {m:,} vectors of {self.table.dim:,} numbers, {types}, {done}"
