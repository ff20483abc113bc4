"""The vectors of both sides of a search: of all pictures of a dataset, and of the texts of a label set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kis_bench import embed
from kis_bench.encoders.passes import ImagePass, MakePass
from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import NotReady
from kis_bench.measuring.arguments import check_arguments, check_one_space, check_targets
from kis_bench.measuring.steps import Steps
from kis_bench.records import Dataset, Embeddings, Query
from kis_bench.store import Store


class BothSides(NamedTuple):
    """Queries, and vectors of all pictures and of their texts."""

    queries: tuple[Query, ...]
    items: Embeddings  # [n, v, d]
    texts: Embeddings  # [q, 1, d]


def embed_both_sides(
    encoder: Encoder,
    dataset: Dataset,
    label_set: str,
    store: Store,
    steps: Steps,
    *,
    queries: Sequence[Query] | None,
    batch_size: int | None,
    privacy: bool,
    make_pass: MakePass = ImagePass,
) -> BothSides:
    """Takes vectors from the store, which then has those that it lacked.

    Texts are encoded here, pictures by ``make_pass``. The other arguments and all errors are those of
    `kis_bench.measuring.measure_known_items`.
    """
    check_arguments(encoder, dataset, store, privacy=privacy)
    chosen = tuple(dataset.queries(label_set) if queries is None else queries)
    check_targets(chosen, dataset)
    if getattr(encoder, "image_only", False):
        raise NotReady(
            f"model {encoder.name}", "has no text side", "It serves image similarity only"
        )
    collection, about = dataset.collection, (encoder, dataset, label_set)
    items = steps.embed(
        "embed images",
        *about,
        len(collection),
        lambda: embed.embed_collection(
            collection, encoder, store, batch_size=batch_size, make_pass=make_pass
        ),
    )
    steps.check_images(encoder, dataset, items)
    name = f"{dataset.name}-{label_set}"
    texts = steps.embed(
        "embed texts",
        *about,
        len(chosen),
        lambda: embed.embed_texts(chosen, encoder, store, name=name),
    )
    steps.check_texts(encoder, name, chosen, texts)
    check_one_space(encoder.name, items, texts)
    return BothSides(chosen, items, texts)
