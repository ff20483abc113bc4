"""A model at work: what it returns is looked at before anything is kept, and what its code fails on is named."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.batching import out_of_memory
from kis_bench.encoders.decoding import describe_decoding, find_least_side
from kis_bench.encoders.protocol import Encoder, PreparingEncoder
from kis_bench.errors import BadVector, KisBenchError, raised
from kis_bench.ranking.unit_vectors import name_ids, require_unit_vectors
from kis_bench.records import Vectors

Result = TypeVar("Result")
TextVectors = tuple[Vectors, NDArray[np.bool_] | None]


class Input(NamedTuple):
    """One picture or text for a model."""

    id: str
    content: Any  # a picture as the model prepared it, or a text


class CheckedModel:
    """The two sides of an encoder, from named inputs to vectors that are what an encoder has to return.

    Raises:
        KisBenchError: names the model and, where its own code fails, the first picture or text on which it does.
        BadVector: the same, over NaN, infinity, or a length other than 1.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.prepares = isinstance(encoder, PreparingEncoder)
        self.shape = encoder.vectors_per_item, encoder.dim
        self.least_side = find_least_side(encoder)  # of a picture, for `read_image`

    def prepared(self, item: str, picture: Image.Image) -> Input:
        """What is done to one picture in the decoding threads."""
        encoder = self.encoder
        if not isinstance(encoder, PreparingEncoder):
            return Input(item, picture)
        (content,) = self.named(
            "picture",
            lambda pictures: [encoder.prepare_image(one) for one in pictures],
            [Input(item, picture)],
        )
        return Input(item, content)

    def images(self, batch: Sequence[Input]) -> Vectors:
        """float32 ``[n, v, d]``."""
        encoder = self.encoder
        encode: Callable[[list[Any]], object]
        encode = (
            encoder.encode_prepared
            if isinstance(encoder, PreparingEncoder)
            else encoder.encode_images
        )
        return self.checked(batch, self.named("picture", encode, batch), self.shape, "picture")

    def texts(self, batch: Sequence[Input]) -> TextVectors:
        """float32 ``[n, 1, d]``, and which were cut, bool ``[n]``; None: nobody knows."""
        found = self.named("text", self.encoder.encode_texts, batch)
        if not (isinstance(found, tuple) and len(found) == 2):
            self.refuse(
                f"encode_texts returned {type(found).__name__}; a pair of vectors and of flags, which texts "
                "were cut, is needed"
            )
        vectors = self.checked(batch, found[0], (1, self.encoder.dim), "text")
        flags = found[1]
        if flags is None:
            return vectors, None
        plain = isinstance(flags, np.ndarray) and not isinstance(flags, np.ma.MaskedArray)
        if not plain or flags.dtype != bool or flags.shape != (len(batch),):
            shown = f"{flags.dtype} {list(flags.shape)}" if plain else type(flags).__name__
            self.refuse(
                f"which of {len(batch)} texts were cut is {shown}; bool [{len(batch)}] is needed"
            )
        return vectors, np.array(flags)

    def checked(
        self, batch: Sequence[Input], vectors: Any, shape: tuple[int, int], kind: str
    ) -> Vectors:
        try:
            require_unit_vectors([one.id for one in batch], vectors, shape, kind)
        except BadVector as error:
            raise BadVector(f"model {self.encoder.name}: {error}") from None
        except KisBenchError as error:
            self.refuse(str(error))
        found: Vectors = np.array(vectors)  # a copy: a model may fill one buffer again and again
        return found

    def made(self) -> dict[str, str | None]:
        """Device, precision, threads and decoding as used; None: nobody knows, or nobody asked."""
        found = {name: getattr(self.encoder, name, None) for name in ("device", "precision")}
        return {
            **{name: None if one is None else str(one) for name, one in found.items()},
            "threads": str(threads()),
            "decode": describe_decoding(self.encoder),
            "service": getattr(self.encoder, "said", None),
            "probes": getattr(self.encoder, "probes_digest", None),
        }

    def refuse(self, problem: str) -> None:
        raise KisBenchError(f"model {self.encoder.name}: {problem}")

    def named(
        self, kind: str, encode: Callable[[list[Any]], Result], batch: Sequence[Input]
    ) -> Result:
        """What ``encode`` returns; where it raises, the first input is looked for that it raises over alone."""
        try:
            return encode([one.content for one in batch])
        except KisBenchError:
            raise
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            if len(batch) > 1 and out_of_memory(error):
                raise
            failed = error
        fails = f"model {self.encoder.name} fails on"
        if len(batch) == 1:
            raise KisBenchError(f"{fails} {kind} {batch[0].id!r}: {raised(failed)}") from failed
        for one in batch:
            self.named(kind, encode, [one])
        alone = f"({name_ids([one.id for one in batch])}), and on none of them alone"
        raise KisBenchError(
            f"{fails} {len(batch)} {kind}s at once {alone}: {raised(failed)}"
        ) from failed


def threads() -> int:
    """How many threads this process computes with: as torch says, or as many as it has cores, or is allowed."""
    if (torch := sys.modules.get("torch")) is not None:
        return int(torch.get_num_threads())
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(allowed)) if allowed.isdigit() and int(allowed) else cores
