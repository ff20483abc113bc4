"""Checks of an installation and of a model; each finding is one line with its remedy."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kis_bench import datasets, encoders
from kis_bench.checks.check import Check
from kis_bench.checks.models import ExaminedModel, check_model, run_check
from kis_bench.checks.routes import compare_preparations, prepare_samples
from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.catalogue import find_other_routes
from kis_bench.encoders.m3rt import SAVED_BY_M3RT, find_saved_model
from kis_bench.encoders.protocol import Encoder
from kis_bench.encoders.receivers import find_receiver
from kis_bench.errors import KisBenchError
from kis_bench.records import Readiness

SENSE_DRAWINGS = 50  #: pictures among which each is looked for by its name


def check_installation() -> Iterator[Check]:
    """Checks that folders are writable and the embedded datasets ready, and lists the models that are."""
    from kis_bench.store import default_store

    for name, folder in (
        ("store", default_store()),
        ("dataset cache", datasets.find_cache_folder()),
    ):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        writable = os.access(there, os.W_OK)
        yield Check(
            name,
            writable,
            str(folder) if writable else f"{there} is not writable; set KIS_STORE or KIS_CACHE",
        )
    yield check_unused_vectors(default_store())
    for checkpoint in encoders.catalogue().values():
        state = encoders.readiness(checkpoint)
        yield Check(f"model {checkpoint.name}", state.ready or None, describe_state(state))
    for built_in in datasets.BUILT_IN:
        state = datasets.find_readiness(datasets.DatasetRow(built_in))
        passed = state.ready or (False if built_in in datasets.EMBEDDED else None)
        yield Check(f"dataset {built_in}", passed, describe_state(state))


def check_unused_vectors(store: Path) -> Check:
    """Finds stored vectors of functions under keys that nothing looks up any more."""
    from kis_bench.store import KEYS

    ours = tuple(f"{kind}-" for kind in encoders.back_ends() if kind != "python")
    found: dict[str, list[Path]] = {}
    for manifest in sorted(store.glob("*/*/*/manifest.json")):
        try:
            about = json.loads(manifest.read_text(encoding="utf-8"))
            key, keys, source = (
                str(about["key"]),
                about.get("keys", 1),
                str(about.get("source", "")),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of no use either, but nobody knows whose it is
        if keys < KEYS and not source and not key.startswith(ours):
            found.setdefault(key, []).append(manifest.parent)
    if not found:
        return Check("stored vectors", True, "none that nothing looks for")
    size = sum(
        file.stat().st_size
        for folders in found.values()
        for one in folders
        for file in one.iterdir()
    )
    datasets_of = {
        key: ", ".join(sorted({one.parents[1].name for one in folders}))
        for key, folders in found.items()
    }
    shown = "; ".join(f"{key} ({names})" for key, names in datasets_of.items())
    told = f"unused since keys of functions cover their code, {size / 2**20:,.1f} MB: {shown}"
    return Check(
        "stored vectors", None, f"{told}; folders of these names below {store} can be removed"
    )


def describe_state(state: Readiness) -> str:
    return f"{state.state}: {state.remedy}" if state.remedy else state.state


def check_named_model(
    name: str, device: str = "auto", against: Sequence[str] = ()
) -> Iterator[Check]:
    """Loads a model and checks it for common faults.

    Args:
        against: models whose preprocessing is compared with its own; beside them, other routes to it that are here.

    Raises:
        KisBenchError: it can't be loaded, or has only features that another program saved.
    """
    checkpoint = encoders.find(name)
    if checkpoint.origin.kind == SAVED_BY_M3RT:
        ours, texts = find_saved_model(checkpoint.origin.rest)
        remedy = f"kis-bench doctor {ours} checks the model that reads its texts" if texts else ""
        said = f"model {name} has imported image features and encodes no picture: nothing to check"
        raise KisBenchError("; ".join(filter(None, (said, remedy))))
    if find_back_end(checkpoint).saved:
        said = "is vectors on disk and encodes no picture: nothing to check but what a run checks"
        raise KisBenchError(f"model {name} {said}")
    others = [encoders.find(other) for other in against]
    for one in (checkpoint, *others):
        if (receiver := find_receiver(one)) is not None:
            yield Check("service", None, f"{receiver.describe()} ({one.name})")
    for other in others:
        encoders.require(other)  # which asks a service for a few vectors
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        encoder = encoders.load(checkpoint, device=device)
    subject = ExaminedModel(encoder, checkpoint, [str(warning.message) for warning in given])
    yield from check_model(subject)
    if not subject.image_only:
        yield run_check("sense", partial(check_sense, encoder))
    for routes in find_other_routes(checkpoint).values():
        here = [one for one in routes if encoders.readiness(one).ready]
        others += [one for one in here[:1] if one not in others]
    own = prepare_samples(encoder) if others else None
    del encoder, subject  # one model is in memory at a time
    for other in others:
        assert own is not None
        yield from compare_preparations(own, prepare_samples(encoders.load(other, device=device)))


def check_sense(encoder: Encoder) -> tuple[None, str]:
    """Counts the drawings found by their names, which tells little about photos but exposes a model that finds none."""
    from kis_bench.files.images import read_image

    dataset = datasets.load("openmoji")
    collection, queries = dataset.collection, dataset.queries("short")
    chosen = queries[:: max(1, len(queries) // SENSE_DRAWINGS)][:SENSE_DRAWINGS]
    paths = [collection.paths[collection.position[query.item_ids[0]]] for query in chosen]
    images = np.concatenate([encoder.encode_images([read_image(path)]) for path in paths])
    texts = np.concatenate([encoder.encode_texts([query.text])[0][:, 0] for query in chosen])
    similarity = np.einsum("ivd,td->tiv", images, texts).max(axis=2)
    found = int((similarity.argmax(axis=1) == np.arange(len(chosen))).sum())
    return None, f"finds {found} of {len(chosen)} emoji by their names; by chance it would be 1"
