"""The fixtures that measure: times for pytest-benchmark, the gate, and what is handed on with a test's report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import pytest

from kis_bench.choices import IMAGE_TO_TEXT
from kis_bench.datasets import DatasetRow
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import NotReady
from kis_bench.files.progress import track
from kis_bench.gate.verdicts import Cell, listing, sentence
from kis_bench.measuring import (
    ImageToText,
    KnownItems,
    SimilarImages,
    measure_image_similarity,
    measure_image_to_text,
    measure_known_items,
    verification,
)
from kis_bench.measuring.fused_ranks import DEPTH, fuse_ranks
from kis_bench.measuring.image_similarity import read_study_distances
from kis_bench.measuring.steps import Ranked, Steps
from kis_bench.metrics import COMPARED, CONSISTENCY, RankPlaces, measure_name
from kis_bench.plugin.entry import PAYLOAD
from kis_bench.plugin.gating import FAILURES, gate
from kis_bench.plugin.items import will_be_fused
from kis_bench.plugin.session import (
    TIMED,
    QuerySet,
    choose_engine,
    line_up,
    of_the_study,
    searching_models,
    usable_model,
)
from kis_bench.ranking.relevance import NearDuplicates, Sets, find_target_positions
from kis_bench.records import Dataset, Embeddings, Float64s, Query, Ranks
from kis_bench.results.pseudonyms import hide_queries
from kis_bench.store import Store, default_store
from kis_bench.triplets.tables import whole_tables

BENCHMARK = "benchmark"  #: pytest-benchmark's fixture; tests have it where times were asked for
#: Of a session: key of a model, what of it -> how many vectors were made anew.
VERIFIED = pytest.StashKey[dict[tuple[str, str], int]]()
#: Of a session: dataset, queries and what counts as near-duplicate -> wider sets.
WIDER_SETS = pytest.StashKey[dict[tuple[object, ...], tuple[Sets, ...]]]()
#: Of a session: row and key of a model, fingerprint of a dataset, queries -> what was measured.
MEASURED_ITEMS = pytest.StashKey[dict[tuple[str, str, str, QuerySet], KnownItems]]()


class SessionSteps(Steps):
    """The steps of a measurement in a test: vectors are verified, and pytest-benchmark times where it was asked to."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__()
        self.request, self.config = request, request.config
        self.in_benchmark = False  # whether pytest-benchmark timed a step of this

    def check_images(self, encoder: Encoder, dataset: Dataset, items: Embeddings) -> None:
        compare = partial(verification.verify_collection, dataset.collection, items)
        self.verify(encoder, f"{dataset.name} images", compare)

    def check_texts(
        self, encoder: Encoder, name: str, queries: tuple[Query, ...], texts: Embeddings
    ) -> None:
        self.verify(encoder, f"{name} texts", partial(verification.verify_texts, queries, texts))

    def verify(
        self, encoder: Encoder, what: str, compare: Callable[[LazyEncoder, int], int]
    ) -> None:
        """Compares some stored vectors with new ones, once a session, where that is asked for or due."""
        done = self.config.stash.setdefault(VERIFIED, {})
        if isinstance(encoder, LazyEncoder) and (encoder.key, what) not in done:
            judged = gate(self.config) is not None
            n = verification.sample_size(encoder, self.config.option.kis_verify, judged=judged)
            done[encoder.key, what] = compare(encoder, n)

    def find_wider(
        self, key: tuple[object, ...], find: Callable[[], tuple[Sets, ...]]
    ) -> tuple[Sets, ...]:
        """Finds them once a session."""
        kept = self.config.stash.setdefault(WIDER_SETS, {})
        if key not in kept:
            kept[key] = find()
        return kept[key]

    def rank(self, rank: Callable[[], Ranked]) -> Ranked:
        ranks: Ranked = self.time_in_benchmark(rank)
        return ranks

    def compare(
        self, compare: Callable[[], tuple[Float64s, Float64s]]
    ) -> tuple[Float64s, Float64s]:
        found: tuple[Float64s, Float64s] = self.time_in_benchmark(compare)
        return found

    def time_in_benchmark(self, step: Callable[[], Any]) -> Any:
        """Returns what a step gives; pytest-benchmark times the first one of a test, where it was asked to."""
        stash = self.request.node.stash
        if not stash.get(TIMED, False):
            return step()
        stash[TIMED], self.in_benchmark = False, True
        return self.request.getfixturevalue(BENCHMARK).pedantic(step)


class Measurement:
    """What every measuring fixture does: hand on what came out, tell it, and ask the gate."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request, self.config, self.option = request, request.config, request.config.option
        self.store = Store(self.option.kis_store or default_store())

    def describe(
        self,
        found: KnownItems | ImageToText | SimilarImages,
        model: LazyEncoder,
        dataset: DatasetRow,
    ) -> dict[str, Any]:
        """Returns a measurement's provenance, with what this session knows beside."""
        row = model.checkpoint.name
        if found.model != row and (judge := gate(self.config)) is not None:
            judge.called(row, found.model)
        done = self.config.stash.get(VERIFIED, {})
        verified = {what: n for (key, what), n in done.items() if key == model.key}
        (about_model,) = found.provenance["models"].values()
        return {
            "models": {found.model: {**about_model, "verified": verified}},
            "datasets": add_layout(found, dataset),
        }

    def hand_on(self, **payload: Any) -> None:
        """Puts what was measured into the report of the test."""
        self.request.node.user_properties.append((PAYLOAD, payload))

    def tell(
        self, model: str, dataset: Dataset, label_set: str, figures: Mapping[str, float]
    ) -> None:
        """Puts a cell's figures into JUnit's properties of the test."""
        about = name_cell(model, dataset, label_set)
        self.request.node.user_properties += [*about.items(), *figures.items()]

    def tell_benchmark(
        self, about: Mapping[str, str], figures: Mapping[str, float], steps: SessionSteps
    ) -> None:
        """Puts a cell's figures beside the times of pytest-benchmark, if it took any."""
        if steps.in_benchmark:
            speeds = {
                f"{row['step']} per second": row["per_second"]
                for row in steps.timings
                if row["step"].startswith("embed") and not row["cached"]
            }
            self.request.getfixturevalue(BENCHMARK).extra_info.update(
                {**about, **figures, **speeds}
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
        self.hand_on(timings=[], provenance={}, verdicts=rows)
        for one in rows:
            text = "; ".join(part for part in (sentence(one), listing(one)) if part)
            node.user_properties.append(
                (f"{one['rule']} {one['metric']}".rstrip(), f"{one['verdict']}: {text}")
            )
        node.stash.setdefault(FAILURES, []).extend(failures)


def name_cell(model: str, dataset: Dataset, label_set: str) -> dict[str, str]:
    """Returns the names of a cell, those that it has."""
    about = {"model": model, "dataset": dataset.name, "label_set": label_set}
    return {kind: name for kind, name in about.items() if name}


def compute_figures(ranks: Ranks) -> dict[str, float]:
    """Returns the figures of ranks that are compared, by the names of their measures."""
    placed = RankPlaces(ranks.best, ranks.worst)
    shown = [one for one in COMPARED if not one.of_judgments]
    return {
        measure_name(name, k): one.figure(placed, k) for one in shown for name, k in one.measures()
    }


def add_layout(
    found: KnownItems | ImageToText | SimilarImages, dataset: DatasetRow
) -> dict[str, Any]:
    """Returns what is said of a measurement's dataset, with how its files are named."""
    return {
        name: {**about, "layout": dataset.layout}
        for name, about in found.provenance["datasets"].items()
    }


class KnownItemSearch(Measurement):
    """The fixture ``known_item_search``: measures one model on one query set and hands it on to the report."""

    def __call__(self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet) -> Ranks:
        """Returns the ranks of the queries' targets."""
        steps = SessionSteps(self.request)
        found, provenance = self.measure(model, dataset, query_set, steps)
        ranks, label_set = found.ranks, str(query_set.label_set)
        figures = compute_figures(ranks)
        self.tell(found.model, dataset, label_set, figures)
        self.tell_benchmark(name_cell(found.model, dataset, label_set), figures, steps)
        cell = Cell(found.model, dataset.name, label_set)
        self.judge(cell, provenance, lambda: {"ranks": found.to_frame()})
        return ranks

    def measure(
        self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet, steps: SessionSteps
    ) -> tuple[KnownItems, dict[str, Any]]:
        """Measures a model on a query set, once a session, and hands it on; returns its provenance, too.

        Where lists will be fused, their first items are kept: a second pass over the items would cost more.
        """
        kept = self.config.stash.setdefault(MEASURED_ITEMS, {})
        timed = self.request.node.stash.get(TIMED, False)
        fused = not timed and will_be_fused(self.request, query_set)
        row = model.checkpoint.name
        found = None
        if not model.image_only:  # whose key may be unknown
            found = kept.get((row, model.key, dataset.fingerprint, query_set))
        if found is None or timed or (fused and found.top_list is None):
            found = measure_known_items(
                model,
                dataset,
                str(query_set.label_set),
                self.store,
                queries=query_set.queries,
                segment_s=self.option.kis_segment,
                near_duplicates=NearDuplicates.parse(self.option.kis_near_duplicates),
                fused_depth=DEPTH if fused else 0,
                batch_size=self.option.kis_batch_size,
                engine=choose_engine(self.config),
                privacy=self.option.kis_privacy,
                steps=steps,
            )
            if found.top_list is not None:
                found = replace(found, top_list=found.top_list.move_to_file())
            kept[row, model.key, dataset.fingerprint, query_set] = found
        provenance = self.describe(found, model, query_set.dataset)
        self.hand_on(ranks=found.columns, timings=found.timings, provenance=provenance)
        return found, provenance


class ImageToTextRetrieval(Measurement):
    """The fixture ``image_to_text``: lets the pictures of one query set look for their texts under one model."""

    def __call__(self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet) -> Ranks:
        """Returns the ranks of the first own text of each picture that has one."""
        steps = SessionSteps(self.request)
        found = measure_image_to_text(
            model,
            dataset,
            str(query_set.label_set),
            self.store,
            queries=query_set.queries,
            batch_size=self.option.kis_batch_size,
            engine=choose_engine(self.config),
            privacy=self.option.kis_privacy,
            steps=steps,
        )
        provenance = self.describe(found, model, query_set.dataset)
        self.hand_on(image_to_text=found.columns, timings=found.timings, provenance=provenance)
        figures = compute_figures(found.ranks)
        self.tell(found.model, dataset, found.label_set, figures)
        about = name_cell(found.model, dataset, found.label_set) | {"direction": IMAGE_TO_TEXT}
        self.tell_benchmark(about, figures, steps)
        return found.ranks


class Complementarity(Measurement):
    """The fixture ``complementarity``: what pairs and triples of models find together on one query set."""

    def __call__(self, dataset: Dataset, query_set: QuerySet) -> pd.DataFrame:
        """Returns the ranks of the targets in fused lists, with the columns ``fused_ranks.FUSED``."""
        found: dict[str, KnownItems] = {}
        absent: list[NotReady] = []
        for checkpoint in searching_models(self.config):
            try:
                model = usable_model(self.config, checkpoint)
                one = self.measure_alone(model, dataset, query_set)
                found[one.model] = one  # a function's object may have a name of its own
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
        steps, queries = Steps(), query_set.queries
        fusing = steps.time("fuse", len(queries), None, dataset, query_set.label_set)
        lists = [one.top_list for one in found.values() if one.top_list is not None]
        with fusing, track(f"{query_set.id}: combining {len(found)} models"):
            table = fuse_ranks(
                lists,
                find_target_positions(dataset.collection, queries),
                list(found),
                [query.query_id for query in queries],
                n_items=len(dataset.collection),
            )
        for each in lists:
            each.give_back()
        table.insert(0, "dataset", dataset.name)
        table.insert(1, "label_set", query_set.label_set)
        shown = hide_queries(queries, dataset.all_queries) if self.option.kis_privacy else queries
        ids = {own.query_id: one.query_id for own, one in zip(queries, shown, strict=True)}
        private = table.assign(query_id=table["query_id"].map(ids))
        columns = {column: as_plain_values(private[column]) for column in private}
        self.hand_on(fused=columns, timings=steps.timings, provenance={})
        return table

    def measure_alone(
        self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet
    ) -> KnownItems:
        """Measures one of the models; one that had to be loaded is given up after."""
        steps = SessionSteps(self.request)
        try:
            return KnownItemSearch(self.request).measure(model, dataset, query_set, steps)[0]
        finally:
            model.unload()


def as_plain_values(column: pd.Series) -> list[Any]:
    """Returns a column's values with None where one is missing, which can go to another process."""
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values


class ImageSimilarity(Measurement):
    """The fixture ``image_similarity``: how often a model, or the study's own extractors, choose as the judges did."""

    def __call__(self, model: LazyEncoder, dataset: Dataset) -> float:
        """Returns the consistency of one model with the judgments over a dataset's triplets, 0 to 1."""
        steps = SessionSteps(self.request)
        found = measure_image_similarity(
            model,
            dataset,
            self.store,
            vector_rule=self.option.kis_image_similarity,
            batch_size=self.option.kis_batch_size,
            engine=choose_engine(self.config),
            privacy=self.option.kis_privacy,
            steps=steps,
        )
        row = line_up(self.config).dataset(dataset.name)
        self.record([found], self.describe(found, model, row))
        figures = {CONSISTENCY.name: found.consistency}
        self.tell(found.model, dataset, "", figures)
        self.tell_benchmark(name_cell(found.model, dataset, ""), figures, steps)
        return found.consistency

    def measure_study(self, dataset: Dataset) -> dict[str, float]:
        """Returns the consistency of each extractor whose distances stand in the dataset's own files."""
        models = {model.name for model in line_up(self.config).models}
        names = {name: of_the_study(name) for name in dataset.distances if name in models}
        rule, privacy = self.option.kis_image_similarity, self.option.kis_privacy
        found = read_study_distances(dataset, names, rule, privacy=privacy)
        row = line_up(self.config).dataset(dataset.name)
        about = {name: one for each in found for name, one in each.provenance["models"].items()}
        self.record(found, {"models": about, "datasets": add_layout(found[0], row)})
        return {one.model: one.consistency for one in found}

    def record(self, found: Sequence[SimilarImages], provenance: Mapping[str, Any]) -> None:
        """Hands on the distances of some models over one dataset, and asks the gate about each."""
        distances = [
            (one.dataset.name, one.model, *one.distances.T.tolist(), one.margins.tolist())
            for one in found
        ]
        timings = [row for one in found for row in one.timings]
        self.hand_on(distances=distances, timings=timings, provenance=provenance)
        for one in found:
            cell = Cell(one.model, one.dataset.name, "")
            self.judge(cell, provenance, partial(take_judged, one))


def take_judged(found: SimilarImages) -> dict[str, pd.DataFrame]:
    """Returns the tables that the gate looks at."""
    return whole_tables(found.dataset, found.measured)
