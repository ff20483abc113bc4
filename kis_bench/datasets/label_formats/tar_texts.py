"""Texts in shards of WebDataset and img2dataset: ``KEY.txt`` and ``KEY.json`` beside ``KEY.jpg`` in a tar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from kis_bench.datasets.archives import TarMember, list_members
from kis_bench.datasets.image_lists import IMAGE_LIST
from kis_bench.datasets.label_formats.caption_queries import CAPTIONS
from kis_bench.datasets.label_formats.download_notes import find_download_notes, tell_failed_rows
from kis_bench.datasets.label_formats.keyed_texts import KeyedTexts, ask_keyed_texts, pair_texts
from kis_bench.datasets.label_formats.label_format import (
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
)
from kis_bench.files.states import remember_by_state
from kis_bench.records import count_things

SHARD_SUFFIX = ".tar"


def open_shard(archive: Path, above: str = "") -> KeyedTexts:
    """The texts in a tar archive of the pictures in it. Raises BadFile: it is damaged."""
    members = {
        name: TarMember(archive, name, offset, size)
        for name, offset, size in list_members(archive)
        if offset >= 0
    }
    return pair_texts(archive, above, members, members.get)


def find_shards(folder: DatasetFolder) -> list[Path]:
    """The tar archives in which pictures have texts; none where a list says what the pictures are."""
    if (folder.root / IMAGE_LIST).is_file():
        return []
    tars = [file for file in folder.inside if file.suffix.lower() == SHARD_SUFFIX]
    found = [file for file in tars if has_texts(file)]
    return found and [*found, *find_download_notes(folder.inside)]


@remember_by_state
def has_texts(archive: Path) -> bool:
    """Whether a text of a shard isn't empty; seldom more than the first is read for it. Raises BadFile."""
    return any(one.text for _, texts, _ in open_shard(archive).read_texts([], []) for one in texts)


def read_shards(files: Sequence[Path], purpose: Purpose) -> Labels:
    """The queries of all shards; item ids are the paths of the pictures, as if archives were unpacked."""
    root = Path(getattr(purpose.collection.paths, "root", ""))
    shards = []
    for file in files:
        if file.suffix.lower() == SHARD_SUFFIX:
            inside = file.parent.relative_to(root).as_posix()
            shards.append(open_shard(file, "" if inside == "." else f"{inside}/"))
    labels = ask_keyed_texts(shards, purpose, "archives")
    dotted = sum("." in PurePosixPath(key).name for shard in shards for key in shard.pictures)
    if dotted:
        said = f"{count_things(dotted, 'picture')} in archives with a dot in the name"
        labels.remarks.append(f"{said}: webdataset would take what follows it for a suffix")
    return tell_failed_rows(labels, files)


FORMAT = LabelFormat(
    "shards",
    "texts in shards",
    98,
    find_shards,
    lambda files, split, pictures: (CAPTIONS,),
    read_shards,
    parts=False,
    deep=True,
    packed=True,
)
