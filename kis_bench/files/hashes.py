"""Perceptual hashes and coarse colours of pictures, for finding near-duplicates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.choices import MOST_PIXELS
from kis_bench.colours import to_cielab
from kis_bench.errors import BadFile
from kis_bench.files.cache import FileFacts
from kis_bench.files.images import read_image
from kis_bench.files.parallel import map_in_threads
from kis_bench.files.picture_formats import find_pixel_limit
from kis_bench.records import Collection, Picture

GRID = 4  #: cells of a picture in each direction, of which the mean colours are kept
CHUNK_PICTURES = 64  #: pictures whose looks are kept together
HASHING_THREADS = 2
DIGITS = 16  #: of a hash; those of the colours follow


def compute_perceptual_hashes(collection: Collection) -> NDArray[np.uint64]:
    """pHash of each picture (signs of the low frequencies of its cosine transform), uint64 ``[n]``.

    It sees shape and brightness but no colour, which `compute_colour_grids` does. Half of the bits are
    set wherever coefficients differ, so two hashes differ in an even number of bits. Computed once for each
    content and kept in the cache.

    Raises:
        BadFile: pictures can't be read; all of them are named.
    """
    return np.array([int(one[:DIGITS], 16) for one in compute_looks(collection)], np.uint64)


def compute_colour_grids(collection: Collection) -> NDArray[np.int8]:
    """`compute_colour_grid` of each picture, int8 ``[n, 16, 3]``; computed and kept together with the hashes.

    Raises:
        BadFile: pictures can't be read; all of them are named.
    """
    parts = [
        np.frombuffer(bytes.fromhex(one[DIGITS:]), np.int8) for one in compute_looks(collection)
    ]
    return np.array(parts, np.int8).reshape(-1, GRID * GRID, 3)


def compute_looks(collection: Collection) -> list[str]:
    """Hash and colours of each picture, in hexadecimal digits."""
    import imagehash

    facts = FileFacts(f"phash {imagehash.__version__}, colours {GRID}")
    limit = find_pixel_limit()
    state = "" if limit == MOST_PIXELS else str(limit)  # what one limit lets in, another may not
    known = facts.look_up(dict.fromkeys(collection.content, state))
    missing = [i for i, digest in enumerate(collection.content) if digest not in known]
    spans = [missing[i : i + CHUNK_PICTURES] for i in range(0, len(missing), CHUNK_PICTURES)]
    problems: list[str] = []
    done = map_in_threads(
        lambda span: [compute_look(collection.paths[i]) for i in span],
        spans,
        HASHING_THREADS,
        f"{collection.name}: looks",
        unit=f" x {CHUNK_PICTURES} images",
    )
    for span, made in zip(spans, done, strict=True):
        problems += [said for _, said in made if said]
        fresh = {
            collection.content[i]: look
            for i, (look, said) in zip(span, made, strict=True)
            if not said
        }
        facts.keep([(digest, state, look) for digest, look in fresh.items()])
        known |= fresh
    if problems:
        raise BadFile(f"dataset {collection.name}", problems)
    return [known[digest] for digest in collection.content]


def compute_colour_grid(image: Image.Image) -> NDArray[np.int8]:
    """Mean colour of each of 4 x 4 cells of an RGB picture, in CIELAB rounded to whole numbers: int8 ``[16, 3]``."""
    cells = np.asarray(image.resize((GRID, GRID), Image.Resampling.BOX)).reshape(-1, 3)
    return to_cielab(cells).round().astype(np.int8)


def compute_look(picture: Picture) -> tuple[str, str]:
    """Hash and colours of a picture in hexadecimal digits, and "", or "" and the problem with it."""
    import imagehash

    try:
        image = read_image(picture)
    except BadFile as error:
        return "", f"{picture}: {'; '.join(error.problems)}"
    return str(imagehash.phash(image)) + compute_colour_grid(image).tobytes().hex(), ""
