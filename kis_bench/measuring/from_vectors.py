"""Ranks by vectors that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kis_bench.encoders.vectors.unit_rows import describe_lengths, scale_to_unit
from kis_bench.errors import KisBenchError
from kis_bench.measuring.arguments import (
    as_float32,
    as_ids,
    check_unit_vectors,
    find_items,
    require_engine,
)
from kis_bench.measuring.known_items import NAMED_ITEMS, KnownItems, make_columns, rank_queries
from kis_bench.measuring.provenance import describe_engine
from kis_bench.measuring.wider_sets import WIDER
from kis_bench.ranking.engines import MakeEngine, NumpyEngine
from kis_bench.records import Collection, Embeddings, Query


def rank(
    image_vectors: Any,
    text_vectors: Any,
    targets: Sequence[Any],
    *,
    item_ids: Sequence[str] | None = None,
    query_ids: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    model: str = "model",
    dataset: str = "dataset",
    label_set: str = "queries",
    normalise: bool = False,
    top_k: int = NAMED_ITEMS,
    engine: str | MakeEngine = NumpyEngine.name,
) -> KnownItems:
    """Ranks images for texts by vectors that were made elsewhere.

    The score of an image is the dot product of the vectors as float32; with several vectors per image, the
    highest one.

    Args:
        image_vectors: unit vectors of any type of numbers, ``[n, d]`` or ``[n, v, d]``.
        text_vectors: unit vectors, ``[q, d]``.
        targets: for each text the position of its image, or, with ``item_ids``, its id; or several of them,
            the best-placed of which counts.
        item_ids: ids of the images, n different ones; None: their positions from 0.
        query_ids: ids of the texts, q different ones; None: their positions from 0.
        groups: the group of each image, n of them.
        model: name of the model in tables.
        dataset: name of the dataset in tables.
        label_set: name of the label set in tables.
        normalise: divides vectors by their lengths first, as float32, so that they may have any, and float16 ones lose
            what rounding left; what was done stands in ``provenance``.
        top_k: how many of the best images to name for each text.
        engine: what multiplies for ranks, as `kis_bench.ranking.target_ranks` takes it; ranks are the same.

    Raises:
        BadVector: NaN, infinity, or a vector that isn't of unit length; names the image or the text.
        KisBenchError: shapes, ids, targets or groups that don't fit, an engine that isn't known or installed.
    """
    make_engine = require_engine(engine)
    images = as_float32(image_vectors, "image_vectors")
    texts = as_float32(text_vectors, "text_vectors")
    if images.ndim not in (2, 3) or texts.ndim != 2 or images.shape[-1] != texts.shape[1]:
        raise KisBenchError(
            f"image_vectors of shape {list(images.shape)} and text_vectors of shape {list(texts.shape)}; "
            "[n, d] or [n, v, d], and [q, d] with the same d are needed"
        )
    if not len(images) or not len(texts):
        raise KisBenchError(f"{len(images)} images and {len(texts)} texts; one of each is needed")
    images, texts = images.reshape(len(images), -1, images.shape[-1]), texts[:, None]
    ids, queries = as_ids(item_ids, len(images), "item"), as_ids(query_ids, len(texts), "query")
    read = []
    if normalise:
        images, lengths = scale_to_unit(images)
        texts, of_texts = scale_to_unit(texts)
        both = (("image_vectors", image_vectors, lengths), ("text_vectors", text_vectors, of_texts))
        for name, given, own in both:
            kind = np.asarray(given).dtype
            numbers = f"{len(own):,} vectors of {images.shape[2]:,} numbers, {kind}"
            read.append(f"{name}: {numbers}, {describe_lengths(own)}")
    check_unit_vectors(ids, images, "image")
    check_unit_vectors(queries, texts, "text")
    if groups is not None and len(groups) != len(ids):
        raise KisBenchError(f"{len(groups)} groups for {len(ids)} images; one for each is needed")
    if len(targets) != len(queries):
        raise KisBenchError(
            f"{len(targets)} targets for {len(queries)} texts; one for each is needed, or a list of several"
        )
    collection = Collection(
        dataset, ids, (), (), None if groups is None else tuple(map(str, groups))
    )
    asked = tuple(
        Query(query, find_items(some, collection, query, named=item_ids is not None), label_set, "")
        for query, some in zip(queries, targets, strict=True)
    )
    items, embedded = Embeddings(ids, images, ""), Embeddings(queries, texts, "")
    ranks = rank_queries(
        collection, asked, items, embedded, (), top_k=top_k, make_engine=make_engine
    )
    none = np.zeros((len(asked), len(WIDER)), np.int64)
    ranks = replace(ranks, relevant_best=none, relevant_worst=none)
    columns = make_columns(model, dataset, collection, asked, embedded, ranks)
    about = {"dim": images.shape[2], "note": "Vectors were made elsewhere."}
    about |= {"read": read} if read else {}
    provenance = {
        "models": {model: {**about, **describe_engine(make_engine, model)}},
        "datasets": {
            dataset: {
                "n_items": len(ids),
                "n_queries": {label_set: len(asked)},
                "n_groups": len(set(collection.groups or ())),
            }
        },
    }
    return KnownItems(model, dataset, label_set, asked, ranks, columns, provenance)
