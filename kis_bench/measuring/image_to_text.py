"""Image-to-text retrieval, measured: each picture that has texts looks for one of them among all of a label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from kis_bench.encoders.passes import find_pass
from kis_bench.encoders.protocol import Encoder
from kis_bench.files.progress import track
from kis_bench.measuring.arguments import require_engine
from kis_bench.measuring.both_sides import BothSides, embed_both_sides
from kis_bench.measuring.provenance import describe_engine, describe_model, describe_texts
from kis_bench.measuring.steps import Steps
from kis_bench.metrics import recall_at_k
from kis_bench.ranking.engines import MakeEngine, NumpyEngine
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.ranking.text_ranks import TextRanks, rank_texts
from kis_bench.records import Dataset, Query, Ranks, count_things, describe_name, describe_record
from kis_bench.results.columns import TEXT_PLACES
from kis_bench.results.figures import tabulate_text_figures
from kis_bench.store import Store

RANK_TEXTS = "rank texts"  #: the step, in timings


@dataclass(frozen=True)
class ImageToText:
    """Where the pictures of one label set find their texts under one model.

    Attributes:
        model: name of the model.
        dataset: name of the dataset.
        label_set: name of the label set.
        item_ids: the pictures that have a text, q of them.
        ranks: where each finds the first of its texts, arrays ``[q]``.
        columns: the same as columns of image_to_text.parquet, lists of q plain values.
        provenance: what a run folder says of model and dataset.
        timings: seconds of each step, rows of timings.csv.
    """

    model: str
    dataset: str
    label_set: str
    item_ids: tuple[str, ...]
    ranks: Ranks
    columns: Mapping[str, list[Any]] = field(repr=False)
    provenance: Mapping[str, Mapping[str, Any]] = field(repr=False)
    timings: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def __repr__(self) -> str:
        names = map(describe_name, (self.model, self.dataset, self.label_set))
        best, worst = self.ranks.best, self.ranks.worst
        figures = [f"R@{k} {recall_at_k(best, worst, k):.1%}" for k in (1, 10)]
        return describe_record(self, *names, count_things(len(self.item_ids), "picture"), *figures)

    def to_frame(self) -> pd.DataFrame:
        """Returns one row per picture, in the columns of image_to_text.parquet."""
        return pd.DataFrame(dict(self.columns), columns=TEXT_PLACES)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Figures with 95% intervals over pictures, in the columns of image_to_text.csv."""
        return tabulate_text_figures(self.to_frame())


def measure_image_to_text(
    encoder: Encoder,
    dataset: Dataset,
    label_set: str,
    store: Store,
    *,
    queries: Sequence[Query] | None = None,
    batch_size: int | None = None,
    engine: str | MakeEngine = NumpyEngine.name,
    privacy: bool = False,
    steps: Steps | None = None,
) -> ImageToText:
    """Ranks all texts of a label set for each picture that has some of its own, the best-placed of which counts.

    Vectors are those of `measure_known_items`, and so are arguments, but for what only a search by texts has, and
    errors. A picture scores with a text as the text with it. Texts of several annotators or stages are all texts.

    Args:
        encoder: from `kis_bench.encoders.load`, or any object like it.
        dataset: from `kis_bench.datasets.load`.
        label_set: one of ``dataset.label_sets``.
        store: a `kis_bench.store.Store`.
        queries: some queries of the dataset instead of all of the label set; only their texts are searched.
        batch_size: images encoded at once; None: what suits the encoder.
        engine: what multiplies for ranks, and where pictures are embedded; ranks are the same.
        privacy: leaves what may name people or folders out of the provenance.
        steps: what happens around the steps; None: they are timed.
    """
    make_engine, steps = require_engine(engine), steps or Steps()
    sides = embed_both_sides(
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
    owners = find_target_positions(dataset.collection, sides.queries)
    n = len({item for some in owners for item in some})
    with steps.time(RANK_TEXTS, n, encoder, dataset, label_set):
        found = steps.rank(
            lambda: rank_tracked(dataset.collection.name, sides, owners, n, make_engine)
        )
    ids = tuple(dataset.collection.ids[i] for i in found.pictures.tolist())
    about_model = {
        **describe_model(encoder, sides.items, privacy=privacy),
        **describe_engine(make_engine, encoder.name),
    }
    return ImageToText(
        encoder.name,
        dataset.name,
        label_set,
        ids,
        found.ranks,
        {
            "model": [encoder.name] * n,
            "dataset": [dataset.name] * n,
            "label_set": [label_set] * n,
            "item_id": [*ids],
            "n_targets": count_owned(owners, found.pictures.tolist()),
            "rank": found.ranks.rank.tolist(),
            "rank_best": found.ranks.best.tolist(),
            "rank_worst": found.ranks.worst.tolist(),
            "n_texts": [len(sides.queries)] * n,
            "target_score": found.ranks.target_score.tolist(),
        },
        {
            "models": {encoder.name: about_model},
            "datasets": {dataset.name: describe_texts(dataset, privacy=privacy)},
        },
        steps.timings,
    )


def rank_tracked(
    name: str,
    sides: BothSides,
    owners: Sequence[Sequence[int]],
    n: int,
    make_engine: MakeEngine,
) -> TextRanks:
    """Ranks texts for n pictures, and shows how far it is."""
    texts = sides.texts.vectors[:, 0]
    with track(f"{name}: ranking texts", unit="score", total=n * len(texts)) as step:
        return rank_texts(
            sides.items.vectors, texts, owners, engine=make_engine, advance=step.advance
        )


def count_owned(owners: Sequence[Sequence[int]], pictures: Sequence[int]) -> list[int]:
    """How many texts some pictures have, by the ``pictures`` that each text has."""
    counts = dict.fromkeys(pictures, 0)
    for some in owners:
        for item in {*some}:
            counts[item] += 1
    return [*counts.values()]
