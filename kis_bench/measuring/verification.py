"""Whether stored vectors are those that a model makes now: some of them are made anew and compared."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kis_bench import encoders
from kis_bench.embed import list_texts
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.batching import Batches
from kis_bench.encoders.encoding import CheckedModel, Input
from kis_bench.encoders.feeding import DECODERS
from kis_bench.errors import KisBenchError
from kis_bench.files.images import read_image
from kis_bench.records import Collection, Embeddings, Float64s, Query, Vectors

SAMPLE = 4  #: items, and texts, that are encoded anew unless another number is asked for
SAME = 1e-4  #: length of the difference of two unit vectors that other batches, threads and devices make in fp32
OWN_NOISE = 2e-2  #: the same in lower precision, where a model's own batches show how much it is
MARGIN = 3  #: how much more than between its own batches a vector may differ from the stored one


def sample_size(encoder: LazyEncoder, asked: int | None, *, judged: bool) -> int:
    """How many stored vectors of a model are to be made anew.

    Args:
        asked: for how many; None: for those of functions, whose code may depend on what no key tells, and where a run
            is judged by a gate also for those of other models whose weights have no digest.

    Returns:
        0 also where torch would have to be loaded for it.
    """
    if asked is None:
        unsure = encoder.is_function or (judged and not encoders.weights(encoder.checkpoint))
        asked = SAMPLE if unsure else 0
    return asked if asked and encoder.checkable else 0


def verify_collection(
    collection: Collection, items: Embeddings, encoder: LazyEncoder, n: int
) -> int:
    """Compares stored vectors of n pictures with new ones; returns how many these were.

    Raises:
        KisBenchError: they are another model's, or the model isn't deterministic.
    """
    if not n:
        return 0
    model = CheckedModel(encoder.encoder)
    chosen = sample(items, n)

    def prepare(i: int) -> Input:
        image = read_image(collection.paths[i], least_side=model.least_side)
        return model.prepared(collection.ids[i], image)

    with ThreadPoolExecutor(DECODERS) as pool:
        inputs = [*pool.map(prepare, chosen)]
    compare_vectors(
        encoder, items, chosen, inputs, lambda some: run(model.images, some, model), "picture"
    )
    return len(chosen)


def verify_texts(queries: Sequence[Query], texts: Embeddings, encoder: LazyEncoder, n: int) -> int:
    """The same for texts."""
    if not n:
        return 0
    model, ids, contents = CheckedModel(encoder.encoder), *list_texts(queries)
    chosen = sample(texts, n)
    inputs = [Input(ids[i], contents[i]) for i in chosen]
    compare_vectors(
        encoder,
        texts,
        chosen,
        inputs,
        lambda some: run(lambda x: model.texts(x)[0], some, model),
        "text",
    )
    return len(chosen)


def sample(stored: Embeddings, n: int) -> list[int]:
    """The same ones in every run, so that a run that fails does so again."""
    return sorted(random.Random(stored.key).sample(range(len(stored.ids)), min(n, len(stored.ids))))


def run(
    encode: Callable[[Sequence[Input]], Vectors], inputs: Sequence[Input], model: CheckedModel
) -> Vectors:
    return np.concatenate(Batches(model.encoder).run(encode, inputs))


def compare_vectors(
    encoder: LazyEncoder,
    stored: Embeddings,
    chosen: Sequence[int],
    inputs: Sequence[Input],
    encode: Callable[[Sequence[Input]], Vectors],
    kind: str,
) -> None:
    """Raises KisBenchError where a new vector differs from the stored one by more than batches may make."""
    before, now = stored.vectors[np.array(chosen)], encode(inputs)
    if before.shape == now.shape and measure_drift(before, now).max() <= SAME:
        return
    # Something is wrong, or the precision is low: what the model does to the same input twice tells which.
    again, alone = encode(inputs), np.concatenate([encode([one]) for one in inputs])
    for other, how in ((again, "encoded twice"), (alone, "encoded alone and among others")):
        own = measure_drift(now, other)
        if own.max() > (SAME if other is again else OWN_NOISE):
            worst = int(own.argmax())
            raise KisBenchError(
                f"model {encoder.name} isn't deterministic: {kind} {inputs[worst].id!r}, {how}, gets vectors that "
                f"differ by {own[worst]:.2g}; switch off what is random or depends on the batch (kis-bench doctor)"
            )
    drift = (
        measure_drift(before, now) if before.shape == now.shape else np.full(len(chosen), np.inf)
    )
    if drift.max() > max(SAME, MARGIN * float(measure_drift(now, alone).max())):
        worst = int(drift.argmax())
        by = (
            f"differs by {drift[worst]:.2g}"
            if np.isfinite(drift[worst])
            else f"has {list(before.shape[1:])} numbers"
        )
        raise KisBenchError(
            f"model {encoder.name}: stored vectors are not this model's: that of {kind} {inputs[worst].id!r} {by}. Its "
            f"key {stored.key!r} doesn't tell what changed: list the files that it reads in files, add the rest to its "
            "own key, and see to it that it is the same after every start"
        )


def measure_drift(one: Vectors, other: Vectors) -> Float64s:
    """Largest length of the difference of two vectors, for each input ``[n]``."""
    difference = one.astype(np.float64) - other.astype(np.float64)
    found: Float64s = np.linalg.norm(difference, axis=2).max(axis=1)
    return found
