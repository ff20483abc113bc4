"""Back end ``extractor:NAME``: image features by hand, without weights and without a text side.

The extractors of the RESET study that ran on any machine: histograms, colour layouts, dominant colours, and VLAD.
Each vector ends with one small constant component (``CONSTANT``), which is all that is left of a black image;
every other vector is changed by less than a thousandth by it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.features import vlad
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, UnknownName, explain_install
from kis_bench.files.cache import digest_file
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint, Float32s, Float64s, Readiness

VERSION = 1  #: of the algorithms here; part of the key
CONSTANT = 1e-3
SIDE = 16  #: pixels of a cell of the colour layout
SEED = 0

Feature = Float64s


def rgb_histogram(image: Image.Image, bins: tuple[int, int, int]) -> Feature:
    """Joint histogram of the colours, as shares of the pixels (Swain & Ballard, Color indexing, 1991).

    Args:
        bins: for red, green and blue; of equal width.
    """
    pixels = np.asarray(image, dtype=np.int64).reshape(-1, 3)
    r, g, b = (pixels[:, i] * n // 256 for i, n in enumerate(bins))
    counts = np.bincount((r * bins[1] + g) * bins[2] + b, minlength=int(np.prod(bins)))
    shares: Feature = counts / len(pixels)
    return shares


def lab_positional(image: Image.Image, cells: int) -> Feature:
    """Mean CIELAB colour of each of ``cells`` x ``cells`` fields, row by row; L in 0..1, a and b in about -1..1."""
    lab = cielab(image, (cells * SIDE, cells * SIDE))
    means: Feature = lab.reshape(cells, SIDE, cells, SIDE, 3).mean(axis=(1, 3)).reshape(-1)
    return means


def lab_kmeans(image: Image.Image, colours: int) -> Feature:
    """The dominant CIELAB colours, each times its share of the pixels, the largest share first.

    k-means on 64 x 64 averaged pixels with a fixed seed; where there are fewer colours, the rest is zero.
    """
    from sklearn.cluster import KMeans

    pixels, counts = np.unique(
        cielab(image, (64, 64)).reshape(-1, 3).round(6), axis=0, return_counts=True
    )
    k = min(colours, len(pixels))
    found = KMeans(k, n_init=4, random_state=SEED).fit(pixels, sample_weight=counts)
    shares = np.bincount(found.labels_, weights=counts, minlength=k) / counts.sum()
    centres = found.cluster_centers_
    order = np.lexsort((*centres.T, -shares))
    feature = np.zeros((colours, 3))
    feature[:k] = shares[order, None] * centres[order]
    return feature.reshape(-1)


def cielab(image: Image.Image, size: tuple[int, int]) -> Feature:
    """Averaged down to ``size``, float64 ``[h, w, 3]``, L in 0..1, a and b in about -1..1."""
    from skimage.color import rgb2lab

    small = np.asarray(image.resize(size, Image.Resampling.BOX))
    lab: Feature = rgb2lab(small) / (100.0, 128.0, 128.0)
    return lab


#: name -> feature, length, and the packages that it needs (module, distribution)
EXTRACTORS: dict[str, tuple[Callable[[Image.Image], Feature], int, dict[str, str]]] = {
    "rgb-histogram-64": (partial(rgb_histogram, bins=(4, 4, 4)), 64, {}),
    "rgb-histogram-256": (
        partial(rgb_histogram, bins=(8, 8, 4)),
        256,
        {},
    ),  # eyes tell blues apart least
    **{
        f"lab-positional-{n}x{n}": (
            partial(lab_positional, cells=n),
            3 * n * n,
            {"skimage": "scikit-image"},
        )
        for n in (2, 4, 8)
    },
    "lab-kmeans-4": (
        partial(lab_kmeans, colours=4),
        12,
        {"skimage": "scikit-image", "sklearn": "scikit-learn"},
    ),
}
EXTRACTOR_NAMES = (*EXTRACTORS, "vlad-sift")


class Extractor:
    """A feature of single images as an Encoder; features are computed in the decoding threads."""

    vectors_per_item, device, precision = 1, "cpu", "fp32"
    context_length: int | None = None
    image_only = True

    def __init__(
        self, name: str, key: str, dim: int, feature: Callable[[Image.Image], Feature]
    ) -> None:
        self.name, self.key, self.dim, self.feature = name, key, dim + 1, feature

    def prepare_image(self, image: Image.Image) -> Feature:
        return np.append(self.feature(image), CONSTANT)

    def encode_prepared(self, prepared: Sequence[Feature]) -> Float32s:
        vectors = np.stack(prepared)
        unit: Float32s = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
            np.float32
        )
        return unit[:, None, :]

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encode_prepared([self.prepare_image(upright(image)) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        raise KisBenchError(f"model {self.name} is image-only: it has no text side")


def parts(checkpoint: Checkpoint) -> tuple[str, Path | None, dict[str, str]]:
    """Name of the extractor, its codebook's file where it has one, and the packages that it needs."""
    name, file = checkpoint.origin.rest.partition("=")[0], checkpoint.origin.folder
    if name not in EXTRACTOR_NAMES:
        raise UnknownName("extractor", name, EXTRACTOR_NAMES, f"Model: {checkpoint.name}.")
    if name == "vlad-sift":
        return (
            name,
            file or vlad.default_codebook(),
            {"cv2": "opencv-python-headless"},
        )
    return name, None, EXTRACTORS[name][2]


def readiness(checkpoint: Checkpoint) -> Readiness:
    _, codebook, packages = parts(checkpoint)
    absent = [
        package for module, package in packages.items() if importlib.util.find_spec(module) is None
    ]
    if absent:
        return Readiness(False, f"needs {' and '.join(absent)}", explain_install("extractors"))
    if codebook is not None and not codebook.is_file():
        return Readiness(
            False,
            "no codebook",
            f"kis-bench codebook DATASET learns one; looked for {codebook.name}",
        )
    return Readiness(True, "ready")


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Names our version and those of the libraries that compute; a codebook by its content."""
    name, codebook, packages = parts(checkpoint)
    if not readiness(checkpoint).ready:
        return None
    made_by = [f"{module}{version(module, package)}" for module, package in packages.items()]
    if codebook is not None:
        made_by.append(digest_file(codebook)[:16])
    return "-".join(["extractor", name, str(VERSION), *made_by])


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    _, codebook, _ = parts(checkpoint)
    return (
        {codebook.name: digest_file(codebook)}
        if codebook is not None and codebook.is_file()
        else {}
    )


@cache
def distributions() -> Mapping[str, list[str]]:
    """The distributions that provide each module; to find out, Python reads what all of them say of themselves."""
    return importlib.metadata.packages_distributions()


def version(module: str, package: str) -> str:
    """Of the installed distribution; OpenCV comes under several names."""
    provided = distributions().get(module, [package])[0]
    return ".".join(re.split(r"[.+]", importlib.metadata.version(provided))[:3])


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    name, codebook, _ = parts(checkpoint)
    made_under = key(checkpoint, precision)
    assert made_under is not None  # it is ready
    if codebook is not None:
        words = vlad.read_codebook(codebook)
        return Extractor(
            checkpoint.name, made_under, words.size + 1, partial(vlad.vlad_of_image, words=words)
        )
    feature, dim, _ = EXTRACTORS[name]
    return Extractor(checkpoint.name, made_under, dim, feature)


BACK_END = BackEnd(
    kinds=("extractor",),
    forms=("extractor:NAME",),
    packages=("scikit-image", "scikit-learn", "opencv-python-headless"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    image_only=True,
    cpu_only=True,
    fp32_only=True,
)
