"""Known-item search, measured: queries and vectors -> one row per query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kis_bench.files.hashes import compute_colour_grids, compute_perceptual_hashes
from kis_bench.ranking import relevance, target_ranks
from kis_bench.ranking.relevance import IDENTICAL, SEGMENT_S, NearDuplicates, Sets
from kis_bench.records import Collection, Dataset, Embeddings, Query, Ranks, digest

ONLY_IDENTICAL = NearDuplicates()
WIDER = ("segment", "near_duplicate")  #: sets that are ranked beside the targets, in this order


def wider_sets(
    collection: Collection,
    queries: Sequence[Query],
    items: Embeddings,
    *,
    segment_s: float = SEGMENT_S,
    alike: NearDuplicates = ONLY_IDENTICAL,
) -> tuple[Sets, ...]:
    """For each of :data:`WIDER` the items that will do for each query; they are the model's own for cosine only."""
    wanted = relevance.find_target_positions(collection, queries)
    return (
        relevance.find_segments(collection, queries, segment_s),
        near_duplicates(collection, items, wanted, alike),
    )


def measure(
    collection: Collection,
    queries: Sequence[Query],
    items: Embeddings,
    texts: Embeddings,
    wider: Sequence[Sets],
    *,
    top_k: int = 10,
) -> Ranks:
    """The ranks of the queries' items, groups and ``wider`` sets (:func:`wider_sets`), from one pass."""
    wanted = relevance.find_target_positions(collection, queries)
    return target_ranks(
        texts.vectors[:, 0],
        items.vectors,
        wanted,
        groups=collection.groups,
        relevant=wider,
        top_k=top_k,
    )


def near_duplicates(
    collection: Collection, items: Embeddings, wanted: Sets, alike: NearDuplicates
) -> Sets:
    """For each query its targets and the items like one of them; identical files always are."""
    same = relevance.find_identical(collection.content, wanted)
    if alike.method == IDENTICAL:
        return same
    if alike.method == "phash":
        close = relevance.find_close_hashes(
            compute_perceptual_hashes(collection),
            wanted,
            int(alike.threshold),
            compute_colour_grids(collection),
        )
    else:
        close = relevance.find_close_vectors(items.vectors, wanted, alike.threshold)
    return [tuple(sorted({*a, *b})) for a, b in zip(same, close, strict=True)]


def rows(
    model: str,
    dataset: str,
    collection: Collection,
    queries: Sequence[Query],
    texts: Embeddings,
    ranks: Ranks,
    *,
    privacy: bool = False,
) -> list[dict[str, Any]]:
    """The rows of ranks.parquet as plain Python values, of queries as they are to be shown.

    ``privacy`` leaves names of groups out; of queries see :func:`kis_bench.results.pseudonyms.hide_queries`.
    """
    groups = None if privacy else collection.groups
    both = zip(WIDER, ranks.relevant_best.T, ranks.relevant_worst.T, strict=True)
    others = [("group", ranks.group_best, ranks.group_worst), *both]
    return [
        {
            "model": model,
            "dataset": dataset,
            "label_set": query.label_set,
            "query_id": query.query_id,
            "text": query.text,
            "item_id": "|".join(query.item_ids),
            "n_targets": len(query.item_ids),
            "rank": float(ranks.rank[i]),
            "rank_best": int(ranks.best[i]),
            "rank_worst": int(ranks.worst[i]),
            **{column: value for other in others for column, value in places(*other, i).items()},
            "n_items": len(collection),
            "truncated": bool(texts.truncated is not None and texts.truncated[i]),
            "target_score": float(ranks.target_score[i]),
            "top_item_ids": [collection.ids[j] for j in ranks.top_items[i]],
            "annotator": query.annotator,
            "target_group": groups
            and "|".join(dict.fromkeys(groups[collection.position[t]] for t in query.item_ids)),
        }
        for i, query in enumerate(queries)
    ]


def places(name: str, best: Any, worst: Any, i: int) -> dict[str, Any]:
    """Three columns of query ``i`` from best and worst places ``[q]``; nulls where there are none (None, or 0)."""
    columns = f"{name}_rank", f"{name}_rank_best", f"{name}_rank_worst"
    if best is None or best[i] == 0:
        return dict.fromkeys(columns)
    return dict(
        zip(columns, ((int(best[i]) + int(worst[i])) / 2, int(best[i]), int(worst[i])), strict=True)
    )


def contents(dataset: Dataset) -> dict[str, str]:
    """Digests of a dataset's parts, to tell which of them is another one when the fingerprints differ."""
    parts: dict[str, Iterable[object]] = {
        "pictures": dataset.collection.content,
        "item ids": dataset.collection.ids,
        "groups and times": [
            *(dataset.collection.groups or ()),
            *(dataset.collection.times_s or ()),
        ],
        **{f"queries of {name}": dataset.queries(name) for name in dataset.label_sets},
        "triplets": dataset.triplets,
        "judgments": [*dataset.judgments, *dataset.participants],
    }
    return {name: digest(part)[:16] for name, part in parts.items()}
