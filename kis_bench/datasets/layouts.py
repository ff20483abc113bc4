"""Layouts: how a picture's group (video, day, burst) and time follow from its file name.

A layout is chosen by name, never guessed. ``images.csv`` needs none: it has columns for both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kis_bench.datasets.bursts import find_bursts
from kis_bench.datasets.listing import Listing
from kis_bench.datasets.shots import read_shot_times
from kis_bench.errors import BadFile, UnknownName

Groups = tuple[str, ...] | None  #: of each picture; None: nobody knows
Times = tuple[float, ...] | None  #: seconds within the group; NaN: not known for this one

RESET_CLOCK = 2000
#: 20240501_100010, 2024-05-01 10.00.10, 2024-05-01 at 10.00.10, 20240501T100010; milliseconds may follow.
STAMP = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-._]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)(?:[-_ T]| at )?"
    r"(?P<hour>\d\d)(?P<dot>[-._:]?)(?P<minute>\d\d)(?P=dot)(?P<second>\d\d)(?!\d{1,2}(?!\d))"
)
SITE_FRAME = re.compile(
    r"(?:.*/)?(?P<site>[A-Za-z0-9]+_[A-Z][a-z]{2}\d{4})/(?P<video>\d{4})[_/]\d+"
)
SHOT = re.compile(r"(?:.*/)?(?P<video>\d{5})/shot(?P=video)_(?P<shot>\d+)(?:_RKF)?")


@dataclass(frozen=True)
class Layout:
    """How the files of a collection are named."""

    name: str
    about: str
    get: str  # what a user has to do who lacks it
    read: Callable[[Path, Listing], tuple[Groups, Times]]


def read_no_groups(root: Path, listing: Listing) -> tuple[Groups, Times]:
    return None, None


def read_videos(root: Path, listing: Listing) -> tuple[Groups, Times]:
    """Frames of the Marine Video Kit, in the three ways in which they are handed on.

    As published, ``Ambon_Apr2012/0001_00017`` is a frame of video 0001 from one place and month. Others keep a folder
    per video. Frames in no folder, as in the thesis' subset, belong to no known video.
    """
    found = [name_video(item) for item in listing.ids]
    if not any(found):
        return None, None
    loose = [item for item, video in zip(listing.ids, found, strict=True) if not video]
    if loose:
        remedy = "lies in no video's folder, others do; move it into one, or choose layout folder"
        raise BadFile(root, [f"{item} {remedy}" for item in loose])
    return tuple(found), None


def name_video(item: str) -> str:
    """The video of a frame: ``Ambon_Apr2012_0001``, as at the Video Browser Showdown, or else its folder."""
    published = SITE_FRAME.fullmatch(item)
    return f"{published['site']}_{published['video']}" if published else item.rpartition("/")[0]


def read_days(root: Path, listing: Listing) -> tuple[Groups, Times]:
    """Names with a date and a time of day, such as ``20200101_103717_000``: the group is the day, in the names' time.

    A camera whose clock was reset counts from the year 2000: such a picture is of no known day, and alone.
    """
    groups, times, problems = [], [], []
    for item in listing.ids:
        moment = parse_stamp(item)
        if moment is None:
            problems.append(
                f"{item}: no date and time as in 20200101_103717 in its name; rename it, or write images.csv"
            )
            continue
        reset = moment.year <= RESET_CLOCK
        groups.append(item if reset else f"{moment:%Y-%m-%d}")
        times.append(
            math.nan if reset else 3600.0 * moment.hour + 60 * moment.minute + moment.second
        )
    if problems:
        raise BadFile(root, problems)
    return tuple(groups), tuple(times)


def parse_stamp(item: str) -> datetime | None:
    """The date and time in a file's name; None if it has none."""
    found = STAMP.search(item.rsplit("/", 1)[-1])
    parts = ("year", "month", "day", "hour", "minute", "second")
    try:
        return datetime(*(int(found[part]) for part in parts)) if found else None  # type: ignore[arg-type]
    except ValueError:
        return None


def read_shots(root: Path, listing: Listing) -> tuple[Groups, Times]:
    """V3C's keyframes, ``06925/shot06925_31_RKF``: the group is the video; times come from its shot boundaries."""
    found = [SHOT.fullmatch(item) for item in listing.ids]
    problems = [
        f"{item}: not named as 06925/shot06925_31_RKF; rename it, or write images.csv"
        for item, match in zip(listing.ids, found, strict=True)
        if match is None
    ]
    if problems:
        raise BadFile(root, problems)
    places = [(match["video"], int(match["shot"])) for match in found if match]
    known = read_shot_times(root, {video for video, _ in places})
    times = tuple(known.get(place, math.nan) for place in places)
    return tuple(video for video, _ in places), times if known else None


def read_shots_if_named(root: Path, listing: Listing) -> tuple[Groups, Times]:
    """As `read_shots` if all names are those of shots; a study needs neither groups nor times."""
    return (
        read_shots(root, listing)
        if all(SHOT.fullmatch(item) for item in listing.ids)
        else (None, None)
    )


def read_photos(root: Path, listing: Listing) -> tuple[Groups, Times]:
    """Personal photos: those taken within seconds of one another are a burst."""
    return find_bursts(listing, parse_stamp)


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "folder",
            "any folder of images",
            "put images/ and labels.csv into a folder",
            read_no_groups,
        ),
        Layout(
            "photos",
            "personal photos, grouped into bursts",
            "put your photos into images/, and write labels.csv",
            read_photos,
        ),
        Layout(
            "mvk",
            "frames of the Marine Video Kit, grouped into videos where their folders tell",
            "it is handed out by its authors, see docs/datasets/mvk.md",
            read_videos,
        ),
        Layout(
            "lsc",
            "lifelog of the Lifelog Search Challenge, grouped into days",
            "it is handed out under an agreement, see docs/datasets/lsc.md",
            read_days,
        ),
        Layout(
            "v3c",
            "keyframes of the Vimeo Creative Commons Collection, one folder per video",
            "it is handed out under an agreement, see docs/datasets/v3c.md",
            read_shots,
        ),
        Layout(
            "reset",
            "human judgments of the RESET study on keyframes of V3C1",
            "its tables and keyframes are described in docs/datasets/reset.md",
            read_shots_if_named,
        ),
    )
}


def choose_layout(name: str, chosen: str | None = None) -> Layout:
    """The layout chosen for a dataset, else the one of its name, else ``folder``."""
    if chosen is not None and chosen not in LAYOUTS:
        raise UnknownName("layout", chosen, LAYOUTS, f"Dataset: {name}.")
    return LAYOUTS[chosen or (name if name in LAYOUTS else "folder")]


def require_all_groups(
    root: Path, listing: Listing, values: Sequence[str | None]
) -> tuple[str, ...]:
    """The groups of all pictures. Raises BadFile if only some have one."""
    known = tuple(value for value in values if value is not None)
    if len(known) < len(values):
        raise BadFile(
            root, [f"only {len(known)} of {len(values)} images have a group; give all one, or none"]
        )
    return known
