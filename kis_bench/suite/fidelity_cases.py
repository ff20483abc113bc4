"""Vectors that are drawn for measuring search engines where no dataset is as large."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from kis_bench.errors import KisBenchError
from kis_bench.records import Float32s
from kis_bench.suite.ranking_cases import make_units

#: Names in the environment, what they are by default, and at least.
DRAWN_NUMBERS = (("ITEMS", 0, 0), ("QUERIES", 200, 1), ("DIM", 512, 1))
ITEMS_A_CLUSTER = 50
SPREAD = 0.8  #: of an item around its cluster's middle, as a length
DRAWN_NOISE = 4.0  #: of a query beside its target


class DrawnSizes(NamedTuple):
    """How many vectors are drawn."""

    items: int
    queries: int
    dim: int

    @classmethod
    def read(cls) -> DrawnSizes:
        """Reads them from the environment; without ``KIS_FIDELITY_ITEMS`` there are none.

        Raises:
            KisBenchError: something else than a whole number, or too few.
        """
        sizes = []
        for name, default, least in DRAWN_NUMBERS:
            variable = f"KIS_FIDELITY_{name}"
            text = os.environ.get(variable, "").strip() or str(default)
            if not text.isdecimal() or int(text) < least:
                raise KisBenchError(f"{variable}={text}: a whole number from {least} on")
            sizes.append(int(text))
        return cls(*sizes)


def draw_clustered(n: int, q: int, d: int) -> tuple[Float32s, Float32s, list[int]]:
    """Queries ``[q, d]``, items ``[n, d]`` in clusters, and the item that each query lies near."""
    rng = np.random.default_rng(0)
    middles = make_units(rng, max(1, n // ITEMS_A_CLUSTER), d)
    items = make_units(rng, n, d)
    items *= np.float32(SPREAD)
    items += middles[rng.integers(0, len(middles), n)]
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    targets = rng.integers(0, n, q)
    queries = np.float32(DRAWN_NOISE) * make_units(rng, q, d) + items[targets]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return queries, items, targets.tolist()
