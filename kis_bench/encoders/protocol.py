"""What every pretrained model looks like from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@runtime_checkable
class Encoder(Protocol):
    """A pretrained model behind two functions into one joint space of unit vectors."""

    name: str
    dim: int
    vectors_per_item: int
    context_length: int | None  # tokens; None: not limited
    key: str  # changes whenever the vectors could: weights, preprocessing, precision

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """RGB pictures -> unit vectors, float32 ``[n, v, d]``."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Texts -> unit vectors, float32 ``[n, 1, d]``, and which were cut at the context, bool ``[n]``."""
        ...
