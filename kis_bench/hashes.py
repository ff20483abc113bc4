"""Perceptual hashes of pictures, for finding near-duplicates: alike pictures differ in few of 64 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kis_bench.cache import Facts
from kis_bench.errors import BadFile
from kis_bench.parallel import in_threads
from kis_bench.pictures import read_image
from kis_bench.records import Collection, Picture

CHUNK = 64  #: pictures whose hashes are kept together
THREADS = 2


def perceptual_hashes(collection: Collection) -> NDArray[np.uint64]:
    """pHash of each picture (signs of the low frequencies of its cosine transform), uint64 ``[n]``.

    Made once for each content and kept in the cache.

    Raises:
        BadFile: pictures can't be read; all of them are named.
    """
    import imagehash

    facts = Facts(f"phash {imagehash.__version__}")
    known = facts.known(dict.fromkeys(collection.content, ""))
    missing = [i for i, digest in enumerate(collection.content) if digest not in known]
    spans = [missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)]
    problems: list[str] = []
    done = in_threads(
        lambda span: [hash_of(collection.paths[i]) for i in span], spans, THREADS, f"{collection.name}: hashes",
        unit=f" x {CHUNK} images",
    )  # fmt: skip
    for span, hashes in zip(spans, done, strict=True):
        problems += [said for _, said in hashes if said]
        fresh = {collection.content[i]: made for i, (made, said) in zip(span, hashes, strict=True) if not said}
        facts.keep([(digest, "", made) for digest, made in fresh.items()])
        known |= fresh
    if problems:
        raise BadFile(f"dataset {collection.name}", problems)
    return np.array([int(known[digest], 16) for digest in collection.content], np.uint64)


def hash_of(picture: Picture) -> tuple[str, str]:
    """The hash in hexadecimal digits, or what is wrong with the picture."""
    import imagehash

    try:
        return str(imagehash.phash(read_image(picture))), ""
    except BadFile as error:
        return "", f"{picture}: {'; '.join(error.problems)}"
