"""Finds the items that tables mean which name files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath

from kis_bench.files.picture_formats import IMAGE_SUFFIXES


class PictureNames:
    """Finds items by the names of their files, as tables write them."""

    def __init__(self, ids: Sequence[str], root: str, *, folders_count: bool) -> None:
        self.ids, self.known, self.folders_count = ids, frozenset(ids), folders_count
        self.above = f"{root}{os.sep}"  # of the folder of pictures

    @cached_property
    def by_last_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self.ids:
            found.setdefault(item.rpartition("/")[2], []).append(item)
        return found

    def find_first(self, names: Sequence[str]) -> list[str]:
        """The items that the first of several names may mean by which there is one."""
        return next(filter(None, map(self.find, names)), [])

    def find(self, written: str) -> list[str]:
        """The items that a name may mean: as it is, or below other folders; where it leads elsewhere, by its end."""
        if written in self.known:
            return [written]
        if (usual := strip_picture_suffix(written)) in self.known:
            return [usual]
        if written.startswith(self.above):
            below = os.path.normpath(written)[len(self.above) :].replace(os.sep, "/")
            return [form for form in (below, strip_picture_suffix(below)) if form in self.known][:1]
        parts = PurePosixPath(written.replace("\\", "/")).parts
        if not parts:
            return []
        elsewhere = parts[0] == "/" or ".." in parts or parts[0].endswith(":")
        starts = range(len(parts)) if elsewhere or not self.folders_count else range(1)
        for start in starts:
            whole = "/".join(parts[start:])
            forms = (whole, strip_picture_suffix(whole))
            if known := [form for form in forms if form in self.known][:1]:
                return known
            for form in forms:
                beside = self.by_last_name.get(form.rpartition("/")[2], [])
                if deeper := [item for item in beside if item.endswith(f"/{form}")]:
                    return deeper
        return []


def strip_picture_suffix(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name
