"""Finds JPEG files that are damaged within, which usual decoders show without a word, however wrong the picture."""

from __future__ import annotations

import contextlib
import importlib.util
from importlib.metadata import version

from kis_bench.files.cache import FileFacts
from kis_bench.files.images import UNREADABLE
from kis_bench.files.jpeg_ends import end_jpeg
from kis_bench.files.parallel import map_in_threads
from kis_bench.files.picture_formats import HEAD_BYTES, find_format, open_picture
from kis_bench.records import Collection, Picture

DAMAGE_THREADS = 2
NO_END_MARK = "Premature end of JPEG file"  #: in the words of libjpeg; or more than that is missing
LEAST_FACTOR = 8  #: of the size to which is decoded: only what its decoder says is wanted


def has_strict_decoder() -> bool:
    """Whether simplejpeg is installed, the decoder that takes the warnings of libjpeg for errors."""
    return importlib.util.find_spec("simplejpeg") is not None


def find_damaged_jpegs(collection: Collection) -> dict[str, str]:
    """Maps ids of items whose JPEG is damaged to what the decoder says; each content is decoded once."""
    facts = FileFacts(f"JPEG, simplejpeg {version('simplejpeg')}")
    known = facts.look_up(dict.fromkeys(collection.content, ""))
    first = {digest: i for i, digest in enumerate(collection.content) if digest not in known}
    said = map_in_threads(
        lambda i: find_damage(collection.paths[i]),
        list(first.values()),
        DAMAGE_THREADS,
        f"{collection.name}: damage in JPEGs",
        unit="image",
    )
    fresh = dict(zip(first, said, strict=True))
    facts.keep([(digest, "", damage) for digest, damage in fresh.items()])
    known |= fresh
    pairs = zip(collection.ids, collection.content, strict=True)
    return {item: known[digest] for item, digest in pairs if known[digest]}


def find_damage(picture: Picture) -> str:
    """What is wrong within a JPEG; "" for nothing, for other formats, and for what can't be read at all."""
    try:
        with open_picture(picture) as stream:
            if find_format(stream.read(HEAD_BYTES)) != "JPEG":
                return ""
            stream.seek(0)
            return decode_strictly(stream.read())
    except OSError:
        return ""


def decode_strictly(content: bytes) -> str:
    """What simplejpeg says of a JPEG. That its end mark is missing is nothing, where all pixels are there."""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(content, min_height=1, min_width=1, min_factor=LEAST_FACTOR)
    except (ValueError, MemoryError) as error:
        said = str(error)
        with contextlib.suppress(*UNREADABLE):
            if NO_END_MARK in said and end_jpeg(content) is not None:
                return ""
        return said
    return ""
