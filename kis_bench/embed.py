"""Collection x encoder -> store: decode ahead, encode in batches, keep what is done."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager

import numpy as np

from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.batching import Batches
from kis_bench.encoders.encoding import CheckedModel, Input, TextVectors
from kis_bench.encoders.feeding import DECODERS, feed_pictures
from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import KisBenchError
from kis_bench.files.progress import Step, track
from kis_bench.records import Collection, Embeddings, Query, Vectors, digest
from kis_bench.store import Encoded, Entry, Shard, Store


def embed_collection(
    collection: Collection,
    encoder: Encoder,
    store: Store,
    *,
    batch_size: int | None = None,
    decoders: int = DECODERS,
) -> Embeddings:
    """The vectors of all items, from the store where they are there, else computed and stored.

    Args:
        batch_size: images encoded at once; None: what suits the encoder. Halved while memory doesn't suffice.
        decoders: threads that read and prepare images while the model computes.

    Raises:
        BadFile: an image can't be read. BadVector: the encoder returned NaN, infinity or no length.
        KisBenchError: the encoder failed, or returned other than it has to; the store can't be written. What was
            finished before stays, and nothing of the batch is kept.
    """

    def encode(
        missing: list[Shard], look_up: Callable[[int], Vectors]
    ) -> Generator[Encoded, None, None]:
        model = load_encoder(encoder)
        checked, batches = CheckedModel(model), Batches(model, batch_size)
        first = first_of_content(collection)
        own = [[i for i in range(shard.start, shard.stop) if first[i] == i] for shard in missing]
        pictures = ((collection.ids[i], collection.paths[i]) for some in own for i in some)
        what = f"{collection.name}: images with {encoder.name}"
        with (
            track_missing(what, "image", len(entry.ids), missing) as step,
            feed_pictures(checked, pictures, batch_size=batches.size, decoders=decoders) as feed,
        ):
            for shard, encoded in zip(missing, own, strict=True):
                vectors: list[Vectors] = []
                left = len(encoded)
                while left:
                    batch = feed.take(min(batches.size, left))
                    vectors += batches.run(checked.images, batch, step.advance)
                    left -= len(batch)
                found = dict(zip(encoded, np.concatenate(vectors), strict=True)) if encoded else {}
                copies = (first[i] for i in range(shard.start, shard.stop))
                whole = np.stack([found[i] if i in found else look_up(i) for i in copies])
                step.advance(len(whole) - len(encoded))  # copies of other pictures
                yield whole, None, checked.made()

    entry = images_entry(collection, encoder.key, store)
    return entry.fill(encode, describe(encoder))


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

    def encode(
        missing: list[Shard], look_up: Callable[[int], Vectors]
    ) -> Generator[Encoded, None, None]:
        model = load_encoder(encoder)
        checked, batches = CheckedModel(model), Batches(model, batch_size)
        inputs = [Input(*pair) for pair in zip(entry.ids, texts, strict=True)]
        with track_missing(
            f"{name}: texts with {encoder.name}", "text", len(texts), missing
        ) as step:
            for shard in missing:
                some = inputs[shard.start : shard.stop]
                parts: list[TextVectors] = batches.run(checked.texts, some, step.advance)
                vectors, cut = (np.concatenate(part) for part in zip(*parts, strict=True))
                yield vectors, cut, checked.made()

    return entry.fill(encode, describe(encoder))


def load_encoder(encoder: Encoder) -> Encoder:
    """The encoder, ready to encode."""
    if not isinstance(encoder, LazyEncoder):
        return encoder
    with track(f"loading {encoder.name}"):
        return encoder.encoder


def track_missing(
    what: str, unit: str, n: int, missing: Sequence[Shard]
) -> AbstractContextManager[Step]:
    """A step over n items, of which those of some shards are missing."""
    done = n - sum(shard.stop - shard.start for shard in missing)
    return track(what, unit=unit, total=n, done=done)


def describe(encoder: Encoder) -> Callable[[], dict[str, object]]:
    """What a manifest says of an encoder; its context may be known only once it is loaded, hence a function."""
    return lambda: {"encoder": encoder.name, "context_length": encoder.context_length}


def first_of_content(collection: Collection) -> list[int]:
    """For each item the first one whose file is the same.

    Only that one is encoded: a model's numbers may differ in the last bit from batch to batch, and identical pictures
    must tie exactly.
    """
    first: dict[str, int] = {}
    return [first.setdefault(digest, i) for i, digest in enumerate(collection.content)]


def images_entry(collection: Collection, key: str, store: Store) -> Entry:
    return store.entry(collection.name, collection.fingerprint, key, "images", collection.ids)


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
