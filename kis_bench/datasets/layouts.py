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
from kis_bench.datasets.parts import DatasetPart
from kis_bench.datasets.shots import read_shot_times
from kis_bench.errors import BadFile, UnknownName

Groups = tuple[str, ...] | None  #: of each picture; None: nobody knows
NamedGroups = (
    tuple[str | None, ...] | None
)  #: likewise, and None for a picture whose name doesn't tell it
Times = tuple[float, ...] | None  #: seconds within the group; NaN: not known for this one

RESET_CLOCK = 2000
#: 20240501_100010, 2024-05-01 10.00.10, 2024-05-01 at 1.00.10 PM, 20240501T100010; milliseconds may follow.
STAMP = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-._]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"(?:[-_ T]| (?:at|um|à|kl\.?) )?"
    r"(?P<hour>\d\d|\d(?=[-._:]))(?P<dot>[-._:]?)(?P<minute>\d\d)(?P=dot)(?P<second>\d\d)"
    r"(?!\d{1,2}(?!\d))(?:\s?(?P<half>[AaPp])\.?[Mm]\b)?"
)
#: A place and a month, a video there, and anything behind it that tells its frames.
SITE_FRAME = re.compile(
    r"(?:.*/)?(?P<site>[^/]*[A-Za-z0-9]_[A-Z][a-z]{2}\d{4})[/_](?P<video>\d{4})[/_].+"
)
SHOT = re.compile(r"(?:.*/)?(?P<name>shot(?P<video>\d{5})_(?P<shot>\d+)(?:_RKF)?)(?:\.\w+)?")
FIVE_DIGITS = re.compile(r"\d{5}")


@dataclass(frozen=True)
class Layout:
    """How the files of a collection are named."""

    name: str
    about: str
    get: str  # what a user has to do who lacks it
    read: Callable[[Path, Listing], tuple[NamedGroups, Times]]
    needs: str = ""  # what is wrong with a picture whose group its name doesn't tell; "" where any name will do


def read_no_groups(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
    return None, None


def read_videos(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
    """Frames of the Marine Video Kit, in the ways in which they are handed on.

    As published, ``Ambon_Apr2012/0001_00017`` is a frame of video 0001 from one place and month; the same may be
    written with other separators, or in no folder. Others keep a folder per video. Frames of other names in no folder,
    as in the thesis' subset, belong to no known video.
    """
    found = [name_video(item) or None for item in listing.ids]
    return (tuple(found), None) if any(found) else (None, None)


def read_parent_folders(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
    """A folder for each video, day or whatever: the group is the folder, that of loose pictures is "."."""
    found = [item.rpartition("/")[0] for item in listing.ids]
    return (tuple(folder or "." for folder in found), None) if any(found) else (None, None)


def name_video(item: str) -> str:
    """The video of a frame: ``Ambon_Apr2012_0001``, as at the Video Browser Showdown, or else its folder."""
    published = SITE_FRAME.fullmatch(item)
    return f"{published['site']}_{published['video']}" if published else item.rpartition("/")[0]


def read_days(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
    """Names with a date and a time of day, such as ``20200101_103717_000``: the group is the day, in the names' time.

    A camera whose clock was reset counts from the year 2000: such a picture is of no known day, and alone.
    """
    groups: list[str | None] = []
    times = []
    for item in listing.ids:
        moment = parse_stamp(item)
        known = moment is not None and moment.year > RESET_CLOCK
        groups.append(None if moment is None else f"{moment:%Y-%m-%d}" if known else item)
        times.append(
            3600.0 * moment.hour + 60 * moment.minute + moment.second
            if moment is not None and known
            else math.nan
        )
    return tuple(groups), tuple(times)


def parse_stamp(item: str) -> datetime | None:
    """The date and time in a file's name; None if it has none."""
    found = STAMP.search(item.rsplit("/", 1)[-1])
    if found is None:
        return None
    year, month, day, hour, minute, second = map(
        int, found.group("year", "month", "day", "hour", "minute", "second")
    )
    if found["half"]:  # of the day: 12.30 AM is half past midnight
        hour = hour % 12 + 12 * (found["half"] in "Pp") if 1 <= hour <= 12 else 24
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


def read_shots(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
    """V3C's keyframes, ``06925/shot06925_31_RKF``: the group is the video; times come from its shot boundaries."""
    places = [parse_shot(item) for item in listing.ids]
    known = read_shot_times(root, {place[0] for place in places if place})
    times = tuple(known.get(place, math.nan) if place else math.nan for place in places)
    return tuple(place[0] if place else None for place in places), times if known else None


def parse_shot(item: str) -> tuple[str, int] | None:
    """Video and shot of a keyframe; None for other names, and in the folder of another video."""
    found = SHOT.fullmatch(item)
    folder = item.rpartition("/")[0].rpartition("/")[2]
    if found is None or (FIVE_DIGITS.fullmatch(folder) and folder != found["video"]):
        return None
    return found["video"], int(found["shot"])


def read_shots_if_named(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
    """As `read_shots` if all names are those of shots; a study needs neither groups nor times."""
    groups, times = read_shots(root, listing)
    return (None, None) if groups is None or None in groups else (groups, times)


def read_photos(root: Path, listing: Listing) -> tuple[NamedGroups, Times]:
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
            "folders",
            "any folder of folders, each of which is a group: a video, a day, a trip",
            "put a folder of pictures for each group into images/, and write labels.csv",
            read_parent_folders,
        ),
        Layout(
            "photos",
            "personal photos, grouped into bursts",
            "put your photos into images/, and write labels.csv",
            read_photos,
        ),
        Layout(
            "mvk",
            "frames of the Marine Video Kit, grouped into videos where their names tell",
            "it is handed out by its authors, see docs/datasets/mvk.md",
            read_videos,
            "lies in no video's folder, others do; move it into one, or choose layout folder",
        ),
        Layout(
            "lsc",
            "lifelog of the Lifelog Search Challenge, grouped into days",
            "it is handed out under an agreement, see docs/datasets/lsc.md",
            read_days,
            "no date and time as in 20200101_103717 in its name; rename it, or write images.csv",
        ),
        Layout(
            "v3c",
            "keyframes of the Vimeo Creative Commons Collection, grouped into videos",
            "it is handed out under an agreement, see docs/datasets/v3c.md",
            read_shots,
            "not named as 06925/shot06925_31_RKF; rename it, or write images.csv",
        ),
        Layout(
            "reset",
            "human judgments of the RESET study on keyframes of V3C1",
            "its tables and keyframes are described in docs/datasets/reset.md",
            read_shots_if_named,
        ),
    )
}


GENERAL_LAYOUTS = ("folder", "folders")  #: of no collection in particular


def choose_layout(name: str, chosen: str | None = None, folder: Path | None = None) -> Layout:
    """The layout chosen for a dataset, else the one of its name without the part, else ``folder``.

    Args:
        folder: that of the dataset, which may have colons in its own name.
    """
    if chosen is not None and chosen not in LAYOUTS:
        raise UnknownName("layout", chosen, LAYOUTS, f"Dataset: {name}.")
    whole = DatasetPart.parse(name, folder).whole
    own = whole in LAYOUTS and whole not in GENERAL_LAYOUTS
    return LAYOUTS[chosen or (whole if own else "folder")]


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
