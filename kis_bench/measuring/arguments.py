"""Arguments of a measurement from Python, looked at before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.protocol import Encoder
from kis_bench.encoders.receivers import require_private
from kis_bench.errors import BadVector, KisBenchError
from kis_bench.ranking.engines import MakeEngine, find_engine
from kis_bench.ranking.unit_vectors import require_unit_vectors
from kis_bench.records import Collection, Dataset, Embeddings, Query, Vectors
from kis_bench.store import Store


def check_arguments(encoder: object, dataset: object, store: object, *, privacy: bool) -> None:
    """Raises KisBenchError where one of them is something else, and says where to get the right one.

    Under privacy also where the encoder would send pictures to a service that may not have them.
    """
    wanted = (
        ("encoder", encoder, (LazyEncoder, Encoder), 'kis_bench.encoders.load("NAME")'),
        ("dataset", dataset, Dataset, 'kis_bench.datasets.load("NAME")'),
        ("store", store, Store, 'kis_bench.store.Store("FOLDER")'),
    )
    for name, given, kinds, remedy in wanted:
        if isinstance(given, type) or not isinstance(given, kinds):
            raise KisBenchError(f"{name} is {describe(given)}; {remedy} gives one")
    if privacy:
        require_private(encoder)


def require_engine(engine: str | MakeEngine) -> MakeEngine:
    """Returns what makes an engine. Raises KisBenchError where nobody knows it, or it isn't installed."""
    try:
        return find_engine(engine) if isinstance(engine, str) else engine
    except ValueError as error:
        raise KisBenchError(str(error)) from None


def describe(given: object) -> str:
    """Returns an argument's value in short, and its type."""
    shown = repr(given)
    return f"{shown if len(shown) <= 80 else '…'} ({type(given).__name__})"


def check_targets(queries: Sequence[Query], dataset: Dataset) -> None:
    """Raises KisBenchError where there are no queries, or a target isn't among the items."""
    if not queries:
        raise KisBenchError(f"dataset {dataset.name}: there are no queries to measure")
    for query in queries:
        for item in query.item_ids:
            if item not in dataset.collection.position:
                raise KisBenchError(
                    f"dataset {dataset.name}: query {query.query_id!r} looks for item {item!r}, which is not "
                    f"among the {len(dataset.collection):,} items of the collection; item ids are "
                    f"{some_of(dataset.collection.ids)}"
                )


def as_float32(given: Any, name: str) -> Vectors:
    """Returns numbers as a float32 array of their shape."""
    try:
        return np.ascontiguousarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise KisBenchError(
            f"{name} is {describe(given)}, which is no array of numbers: {error}"
        ) from None


def check_unit_vectors(ids: Sequence[str], vectors: Vectors, kind: str) -> None:
    """Raises BadVector for the first of ``vectors [n, v, d]`` that isn't of unit length, by its id."""
    try:
        require_unit_vectors(ids, vectors, kind=kind)
    except BadVector as error:
        remedy = "normalise=True divides by the length, unless that is 0"
        raise BadVector(f"{error}; {remedy}") from None


def as_ids(given: Sequence[str] | None, n: int, name: str) -> tuple[str, ...]:
    """Returns n different ids; without any the positions from 0."""
    if given is None:
        return tuple(map(str, range(n)))
    ids = tuple(map(str, given))
    if len(ids) != n:
        raise KisBenchError(f"{len(ids)} {name}_ids for {n} vectors; one for each is needed")
    if len({*ids}) != n:
        twice = next(one for i, one in enumerate(ids) if one in ids[:i])
        raise KisBenchError(f"{name}_ids has {twice!r} twice; each has to be another one")
    return ids


def find_items(given: Any, collection: Collection, query: str, *, named: bool) -> tuple[str, ...]:
    """Returns the ids of a query's targets, given as one position or id, or as several."""
    several = [given] if isinstance(given, str) or np.ndim(given) == 0 else [*given]
    if not several:
        raise KisBenchError(f"query {query!r} has no target; each needs at least one")
    found = []
    for one in several:
        if named and isinstance(one, str) and one in collection.position:
            found.append(one)
        elif isinstance(one, (int, np.integer)) and 0 <= one < len(collection):
            found.append(collection.ids[int(one)])
        else:
            ids = f", or one of item_ids ({some_of(collection.ids)})" if named else ""
            raise KisBenchError(
                f"query {query!r}: target {describe(one)} is no image; a whole number from 0 to "
                f"{len(collection) - 1}{ids} is needed"
            )
    return tuple(dict.fromkeys(found))


def some_of(ids: Sequence[str]) -> str:
    """Returns the first ids, for messages."""
    return ", ".join(map(repr, ids[:3])) + (", ..." if len(ids) > 3 else "") if ids else "none"


def check_one_space(model: str, items: Embeddings, texts: Embeddings) -> None:
    """Raises KisBenchError if vectors of pictures and of texts are of two sizes, as imported ones may be."""
    sizes = [vectors.shape[2] for vectors in (items.vectors, texts.vectors)]
    if sizes[0] != sizes[1]:
        raise KisBenchError(
            f"model {model}: its pictures have vectors of {sizes[0]} components, texts of {sizes[1]}: these are two "
            "models; import the features under the name of their own"
        )
