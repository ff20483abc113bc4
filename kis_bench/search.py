"""Known-item search, measured: queries and vectors -> one row per query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kis_bench.records import Collection, Embeddings, Query, Ranks


def targets(collection: Collection, queries: Sequence[Query]) -> list[list[int]]:
    """For each query the positions of its targets in the collection."""
    return [[collection.position[item] for item in query.item_ids] for query in queries]


def rows(
    model: str, dataset: str, collection: Collection, queries: Sequence[Query], texts: Embeddings, ranks: Ranks,
    *, privacy: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of ranks.parquet as plain Python values; ``privacy`` leaves the texts out."""
    return [
        {
            "model": model,
            "dataset": dataset,
            "label_set": query.label_set,
            "query_id": query.query_id,
            "text": "" if privacy else query.text,
            "item_id": "|".join(query.item_ids),
            "rank": float(ranks.rank[i]),
            "rank_best": int(ranks.best[i]),
            "rank_worst": int(ranks.worst[i]),
            "group_rank": None if ranks.group_rank is None else float(ranks.group_rank[i]),
            "n_items": len(collection),
            "truncated": bool(texts.truncated is not None and texts.truncated[i]),
            "target_score": float(ranks.target_score[i]),
            "top_item_ids": [collection.ids[j] for j in ranks.top_items[i]],
        }
        for i, query in enumerate(queries)
    ]
