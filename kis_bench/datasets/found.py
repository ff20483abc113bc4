"""What is found in a folder: pictures in larger files, and names that are none of the user's pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

from kis_bench.datasets.captions import Caption
from kis_bench.records import Part

#: Thumbnails and deleted files of network disks and systems; names that begin with a dot aren't looked at anyway.
SYSTEM_FOLDERS = frozenset(
    {
        "@eaDir",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "System Volume Information",
        "__MACOSX",
        "lost+found",
    }
)
NO_IMAGE = "(rows without an image)"
SPECIAL_FILES = "(pipes, sockets and devices)"


@dataclass(frozen=True)
class Found:
    """A picture in an archive, under the name that it has there."""

    item_id: str
    part: Part
    group: str | None = None
    time_s: float | None = None
    suffix: str = ""  # of its file, where that has one
    captions: list[Caption] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's pictures."""
    return (name.startswith(".") and name not in (".", "..")) or name in SYSTEM_FOLDERS


def is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
