"""What a form of labels is made of: how its files are found, and how they become queries."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kis_bench.datasets.captions import Caption
from kis_bench.datasets.file_tree import walk
from kis_bench.datasets.found import is_hidden
from kis_bench.datasets.parts import DatasetPart
from kis_bench.datasets.picture_folder import find_picture_folder
from kis_bench.errors import BadFile
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.records import Collection, Query

IN_TABLES = "packed"  #: the form that is read with the pictures
MOST_TABLES = 100  #: of one kind in a folder, which are looked into
ANNOTATION_FOLDERS = ("annotations", "captions")  #: of a dataset folder, where labels may lie


@dataclass
class Labels:
    """The content of label files, as far as it can be read, and their problems."""

    queries: list[Query] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)  # of each query: file, and where
    problems: dict[Path, list[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)  # texts that are no queries, and why
    remarks: list[str] = field(default_factory=list)  # what was counted
    repeated: Counter[str] = field(
        default_factory=Counter
    )  # label set -> texts that were no second query
    used: Counter[str] = field(default_factory=Counter)  # suffix -> files with texts in archives
    searched: frozenset[str] | None = None  # items of the split that is read; None: all there are
    about: str = ""  # the collection that the files say they are about


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset folder in which labels are looked for."""

    root: Path

    @cached_property
    def pictures(self) -> Path:
        return find_picture_folder(self.root)

    @cached_property
    def files(self) -> list[Path]:
        """The files that are no pictures in the folder itself and in folders of annotations, sorted. Raises BadFile."""
        found: list[Path] = []
        try:
            for folder in (self.root, *(self.root / name for name in ANNOTATION_FOLDERS)):
                if folder.is_dir():  # one that isn't there is named by those who list pictures
                    with os.scandir(folder) as entries:  # of perhaps a million files
                        found += [
                            folder / entry.name
                            for entry in entries
                            if not is_hidden(entry.name)
                            and os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES
                            and entry.is_file()
                        ]
        except OSError as error:
            raise BadFile(self.root, [f"can't be read: {error.strerror}"]) from error
        return sorted(found)

    def list_files(self, *suffixes: str) -> list[Path]:
        """Files of these suffixes, if they aren't so many that each is of one picture."""
        found = [file for file in self.files if file.suffix.lower() in suffixes]
        return found if len(found) <= MOST_TABLES else []

    @cached_property
    def paths(self) -> list[str]:
        """The paths of all files below the folder of pictures, sorted. Raises BadFile."""
        return sorted(walk(self.pictures, Counter())) if self.pictures.is_dir() else []

    @cached_property
    def inside(self) -> list[Path]:
        """Those of them that are no pictures."""
        others = (p for p in self.paths if os.path.splitext(p)[1].lower() not in IMAGE_SUFFIXES)
        return [self.pictures / path for path in others]


@dataclass(frozen=True)
class Purpose:
    """What labels are read for."""

    collection: Collection
    packed: Mapping[str, Sequence[Caption]]  # item id -> the texts in its archive
    part: DatasetPart
    skip_missing: bool  # few pictures that are named and aren't there may be left out


@dataclass(frozen=True)
class LabelFormat:
    """A form in which texts about pictures are handed out."""

    name: str
    about: str  # what its files are, in words
    turn: int  # forms of lower turns go first where files of several are there
    find: Callable[[DatasetFolder], list[Path]]  # its files, told by their names and first bytes
    list_sets: Callable[
        [Sequence[Path], str, Path], tuple[str, ...]
    ]  # of files, a split, a folder of pictures
    read: Callable[[Sequence[Path], Purpose], Labels]
    parts: bool = True  # part of its queries can be asked for, as by ``coco:val2017:5``
    deep: bool = False  # all folders of pictures have to be looked into to find its files
    packed: bool = False  # the texts lie in the archives of the pictures
    has_split: Callable[[Sequence[Path], str], bool] | None = None  # None: any may be asked for


def tell_no_parts(about: str) -> str:
    """What to say where a part is asked for of labels of a form that has none."""
    return f"{about} has no parts, so that all of it is read, whatever the dataset's name asks for"
