"""The fixture that measures: from a model, a dataset and a query set to ranks, handed on with the test's report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kis_bench import embed, encoders, search
from kis_bench.datasets import DatasetRow
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.catalogue import short_name
from kis_bench.errors import NotReady
from kis_bench.records import Dataset
from kis_bench.relevance import NearDuplicates, Sets
from kis_bench.session import PAYLOAD, QuerySet, visible_progress
from kis_bench.store import Store, default_store

WIDER_SETS = pytest.StashKey[dict[tuple[DatasetRow, str | None, str], tuple[Sets, ...]]]()


class KnownItemSearch:
    """The fixture ``known_item_search``: measures one model on one query set and hands the rows to the report."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request, self.config = request, request.config

    def __call__(self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet) -> Any:
        """The ranks of the queries' targets (:class:`kis_bench.records.Ranks`)."""
        if model.checkpoint.image_only:
            raise NotReady(f"model {model.name}", "has no text side", "It serves image similarity only")
        option, timings = self.config.option, list[dict[str, Any]]()
        store = Store(option.kis_store or default_store())

        @contextmanager
        def timed(step: str, n: int) -> Iterator[None]:
            started, loaded = time.perf_counter(), model.loaded
            yield
            seconds = time.perf_counter() - started
            cached = step.startswith("embed") and model.loaded == loaded and not loaded
            timings.append(
                {"model": model.name, "dataset": dataset.name, "label_set": query_set.label_set, "step": step,
                 "seconds": seconds, "n": n, "per_second": n / seconds if seconds else None, "cached": cached}
            )  # fmt: skip

        queries, collection = query_set.queries, dataset.collection
        alike = NearDuplicates.parse(option.kis_near_duplicates)
        with visible_progress(self.config):
            with timed("embed images", len(collection)):
                items = embed.embed_collection(collection, model, store, batch_size=option.kis_batch_size)
            with timed("embed texts", len(queries)):
                texts = embed.embed_texts(queries, model, store, name=f"{dataset.name}-{query_set.label_set}")
            own = model.name if alike.method == "cosine" else ""  # else they are the same for all models
            kept, about = self.config.stash.setdefault(WIDER_SETS, {}), (query_set.dataset, query_set.label_set, own)
            with timed("relevance", len(queries)):
                if about not in kept:
                    kept[about] = search.wider_sets(
                        collection, queries, items, segment_s=option.kis_segment, alike=alike
                    )
        with timed("rank", len(queries)):
            ranks = search.measure(collection, queries, items, texts, kept[about])
        rows = search.rows(model.name, dataset.name, collection, queries, texts, ranks, privacy=option.kis_privacy)
        source = model.checkpoint.source
        provenance: dict[str, Any] = {
            "models": {model.name: {"source": short_name(source) if option.kis_privacy else source,
                                    "revision": model.checkpoint.revision,
                                    "key": model.key, "weights": encoders.weights(model.checkpoint),
                                    "dim": items.vectors.shape[2],
                                    "note": model.checkpoint.note, "licence": model.checkpoint.licence}},
            "datasets": {dataset.name: {"fingerprint": dataset.fingerprint, "n_items": len(collection),
                                        "n_queries": {s: len(dataset.queries(s)) for s in dataset.label_sets},
                                        "n_groups": len(set(collection.groups or ())),
                                        "layout": query_set.dataset.layout, "segment_s": option.kis_segment,
                                        "near_duplicates": str(alike),
                                        "note": dataset.note}},
        }  # fmt: skip
        payload = {"ranks": rows, "timings": timings, "provenance": provenance}
        self.request.node.user_properties.append((PAYLOAD, payload))
        return ranks
