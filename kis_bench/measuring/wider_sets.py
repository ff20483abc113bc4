"""Sets of items that will do as well as the targets, ranked beside them: segments and near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence

from kis_bench.choices import IDENTICAL, SEGMENT_S
from kis_bench.files.hashes import compute_colour_grids, compute_perceptual_hashes
from kis_bench.ranking import relevance
from kis_bench.ranking.relevance import NearDuplicates, Sets
from kis_bench.records import Collection, Embeddings, Query

ONLY_IDENTICAL = NearDuplicates()
WIDER = ("segment", "near_duplicate")  #: sets that are ranked beside the targets, in this order


def find_wider_sets(
    collection: Collection,
    queries: Sequence[Query],
    items: Embeddings,
    *,
    segment_s: float = SEGMENT_S,
    alike: NearDuplicates = ONLY_IDENTICAL,
) -> tuple[Sets, ...]:
    """Finds for each of `WIDER` the items that will do for each query.

    They depend on the model's vectors for near-duplicates by cosine only.
    """
    wanted = relevance.find_target_positions(collection, queries)
    return (
        relevance.find_segments(collection, queries, segment_s),
        find_near_duplicates(collection, items, wanted, alike),
    )


def find_near_duplicates(
    collection: Collection, items: Embeddings, wanted: Sets, alike: NearDuplicates
) -> Sets:
    """Finds for each query its targets and the items like one of them; identical files always are."""
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
