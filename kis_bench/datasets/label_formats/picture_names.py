"""Finds the items that tables mean which name files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from kis_bench.datasets.image_lists import IMAGE_LIST
from kis_bench.datasets.listing import PictureFiles
from kis_bench.datasets.picture_folder import find_picture_folder
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.records import Collection


class PictureNames:
    """Finds items by the names of their files, as tables write them.

    Names lead to places, which are paths below the folder that was listed, without suffixes of pictures where that
    alone tells them apart: so ids are made, but for those that images.csv gives.
    """

    def __init__(self, collection: Collection, *, folders_count: bool, within: str = "") -> None:
        """
        Args:
            folders_count: else the last part of a name tells the picture.
            within: a folder whose pictures are meant where a name fits others, too.
        """
        pictures = collection.paths
        root = os.path.abspath(getattr(pictures, "root", ""))
        self.ids, self.folders_count, self.within = collection.position, folders_count, within
        self.above, self.folder = os.path.join(root, ""), os.path.basename(root)
        self.inner = ""  # the folder of pictures, where the dataset's folder was listed
        self.owners: dict[str, list[str]] = {}  # place -> items; none where ids are places
        if isinstance(pictures, PictureFiles) and os.path.isfile(os.path.join(root, IMAGE_LIST)):
            self.owners = find_owners(collection.ids, pictures, self.above)
            inner = find_picture_folder(Path(root))
            self.inner = "" if inner == Path(root) else inner.name
        self.places: Mapping[str, object] = self.owners or self.ids
        self.ending: dict[str, list[str]] = {}  # last parts of a place -> the places
        self.divided: set[str] = set()  # ends whose places are there under one part more, too
        self.chosen: dict[str, list[str]] = {}  # end -> items

    def find_first(self, names: Sequence[str]) -> list[str]:
        """The items that the first of several names may mean by which there is one."""
        return next(filter(None, map(self.find, names)), [])

    def find(self, written: str) -> list[str]:
        """The items that a name may mean: as it is, or below other folders; where it leads elsewhere, by its end."""
        if found := self.find_at(written):
            return found
        path = os.path.normpath(written)
        if path.startswith(self.above):
            return self.find_at(path[len(self.above) :].replace(os.sep, "/"))
        parts = PurePosixPath(written.replace("\\", "/")).parts
        elsewhere = bool(parts) and (parts[0] == "/" or ".." in parts or parts[0].endswith(":"))
        every = elsewhere or not self.folders_count
        for start in range(len(parts) if every else min(1, len(parts))):
            whole = "/".join(parts[start:])
            if found := self.find_at(whole) or self.find_below(whole):
                return found
        return [written] if written in self.ids else []

    def find_at(self, path: str) -> list[str]:
        """The items at a path: below what was listed, below the folder of pictures, or named with that folder."""
        inner = f"{self.inner}/{path}" if self.inner else path
        for spelled in dict.fromkeys((path, inner, path.removeprefix(f"{self.folder}/"))):
            for form in (strip_picture_suffix(spelled), spelled):
                if form in self.places:
                    return self.owners.get(form, [form])
        return []

    def find_below(self, path: str) -> list[str]:
        """The items at a path that begins in another folder than what was listed."""
        for form in (strip_picture_suffix(path), path):
            if form not in self.chosen:
                found = self.list_ending(form)
                if self.within and len(found) > 1:
                    inside = f"{self.within}/", f"{self.inner or self.within}/{self.within}/"
                    found = [place for place in found if place.startswith(inside)] or found
                self.chosen[form] = [i for place in found for i in self.owners.get(place, [place])]
            if self.chosen[form]:
                return self.chosen[form]
        return []

    def list_ending(self, end: str) -> list[str]:
        """The places that end with these parts: however many there are, each is looked at once for each of its own."""
        shorter = ""
        for part in reversed(end.split("/")):
            if shorter not in self.divided:
                self.divided.add(shorter)
                below = f"/{shorter}" if shorter else ""
                for place in self.ending.get(shorter, ()) if shorter else self.places:
                    if rest := place[: len(place) - len(below)] if place != shorter else "":
                        longer = f"{rest.rpartition('/')[2]}{below}"
                        self.ending.setdefault(longer, []).append(place)
            shorter = f"{part}/{shorter}" if shorter else part
            if shorter not in self.ending:
                return []
        return self.ending[end]

    def list_inside(self, folder: str) -> frozenset[str]:
        """The items below folders of this name."""
        places = (place for place in self.places if folder in place.split("/")[:-1])
        return frozenset(i for place in places for i in self.owners.get(place, [place]))


def find_owners(ids: Sequence[str], pictures: PictureFiles, above: str) -> dict[str, list[str]]:
    """The items that images.csv has at each place."""
    paths = [str(entry) for entry in pictures.entries]
    files = [os.path.normpath(os.path.join(above, path)).removeprefix(above) for path in paths]
    files = [file.replace(os.sep, "/") for file in files]
    count = Counter(map(strip_picture_suffix, dict.fromkeys(files)))
    found: dict[str, list[str]] = {}
    for item, file in zip(ids, files, strict=True):
        stem = strip_picture_suffix(file)
        found.setdefault(stem if count[stem] == 1 else file, []).append(item)
    return found


def strip_picture_suffix(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def normalise_name(name: str) -> str:
    """A name as others may write it, too: ``./a//b.jpg`` and ``a\\b.jpg`` are ``a/b.jpg``."""
    return os.path.normpath(name.replace("\\", "/")).replace(os.sep, "/")
