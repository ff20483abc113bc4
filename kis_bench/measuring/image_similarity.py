"""Image similarity, measured: how often a model, or a study's own extractors, choose as people did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from kis_bench import embed, triplets
from kis_bench.choices import VECTOR_RULES
from kis_bench.encoders.passes import find_pass
from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import KisBenchError, NotReady
from kis_bench.measuring.arguments import check_arguments, require_engine
from kis_bench.measuring.provenance import describe_judged, describe_model
from kis_bench.measuring.steps import Steps
from kis_bench.ranking.engines import MakeEngine, NumpyEngine
from kis_bench.records import Dataset, Float64s, count_things, describe_name, describe_record
from kis_bench.results.columns import RANKS, STUDY_SOURCE
from kis_bench.results.display import show_measured
from kis_bench.store import Store
from kis_bench.triplets.tables import Judged, compute_agreement, similarity_tables


@dataclass(frozen=True)
class SimilarImages:
    """How one model judges the triplets of a dataset, and how often as people did.

    Attributes:
        model: name of the model.
        dataset: with triplets and people's judgments.
        distances: float64 ``[t, 3]``, cosine distances of target and candidate 1, target and candidate 2, and both
            candidates; NaN where an image is missing.
        margins: float64 ``[t]``, similarity of target and candidate 1 minus that of target and candidate 2.
        provenance: what a run folder says of model and dataset.
        timings: seconds of each step, rows of timings.csv.
    """

    model: str
    dataset: Dataset = field(repr=False)
    distances: Float64s = field(repr=False)
    margins: Float64s = field(repr=False)
    provenance: Mapping[str, Mapping[str, Any]] = field(repr=False)
    timings: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def __repr__(self) -> str:
        names = map(describe_name, (self.model, self.dataset.name))
        judged = count_things(len(self.dataset.judgments), "judgment")
        return describe_record(self, *names, judged, f"consistency {self.consistency:.1%}")

    def _repr_html_(self) -> str:
        """Figures with intervals, for notebooks; no item and no person."""
        return show_measured(repr(self), self.metrics, pd.DataFrame(columns=RANKS))

    @cached_property
    def consistency(self) -> float:
        """The share of the judgments with a preference that the model agrees with, 0 to 1."""
        return triplets.consistency(compute_agreement(Judged(self.dataset), self.measured)[:, 0])

    @property
    def measured(self) -> dict[str, tuple[Float64s, Float64s]]:
        """Distances and margins by the name of the model."""
        return {self.model: (self.distances, self.margins)}

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables judgments, distances, agreement, pairs and metrics of this model alone."""
        return similarity_tables(self.dataset, self.measured)

    def to_frame(self) -> pd.DataFrame:
        """Returns one row per judgment with a preference, in the columns of judgments.parquet."""
        return self.tables["judgments"]

    @property
    def metrics(self) -> pd.DataFrame:
        """Consistency and correlations with 95% intervals, in the columns of metrics.csv."""
        return self.tables["metrics"]


def measure_image_similarity(
    encoder: Encoder,
    dataset: Dataset,
    store: Store,
    *,
    vector_rule: str = "mean",
    batch_size: int | None = None,
    engine: str | MakeEngine = NumpyEngine.name,
    privacy: bool = False,
    steps: Steps | None = None,
) -> SimilarImages:
    """Compares the images of each triplet and counts how often the model chooses as people did.

    Vectors come from the store; what it lacks is encoded and stored.

    Args:
        encoder: from `kis_bench.encoders.load`, or any object with the properties and methods of
            `kis_bench.encoders.Encoder`; a text side is not needed.
        dataset: from `kis_bench.datasets.load`, with triplets and judgments.
        store: a `kis_bench.store.Store`.
        vector_rule: of images with several vectors ``"mean"`` compares the mean vectors, ``"max"`` the best pair.
        batch_size: images encoded at once; None: what suits the encoder.
        engine: as of `measure_known_items`: one with machines of its own embeds there.
        privacy: leaves out what may name people or folders.
        steps: what happens around the steps; None: they are timed.

    Raises:
        NotReady: the dataset has no images.
        BadVector: the encoder returned NaN, infinity or a vector that isn't of unit length.
        BadFile: an image can't be read.
        KisBenchError: an argument of another type, a dataset without triplets or judgments, a store that can't be
            read or written, an encoder that failed.
    """
    check_arguments(encoder, dataset, store, privacy=privacy)
    if not len(dataset.collection):
        raise NotReady(
            f"dataset {dataset.name}",
            "has no images",
            "Put them into keyframes/ of its folder",
            concerns=f"model {encoder.name}",
        )
    check_judged(dataset)
    if vector_rule not in VECTOR_RULES:
        raise KisBenchError(f"vector_rule {vector_rule!r}: choose {' or '.join(VECTOR_RULES)}")
    make_pass, steps = find_pass(require_engine(engine)), steps or Steps()
    items = steps.embed(
        "embed images",
        encoder,
        dataset,
        "",
        len(dataset.collection),
        lambda: embed.embed_collection(
            dataset.collection, encoder, store, batch_size=batch_size, make_pass=make_pass
        ),
    )
    steps.check_images(encoder, dataset, items)
    with steps.time("compare", len(dataset.triplets), encoder, dataset, ""):
        places = triplets.positions(dataset.triplets, dataset.collection)
        distances, margins = steps.compare(
            lambda: triplets.cosine_distances(items.vectors, places, vector_rule)
        )
    provenance = {
        "models": {encoder.name: describe_model(encoder, items, privacy=privacy)},
        "datasets": {dataset.name: describe_judged(dataset, vector_rule, privacy=privacy)},
    }
    found = SimilarImages(encoder.name, dataset, distances, margins, provenance, steps.timings)
    check_consistency([found])
    return found


def read_study_distances(
    dataset: Dataset, names: Mapping[str, str], vector_rule: str, *, privacy: bool = False
) -> list[SimilarImages]:
    """Returns what the extractors measured whose distances stand in the dataset's own files.

    Args:
        dataset: with such distances.
        names: what an extractor is called where its own name is another model's.
        vector_rule: by which models are compared; the distances don't depend on it.
        privacy: leaves out what may name people or folders.
    """
    if not dataset.distances:
        raise KisBenchError(
            f"dataset {dataset.name}: no distances of extractors came with its triplets"
        )
    about = {dataset.name: describe_judged(dataset, vector_rule, privacy=privacy)}
    found = []
    for extractor, distances in dataset.distances.items():
        name = names.get(extractor, extractor)
        provenance = {"models": {name: {"source": STUDY_SOURCE}}, "datasets": about}
        margins = distances[:, 1] - distances[:, 0]
        found.append(SimilarImages(name, dataset, distances, margins, provenance))
    check_consistency(found)
    return found


def check_judged(dataset: Dataset) -> None:
    """Raises KisBenchError where nothing was judged."""
    if not dataset.triplets or not dataset.judgments:
        raise KisBenchError(
            f"dataset {dataset.name} has {len(dataset.triplets)} triplets and {len(dataset.judgments)} judgments; "
            "image similarity is measured on datasets with both, such as openmoji-triplets"
        )


def check_consistency(found: Sequence[SimilarImages]) -> None:
    """Raises KisBenchError where no judgment that counts has a distance."""
    if unknown := [one.model for one in found if math.isnan(one.consistency)]:
        raise KisBenchError(
            f"dataset {found[0].dataset.name}: no judgment that counts has a distance under {', '.join(unknown)}; "
            "add the images of its triplets, or judgments with a preference"
        )
