"""Where targets stand in fused lists: the first items of several models -> ranks under every pair and triple of them.

What is fused is what a system would have at hand, the first ``depth`` items of each model's list, without those that
tie across its end: which of them come first would be up to the order of the collection. A list of nothing but ties
holds no item, and where only one list of a combination holds any, that list is the fused one, to its end. An item that
is in none of several scores 0: the target then shares the places behind all others.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.fusion import RRF_K, normalise, rank_scores
from kis_bench.ranking.exact_scores import gather
from kis_bench.records import Float32s, Float64s, Int64s, Ranks
from kis_bench.statistics.clusters import link_sets
from kis_bench.statistics.cross_validation import (
    DECIMALS,
    FOLD_SEED,
    FOLDS,
    assign_parts,
    choose_on_others,
)

Number = TypeVar("Number", bound=np.generic)
FUSED = [
    "query_id",
    "method",
    "model_1",
    "model_2",
    "model_3",
    "parameter",
    "rank",
    "rank_best",
    "rank_worst",
]
FUSION_METHODS = ("rrf", "comb_sum", "comb_mnz", "weighted")
DEPTH = 1_000
MOST_IN_PAIRS, MOST_IN_TRIPLES = 10, 7  #: of more models, only those with the best MRR are combined
#: Of model_1; of equally good ones that nearest to one half is taken.
LIST_WEIGHTS = np.array(
    sorted(np.linspace(0, 1, 11).round(2), key=lambda weight: abs(weight - 0.5))
)
WHOLE_LISTS = 2  #: times as long as a list: a collection of no more items is looked at as a whole
MOST_BYTES = 128 * 2**20  #: of the lists that are fused at once


@dataclass(frozen=True)
class TopList:
    """The first k items of one model's list for q queries, and where the targets stand in the whole list."""

    items: NDArray[np.int32]  # [q, k] positions in the collection, best first
    scores: Float64s  # [q, k], rounded
    best: Int64s  # [q] ranks
    worst: Int64s
    rank: Float64s

    def move_to_file(self) -> TopList:
        """Returns the same list, mapped from a file without a name, so that many lists take no memory."""
        return replace(self, items=map_copy(self.items), scores=map_copy(self.scores))


def map_copy(array: NDArray[Number]) -> NDArray[Number]:
    """Returns an array's values in a temporary file that vanishes with it."""
    if not array.size:
        return array
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    return mapped


@dataclass(frozen=True)
class Lists:
    """The first items of m models' lists for b queries, over c columns; an item that a list lacks counts nothing."""

    scores: Float64s  # [m, b, c] 0 ... 1, 0 where the item isn't in the list
    reciprocal: Float64s  # [m, b, c] 1 / (60 + rank), 0 where it isn't
    held: NDArray[np.uint8]  # [m, b, c]
    wanted: Int64s  # [b, t] columns of the query's targets, the first one again where it has fewer
    n_wanted: Int64s  # [b] how many these are


def fuse_ranks(
    lists: Sequence[TopList],
    targets: Sequence[Sequence[int]],
    models: Sequence[str],
    queries: Sequence[str],
    *,
    n_items: int,
    depth: int = DEPTH,
    folds: int = FOLDS,
    seed: int = FOLD_SEED,
) -> pd.DataFrame:
    """Ranks the best-placed targets of q queries under every pair and triple of m models.

    Of more than `MOST_IN_PAIRS` models, and for triples `MOST_IN_TRIPLES`, only those with the best MRR are
    combined. Methods are ``rrf`` (reciprocal rank fusion, k = 60), ``comb_sum`` and ``comb_mnz`` (over scores that are
    scaled to 0 ... 1 within each list), and for pairs ``weighted``: comb_sum with that weight of model_1
    (``parameter``) of 0, 0.1 ... 1 that has the best MRR. Scores are rounded to 12 decimals, so that identical pictures
    tie.

    Args:
        lists: of each model the first ``depth + 1`` items, or all if there are fewer.
        targets: of each query the positions of its items.
        models: m names.
        queries: q ids.
        n_items: how many items were searched.
        depth: how many items of each list are fused.
        folds: parts of the queries; the weights that rank those of one part are chosen on the others. Queries with a
            target in common are in one part.
        seed: by which the parts are drawn.

    Returns:
        One row per query, method and combination, in the columns `FUSED`.

    Raises:
        ValueError: fewer than two models, or lists of another shape.
    """
    if len(models) < 2 or len(models) != len(lists):
        raise ValueError(f"{len(models)} models and {len(lists)} lists: two of each are needed")
    n, shape = n_items, (len(queries), min(depth + 1, n_items))
    for model, own in zip(models, lists, strict=True):
        if own.items.shape != shape or own.scores.shape != shape:
            raise ValueError(
                f"model {model}: lists of shape {list(own.items.shape)}; {list(shape)} is needed"
            )
    order = sorted(range(len(models)), key=lambda i: -float(np.mean(1 / lists[i].rank)))
    chosen = sorted(order[:MOST_IN_PAIRS])
    best = [i for i, model in enumerate(chosen) if model in order[:MOST_IN_TRIPLES]]
    scores = [lists[i].scores for i in chosen]
    lengths = np.stack([count_fused(each, depth) for each in scores])  # [m, q]
    own_ranks = [(lists[i].best, lists[i].worst) for i in chosen]
    combinations = [
        *itertools.combinations(range(len(chosen)), 2),
        *itertools.combinations(best, 3),
    ]
    ways = [
        (combination, method)
        for combination in combinations
        for method in FUSION_METHODS
        if method != "weighted" or len(combination) == 2
    ]
    found = []
    for some in iterate_blocks([lists[i].items for i in chosen], scores, lengths, targets, n):
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets others work while it does
            found.append(list(pool.map(partial(rank_block, some, n), *zip(*ways, strict=True))))
    names = np.array([models[i] for i in chosen], object)
    parts = assign_parts(link_sets(targets).tolist(), folds, seed)
    tables = []
    for i, (combination, method) in enumerate(ways):
        high, low = (
            np.concatenate([block[i][side] for block in found]) for side in (0, 1)
        )  # [q, weights]
        take_over((high, low), [own_ranks[j] for j in combination], lengths[[*combination]], method)
        row = np.arange(len(high))
        pick = choose_on_others(2.0 / (high + low), parts) if method == "weighted" else 0 * row
        if pick is None:
            continue
        tables.append(
            pd.DataFrame(
                {
                    "query_id": np.array(queries, object),
                    "method": method,
                    **{
                        f"model_{j + 1}": names[combination[j]] if j < len(combination) else None
                        for j in range(3)
                    },
                    "parameter": LIST_WEIGHTS[pick] if method == "weighted" else np.nan,
                    "rank": (high[row, pick] + low[row, pick]) / 2,
                    "rank_best": high[row, pick],
                    "rank_worst": low[row, pick],
                }
            )
        )
    return pd.concat([table.astype({"model_3": object}) for table in tables], ignore_index=True)[
        FUSED
    ]


def make_top_list(texts: Float32s, items: Any, ranks: Ranks) -> TopList:
    """Returns the first items that ranks name, with their scores.

    Args:
        texts: unit vectors of the queries ``[q, d]``.
        items: unit vectors of the items ``[n, v, d]``, in memory or mapped.
        ranks: with ``top_items [q, k]``.
    """
    scores = np.empty(ranks.top_items.shape)
    for query, positions, row in zip(
        texts.astype(np.float64), ranks.top_items, scores, strict=True
    ):
        row[:] = (gather(items, positions).astype(np.float64) @ query).max(axis=1)
    np.round(scores, DECIMALS, out=scores)  # what differs less is equal, as identical pictures are
    return TopList(ranks.top_items.astype(np.int32), scores, ranks.best, ranks.worst, ranks.rank)


def count_fused(scores: Float64s, depth: int) -> Int64s:
    """Counts the items of each list ``[q]`` that are fused, of descending scores ``[q, at most depth + 1]``."""
    above = np.count_nonzero(scores > scores[:, -1:], axis=1)
    return above if scores.shape[1] > depth else np.where(above > 0, scores.shape[1], 0)


def take_over(
    places: tuple[Int64s, Int64s],
    own: Sequence[tuple[Int64s, Int64s]],
    lengths: Int64s,
    method: str,
) -> None:
    """Puts a model's own ranks in place of fused ones ``[q, w]`` where only its list holds anything, or weighs."""
    filled = lengths > 0
    single, which = filled.sum(axis=0) == 1, filled.argmax(axis=0)
    for side, fused in enumerate(places):
        for member, ranks in enumerate(own):
            here = single & (which == member)
            fused[here] = ranks[side][here, None]
            if method == "weighted":
                fused[:, member == 1 - LIST_WEIGHTS] = ranks[side][:, None]


def iterate_blocks(
    tops: Sequence[NDArray[np.int32]],
    scores: Sequence[Float64s],
    lengths: Int64s,
    targets: Sequence[Sequence[int]],
    n: int,
) -> Iterator[Lists]:
    """Yields the lists of some queries at a time, over those items that are in any list or wanted."""
    q, m = len(targets), len(tops)
    widest = min(n, sum(int(each.max()) for each in lengths) + max(map(len, targets)))
    whole = n <= WHOLE_LISTS * lengths.max(
        initial=0
    )  # then a column for each item of the collection
    step = max(1, MOST_BYTES // (m * (n if whole else widest) * 17))
    for start in range(0, q, step):
        rows = range(start, min(start + step, q))
        some = slice(rows.start, rows.stop)
        columns = (
            [np.arange(n)] * len(rows) if whole else list_listed_items(tops, lengths, targets, rows)
        )
        shape = (m, len(rows), max(map(len, columns)))
        own = [sorted({*targets[i]}) for i in rows]
        wanted = np.zeros((len(rows), max(map(len, own))), np.int64)
        block = Lists(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(shape, np.uint8),
            wanted,
            np.array(list(map(len, own))),
        )
        for b, known in enumerate(columns):
            wanted[b] = np.searchsorted(known, own[b][0])
            wanted[b, : len(own[b])] = np.searchsorted(known, own[b])
        for j in range(m):
            each, k = scores[j][some], lengths[j, some]
            place = np.arange(each.shape[1])
            held = place < k[:, None]
            # Those that tie at the end are left out, and the end of the scale.
            scale = place < (k + (k < each.shape[1] - 1))[:, None]
            query, item = np.nonzero(held)
            at = tops[j][some][held].astype(np.int64)
            if not whole:
                parts = zip(columns, np.split(at, np.cumsum(k)[:-1]), strict=True)
                at = np.concatenate([np.searchsorted(known, items) for known, items in parts])
            block.scores[j, query, at] = normalise(np.where(scale, each, np.nan))[query, item]
            block.reciprocal[j, query, at] = (1.0 / (RRF_K + rank_lists(each, held)))[query, item]
            block.held[j, query, at] = 1
        yield block


def list_listed_items(
    tops: Sequence[NDArray[np.int32]],
    lengths: Int64s,
    targets: Sequence[Sequence[int]],
    rows: range,
) -> list[Int64s]:
    """Returns for each query of ``rows`` the items that are in any of its lists or wanted, in ascending order."""
    return [
        np.unique(
            np.concatenate(
                [*(top[i, :k] for top, k in zip(tops, lengths[:, i], strict=True)), targets[i]]
            )
        )
        for i in rows
    ]


def rank_lists(scores: Float64s, held: NDArray[np.bool_]) -> Float64s:
    """Returns `kis_bench.fusion.rank_scores` of the beginnings of descending lists ``[b, k]``.

    Args:
        scores: in which an item may stand before one that rounding has put above it.
        held: the items that are ranked ``[b, k]``; those behind them have any rank.
    """
    own = np.where(held, scores, -np.inf)
    place = np.arange(own.shape[1])
    changes = own[:, 1:] != own[:, :-1]
    starts = np.maximum.accumulate(np.where(np.pad(changes, ((0, 0), (1, 0))), place, 0), axis=1)
    last = np.where(np.pad(changes, ((0, 0), (0, 1)), constant_values=True), place, len(place))
    ends = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    found: Float64s = (starts + ends) / 2 + 1
    for i in np.flatnonzero((own[:, 1:] > own[:, :-1]).any(axis=1)):
        found[i] = rank_scores(np.where(held[i], scores[i], np.nan))
    return found


def rank_block(
    block: Lists, n: int, combination: Sequence[int], method: str
) -> tuple[Int64s, Int64s]:
    """Returns best and worst ranks ``[b, w]`` of the targets of a block; w is 1, or the number of weights."""
    some = list(combination)
    if method == "weighted":
        first, second = (block.scores[i] for i in some)
        each = [
            find_places(weight * first + (1 - weight) * second, block, n) for weight in LIST_WEIGHTS
        ]
        return np.stack([best for best, _ in each], axis=1), np.stack(
            [worst for _, worst in each], axis=1
        )
    total = sum(block.reciprocal[i] if method == "rrf" else block.scores[i] for i in some)
    if method == "comb_mnz":
        total = total * sum(block.held[i] for i in some)
    best, worst = find_places(np.asarray(total), block, n)
    return best[:, None], worst[:, None]


def find_places(fused: Float64s, block: Lists, n: int) -> tuple[Int64s, Int64s]:
    """Returns best and worst ranks ``[b]`` of the best target by scores ``[b, c]``; with score 0 all others tie."""
    own = np.take_along_axis(fused, block.wanted, axis=1)
    target = own.max(axis=1, keepdims=True)
    above = np.count_nonzero(fused > target, axis=1)
    level = np.count_nonzero(fused == target, axis=1)
    # Targets of one query aren't rivals of one another: of those on a level one counts.
    first = np.arange(own.shape[1]) < block.n_wanted[:, None]
    level = level - ((own == target) & first).sum(axis=1) + 1
    worst = np.where(target[:, 0] > 0, above + level, n - block.n_wanted + 1)
    return (above + 1).astype(np.int64), worst.astype(np.int64)
