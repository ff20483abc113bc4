"""Which row of a table has the vector of which item: by its id, or by the path of a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kis_bench.files.picture_formats import IMAGE_SUFFIXES


@dataclass(frozen=True)
class MatchedRows:
    """What the ids of a table's rows mean.

    Attributes:
        places: item -> row.
        strange: ids that mean no item.
        twice: ids of an item that an earlier row is of as well.
        beside: paths that end in an item which another row has as its whole id.
    """

    places: Mapping[str, int]
    strange: Sequence[str]
    twice: Sequence[str]
    beside: Sequence[str]


def match_written_ids(ids: Sequence[str], items: Mapping[str, int]) -> MatchedRows:
    """Finds the rows of items: whole ids first, then paths that end in one.

    >>> match_written_ids(["old/cat", "cat", "new/dog.jpg", "cow"], {"cat": 0, "dog": 1})
    MatchedRows(places={'cat': 1, 'dog': 2}, strange=['cow'], twice=[], beside=['old/cat'])
    """
    most_folders = max((item.count("/") for item in items), default=0)
    places: dict[str, int] = {}
    ends: list[tuple[int, str]] = []
    strange, twice, beside = [], [], []
    for row, written in enumerate(ids):
        item, is_whole = find_meant_item(written, items, most_folders)
        if item is None:
            strange.append(written)
        elif not is_whole:
            ends.append((row, item))
        elif places.setdefault(item, row) != row:
            twice.append(written)
    wholes = {*places}
    for row, item in ends:
        if item in wholes:
            beside.append(ids[row])
        elif places.setdefault(item, row) != row:
            twice.append(ids[row])
    return MatchedRows(places, strange, twice, beside)


def find_meant_item(
    written: str, items: Mapping[str, int], most_folders: int
) -> tuple[str | None, bool]:
    """The item of an id, or of a picture's path: without its suffix, and without folders at its start.

    Args:
        most_folders: how many slashes an item has at most; longer ends of a path are none.

    Returns:
        The item, and whether no folder was cut off for it.

    >>> find_meant_item("/data/images/beach/0042.jpg", {"beach/0042": 0}, 1)
    ('beach/0042', False)
    """
    if written in items:
        return written, True
    path = written.replace("\\", "/")
    suffix = os.path.splitext(path)[1]
    n_cut = len(suffix) if suffix.lower() in IMAGE_SUFFIXES else 0
    pieces = path.rsplit("/", most_folders + 1)
    for start in range(max(0, len(pieces) - most_folders - 1), len(pieces)):
        end = "/".join(pieces[start:])
        for form in (end, end[: len(end) - n_cut]):
            if form in items:
                return form, start == 0
    return None, False
