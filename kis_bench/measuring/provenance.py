"""What a run says of a model and of a dataset that were measured."""

from __future__ import annotations

from typing import Any

from kis_bench import encoders
from kis_bench.choices import FULL
from kis_bench.embed import find_saved
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.passes import find_pass
from kis_bench.encoders.protocol import Encoder
from kis_bench.encoders.receivers import describe_sent
from kis_bench.ranking.engines import MakeEngine
from kis_bench.ranking.relevance import NearDuplicates
from kis_bench.records import Dataset, Embeddings


def describe_model(encoder: Encoder, items: Embeddings, *, privacy: bool) -> dict[str, Any]:
    """Returns where a model is from and what computed its vectors."""
    _, several, dim = items.vectors.shape
    own: dict[str, Any] = {
        "key": encoder.key,
        "dim": dim,
        "vectors_per_item": several,
        **items.made,
    }
    if (saved := find_saved(encoder)) is not None:
        own["read"] = saved.describe_vectors(privacy=privacy)
    if (sent := describe_sent(encoder)) is not None:
        own["sent"] = sent
    if getattr(encoder, "decode", FULL) != FULL:
        own.setdefault("decode", FULL)  # where it was asked for in vain
    if not isinstance(encoder, LazyEncoder):  # nobody knows where it is from
        return own
    checkpoint = encoder.checkpoint
    # Notes of our own catalogue say what a model can't do; those of a user may name people.
    known = encoders.catalogue().get(checkpoint.name)

    def show(fact: str) -> str:
        text: str = getattr(checkpoint, fact)
        return "" if privacy and text != getattr(known, fact, None) else text

    if checkpoint.prompts:
        own["prompts"] = [] if privacy else [*checkpoint.prompts]
    function = {"own_key": encoder.own_key, "row": checkpoint.name} if encoder.is_function else {}
    return {
        "source": checkpoint.source,
        "revision": checkpoint.revision,
        **own,
        **function,
        "weights": encoders.weights(checkpoint),
        "note": show("note"),
        "licence": checkpoint.licence,
        "paper": show("paper"),
    }


def describe_engine(make_engine: MakeEngine, model: str) -> dict[str, Any]:
    """Returns what multiplied for the ranks of a model, and where; and what of a cluster embedded pictures for it."""
    ranking = {"engine": make_engine.name, "device": make_engine.device}
    describe_nodes = getattr(find_pass(make_engine), "describe_nodes", None)
    if describe_nodes is None or not (nodes := describe_nodes(model)):
        return {"ranking": ranking}
    return {"ranking": ranking, "embedding": nodes}


def describe_dataset(dataset: Dataset, *, privacy: bool) -> dict[str, Any]:
    """Returns what any measurement over a dataset says of it."""
    lost = {"unreadable": dict(dataset.unreadable), "queries_left_out": [*dataset.unasked]}
    remarks = [] if privacy else [*dataset.remarks]
    return {
        "fingerprint": dataset.fingerprint,
        "contents": dataset.contents,
        "n_items": len(dataset.collection),
        "note": dataset.note,
        "left_out": dict(dataset.left_out),
        "unread": [] if privacy else [*dataset.unread],
        **{fact: what for fact, what in (lost | {"remarks": remarks}).items() if what},
    }


def describe_texts(dataset: Dataset, *, privacy: bool) -> dict[str, Any]:
    """Returns what any search says of its dataset, in whichever direction."""
    return {
        **describe_dataset(dataset, privacy=privacy),
        "n_queries": {name: len(dataset.queries(name)) for name in dataset.label_sets},
        **({"n_repeated": dict(dataset.repeated)} if dataset.repeated else {}),
    }


def describe_searched(
    dataset: Dataset, *, segment_s: float, alike: NearDuplicates, privacy: bool
) -> dict[str, Any]:
    """Returns what a known-item search says of its dataset, and what counts as found."""
    return {
        **describe_texts(dataset, privacy=privacy),
        "n_groups": len(set(dataset.collection.groups or ())),
        "segment_s": segment_s,
        "near_duplicates": str(alike),
    }


def describe_judged(dataset: Dataset, vector_rule: str, *, privacy: bool) -> dict[str, Any]:
    """Returns what a measurement of image similarity says of its dataset."""
    return {
        **describe_dataset(dataset, privacy=privacy),
        "n_triplets": len(dataset.triplets),
        "n_targets": len({triplet.target for triplet in dataset.triplets}),
        "n_judgments": len(dataset.judgments),
        "n_indifferent": sum(judgment.choice == 0 for judgment in dataset.judgments),
        "n_participants": len(dataset.participants),
        "image_similarity": vector_rule,
        "remarks": [] if privacy else [*dataset.remarks],
    }
