"""The exact order of all items of a small collection, or its beginning, for many queries at once."""

from __future__ import annotations

import numpy as np

from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.exact_scores import SLACK, U64, ItemKeys, bound_lengths, gamma
from kis_bench.ranking.score_order import order_scores
from kis_bench.records import Int64s

#: Looking for candidates first costs a query as much as so many multiplications for each that is wanted, and for
#: some more; a score costs some to be sorted, too.
TERMS_A_CANDIDATE, MORE_CANDIDATES, TERMS_TO_SORT = 2**15, 40, 128
SCORES_AT_ONCE = 2**18  #: which stay in the cache


def suits_whole_order(equal: EqualItems, k: int) -> bool:
    """Whether `order_whole` is the quick way to the ``k`` best of the items."""
    n, *inner, d = equal.items.shape
    terms = n * (int(np.prod(inner)) * d + TERMS_TO_SORT)
    if k == 0 or len(equal.queries) == 0 or terms > TERMS_A_CANDIDATE * (k + MORE_CANDIDATES):
        return False
    return equal.few


def order_whole(equal: EqualItems, rows: slice, k: int) -> Int64s:
    """Returns the positions of the ``k`` best items for some queries, best first and equals by position: ``[q, k]``.

    Items that are the same where a query isn't 0 are multiplied once and have one score, whatever a product of
    matrices makes of them.
    """
    queries, block = equal.queries[rows], equal.block
    n, v, d = block.shape
    lengths = bound_lengths(queries)
    found = np.empty((len(queries), k), np.int64)
    own = equal.patterns[1][rows]
    for pattern in np.unique(own).tolist():
        first, number = equal.numbers[pattern]
        some = np.flatnonzero(own == pattern)
        copies = len(first) < n
        vectors = (block[first] if copies else block).reshape(-1, d)
        wide = vectors.astype(np.float64).T
        bounds = gamma(d, U64) * lengths * bound_lengths(vectors).max() * SLACK
        step = max(1, SCORES_AT_ONCE // n)
        products = np.empty((min(step, len(some)), wide.shape[1]))
        for start in range(0, len(some), step):
            few = some[start : start + step]
            scores = np.matmul(queries[few].astype(np.float64), wide, out=products[: len(few)])
            scores = scores if v == 1 else scores.reshape(len(few), -1, v).max(axis=2)
            scores = np.take(scores, number, axis=1) if copies else scores
            find = ItemKeys(queries[few], block).find
            found[few] = order_scores(scores, bounds[few], k, find, number if copies else None)
    return found
