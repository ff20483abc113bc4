"""Collection x encoder -> store: decode ahead, encode in batches, keep what is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from kis_bench.datasets.parts import DatasetPart
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.passes import ImagePass, MakePass, Pass, load_encoder
from kis_bench.encoders.prompts import strip_prompts
from kis_bench.encoders.protocol import Encoder, SavedEncoder
from kis_bench.encoders.receivers import find_receiver
from kis_bench.encoders.text_passes import TextPass
from kis_bench.errors import KisBenchError
from kis_bench.records import Collection, Embeddings, Query, Vectors, digest
from kis_bench.store import Entry, Store

SAME_SERVICE = 2e-2  #: length of the difference of two vectors that batches of a service make in lower precision


def embed_collection(
    collection: Collection,
    encoder: Encoder,
    store: Store,
    *,
    batch_size: int | None = None,
    decoders: int | None = None,
    make_pass: MakePass = ImagePass,
) -> Embeddings:
    """The vectors of all items, from the store where they are there, else computed and stored.

    Those of a `kis_bench.encoders.protocol.SavedEncoder` are read where they lie.

    Args:
        batch_size: images encoded at once; None: what suits the encoder. Halved while memory doesn't suffice.
        decoders: threads that read and prepare images while the model computes; None: two, or beside a GPU as many
            as there are cores for, less one.
        make_pass: what takes pictures through the model; vectors are the same.

    Raises:
        BadFile: an image can't be read. BadVector: the encoder returned NaN, infinity or no length.
        KisBenchError: the encoder failed, or returned other than it has to; the store can't be written. What was
            finished before stays, and nothing of the batch is kept.
    """
    if not len(collection):
        raise KisBenchError(f"{collection.name}: there are no pictures to embed")
    if (saved := find_saved(encoder)) is not None:
        return saved.find_images(collection)
    entry = images_entry(collection, encoder.key, store)
    require_same_service(encoder, entry, store)
    with make_pass(collection, encoder, batch_size, decoders) as work:
        return fill_entry(entry, work)


def embed_texts(
    queries: Sequence[Query] | Sequence[str],
    encoder: Encoder,
    store: Store,
    *,
    name: str = "texts",
    batch_size: int | None = None,
) -> Embeddings:
    """The vectors of texts, ``[n, 1, d]``, and which were longer than the encoder's context."""
    entry, texts = texts_entry(queries, encoder.key, store, name)
    if (saved := find_saved(encoder)) is not None:
        return saved.find_texts(queries, name)
    require_same_service(encoder, entry, store)
    with TextPass(name, entry.ids, texts, encoder, batch_size) as work:
        return fill_entry(entry, work)


def find_saved(encoder: Encoder) -> SavedEncoder | None:
    """The encoder where its vectors lie on disk under ids; None: it encodes."""
    if isinstance(encoder, LazyEncoder):
        return encoder.saved
    return encoder if isinstance(encoder, SavedEncoder) else None


def require_same_service(encoder: Encoder, entry: Entry, store: Store) -> None:
    """Returns if vectors that an entry lacks would come from the same model as those that it has.

    Most models are what their keys say. A service may change and say nothing: what it makes of its ``probes`` is kept
    in the store, and compared before anything is added under its key.

    Raises:
        KisBenchError: the service gives other vectors than those that are stored.
    """
    if is_same_by_key(encoder) or not entry.missing():
        return
    service: Any = load_encoder(encoder)
    kept = [keep_probes(encoder, service.said, probes, store) for probes in service.probes.values()]
    service.probes_digest = digest(kept[0].vectors.tolist())[:16]  # of pictures, which all have
    for stored, probes in zip(kept, service.probes.values(), strict=True):
        before = stored.made["service"], stored.vectors
        problem = find_change(before, (service.said, probes.vectors), probes.ids)
        if problem:
            raise KisBenchError(
                f"model {encoder.name}: the service isn't what it was on {stored.made['since']}: {problem}. Stored "
                "vectors stay, and none are added to them; to embed everything anew, write another revision into its "
                f"URL, such as revision={date.today().isoformat()}"
            )


def keep_probes(encoder: Encoder, said: str, probes: Embeddings, store: Store) -> Embeddings:
    """The probes of one side as they were when a service was first asked; now, if it is now.

    Those of pictures have a place of their own, for a row without a text side shares vectors with one that has it.
    """
    key = strip_prompts(encoder.key)
    place = store.entry("probes-of-services", digest(probes.ids), key, "probes", probes.ids)
    made = {"service": said, "since": date.today().isoformat()}
    return place.fill(
        lambda missing, _: ((probes.vectors[one.start : one.stop], None, made) for one in missing),
        describe_encoder(encoder),
    )


def is_same_by_key(encoder: Encoder) -> bool:
    """Whether a key tells all that vectors depend on, as far as anybody can see."""
    if isinstance(encoder, LazyEncoder):
        return find_receiver(encoder.checkpoint) is None
    return not isinstance(getattr(encoder, "probes", None), dict)


def find_change(before: tuple[str, Vectors], now: tuple[str, Vectors], ids: Sequence[str]) -> str:
    """How the name and the probes ``[p, 1, d]`` of a service have changed; empty: they haven't, but for rounding."""
    if before[0] != now[0]:
        return f"it calls its model {now[0]!r}, and called it {before[0]!r}"
    if before[1].shape != now[1].shape:
        return f"its vectors have {now[1].shape[2]} numbers, and had {before[1].shape[2]}"
    drift = np.linalg.norm(before[1].astype(np.float64) - now[1], axis=2).max(axis=1)
    worst = int(drift.argmax())  # NaN, if there is any
    if drift[worst] <= SAME_SERVICE:
        return ""
    return f"the vector of {ids[worst]} differs by {drift[worst]:.2g}"


def fill_entry(entry: Entry, work: Pass[Any]) -> Embeddings:
    """All vectors; in a new entry, shards hold what the model does in about a minute."""
    if entry.shard_items is None:
        entry = entry.settle(work.choose_shard_items())
    found = entry.fill(
        lambda missing, copies: work.encode(
            [range(one.start, one.stop) for one in missing], copies
        ),
        describe_encoder(work.encoder),
    )
    return replace(found, limit=work.limit)


def describe_encoder(encoder: Encoder) -> Callable[[], dict[str, object]]:
    """What a manifest says of an encoder; its context may be known only once it is loaded, hence a function."""
    return lambda: {"encoder": encoder.name, "context_length": encoder.context_length}


def images_entry(collection: Collection, key: str, store: Store) -> Entry:
    """The place of a collection's vectors; models that differ in their prompts share it, and names of one dataset."""
    whole = DatasetPart.parse(collection.name).whole or collection.name
    fingerprint, own = collection.fingerprint, strip_prompts(key)
    return store.entry(whole, fingerprint, own, "images", collection.ids)


def texts_entry(
    queries: Sequence[Query] | Sequence[str], key: str, store: Store, name: str
) -> tuple[Entry, list[str]]:
    ids, texts = list_texts(queries)
    if not texts:
        raise KisBenchError(f"{name}: there are no texts to embed")
    return store.entry(name, digest([*ids, *texts]), key, "texts", ids), texts


def list_texts(queries: Sequence[Query] | Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids and texts; texts without ids are counted from 0."""
    ids = [q.query_id if isinstance(q, Query) else str(i) for i, q in enumerate(queries)]
    return ids, [q.text if isinstance(q, Query) else q for q in queries]
