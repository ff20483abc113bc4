"""Makes choices on other queries than those they are measured on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from kis_bench.records import Float64s, Int64s

FOLDS, FOLD_SEED = 10, 0
DECIMALS = 12  #: means that differ less are equal


def assign_parts(keys: Sequence[Hashable], folds: int = FOLDS, seed: int = FOLD_SEED) -> Int64s:
    """The part 0 ... folds-1 that each query belongs to ``[q]``, drawn by seed; equal keys to the same part."""
    known: dict[Hashable, int] = {}
    number = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
    part = np.random.default_rng(seed).permutation(len(known)) % max(1, min(folds, len(known)))
    return np.asarray(part[number], np.int64)


def choose_on_others(values: Float64s, parts: Int64s) -> Int64s | None:
    """For each query the choice ``[q]`` with the highest mean of ``values [q, c]`` over the other parts.

    Of equally good ones the first. None where there is one part only, so that no choice can be tried on others.
    """
    if not parts.any():
        return None
    pick = np.empty(len(parts), np.int64)
    for part in np.unique(parts):
        pick[parts == part] = np.argmax(values[parts != part].mean(axis=0).round(DECIMALS))
    return pick
