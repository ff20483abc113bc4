"""Small pictures for the page: drawn once, kept for the next report, and no more of them than a file can carry."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench import cache
from kis_bench.pictures import UNREADABLE, open_image, upright

if TYPE_CHECKING:
    from kis_bench.records import Collection, Picture

SIDE, QUALITY = 128, 70
BUDGET = 25_000_000  #: bytes of all pictures in the page, as base64
CHUNK = 256  #: drawn before it is looked how much room is left
MISSING, UNREADABLE_FILE, NO_ROOM = "file is missing", "not readable", "left out"


@dataclass
class Embedded:
    """Pictures of items by dataset and item id, and why others have none."""

    pictures: dict[tuple[str, str], bytes] = field(default_factory=dict)  # WebP
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def left_out(self) -> int:
        """How many would not fit."""
        return sum(reason == NO_ROOM for reason in self.reasons.values())


def embed(
    wanted: Iterable[tuple[str, str]], collections: Mapping[str, Collection], *, budget: int | None = BUDGET
) -> Embedded:
    """Pictures of items (dataset, item id), the most important first, until ``budget`` bytes are used; None: all."""
    found, used = Embedded(), 0
    known = [key for key in dict.fromkeys(wanted) if key[0] in collections]
    once: dict[str, int] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(known), CHUNK):
            some = known[start : start + CHUNK]
            if budget is not None and used >= budget:
                found.reasons |= dict.fromkeys(known[start:], NO_ROOM)
                break
            for key, picture in zip(
                some, pool.map(lambda key: thumbnail(collections[key[0]], key[1]), some), strict=True
            ):
                if isinstance(picture, str):
                    found.reasons[key] = picture
                    continue
                digest = hashlib.sha256(picture).hexdigest()
                size = 0 if digest in once else 4 * -(-len(picture) // 3)  # the page holds equal ones once
                if budget is not None and used + size > budget:
                    found.reasons[key] = NO_ROOM
                    continue
                once[digest] = size
                used += size
                found.pictures[key] = picture
    return found


def thumbnail(pictures: Collection, item: str) -> bytes | str:
    """A WebP of at most 128 x 128, or why there is none."""
    place = pictures.position.get(item)
    if place is None:
        return MISSING
    kept = (
        cache.folder("thumbnails") / f"{hashlib.sha256(str(pictures.content[place]).encode()).hexdigest()}-{SIDE}.webp"
    )
    with contextlib.suppress(OSError):
        if whole(known := kept.read_bytes()):
            return known
    drawn = draw(pictures.paths[place])
    if isinstance(drawn, bytes):
        keep(kept, drawn)
    return drawn


def draw(picture: Picture) -> bytes | str:
    try:
        with open_image(picture) as file:
            file.draft("RGB", (2 * SIDE, 2 * SIDE))
            small = upright(file)
            small.thumbnail((SIDE, SIDE))
    except FileNotFoundError:
        return MISSING
    except UNREADABLE:
        return UNREADABLE_FILE
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=QUALITY, method=2)
    return stream.getvalue()


def whole(webp: bytes) -> bool:
    """Whether a file ends where its head says; one that a power cut left may not."""
    return webp[:4] == b"RIFF" and int.from_bytes(webp[4:8], "little") + 8 == len(webp)


def keep(file: Path, content: bytes) -> None:
    """Under its name at once or not at all; not waiting for the disk, for it can be drawn again."""
    unfinished = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, file)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def in_order(targets: Sequence[Iterable[tuple[str, str]]], tops: Sequence[Sequence[Iterable[tuple[str, str]]]]
             ) -> Iterator[tuple[str, str]]:  # fmt: skip
    """What matters most: targets, then what stands first under every model, then second, and so on."""
    for some in targets:
        yield from some
    for place in range(max(map(len, tops), default=0)):
        for each in tops:
            if place < len(each):
                yield from each[place]
