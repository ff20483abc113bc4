"""Back end ``colour-words:``: a text as the colours that it names, an image as the colours that it shows.

A floor for known-item search, without weights. Both sides are distributions over the eleven basic colour terms
(Berlin & Kay, Basic Color Terms, 1969). Square roots of distributions are unit vectors, and their inner product is
the Bhattacharyya coefficient (Bhattacharyya, On a measure of divergence between two statistical populations, 1943).

One more component is the same for all images and 0 for texts; a text that names no colour has nothing but it. Its
score is then one float32 for all images, an exact tie, which is all that can be said of such a text.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from kis_bench.colours import to_cielab
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint, Float32s, Float64s, Readiness

COLOUR_WORDS_VERSION = 1  #: of the algorithm here; part of the key
SAMPLED_SIDE = 64
COLOUR_PREPROCESSING = (
    f"rgb-squash-nearest-{SAMPLED_SIDE}"  # averaging would make pink where red meets white
)
EVERY_VECTOR_HAS = 1e-3

#: Basic colour -> words that name it, and the CSS colours (as Pillow knows them) that count as it in pictures.
#: A word of two colours, such as turquoise, names both. Words that are mostly things (rose, peach) are left out.
COLOURS = {
    "black": ("black blackish ebony", "black"),
    "white": ("white whitish ivory", "white ivory ghostwhite"),
    "red": (
        "red reddish crimson scarlet maroon burgundy vermilion ruby",
        "red crimson firebrick darkred",
    ),
    "green": (
        "green greenish emerald olive lime teal turquoise",
        "green lime limegreen yellowgreen olivedrab darkgreen seagreen lightgreen darkseagreen mediumaquamarine",
    ),
    "yellow": ("yellow yellowish gold golden blond blonde", "yellow gold khaki"),
    "blue": (
        "blue bluish navy azure cobalt cyan aqua teal turquoise",
        "blue navy mediumblue royalblue steelblue dodgerblue skyblue lightblue lightsteelblue aqua darkturquoise",
    ),
    "brown": (
        "brown brownish tan beige khaki bronze auburn brunette",
        "saddlebrown sienna peru tan",
    ),
    "orange": ("orange orangish amber", "orange darkorange coral"),
    "pink": (
        "pink pinkish magenta fuchsia",
        "pink lightpink hotpink deeppink palevioletred fuchsia",
    ),
    "purple": (
        "purple purplish violet lavender lilac mauve indigo",
        "purple indigo darkorchid mediumpurple mediumorchid plum",
    ),
    "grey": (
        "grey gray greyish grayish silver silvery charcoal",
        "dimgray gray darkgray lightgray",
    ),
}
COLOUR_NAMES = (*COLOURS,)
NAMED_BY = {
    word: [i for i, (words, _) in enumerate(COLOURS.values()) if word in words.split()]
    for words, _ in COLOURS.values()
    for word in words.split()
}
SHOWN_BY = np.array([i for i, (_, shown) in enumerate(COLOURS.values()) for _ in shown.split()])
COLOUR_COUNT = len(COLOUR_NAMES) + 1


PROTOTYPES = to_cielab(
    np.array(
        [ImageColor.getrgb(name) for _, shown in COLOURS.values() for name in shown.split()],
        np.uint8,
    )
)


def colours_of_text(text: str) -> Float64s:
    """Share of each basic colour among those that a text names, ``[11]``; all zero if it names none."""
    counts = np.zeros(len(COLOUR_NAMES))
    for word in re.findall("[a-z]+", text.lower()):
        counts[NAMED_BY.get(word) or NAMED_BY.get(word.removesuffix("s"), [])] += 1
    shares: Float64s = counts / max(1, counts.sum())
    return shares


def colours_of_image(image: Image.Image) -> Float64s:
    """Share of each basic colour among the pixels, ``[11]``: of the prototype nearest in CIELAB (CIE 1976)."""
    pixels = to_cielab(
        np.asarray(image.resize((SAMPLED_SIDE, SAMPLED_SIDE), Image.Resampling.NEAREST)).reshape(
            -1, 3
        )
    )
    distances = np.stack(
        [((pixels - prototype) ** 2).sum(axis=1) for prototype in PROTOTYPES], axis=1
    )
    shares: Float64s = np.bincount(
        SHOWN_BY[distances.argmin(axis=1)], minlength=len(COLOUR_NAMES)
    ) / len(pixels)
    return shares


class ColourWords:
    """Colour names as an Encoder; pictures are looked at in the decoding threads."""

    dim, vectors_per_item, device, precision = COLOUR_COUNT, 1, "cpu", "fp32"
    context_length: int | None = None

    def __init__(self, name: str, key: str) -> None:
        self.name, self.key = name, key

    def prepare_image(self, image: Image.Image) -> Float64s:
        return colours_of_image(image)

    def encode_prepared(self, prepared: Sequence[Float64s]) -> Float32s:
        vectors = np.full((len(prepared), 1, COLOUR_COUNT), EVERY_VECTOR_HAS, np.float32)
        for vector, shares in zip(vectors, prepared, strict=True):
            vector[0, :-1] = math.sqrt(1 - EVERY_VECTOR_HAS**2) * np.sqrt(shares)
        return vectors

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encode_prepared([self.prepare_image(upright(image)) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        vectors = np.zeros((len(texts), 1, COLOUR_COUNT), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector[0, :-1] = np.sqrt(colours_of_text(text))
            vector[0, -1] = not vector.any()
        return vectors, np.zeros(len(texts), dtype=bool)


def readiness(checkpoint: Checkpoint) -> Readiness:
    return Readiness(True, "ready")


def key(checkpoint: Checkpoint, precision: str) -> str:
    """Names the version, the preprocessing and the table; it computes alike whatever precision is asked for."""
    table = hashlib.sha256(repr(COLOURS).encode()).hexdigest()
    return f"colour-words-{COLOUR_WORDS_VERSION}-{COLOUR_PREPROCESSING}-{table[:16]}"


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """It has none."""
    return {}


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    return ColourWords(checkpoint.name, key(checkpoint, precision))


BACK_END = BackEnd(
    kinds=("colour-words",),
    forms=(),
    packages=(),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    cpu_only=True,
    fp32_only=True,
)
