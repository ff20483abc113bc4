"""Counts and describes the files of a collection that aren't searched: a smaller collection flatters every model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from kis_bench.datasets.found import NO_IMAGE, SPECIAL_FILES
from kis_bench.files.picture_formats import AVIF_SUFFIXES, HEIF_SUFFIXES, JXL_SUFFIXES
from kis_bench.records import count_things

#: Pictures that aren't read; convert them.
PHOTO_FILES = re.compile(
    r"\.(hei[cf]|hif|avif|jxl|jp2|j2k|jxr|svg|psd|tga|exr|hdr|ico|p[pgn]m|dng|cr[23]|nef|arw|orf|rw2|raf)"
)
PACKED_FILES = re.compile(r"\.(zip|7z|rar|t?gz|t?bz2|t?xz|zst)")
OTHER_KINDS = re.compile(
    r"\.(mp4|mov|avi|mkv|webm|m4v|mpe?g|csv|tsv|xlsx?|txt|jsonl?|xml|ya?ml|md|pdf|parquet|arrow|tar|xmp|aae|np[yz]|db|ini)"
)
NO_SUFFIX = "without suffix"
UNLISTED = "(pictures that images.csv doesn't list)"
UNREADABLE_PICTURES = "(unreadable pictures)"
STRAYS = "(pictures whose names the layout can't place)"
OTHER_FILES = "others"
NAMED_IN_A_LINE = 5  #: in one line


def count_by_kind(ignored: Mapping[str, int]) -> dict[str, int]:
    """Number of files of each kind, most frequent first.

    A suffix that nobody knows may be a part of a name, and names are nobody's business: these are "others".
    """
    found: Counter[str] = Counter()
    for suffix, count in ignored.items():
        if count > 0:
            named = any(
                kinds.fullmatch(suffix) for kinds in (PHOTO_FILES, PACKED_FILES, OTHER_KINDS)
            )
            known = named or suffix in (NO_IMAGE, UNLISTED, SPECIAL_FILES, STRAYS)
            found[suffix if known else OTHER_FILES if suffix else NO_SUFFIX] += count
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """The counts, and what to do.

    >>> describe_left_out({".nef": 12, ".json": 3})
    "12 .nef, 3 .json; what they show can't be found; convert .nef to JPEG"
    >>> print(describe_left_out({".heic": 1}).partition("; convert ")[2])
    .heic to JPEG, or install the extra "photos", which reads .heic
    """
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in left_out.items())
    photos, packed = (
        ", ".join(filter(some.fullmatch, left_out)) for some in (PHOTO_FILES, PACKED_FILES)
    )
    readable = (*AVIF_SUFFIXES, *HEIF_SUFFIXES, *JXL_SUFFIXES)
    extra = ", ".join(kind for kind in left_out if kind in readable)
    read = f', or install the extra "photos", which reads {extra}' if extra else ""
    mend = [f"convert {photos} to JPEG{read}"] if photos else []
    mend += ["replace unreadable pictures"] if UNREADABLE_PICTURES in left_out else []
    mend += [f"unpack {packed}, or pack pictures as .tar"] if packed else []
    mend += ["name the pictures as the layout does, or write images.csv"] * (STRAYS in left_out)
    return f"{kinds}; what they show can't be found; {'; '.join(mend) or 'fine if they are no pictures'}"


def describe_unreadable(
    unreadable: Mapping[str, str], unasked: Sequence[str], most: int = NAMED_IN_A_LINE
) -> list[str]:
    """A line on pictures that can't be read, and one on queries that went with them; run.json has all of them.

    >>> describe_unreadable({"a": "empty", "b": "cut off"}, ["short/q1"], most=1)
    ["2 pictures can't be read: a (empty), …; run.json names all", '1 query of which no target can be read: short/q1']
    """
    pictures = [f"{item} ({why})" for item, why in unreadable.items()]
    both = (
        ("picture", "can't be read", pictures),
        ("query", "of which no target can be read", unasked),
    )
    return [
        f"{count_things(len(names), noun)} {what}: {', '.join(names[:most])}"
        + (", …; run.json names all" if len(names) > most else "")
        for noun, what, names in both
        if names
    ]


def explain_left_out(kind: str) -> str:
    """Why files of a kind weren't searched, in brackets; empty where the kind says it or nobody knows.

    >>> explain_left_out(".heic"), explain_left_out(".csv"), explain_left_out(UNLISTED)
    (' (a format that is not read)', ' (no pictures)', '')
    """
    if PHOTO_FILES.fullmatch(kind):
        return " (a format that is not read)"
    if PACKED_FILES.fullmatch(kind):
        return " (packed)"
    return " (no pictures)" if OTHER_KINDS.fullmatch(kind) else ""
