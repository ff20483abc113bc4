"""Where targets stand in fused lists: the first items of several models -> ranks under every pair and triple of them.

What is fused is what a system would have at hand, the first ``depth`` items of each model's list, without those that
tie across its end: which of them come first would be up to the order of the collection. A list of nothing but ties
holds no item, and where only one list of a combination holds any, that list is the fused one, to its end. An item that
is in none of several scores 0: the target then shares the places behind all others.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.measuring.fused_places import collect_listed, find_places, read_lists
from kis_bench.measuring.top_lists import TopList, count_fused
from kis_bench.records import Int64s
from kis_bench.statistics.clusters import link_sets
from kis_bench.statistics.cross_validation import FOLD_SEED, FOLDS, assign_parts, choose_on_others

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
#: The scores that `fused_places.Listed.fuse` makes.
METHOD_ROWS = {
    "rrf": slice(0, 1),
    "comb_sum": slice(1, 2),
    "comb_mnz": slice(2, 3),
    "weighted": slice(3, None),
}
LISTED_AT_ONCE = 2**18  #: items in the lists of the queries that a thread reads at once


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
    (``parameter``) of 0, 0.1 ... 1 that has the best MRR. Identical pictures tie.

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
    some = [lists[i] for i in chosen]
    lengths = np.stack([count_fused(each.scores, depth) for each in some])  # [m, q]
    every = [  # pairs, and triples
        np.array([*itertools.combinations(members, size)], np.int64).reshape(-1, size)
        for members, size in ((range(len(chosen)), 2), (best, 3))
    ]
    parts = assign_parts(link_sets(targets).tolist(), folds, seed)
    tables = []
    for combinations, places in zip(
        every, place_queries(some, lengths, targets, every, n), strict=True
    ):
        for i, combination in enumerate(combinations.tolist()):
            names = [models[chosen[j]] for j in combination]
            alone = [(some[j].best, some[j].worst) for j in combination]
            for method in FUSION_METHODS if len(combination) == 2 else FUSION_METHODS[:-1]:
                found = places[:, :, METHOD_ROWS[method], i].astype(np.int64)  # [2, q, weights]
                take_over(found, alone, lengths[combination], method)
                pick = np.zeros(len(parts), np.int64)
                if method == "weighted":
                    learned = choose_on_others(2.0 / found.sum(axis=0), parts)
                    if learned is None:
                        continue
                    pick = learned
                tables.append((method, names, pick, found[:, np.arange(len(pick)), pick]))
    return make_table(tables, queries)


def make_table(
    tables: Sequence[tuple[str, list[str], Int64s, Int64s]], queries: Sequence[str]
) -> pd.DataFrame:
    """Returns one row per query of each method, names of models, weights by number ``[q]`` and places ``[2, q]``."""
    q, of = len(queries), range(3)
    methods, models, picks, places = zip(*tables, strict=True)
    weights = [
        LIST_WEIGHTS[pick] if method == "weighted" else np.full(q, np.nan)
        for method, pick in zip(methods, picks, strict=True)
    ]
    best, worst = np.concatenate(places, axis=1)
    named = [np.array([(*names, None)[:3][j] for names in models], object) for j in of]
    return pd.DataFrame(
        {
            "query_id": np.tile(np.array(queries, object), len(tables)),
            "method": np.repeat(np.array(methods, object), q),
            **{f"model_{j + 1}": np.repeat(named[j], q) for j in of},
            "parameter": np.concatenate(weights),
            "rank": (best + worst) / 2,
            "rank_best": best,
            "rank_worst": worst,
        }
    ).astype({"model_3": object})[FUSED]


def place_queries(
    lists: Sequence[TopList],
    lengths: Int64s,
    targets: Sequence[Sequence[int]],
    combinations: Sequence[Int64s],
    n: int,
) -> list[NDArray[np.int32]]:
    """Returns best and worst ranks ``[2, q, w, p]`` in the fused lists of each array of combinations ``[p, 2 or 3]``.

    Args:
        lists: m lists of q queries.
        lengths: up to where each list is fused ``[m, q]``.
        targets: of each query the positions of its items.
        combinations: of which lists.
        n: how many items were searched.
    """
    m, q = lengths.shape
    ways = [
        len(METHOD_ROWS) - 1 + (len(LIST_WEIGHTS) if each.shape[1] == 2 else 0)
        for each in combinations
    ]
    found = [
        np.empty((2, q, w, len(each)), np.int32) for w, each in zip(ways, combinations, strict=True)
    ]
    step = max(1, LISTED_AT_ONCE // (m * lists[0].items.shape[1]))

    def place_some(start: int) -> None:
        rows = slice(start, start + step)
        several = read_lists(
            np.stack([each.items[rows] for each in lists]),
            np.stack([each.scores[rows] for each in lists]),
            lengths[:, rows],
        )
        column = np.empty(n, np.int32)
        for i, wanted in enumerate(targets[rows]):
            listed, own = collect_listed(several, i, np.array(sorted({*wanted})), column)
            for each, into in zip(combinations, found, strict=True):
                if len(each):
                    into[:, start + i] = find_places(listed, own, each, LIST_WEIGHTS, n)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets others work while it does
        list(pool.map(place_some, range(0, q, step)))
    return found


def take_over(
    places: Int64s,
    own: Sequence[tuple[Int64s, Int64s]],
    lengths: Int64s,
    method: str,
) -> None:
    """Puts a model's own ranks in place of fused ones ``[2, q, w]`` where only its list holds anything, or weighs."""
    filled = lengths > 0
    single, which = filled.sum(axis=0) == 1, filled.argmax(axis=0)
    for side, fused in enumerate(places):
        for member, ranks in enumerate(own):
            here = single & (which == member)
            fused[here] = ranks[side][here, None]
            if method == "weighted":
                fused[:, member == 1 - LIST_WEIGHTS] = ranks[side][:, None]
