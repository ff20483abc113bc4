"""VLAD over SIFT: an image as the residuals of its local descriptors from the words of a codebook.

Jégou et al., Aggregating local descriptors into a compact image representation, 2010; with RootSIFT
(Arandjelović & Zisserman, 2012) and normalisation of each word's residuals (the same, All about VLAD, 2013).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files import cache
from kis_bench.files.whole import write_whole
from kis_bench.records import Float32s, Float64s

LONGEST_SIDE = 640  #: pixels; larger images are reduced to it before keypoints are looked for
DESCRIPTOR = 128  #: length of a SIFT descriptor
PER_IMAGE = 300  #: descriptors taken from an image when a codebook is learned
VISUAL_WORDS = 64


def default_codebook() -> Path:
    return cache.find_folder("codebooks") / "vlad-sift.npy"


def root_sift(image: Image.Image) -> Float32s:
    """RootSIFT descriptors, float32 ``[n, 128]`` of length 1; n is 0 where an image has no keypoints."""
    import cv2

    small = image.convert("L")
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    _, found = cv2.SIFT.create().detectAndCompute(np.asarray(small), None)
    if found is None:
        return np.zeros((0, DESCRIPTOR), np.float32)
    found = np.asarray(found, np.float32)
    found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-12)
    root: Float32s = np.sqrt(found)
    return root


def vlad(descriptors: Float32s, words: Float32s) -> Float64s:
    """The sums of the residuals from the nearest word, each word's normalised, float64 ``[k * d]``.

    Args:
        descriptors: ``[n, d]``. words: ``[k, d]``.
    """
    local, centres = descriptors.astype(np.float64), words.astype(np.float64)
    nearest = ((centres**2).sum(axis=1) - 2 * local @ centres.T).argmin(axis=1)
    sums = np.zeros(centres.shape)
    np.add.at(sums, nearest, local - centres[nearest])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    normalised: Float64s = sums / np.where(lengths > 0, lengths, 1)
    return normalised.reshape(-1)


def vlad_of_image(image: Image.Image, words: Float32s) -> Float64s:
    """VLAD, and one more component that is 1 where the image has no keypoints and 0 elsewhere."""
    descriptors = root_sift(image)
    return np.append(vlad(descriptors, words), float(len(descriptors) == 0))


def learn_codebook(
    images: Iterable[Image.Image], *, words: int = VISUAL_WORDS, seed: int = 0
) -> Float32s:
    """k-means over at most 300 descriptors of each image, float32 ``[words, 128]``.

    Raises:
        KisBenchError: the images have fewer descriptors than words are wanted.
    """
    from sklearn.cluster import MiniBatchKMeans

    rng, sample = np.random.default_rng(seed), []
    for image in images:
        found = root_sift(image)
        sample.append(found[np.sort(rng.permutation(len(found))[:PER_IMAGE])])
    total = sum(map(len, sample))
    if total < words:
        raise KisBenchError(
            f"the images have {total} keypoints; for {words} words they need at least as many"
        )
    found = MiniBatchKMeans(words, batch_size=4096, n_init=3, random_state=seed).fit(
        np.concatenate(sample)
    )
    centres: Float32s = found.cluster_centers_.astype(np.float32)
    return centres


def write_codebook(file: Path, words: Float32s) -> None:
    content = io.BytesIO()
    np.save(content, words, allow_pickle=False)
    write_whole(file, content.getvalue())


def read_codebook(file: Path) -> Float32s:
    """
    Raises:
        BadFile: not an array of words as `write_codebook` writes it.
    """
    remedy = "not a codebook; kis-bench codebook DATASET learns one"
    try:
        words = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadFile(file, [f"{remedy} ({error})"]) from error
    if not isinstance(words, np.ndarray) or words.dtype != np.float32 or words.ndim != 2:
        raise BadFile(file, [remedy])
    if words.shape[1] != DESCRIPTOR or not len(words) or not np.isfinite(words).all():
        raise BadFile(
            file,
            [f"{remedy}; it holds {list(words.shape)}, float32 [words, {DESCRIPTOR}] is needed"],
        )
    return words
