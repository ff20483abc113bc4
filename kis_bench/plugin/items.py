"""What a collected test stands for: which of our models and datasets it is over, and which cells it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kis_bench import datasets
from kis_bench.datasets import DatasetRow
from kis_bench.plugin.session import QuerySet, line_up, of_the_study
from kis_bench.records import Checkpoint

if TYPE_CHECKING:
    from kis_bench.gate.gate import Selected


def find_model(item: pytest.Item) -> str:
    """The name of its model, "" where it has none of ours."""
    callspec = getattr(item, "callspec", None)
    model = callspec.params.get("model") if callspec else None
    return model.name if isinstance(model, Checkpoint) else ""


def takes_all_models(item: pytest.Item) -> bool:
    """Whether it combines all models of the session."""
    return "complementarity" in getattr(item, "fixturenames", ()) and uses_dataset(item)


def will_be_fused(request: pytest.FixtureRequest, query_set: QuerySet) -> bool:
    """Whether the lists of a query set are combined in this process, by this test or a later one.

    A process of pytest-xdist can't know which of them will do that.
    """
    here = [request.node] if hasattr(request.config, "workerinput") else request.session.items
    place = query_set.dataset, query_set.label_set
    specs = (getattr(item, "callspec", None) for item in here if takes_all_models(item))
    sets = (spec.params.get("query_set") for spec in specs if spec is not None)
    return any((one.dataset, one.label_set) == place for one in sets if isinstance(one, QuerySet))


def uses_dataset(item: pytest.Item) -> bool:
    """Whether a test is one over a model or dataset of ours."""
    callspec = getattr(item, "callspec", None)
    return bool(find_model(item)) or (
        callspec is not None and isinstance(callspec.params.get("dataset"), DatasetRow)
    )


def has_no_text_side(item: pytest.Item) -> bool:
    """Whether it stands for a search with a model that can't search."""
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params if callspec else {}
    model = parameters.get("model")
    return isinstance(model, Checkpoint) and model.image_only and "query_set" in parameters


def has_no_dataset(item: pytest.Item) -> bool:
    """Whether it stands for a test that no dataset of the line-up is made for."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("dataset", item) is None


def selected(item: pytest.Item) -> list[Selected]:
    """The cells that a test measures."""
    callspec, uses = getattr(item, "callspec", None), getattr(item, "fixturenames", ())
    if callspec is None or not uses_dataset(item):
        return []
    query_set, dataset = callspec.params.get("query_set"), callspec.params.get("dataset")
    model = find_model(item)
    if "known_item_search" in uses and model and isinstance(query_set, QuerySet):
        return [(model, query_set.dataset.name, query_set.label_set)]
    if {"image_similarity", "study_distances"} & {*uses} and isinstance(dataset, DatasetRow):
        return [
            (name, dataset.name, "")
            for name in ([model] if model else extractors(item.config, dataset))
        ]
    return []


def extractors(config: pytest.Config, dataset: DatasetRow) -> list[str]:
    """What the extractors of a study are called in this session; "*" where its files aren't here."""
    if not datasets.find_readiness(dataset).ready:
        return ["*"]
    models = {model.name for model in line_up(config).models}
    return [
        of_the_study(name) if name in models else name for name in datasets.list_extractors(dataset)
    ]
