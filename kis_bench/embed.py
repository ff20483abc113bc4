"""Collection x encoder -> store: decode ahead, encode in batches, keep what is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.progress import progress
from kis_bench.records import Collection, Embeddings, Query, Vectors, digest
from kis_bench.store import Entry, Shard, Store

BATCH_SIZE = 64
DECODERS = 2  #: threads; Pillow decodes without the interpreter's lock


def read_image(path: Path) -> Image.Image:
    """One image file as upright RGB; transparency is laid on white."""
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            if upright.has_transparency_data:
                on_white = Image.new("RGBA", upright.size, "white")
                on_white.alpha_composite(upright.convert("RGBA"))
                upright = on_white
            return upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadFile(path, [f"not a readable image ({error}); replace it or remove it from the collection"]) from error


def embed_collection(
    collection: Collection, encoder: Encoder, store: Store, *, batch_size: int = BATCH_SIZE, decoders: int = DECODERS
) -> Embeddings:
    """The vectors of all items, from the store where they are there, else computed and stored.

    Raises:
        BadFile: an image can't be read. BadVector: the encoder returned NaN, infinity or no length.
        KisBenchError: the store can't be written. What was finished before stays.
    """
    entry = images_entry(collection, encoder, store)
    missing = entry.missing()
    with ThreadPoolExecutor(decoders) as pool:
        for shard in shards_with_progress(entry, missing, f"{collection.name}: images with {encoder.name}"):
            batches = [
                encoder.encode_images(images)
                for images in decoded_ahead(pool, collection.paths[shard.start : shard.stop], batch_size)
            ]
            entry.write_shard(shard, np.concatenate(batches))
    return complete(entry, encoder, wrote=bool(missing))


def embed_texts(
    queries: Sequence[Query] | Sequence[str], encoder: Encoder, store: Store, *, name: str = "texts",
    batch_size: int = BATCH_SIZE,
) -> Embeddings:  # fmt: skip
    """The vectors of texts, ``[n, 1, d]``, and which were longer than the encoder's context."""
    entry, texts = texts_entry(queries, encoder, store, name)
    missing = entry.missing()
    for shard in shards_with_progress(entry, missing, f"{name}: texts with {encoder.name}"):
        parts: list[tuple[Vectors, NDArray[np.bool_]]] = [
            encoder.encode_texts(texts[i : min(i + batch_size, shard.stop)])
            for i in range(shard.start, shard.stop, batch_size)
        ]
        entry.write_shard(shard, np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
    return complete(entry, encoder, wrote=bool(missing))


def images_entry(collection: Collection, encoder: Encoder, store: Store) -> Entry:
    return store.entry(collection.name, collection.fingerprint, encoder.key, "images", collection.ids)


def texts_entry(
    queries: Sequence[Query] | Sequence[str], encoder: Encoder, store: Store, name: str
) -> tuple[Entry, list[str]]:
    texts = [q.text if isinstance(q, Query) else q for q in queries]
    ids = [q.query_id if isinstance(q, Query) else str(i) for i, q in enumerate(queries)]
    if not texts:
        raise KisBenchError(f"{name}: there are no texts to embed")
    return store.entry(name, digest([*ids, *texts]), encoder.key, "texts", ids), texts


def shards_with_progress(entry: Entry, missing: list[Shard], what: str) -> Iterator[Shard]:
    yield from progress(missing, what, unit="shard", done=len(entry.shards()) - len(missing))


def complete(entry: Entry, encoder: Encoder, *, wrote: bool) -> Embeddings:
    if wrote or not (entry.folder / "manifest.json").exists():
        entry.finish({"encoder": encoder.name, "context_length": encoder.context_length})
    embeddings = entry.read()
    if embeddings is None:
        raise KisBenchError(f"{entry.folder}: a shard vanished or was damaged meanwhile; run again")
    return embeddings


def decoded_ahead(pool: ThreadPoolExecutor, paths: Sequence[Path], batch_size: int) -> Iterator[list[Image.Image]]:
    """Batches of images; while one is encoded the next is decoded, so two are in memory."""
    batches = [paths[i : i + batch_size] for i in range(0, len(paths), batch_size)]
    waiting = [pool.submit(read_image, path) for path in batches[0]]
    for upcoming in [*batches[1:], ()]:
        current, waiting = waiting, [pool.submit(read_image, path) for path in upcoming]
        yield [future.result() for future in current]
