"""Makes unit vectors, and checks those that an encoder returns for a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kis_bench.errors import BadVector, KisBenchError
from kis_bench.records import Float32s, Float64s

LENGTH_ROUNDING = 1e-5  #: lengths of float32 unit vectors are nearer to 1 than that
LENGTH_TOLERANCE = 1e-3  #: by how much the length of a unit vector may differ from 1


def make_unit(vectors: Float64s) -> Float32s:
    """Vectors ``[n, d]`` of length 1; one of length 0 stays, and what isn't finite becomes NaN."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        unit: Float32s = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return unit


def require_unit_vectors(
    ids: Sequence[str], vectors: object, shape: tuple[int, int] | None = None, kind: str = "item"
) -> None:
    """Checks shape, type and length of the vectors of some pictures or texts.

    Args:
        ids: of what was encoded.
        vectors: float32 ``[n, v, d]`` of length 1, n the number of ids.
        shape: what (v, d) have to be; None: anything.
        kind: what an id is the id of.

    Raises:
        KisBenchError: another number of vectors, another type or shape.
        BadVector: NaN, infinity, or not of unit length; names the first one.
    """
    wanted = f"float32 [{len(ids)}, {', '.join(map(str, shape or ('v', 'd')))}]"
    if not isinstance(vectors, np.ndarray):
        raise KisBenchError(
            f"returned {type(vectors).__name__} for {len(ids)} {kind}s; {wanted} is needed"
        )
    if isinstance(vectors, np.ma.MaskedArray):  # what is masked would count as it lies below
        raise KisBenchError(f"returned a masked array for {len(ids)} {kind}s; {wanted} is needed")
    returned = f"returned {vectors.dtype} {list(vectors.shape)} for {len(ids)} {kind}s"
    if vectors.ndim and len(vectors) != len(ids):
        raise KisBenchError(
            f"returned {len(vectors)} vectors for {len(ids)} {kind}s ({name_ids(ids)})"
        )
    if (
        vectors.ndim != 3
        or vectors.dtype != np.float32
        or (shape is not None and vectors.shape[1:] != shape)
    ):
        raise KisBenchError(f"{returned}; {wanted} is needed")
    # NaN and infinity come through every sum, so that one sum of squares tells all.
    lengths = np.sqrt(np.einsum("nvd,nvd->nv", vectors, vectors, dtype=np.float64))
    for wrong, what in (
        (~np.isfinite(lengths), "NaN or infinity"),
        (lengths == 0, "length zero"),
        (
            np.abs(lengths - 1) > LENGTH_TOLERANCE,
            "a length other than 1; encoders return unit vectors",
        ),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(axis=1))[0])
            raise BadVector(f"the vector of {kind} {ids[row]!r} has {what}")


def name_ids(ids: Sequence[str]) -> str:
    """Names the first of some ids."""
    return repr(ids[0]) if len(ids) == 1 else f"{ids[0]!r} to {ids[-1]!r}" if ids else "none"
