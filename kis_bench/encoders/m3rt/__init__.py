"""Back end ``m3rt:NAME``: image features that M3RT saved, with texts read by the model that they are of.

``kis-bench import m3rt`` puts features into the store under `make_key`; there they are found like any other vectors,
and no picture is encoded. M3RT saved none of texts, so these are encoded by NAME: a model of the catalogue, M3RT's own
name of it, or a source such as ``transformers:ORG/NAME``. Under a NAME that is no model the features serve image
similarity alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.catalogue import IMPORTED_KEYS, catalogue, find
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, UnknownName
from kis_bench.records import Checkpoint, Float32s, Readiness

SAVED_BY_M3RT = "m3rt"  #: the kind of source


class SavedFeatures:
    """The text side of a model, beside image features that another program computed with it."""

    vectors_per_item = 1

    def __init__(self, name: str, key: str, texts: Encoder) -> None:
        self.name, self.key, self.texts = name, key, texts
        self.dim, self.context_length = texts.dim, texts.context_length

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        raise KisBenchError(
            f"model {self.name} has imported image features only, and none of these pictures: kis-bench import m3rt "
            "FOLDER --dataset NAME=DIR, with DIR the folder of exactly these pictures, into the same --store"
        )

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_] | None]:
        return self.texts.encode_texts(texts)


def list_thesis_names() -> dict[str, str]:
    """M3RT's names of its nine models, as its files and its figures have them -> ours.

    It kept one vector per image, of BLIP-2 too, which therefore is our model without projection.
    """
    rows = [row for row in catalogue().values() if row.thesis_name and row.vectors_per_item == 1]
    own_code = ("CLIP", "ALIGN", "BLIP2")  # the others it loaded with open_clip
    return {
        row.thesis_name.lower()
        if row.thesis_name in own_code
        else f"openclip-{row.thesis_name}": row.name
        for row in rows
    }


def find_saved_model(name: str) -> tuple[str, Checkpoint | None]:
    """Our name of a model that features are of, and the model itself, if texts can be read with it."""
    thesis = list_thesis_names()
    ours = thesis.get(name) or thesis.get(name.lower()) or thesis.get(f"openclip-{name}") or name
    try:
        found = find(ours)
    except UnknownName:
        return ours, None
    return found.name, None if found.image_only or found.origin.kind == SAVED_BY_M3RT else found


def make_key(name: str) -> str:
    """What a model's imported features are stored under."""
    return f"{IMPORTED_KEYS}{name}"


def key(checkpoint: Checkpoint, precision: str) -> str:
    return make_key(find_saved_model(checkpoint.origin.rest)[0])


def readiness(checkpoint: Checkpoint) -> Readiness:
    """That of the model that reads its texts."""
    name, texts = find_saved_model(checkpoint.origin.rest)
    if texts is None:
        remedy = f"{name} is no model that reads texts; import with --model THEIRS=NAME, such as --model {name}=align"
        return Readiness(False, "no text side", remedy)
    return find_back_end(texts).readiness(texts)


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """Of the model that reads its texts; what made the features nobody can know."""
    _, texts = find_saved_model(checkpoint.origin.rest)
    return {} if texts is None else find_back_end(texts).weights(texts)


def fetch(checkpoint: Checkpoint) -> None:
    _, texts = find_saved_model(checkpoint.origin.rest)
    if texts is not None and (get := find_back_end(texts).fetch) is not None:
        get(texts)


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    _, texts = find_saved_model(checkpoint.origin.rest)
    assert texts is not None  # it is ready
    loaded = find_back_end(texts).load(texts, device, precision)
    return SavedFeatures(checkpoint.name, key(checkpoint, precision), loaded)


BACK_END = BackEnd(
    kinds=(SAVED_BY_M3RT,),
    forms=("m3rt:NAME",),
    packages=("torch", "torchvision", "open_clip_torch", "transformers", "tokenizers", "timm"),
    load=load,
    fetch=fetch,
    weights=weights,
    key=key,
    readiness=readiness,
)
