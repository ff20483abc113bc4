"""Known-item search, measured: queries and vectors -> ranks, figures and the rows of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from kis_bench.choices import SEGMENT_S
from kis_bench.encoders.passes import find_pass
from kis_bench.encoders.protocol import Encoder
from kis_bench.files.progress import track
from kis_bench.measuring.arguments import require_engine
from kis_bench.measuring.both_sides import embed_both_sides
from kis_bench.measuring.provenance import describe_engine, describe_model, describe_searched
from kis_bench.measuring.steps import Steps
from kis_bench.measuring.top_lists import TopList, make_top_list
from kis_bench.measuring.wider_sets import ONLY_IDENTICAL, WIDER, find_wider_sets
from kis_bench.metrics import recall_at_k
from kis_bench.ranking import relevance, target_ranks
from kis_bench.ranking.engines import MakeEngine, NumpyEngine
from kis_bench.ranking.relevance import NearDuplicates, Sets
from kis_bench.records import (
    Collection,
    Dataset,
    Embeddings,
    Query,
    Ranks,
    count_things,
    describe_name,
    describe_record,
)
from kis_bench.results.columns import ALL_RANKS
from kis_bench.results.display import show_measured
from kis_bench.results.figures import metrics_table
from kis_bench.results.pseudonyms import hide_queries
from kis_bench.store import Store

NAMED_ITEMS = 10  #: of each list in ranks.parquet


@dataclass(frozen=True)
class KnownItems:
    """Where one model has the known items of one label set, and how well it does.

    Attributes:
        model: name of the model.
        dataset: name of the dataset.
        label_set: name of the label set.
        queries: what was asked, q of them.
        ranks: where the targets stand, arrays ``[q]``.
        columns: the same as columns of ranks.parquet, lists of q plain values.
        provenance: what a run folder says of model and dataset.
        timings: seconds of each step, rows of timings.csv.
        top_list: the first items of each list for `kis_bench.measuring.fused_ranks.fuse_ranks`;
            None unless they were asked for.
    """

    model: str
    dataset: str
    label_set: str
    queries: tuple[Query, ...]
    ranks: Ranks
    columns: Mapping[str, list[Any]] = field(repr=False)
    provenance: Mapping[str, Mapping[str, Any]] = field(repr=False)
    timings: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    top_list: TopList | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        names = map(describe_name, (self.model, self.dataset, self.label_set))
        best, worst = self.ranks.best, self.ranks.worst
        figures = [f"R@{k} {recall_at_k(best, worst, k):.1%}" for k in (1, 10) if len(best)]
        return describe_record(self, *names, count_things(len(self.queries), "query"), *figures)

    def _repr_html_(self) -> str:
        """Figures and the curve of recall, for notebooks; no text and no item."""
        return show_measured(repr(self), self.metrics, self.to_frame())

    def to_frame(self) -> pd.DataFrame:
        """Returns one row per query, in the columns of ranks.parquet."""
        return pd.DataFrame(dict(self.columns), columns=ALL_RANKS)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Figures with 95% intervals, in the columns of metrics.csv.

        Recall, MRR and quartiles of the rank; also by
        segment, group and near-duplicates where the collection has them.
        """
        return metrics_table(self.to_frame())


def measure_known_items(
    encoder: Encoder,
    dataset: Dataset,
    label_set: str,
    store: Store,
    *,
    queries: Sequence[Query] | None = None,
    segment_s: float = SEGMENT_S,
    near_duplicates: NearDuplicates | str = ONLY_IDENTICAL,
    top_k: int = NAMED_ITEMS,
    fused_depth: int = 0,
    batch_size: int | None = None,
    engine: str | MakeEngine = NumpyEngine.name,
    privacy: bool = False,
    steps: Steps | None = None,
) -> KnownItems:
    """Ranks all images of a dataset for each query of a label set, and looks for the known ones.

    Vectors come from the store; what it lacks is encoded and stored.

    Args:
        encoder: from `kis_bench.encoders.load`, or any object with the properties and methods of
            `kis_bench.encoders.Encoder`.
        dataset: from `kis_bench.datasets.load`.
        label_set: one of ``dataset.label_sets``.
        store: a `kis_bench.store.Store`.
        queries: some queries of the dataset instead of all of the label set.
        segment_s: seconds before and after the target that count as its segment.
        near_duplicates: what counts as the same image: ``"identical"`` files, ``"phash:BITS"`` or
            ``"cosine:SIMILARITY"``.
        top_k: how many of the best items to name for each query.
        fused_depth: how many of the best items to keep for fused lists; 0: none.
        batch_size: images encoded at once; None: what suits the encoder.
        engine: what multiplies for ranks, as `kis_bench.ranking.target_ranks` takes it; ranks are the same. One with
            machines of its own embeds pictures there, too.
        privacy: leaves texts, annotators and names of groups out of the columns.
        steps: what happens around the steps; None: they are timed.

    Raises:
        UnknownName: the dataset has no such label set.
        NotReady: the encoder has no text side, or is a service that may not have what is private.
        BadVector: the encoder returned NaN, infinity or a vector that isn't of unit length.
        BadFile: an image can't be read.
        KisBenchError: an argument of another type, a query whose target isn't in the collection, an engine that
            isn't known or installed, a store that can't be read or written, an encoder that failed.
    """
    make_engine, steps = require_engine(engine), steps or Steps()
    alike = (
        NearDuplicates.parse(near_duplicates)
        if isinstance(near_duplicates, str)
        else near_duplicates
    )
    chosen, items, texts = embed_both_sides(
        encoder,
        dataset,
        label_set,
        store,
        steps,
        queries=queries,
        batch_size=batch_size,
        privacy=privacy,
        make_pass=find_pass(make_engine),
    )
    collection, n, about = dataset.collection, len(chosen), (encoder, dataset, label_set)
    own = encoder.name if alike.method == "cosine" else ""  # else they are the same for all models
    with steps.time("relevance", n, *about):
        wider = steps.find_wider(
            (dataset.fingerprint, chosen, segment_s, alike, own),
            lambda: find_wider_sets(collection, chosen, items, segment_s=segment_s, alike=alike),
        )
    with steps.time("rank", n, *about):
        deepest = max(top_k, fused_depth and fused_depth + 1)
        ranks = steps.rank(
            lambda: rank_queries(
                collection,
                chosen,
                items,
                texts,
                wider,
                top_k=deepest,
                top_scores=bool(fused_depth),
                make_engine=make_engine,
            )
        )
    top_list = make_top_list(ranks) if fused_depth else None
    ranks = replace(ranks, top_items=ranks.top_items[:, :top_k], top_scores=None)
    shown = hide_queries(chosen, dataset.all_queries) if privacy else chosen
    columns = make_columns(
        encoder.name, dataset.name, collection, shown, texts, ranks, privacy=privacy
    )
    about_model = {
        **describe_model(encoder, items, privacy=privacy),
        **describe_engine(make_engine, encoder.name),
    }
    provenance = {
        "models": {encoder.name: about_model},
        "datasets": {
            dataset.name: describe_searched(
                dataset, segment_s=segment_s, alike=alike, privacy=privacy
            )
        },
    }
    return KnownItems(
        encoder.name,
        dataset.name,
        label_set,
        chosen,
        ranks,
        columns,
        provenance,
        steps.timings,
        top_list,
    )


def rank_queries(
    collection: Collection,
    queries: Sequence[Query],
    items: Embeddings,
    texts: Embeddings,
    wider: Sequence[Sets],
    *,
    top_k: int = NAMED_ITEMS,
    top_scores: bool = False,
    make_engine: MakeEngine = NumpyEngine,
) -> Ranks:
    """Ranks the queries' items, groups and ``wider`` sets in one pass."""
    wanted = relevance.find_target_positions(collection, queries)
    what, scores = f"{collection.name}: ranking", len(queries) * len(collection)
    with track(what, unit="score", total=scores) as step:
        return target_ranks(
            texts.vectors[:, 0],
            items.vectors,
            wanted,
            groups=collection.groups,
            relevant=wider,
            top_k=top_k,
            top_scores=top_scores,
            engine=make_engine,
            advance=step.advance,
        )


def make_columns(
    model: str,
    dataset: str,
    collection: Collection,
    queries: Sequence[Query],
    texts: Embeddings,
    ranks: Ranks,
    *,
    privacy: bool = False,
) -> dict[str, list[Any]]:
    """Returns the columns of ranks.parquet as lists of plain Python values, which can go to another process.

    Args:
        queries: as they are to be shown; under privacy `kis_bench.results.pseudonyms.hide_queries`.
        privacy: leaves names of groups out.
    """
    q, ids = len(queries), collection.ids
    both = zip(WIDER, ranks.relevant_best.T, ranks.relevant_worst.T, strict=True)
    others = [("group", ranks.group_best, ranks.group_worst), *both]
    cut = [None] * q if texts.truncated is None else texts.truncated.tolist()
    groups: list[str | None] = [None] * q
    if collection.groups is not None and not privacy:
        group_of = collection.groups, collection.position
        groups = [
            "|".join(dict.fromkeys(group_of[0][group_of[1][item]] for item in query.item_ids))
            for query in queries
        ]
    return {
        "model": [model] * q,
        "dataset": [dataset] * q,
        "label_set": [query.label_set for query in queries],
        "query_id": [query.query_id for query in queries],
        "text": [query.text for query in queries],
        "item_id": ["|".join(query.item_ids) for query in queries],
        "n_targets": [len(query.item_ids) for query in queries],
        "rank": ranks.rank.tolist(),
        "rank_best": ranks.best.tolist(),
        "rank_worst": ranks.worst.tolist(),
        **{
            column: values
            for name, best, worst in others
            for column, values in make_places(name, best, worst, q).items()
        },
        "n_items": [len(collection)] * q,
        "truncated": cut,
        "target_score": ranks.target_score.tolist(),
        "top_item_ids": [[ids[i] for i in top] for top in ranks.top_items.tolist()],
        "annotator": [query.annotator for query in queries],
        "target_group": groups,
    }


def make_places(name: str, best: Any, worst: Any, q: int) -> dict[str, list[Any]]:
    """Returns three columns of best and worst places ``[q]``; nulls where there are none (None, or 0)."""
    names = f"{name}_rank", f"{name}_rank_best", f"{name}_rank_worst"
    if best is None:
        return {column: [None] * q for column in names}
    values = (best + worst) / 2, best, worst
    return {
        column: [one if known else None for one, known in zip(each.tolist(), best, strict=True)]
        for column, each in zip(names, values, strict=True)
    }
