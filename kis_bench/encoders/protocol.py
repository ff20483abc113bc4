"""What every pretrained model looks like from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.records import Float32s


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

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        """Texts -> unit vectors, float32 ``[n, 1, d]``, and which were cut at the context, bool ``[n]``."""
        ...


@runtime_checkable
class PreparingEncoder(Encoder, Protocol):
    """An encoder whose preprocessing can run in other threads, while the model computes.

    ``encode_prepared([prepare_image(image) ...])`` equals ``encode_images([image ...])``.
    """

    def prepare_image(self, image: Image.Image) -> Any: ...
    def encode_prepared(self, prepared: Sequence[Any]) -> Float32s: ...
