"""Puts M3RT's image features into the store, under the ids of a dataset's images where they are of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from kis_bench.datasets.label_formats.label_files import parse_number
from kis_bench.encoders.m3rt import make_key
from kis_bench.errors import KisBenchError
from kis_bench.exchange.m3rt.ranks import Say, list_some
from kis_bench.exchange.m3rt.saves import Save
from kis_bench.ranking.unit_vectors import LENGTH_ROUNDING
from kis_bench.records import Collection, Vectors, digest
from kis_bench.store import Entry, Store
from kis_bench.store.shards import take_vectors


def store_saved_features(
    save: Save,
    ids: tuple[str, ...],
    vectors: Vectors,
    collection: Collection | None,
    store: Store,
    file_digest: str,
    say: Say,
) -> tuple[Entry, bool]:
    """Stores one model's features of one dataset; also returns whether they are of the images of the collection.

    Raises:
        KisBenchError: other features of the same model and images are stored already.
    """
    order = None if collection is None else match_images(save, ids, collection, say)
    if collection is None or order is None:
        fingerprint, items = digest(["m3rt", *ids]), ids
    else:
        fingerprint, items, vectors = collection.fingerprint, collection.ids, vectors[order]
    entry = store.entry(save.dataset, fingerprint, make_key(save.model), "images", items)
    refuse_other_features(save, entry, vectors)
    made = {"features": file_digest[:16]}
    entry.fill(
        lambda missing, _: ((vectors[one.start : one.stop, None], None, made) for one in missing),
        lambda: {"encoder": save.model, "source": f"m3rt:{save.thesis_model}"},
    )
    return entry, order is not None


def refuse_other_features(save: Save, entry: Entry, vectors: Vectors) -> None:
    """Raises KisBenchError if an earlier import of this model and these images brought other numbers."""
    for shard in entry.shards():
        stored = entry.find_shard(shard)
        if stored is not None and not np.array_equal(
            take_vectors(stored.table)[:, 0], vectors[shard.start : shard.stop]
        ):
            raise KisBenchError(
                f"{save.path}: other features of {save.model} for these images are in {entry.folder}; remove that "
                f"folder, or import these under a name of their own: --model {save.thesis_model}=NAME"
            )


def normalise_lengths(save: Save, vectors: Vectors, say: Say) -> Vectors:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    off = float(np.abs(lengths - 1).max())
    if off <= LENGTH_ROUNDING:
        return vectors
    say(
        f"{save.model} on {save.dataset}, features: lengths were off 1, as half precision leaves them, and were made "
        f"1: {len(vectors)} of {len(vectors)}"
    )
    made: Vectors = (vectors / lengths).astype(np.float32)
    return made


def match_images(
    save: Save, ids: Sequence[str], collection: Collection, say: Say
) -> list[int] | None:
    """Positions in ``ids`` of the collection's images; None, with a report, if these are other images.

    M3RT named an image by its file up to the first dot, or by the number that this is.
    """
    named: dict[str | int, set[str]] = defaultdict(set)
    for item in collection.ids:
        base = item.rsplit("/", 1)[-1].split(".")[0]
        for name in (base, parse_number(base)):
            if name is not None:
                named[name].add(item)
    places: dict[str, int] = {}
    strange: list[str] = []
    for place, known in enumerate(ids):
        number = parse_number(known)
        found = {known} & collection.position.keys() or named.get(known) or set()
        if not found and number is not None:
            found = named.get(number, set())
        if len(found) == 1 and not found & places.keys():
            places[next(iter(found))] = place
        else:
            strange.append(known)
    lacking = [item for item in collection.ids if item not in places]
    if strange or lacking:
        say(
            f"{save.model} on {save.dataset}, features: stored under their own image ids, since {len(strange)} of "
            f"these are not, or not for certain, in the dataset{list_some(strange)}, and images of the dataset are not "
            f"in the file: {len(lacking)} of {len(collection)}{list_some(lacking)}"
        )
        return None
    return [places[item] for item in collection.ids]
