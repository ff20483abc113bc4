"""Small pictures for the page: drawn once, kept for the next report, and no more of them than a file can carry."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from kis_bench.errors import BadFile
from kis_bench.files import cache
from kis_bench.files.images import UNREADABLE, upright
from kis_bench.files.picture_formats import open_image
from kis_bench.files.progress import track_each
from kis_bench.threads import map_ahead

if TYPE_CHECKING:
    from kis_bench.records import Collection, Picture

INLINE_PIXELS, QUALITY = 128, 50
BUDGET = 1_000_000  #: bytes of all pictures in the page, as base64
DRAWING_THREADS = 4  #: Pillow lets others work while it reads or writes a picture
MISSING, DAMAGED, UNKNOWN, NO_ROOM = (
    "file is missing",
    "not readable",
    "no picture here",
    "left out for size",
)
_DIGEST = re.compile("[0-9a-f]{64}")

Item = tuple[str, str]  #: dataset, item id


@dataclass
class InlinedPictures:
    """Each distinct picture once, and which one an item has, or why it has none."""

    pictures: dict[str, bytes] = field(default_factory=dict)  # WebP, by what tells pictures apart
    of_items: dict[Item, str] = field(default_factory=dict)
    reasons: dict[Item, str] = field(default_factory=dict)

    @property
    def left_out(self) -> list[Item]:
        """Those that would not fit, the most important first."""
        return [item for item, reason in self.reasons.items() if reason == NO_ROOM]


def inline_pictures(
    wanted: Iterable[Item], collections: Mapping[str, Collection], *, budget: int | None = BUDGET
) -> InlinedPictures:
    """Pictures of items, the most important first, until the next would exceed ``budget`` bytes of base64.

    None is no limit. Once one has no room, none after it is drawn: what is left out is the end of the order.
    """
    found, used = InlinedPictures(), 0
    contents = {name: digests(collection) for name, collection in collections.items()}
    first: dict[str, tuple[Picture, str | None]] = {}
    for item in dict.fromkeys(wanted):
        collection = collections.get(item[0])
        place = None if collection is None else collection.position.get(item[1])
        if collection is None or place is None:
            found.reasons[item] = UNKNOWN
            continue
        digest, picture = contents[item[0]][place], collection.paths[place]
        name = digest or str(picture)
        first.setdefault(name, (picture, digest))
        found.of_items[item] = name
    reasons = dict.fromkeys(first, NO_ROOM)
    with ThreadPoolExecutor(DRAWING_THREADS) as pool:
        drawn = map_ahead(pool, lambda each: thumbnail(*each), first.values(), 16 * DRAWING_THREADS)
        for name, made in zip(
            first, track_each(drawn, "thumbnails", unit="image", total=len(first)), strict=False
        ):
            if isinstance(made, str):
                reasons[name] = made
                continue
            used += base64_length(made)
            if budget is not None and used > budget:
                break
            found.pictures[name] = made
        cancel(drawn)
    for item, name in list(found.of_items.items()):
        if name not in found.pictures:
            found.reasons[item] = reasons[name]
            del found.of_items[item]
    return found


def cancel(drawn: Iterator[bytes | str]) -> None:
    """Nothing more is drawn than what is being drawn now."""
    if isinstance(drawn, Generator):
        drawn.close()


def base64_length(content: bytes) -> int:
    """Letters that base64 takes for the bytes."""
    return 4 * -(-len(content) // 3)


def digests(collection: Collection) -> Sequence[str | None]:
    """What tells the contents of a collection's files apart; nothing where files have gone since."""
    try:
        known = list(collection.content)
    except (BadFile, OSError):
        return [None] * len(collection)
    return [digest if _DIGEST.fullmatch(digest) else None for digest in known]


def thumbnail(picture: Picture, digest: str | None) -> bytes | str:
    """A WebP of at most 128 x 128, kept in the cache under the digest of the picture's file; or why there is none."""
    kept = (
        None
        if digest is None
        else cache.find_folder("thumbnails") / f"{digest}-{INLINE_PIXELS}-{QUALITY}.webp"
    )
    if kept is not None:
        with contextlib.suppress(OSError):
            if is_whole(known := kept.read_bytes()):
                return known
    drawn = draw(picture)
    if kept is not None and isinstance(drawn, bytes):
        cache.keep_bytes(kept, drawn)
    return drawn


def draw(picture: Picture) -> bytes | str:
    """The picture upright, small and without anything else that its file holds; or why that can't be."""
    stream = io.BytesIO()
    try:
        with open_image(picture) as file:
            file.draft("RGB", (2 * INLINE_PIXELS, 2 * INLINE_PIXELS))
            small = upright(file)
        small.thumbnail((INLINE_PIXELS, INLINE_PIXELS))
        small.info.clear()  # no place, no camera, no colour profile
        small.save(stream, "WEBP", quality=QUALITY, method=2)
    except FileNotFoundError:
        return MISSING
    except UNREADABLE:
        return DAMAGED
    return stream.getvalue()


def is_whole(webp: bytes) -> bool:
    """Whether a file ends where its head says; one that a power cut left may not."""
    return webp[:4] == b"RIFF" and int.from_bytes(webp[4:8], "little") + 8 == len(webp)


def in_turn(lists: Sequence[Sequence[Item]]) -> Iterator[Item]:
    """One of each list, then the next of each: where room ends, all have had about as much of it."""
    for row in zip_longest(*lists):
        yield from (item for item in row if item is not None)
