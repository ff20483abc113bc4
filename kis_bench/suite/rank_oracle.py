"""Ranks of some queries computed again, plainly, without anything of `kis_bench.ranking`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.records import Float32s, Float64s

ITEMS_AT_ONCE = 4096
DOUBTFUL = 1e-12  #: of unit vectors of up to 4,096 numbers the scores in float64 err by less than half of it


def compare_with_best(query: Float32s, items: Any, others: list[int]) -> NDArray[np.int8]:
    """Signs of the exact scores of items minus the best one among the items ``others``: int8 ``[n]``.

    Float64 decides where it is surely right, and the exact sum of the exact products elsewhere.
    """
    wide = query.astype(np.float64)
    mark, *rest = np.concatenate([np.reshape(items[i : i + 1], (-1, len(query))) for i in others])
    for vector in rest:
        mark = vector if sign_differences(wide, vector[None], mark)[0] > 0 else mark
    signs = []
    for start in range(0, len(items), ITEMS_AT_ONCE):
        block = np.asarray(items[start : start + ITEMS_AT_ONCE])
        found = sign_differences(wide, block.reshape(-1, len(query)), mark)
        signs.append(found.reshape(len(block), -1).max(axis=1))
    return np.concatenate(signs)


def sign_differences(query: Float64s, vectors: Float32s, mark: Float32s) -> NDArray[np.int8]:
    """Signs of the exact scores of vectors ``[p, d]`` minus that of another one: int8 ``[p]``."""
    differences = vectors.astype(np.float64) @ query - float(mark.astype(np.float64) @ query)
    signs = np.sign(differences).astype(np.int8)
    for i in np.flatnonzero(np.abs(differences) < DOUBTFUL):
        products = np.concatenate([query * vectors[i], -query * mark])
        signs[i] = np.sign(math.fsum(products.tolist()))
    return signs
