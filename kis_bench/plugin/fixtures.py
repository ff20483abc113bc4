"""The fixtures that measure: from a model and a dataset to ranks or distances, handed on with the test's report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pandas as pd
import pytest

from kis_bench import embed, encoders, triplets
from kis_bench.datasets import DatasetRow
from kis_bench.encoders import LazyEncoder
from kis_bench.errors import KisBenchError, NotReady
from kis_bench.gate.verdicts import Cell, listing, sentence
from kis_bench.measuring import known_items, verification
from kis_bench.measuring.fused_ranks import take_values
from kis_bench.measuring.image_similarity import of_similarity
from kis_bench.measuring.known_items import contents
from kis_bench.metrics import COMPARED, CONSISTENCY, RankPlaces, measure_name
from kis_bench.plugin.gating import FAILURES, gate
from kis_bench.plugin.session import (
    PAYLOAD,
    TIMED,
    QuerySet,
    line_up,
    of_the_study,
    searching_models,
    usable_model,
    visible_progress,
)
from kis_bench.ranking.relevance import NearDuplicates, Sets, find_target_positions
from kis_bench.records import Dataset, Embeddings, Float64s, Query, Ranks
from kis_bench.results.columns import ALL_RANKS, STUDY_SOURCE
from kis_bench.results.pseudonyms import hide_queries
from kis_bench.store import Store, default_store
from kis_bench.triplets.tables import Judged, compute_agreement

BENCHMARK = "benchmark"  #: pytest-benchmark's fixture; tests have it where times were asked for
VERIFIED = pytest.StashKey[
    dict[tuple[str, str], int]
]()  #: key, what -> how many vectors were made anew
WIDER_SETS = pytest.StashKey[dict[tuple[DatasetRow, str | None, str], tuple[Sets, ...]]]()


class Measurement:
    """What every measuring fixture does: time its steps, tell what was used, and hand on what came out."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request, self.config, self.option = request, request.config, request.config.option
        self.timings: list[dict[str, Any]] = []
        self.times = False  # whether pytest-benchmark timed a step of this
        self.store = Store(self.option.kis_store or default_store())

    @contextmanager
    def timed(
        self, step: str, n: int, model: LazyEncoder | None, dataset: Dataset, label_set: str | None
    ) -> Iterator[None]:
        """``model`` is None where a step takes several."""
        started, loaded = time.perf_counter(), model is not None and model.loaded
        yield
        seconds = time.perf_counter() - started
        cached = (
            step.startswith("embed") and model is not None and model.loaded == loaded and not loaded
        )
        self.timings.append(
            {
                "model": model.name if model else "",
                "dataset": dataset.name,
                "label_set": label_set,
                "step": step,
                "seconds": seconds,
                "n": n,
                "per_second": n / seconds if seconds else None,
                "cached": cached,
            }
        )

    def embed_images(
        self, model: LazyEncoder, dataset: Dataset, label_set: str | None
    ) -> Embeddings:
        collection = dataset.collection
        with self.timed("embed images", len(collection), model, dataset, label_set):
            items = embed.embed_collection(
                collection, model, self.store, batch_size=self.option.kis_batch_size
            )
        self.verify(
            model,
            f"{dataset.name} images",
            partial(verification.verify_collection, collection, items),
        )
        return items

    def verify(
        self, model: LazyEncoder, what: str, compare: Callable[[LazyEncoder, int], int]
    ) -> None:
        """Compares some stored vectors with new ones, once a session, where that is asked for or due."""
        done = self.config.stash.setdefault(VERIFIED, {})
        if (model.key, what) not in done:
            judged = gate(self.config) is not None
            n = verification.sample_size(model, self.option.kis_verify, judged=judged)
            done[model.key, what] = compare(model, n)

    def about_model(self, model: LazyEncoder, items: Embeddings) -> dict[str, Any]:
        checkpoint = model.checkpoint
        if model.name != checkpoint.name and (judge := gate(self.config)) is not None:
            judge.called(checkpoint.name, model.name)
        # Notes of our own catalogue say what a model can't do; those of a user may name people.
        known = encoders.catalogue().get(checkpoint.name)
        hidden = self.option.kis_privacy and (known is None or known.note != checkpoint.note)
        own = {"own_key": model.own_key, "row": checkpoint.name} if model.is_function else {}
        return {
            "source": checkpoint.source,
            "revision": checkpoint.revision,
            "key": model.key,
            **own,
            "weights": encoders.weights(checkpoint),
            "dim": items.vectors.shape[2],
            **items.made,
            "verified": {
                what: n
                for (key, what), n in self.config.stash.get(VERIFIED, {}).items()
                if key == model.key
            },
            "note": "" if hidden else checkpoint.note,
            "licence": checkpoint.licence,
        }

    def not_searched(self, dataset: Dataset) -> dict[str, Any]:
        """What a reader has to know of a dataset, and what of its folder was not read."""
        unread = [] if self.option.kis_privacy else [*dataset.unread]
        return {"note": dataset.note, "left_out": dict(dataset.left_out), "unread": unread}

    def shown(self, queries: Sequence[Query], dataset: Dataset) -> Sequence[Query]:
        """The queries as tables may show them."""
        return hide_queries(queries, dataset.all_queries) if self.option.kis_privacy else queries

    def hand_on(self, **payload: Any) -> None:
        self.handed_on = payload
        self.request.node.user_properties.append((PAYLOAD, {"timings": self.timings, **payload}))

    def timed_by_benchmark(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """What a step gives; pytest-benchmark times the first one of a test, where it was asked to."""
        stash = self.request.node.stash
        if not stash.get(TIMED, False):
            return step(*arguments)
        stash[TIMED], self.times = False, True
        return self.request.getfixturevalue(BENCHMARK).pedantic(step, arguments)

    def tell(
        self, model: str, dataset: Dataset, label_set: str, figures: Mapping[str, float]
    ) -> None:
        """Puts a cell's figures into JUnit's properties of the test, and beside the times of pytest-benchmark."""
        about = {"model": model, "dataset": dataset.name} | (
            {"label_set": label_set} if label_set else {}
        )
        self.request.node.user_properties += [*about.items(), *figures.items()]
        if self.times:
            steps = {row["step"]: row for row in self.timings}
            speeds = {
                f"{step} per second": row["per_second"]
                for step, row in steps.items()
                if step.startswith("embed") and not row["cached"]
            }
            self.request.getfixturevalue(BENCHMARK).extra_info.update(
                about | dict(figures) | speeds
            )

    def judge(
        self,
        cell: Cell,
        provenance: Mapping[str, Any],
        tables: Callable[[], dict[str, pd.DataFrame]],
    ) -> None:
        """Asks the gate about a cell; if it fails, the test will, once it has come to its end."""
        found, node = gate(self.config), self.request.node
        if found is None:
            return
        rows, failures = found.judged(cell, provenance, tables())
        node.user_properties.append((PAYLOAD, {"timings": [], "provenance": {}, "verdicts": rows}))
        for one in rows:
            text = "; ".join(part for part in (sentence(one), listing(one)) if part)
            node.user_properties.append(
                (f"{one['rule']} {one['metric']}".rstrip(), f"{one['verdict']}: {text}")
            )
        node.stash.setdefault(FAILURES, []).extend(failures)


class KnownItemSearch(Measurement):
    """The fixture ``known_item_search``: measures one model on one query set and hands the rows to the report."""

    def __call__(self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet) -> Any:
        """The ranks of the queries' targets (:class:`kis_bench.records.Ranks`)."""
        ranks = self.measured(model, dataset, query_set)[0]
        label_set, found = str(query_set.label_set), self.handed_on
        placed = RankPlaces(ranks.best, ranks.worst)
        shown = [one for one in COMPARED if not one.of_judgments]
        figures = {
            measure_name(name, k): one.figure(placed, k)
            for one in shown
            for name, k in one.measures()
        }
        self.tell(model.name, dataset, label_set, figures)
        self.judge(
            Cell(model.name, dataset.name, label_set),
            found["provenance"],
            lambda: {"ranks": pd.DataFrame(found["ranks"], columns=ALL_RANKS)},
        )
        return ranks

    def measured(
        self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet
    ) -> tuple[Ranks, Embeddings, Embeddings]:
        """Also the vectors of images and texts."""
        if model.image_only:
            raise NotReady(
                f"model {model.name}", "has no text side", "It serves image similarity only"
            )
        option, queries, collection = self.option, query_set.queries, dataset.collection
        step = partial(self.timed, model=model, dataset=dataset, label_set=query_set.label_set)
        alike = NearDuplicates.parse(option.kis_near_duplicates)
        with visible_progress(self.config):
            items = self.embed_images(model, dataset, query_set.label_set)
            with step("embed texts", len(queries)):
                texts = embed.embed_texts(
                    queries, model, self.store, name=f"{dataset.name}-{query_set.label_set}"
                )
            self.verify(
                model, f"{query_set.id} texts", partial(verification.verify_texts, queries, texts)
            )
            own = (
                model.name if alike.method == "cosine" else ""
            )  # else they are the same for all models
            kept, about = (
                self.config.stash.setdefault(WIDER_SETS, {}),
                (query_set.dataset, query_set.label_set, own),
            )
            with step("relevance", len(queries)):
                if about not in kept:
                    kept[about] = known_items.wider_sets(
                        collection, queries, items, segment_s=option.kis_segment, alike=alike
                    )
        with step("rank", len(queries)):
            ranks = self.timed_by_benchmark(
                known_items.measure, collection, queries, items, texts, kept[about]
            )
        shown = self.shown(queries, dataset)
        rows = known_items.rows(
            model.name, dataset.name, collection, shown, texts, ranks, privacy=option.kis_privacy
        )
        about_dataset = {
            "fingerprint": dataset.fingerprint,
            "contents": contents(dataset),
            "n_items": len(collection),
            "n_queries": {s: len(dataset.queries(s)) for s in dataset.label_sets},
            "n_groups": len(set(collection.groups or ())),
            "layout": query_set.dataset.layout,
            "segment_s": option.kis_segment,
            "near_duplicates": str(alike),
            **self.not_searched(dataset),
        }
        provenance = {
            "models": {model.name: self.about_model(model, items)},
            "datasets": {dataset.name: about_dataset},
        }
        self.hand_on(ranks=rows, provenance=provenance)
        return ranks, items, texts


class Complementarity(Measurement):
    """The fixture ``complementarity``: what pairs and triples of models find together on one query set."""

    def __call__(self, dataset: Dataset, query_set: QuerySet) -> pd.DataFrame:
        """The ranks of the targets in fused lists, with the columns ``fused_ranks.FUSED``."""
        from kis_bench.measuring.fused_ranks import fused_ranks

        found: dict[str, tuple[Embeddings, Embeddings]] = {}
        absent: list[NotReady] = []
        for checkpoint in searching_models(self.config):
            try:
                model = usable_model(self.config, checkpoint)
                vectors = self.vectors(model, dataset, query_set)
                found[model.name] = vectors  # a function's object may have a name of its own
            except NotReady as error:
                absent.append(error)
        if absent and self.option.kis_strict:
            raise absent[0]
        if len(found) < 2:
            here = f"only {' and '.join(found)} is here" if found else "none is here"
            raise NotReady(
                "complementarity",
                f"takes two models, and {here}",
                "kis-bench fetch MODEL gets another",
            )
        with self.timed("fuse", len(query_set.queries), None, dataset, query_set.label_set):
            table = fused_ranks(
                [texts.vectors[:, 0] for _, texts in found.values()],
                [items.vectors for items, _ in found.values()],
                find_target_positions(dataset.collection, query_set.queries),
                list(found),
                [query.query_id for query in query_set.queries],
            )
        table.insert(0, "dataset", dataset.name)
        table.insert(1, "label_set", query_set.label_set)
        called = {
            query.query_id: shown.query_id
            for query, shown in zip(
                query_set.queries, self.shown(query_set.queries, dataset), strict=True
            )
        }
        told = table.assign(query_id=table["query_id"].map(called))
        self.hand_on(fused={column: take_values(told[column]) for column in told}, provenance={})
        return table

    def vectors(
        self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet
    ) -> tuple[Embeddings, Embeddings]:
        """Those of images and texts, measured alone too; a model that had to be loaded is given up after."""
        try:
            return KnownItemSearch(self.request).measured(model, dataset, query_set)[1:]
        finally:
            model.unload()


class ImageSimilarity(Measurement):
    """The fixture ``image_similarity``: how often a model, or the study's own extractors, choose as the judges did."""

    def __call__(self, model: LazyEncoder, dataset: Dataset) -> float:
        """The consistency of one model with the judgments over a dataset's triplets, 0 to 1."""
        if not len(dataset.collection):
            raise NotReady(
                f"dataset {dataset.name}",
                "has no images",
                "Put them into keyframes/ of its folder",
                concerns=f"model {model.name}",
            )
        with visible_progress(self.config):
            items = self.embed_images(model, dataset, "")
        with self.timed("compare", len(dataset.triplets), model, dataset, ""):
            places = triplets.positions(dataset.triplets, dataset.collection)
            measured = self.timed_by_benchmark(
                triplets.cosine_distances, items.vectors, places, self.option.kis_image_similarity
            )
        found = self.record(
            dataset, {model.name: measured}, {model.name: self.about_model(model, items)}
        )
        self.tell(model.name, dataset, "", {CONSISTENCY.name: found[model.name]})
        return found[model.name]

    def of_study(self, dataset: Dataset) -> dict[str, float]:
        """The consistency of each extractor whose distances stand in the dataset's own files; nothing is computed."""
        models = {model.name for model in line_up(self.config).models}
        measured = {
            of_the_study(name) if name in models else name: (each, each[:, 1] - each[:, 0])
            for name, each in dataset.distances.items()
        }
        return self.record(dataset, measured, {name: {"source": STUDY_SOURCE} for name in measured})

    def record(
        self,
        dataset: Dataset,
        measured: Mapping[str, tuple[Float64s, Float64s]],
        models: Mapping[str, Any],
    ) -> dict[str, float]:
        judged = Judged(dataset)
        found = dict(
            zip(
                measured,
                map(triplets.consistency, compute_agreement(judged, measured).T),
                strict=True,
            )
        )
        if unknown := [name for name, value in found.items() if math.isnan(value)]:
            raise KisBenchError(
                f"dataset {dataset.name}: no judgment that counts has a distance under {', '.join(unknown)}; "
                "add the images of its triplets, or judgments with a preference"
            )
        layout = line_up(self.config).dataset(dataset.name).layout
        about = {
            "fingerprint": dataset.fingerprint,
            "contents": contents(dataset),
            "n_items": len(dataset.collection),
            "layout": layout,
            "n_triplets": len(dataset.triplets),
            "n_targets": len({t.target for t in dataset.triplets}),
            "n_judgments": len(dataset.judgments),
            "n_indifferent": int((~judged.decided).sum()),
            "n_participants": len(dataset.participants),
            "image_similarity": self.option.kis_image_similarity,
            "remarks": [] if self.option.kis_privacy else list(dataset.remarks),
            **self.not_searched(dataset),
        }
        distances = [
            (dataset.name, name, *(each.T.tolist()), m.tolist())
            for name, (each, m) in measured.items()
        ]
        provenance = {"models": dict(models), "datasets": {dataset.name: about}}
        self.hand_on(distances=distances, provenance=provenance)
        for name, own in measured.items():
            self.judge(
                Cell(name, dataset.name, ""), provenance, partial(of_similarity, dataset, name, own)
            )
        return found
