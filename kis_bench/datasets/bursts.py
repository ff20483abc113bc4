"""Groups photos taken within seconds of one another into bursts."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kis_bench.datasets.digests import CHUNK_UNIT, read_states
from kis_bench.datasets.file_tree import READING_THREADS
from kis_bench.datasets.listing import Listing, PictureFiles
from kis_bench.files.cache import FileFacts
from kis_bench.files.images import UNREADABLE
from kis_bench.files.parallel import map_in_threads
from kis_bench.files.picture_formats import open_image
from kis_bench.records import Picture

PAUSE_S = 3.0  #: seconds without a photo that end a burst
EXIF_FOLDER, EXIF_TAKEN = 0x8769, 0x9003  # where EXIF keeps the moment at which the shutter opened


def find_bursts(
    listing: Listing, named: Callable[[str], datetime | None]
) -> tuple[tuple[str, ...] | None, tuple[float, ...] | None]:
    """The burst of each photo, named after its first photo, and the seconds since that one.

    The time is that of the EXIF data, else ``named``, that of the file's name. A photo without either is alone, its
    time unknown; if no photo has one, there are no bursts.
    """
    moments = [
        moment or named(item)
        for item, moment in zip(listing.ids, read_times_taken(listing.pictures), strict=True)
    ]
    if not any(moments):
        return None, None
    groups, times = list(listing.ids), [math.nan] * len(listing.ids)
    first, last = -1, None
    known = [(moment, i) for i, moment in enumerate(moments) if moment is not None]
    for moment, i in sorted(known):
        if last is None or (moment - last).total_seconds() > PAUSE_S:
            first = i
        start = moments[first]
        assert start is not None
        groups[i], times[i], last = listing.ids[first], (moment - start).total_seconds(), moment
    return tuple(groups), tuple(times)


def read_times_taken(pictures: PictureFiles) -> list[datetime | None]:
    """The time at which each photo was taken, from its EXIF data; read again only when a file has changed."""
    parts = map_in_threads(
        read_some_times, pictures.chunks(), READING_THREADS, "dates of photos", unit=CHUNK_UNIT
    )
    return [each for part in parts for each in part]


def read_some_times(pictures: PictureFiles) -> list[datetime | None]:
    names, states, _ = read_states(pictures)
    facts = FileFacts("taken")
    known = facts.look_up(states)
    fresh = {
        name: read_exif_moment(pictures[i]) for i, name in enumerate(names) if name not in known
    }
    facts.keep([(name, states[name], moment) for name, moment in fresh.items() if name in states])
    moments = [known.get(name, fresh.get(name, "")) for name in names]
    return [datetime.fromisoformat(moment) if moment else None for moment in moments]


def read_exif_moment(picture: Picture) -> str:
    """The time of the EXIF data in ISO 8601, or ""; an unreadable picture is reported when it is embedded."""
    try:
        with open_image(picture) as image:
            said: Any = image.getexif().get_ifd(EXIF_FOLDER).get(EXIF_TAKEN)
            return (
                datetime.strptime(str(said).strip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()
                if said
                else ""
            )
    except UNREADABLE:
        return ""
