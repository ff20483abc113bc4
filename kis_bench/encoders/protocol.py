"""What every pretrained model looks like from outside, and what those who load them have to give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.records import (
    Checkpoint,
    Collection,
    Embeddings,
    Float32s,
    Query,
    Readiness,
)


@runtime_checkable
class Encoder(Protocol):
    """A pretrained model behind two functions into one joint space of unit vectors."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def vectors_per_item(self) -> int: ...
    @property
    def context_length(self) -> int | None:
        """In tokens; None: not limited."""
        ...

    @property
    def key(self) -> str:
        """Changes whenever the vectors could: weights, preprocessing, precision."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        """RGB pictures -> unit vectors, float32 ``[n, v, d]``."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_] | None]:
        """Texts -> unit vectors, float32 ``[n, 1, d]``, and which were cut at the context, bool ``[n]``.

        None in place of these, where nobody can know.
        """
        ...


@runtime_checkable
class PreparingEncoder(Encoder, Protocol):
    """An encoder whose preprocessing can run in other threads, while the model computes.

    ``encode_prepared([prepare_image(image) ...])`` equals ``encode_images([image ...])``.
    """

    def prepare_image(self, image: Image.Image) -> Any: ...
    def encode_prepared(self, prepared: Sequence[Any]) -> Float32s: ...


@runtime_checkable
class SavedEncoder(Encoder, Protocol):
    """An encoder whose vectors lie on disk under ids: no picture is opened, and nothing is copied into the store."""

    def find_images(self, collection: Collection) -> Embeddings:
        """The unit vectors of all items. Raises KisBenchError where ids don't fit, BadVector where vectors can't be."""
        ...

    def find_texts(
        self, queries: Sequence[Query] | Sequence[str], name: str = "texts"
    ) -> Embeddings:
        """The unit vectors of queries, which ``DATASET-LABEL_SET`` asks for; errors as of pictures."""
        ...

    def describe_vectors(self, *, privacy: bool = False) -> list[str]:
        """What was read and what was done to it, in lines for runs and terminals; under privacy without ids."""
        ...


class Receiver(Protocol):
    """A service that pictures and texts are sent to."""

    @property
    def host(self) -> str:
        """Scheme, host and port."""
        ...

    @property
    def under_privacy(self) -> bool:
        """Whether its user said that it may have what is private."""
        ...

    def describe(self) -> str:
        """Where pictures and texts go, for terminals."""
        ...


@dataclass(frozen=True)
class BackEnd:
    """A family of models that are loaded alike. Only ``load`` and ``fetch`` may import more than is light.

    A path of the user's comes from ``checkpoint.origin.folder`` and from nowhere else, so that reports can leave it
    out; it is in no key and no name of a weight.
    """

    kinds: tuple[str, ...]  # how its sources begin, without the colon
    forms: tuple[str, ...]  # how its models are written without a row in a table; (): only by rows
    packages: tuple[str, ...]  # distributions that it computes with, for a run's list of versions
    readiness: Callable[[Checkpoint], Readiness]  # looks, and loads nothing
    key: Callable[[Checkpoint, str], str | None]  # of a precision; None: known only once loaded
    weights: Callable[[Checkpoint], dict[str, str]]  # name -> commit or digest
    load: Callable[[Checkpoint, str, str], Encoder]  # device, precision
    fetch: Callable[[Checkpoint], None] | None = None  # None: nothing of it can be downloaded
    require: Callable[[Checkpoint], object] | None = (
        None  # raises KisBenchError; imports if need be
    )
    # Which texts CLIP's own tokenizer cuts, bool [n]; needs no files of any model.
    find_cut_by_clip: Callable[[Sequence[str]], NDArray[np.bool_]] | None = None
    # The row with what its files tell, such as that there is no text side; relative paths start at the folder.
    fill_in: Callable[[Checkpoint, Path], Checkpoint] | None = None
    # Where its encoders send pictures and texts; None: they stay on this machine.
    find_receiver: Callable[[Checkpoint], Receiver] | None = None
    saved: bool = False  # its encoders are each a `SavedEncoder`
    image_only: bool = False  # what is written without a row has no text side
    tells_side: bool = (
        False  # its encoders have an ``input_side``, so that JPEGs may be decoded scaled
    )
    cpu_only: bool = False  # has no use for a GPU, and needs no torch
    fp32_only: bool = False
