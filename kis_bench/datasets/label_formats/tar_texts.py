"""Texts in shards of WebDataset and img2dataset: ``KEY.txt`` and ``KEY.json`` beside ``KEY.jpg`` in a tar."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kis_bench.datasets.archives import TarMember, list_members
from kis_bench.datasets.captions import Caption, flatten_texts
from kis_bench.datasets.image_lists import IMAGE_LIST
from kis_bench.datasets.label_formats.caption_queries import CAPTIONS
from kis_bench.datasets.label_formats.label_format import (
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
)
from kis_bench.datasets.label_formats.numbered_captions import ask_captions
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.states import remember_by_state
from kis_bench.files.text import list_first_names
from kis_bench.records import count_things

TEXT_SUFFIXES = (".txt", ".json")  #: the first goes before the other
CAPTION_FIELDS = ("caption", "text")  #: of JSON, likewise


@dataclass(frozen=True)
class TextShard:
    """The pictures of a tar archive that have texts: key -> the member with the picture, and those with texts."""

    archive: Path
    pictures: dict[str, str]
    texts: dict[str, dict[str, TarMember]]  # key -> suffix -> member

    @classmethod
    def open(cls, archive: Path) -> TextShard:
        """Raises BadFile: it is damaged."""
        pictures, several = dict[str, str](), set[str]()
        texts: dict[str, dict[str, TarMember]] = {}
        for name, offset, size in list_members(archive):
            suffix = PurePosixPath(name).suffix
            key, kind = name.removesuffix(suffix), suffix.lower()
            if kind in IMAGE_SUFFIXES and pictures.setdefault(key, name) != name:
                several.add(key)  # nobody knows whose the text is
            elif kind in TEXT_SUFFIXES and offset >= 0:
                texts.setdefault(key, {})[kind] = TarMember(archive, name, offset, size)
        own = {key: found for key, found in texts.items() if key in pictures.keys() - several}
        return cls(archive, pictures, own)

    def read_texts(
        self, problems: list[str], passed: list[str]
    ) -> Iterator[tuple[str, list[Caption], bool]]:
        """Yields key, texts, and whether JSON has others.

        Args:
            problems: takes members that can't be read, where no other has a text of the picture.
            passed: takes the names of those where another has.
        """
        for key, members in self.texts.items():
            read: dict[str, list[str]] = {}
            wrong: dict[str, str] = {}
            for kind in TEXT_SUFFIXES:
                if kind in members:
                    try:
                        read[kind] = read_member_texts(members[kind], kind)
                    except (OSError, ValueError, RecursionError) as error:
                        said = f"{members[kind].name} can't be read ({error})"
                        wrong[members[kind].name] = (
                            f"{said}; mend it, or pack the archive without it"
                        )
            if any(map(any, read.values())):
                passed += wrong
            else:
                problems += wrong.values()
            kind = next((kind for kind in TEXT_SUFFIXES if any(read.get(kind, ()))), "")
            kind = kind or next(iter(read), "")
            where = members[kind].name.replace("{", "{{").replace("}", "}}") if kind else ""
            captions = [
                Caption(str(self.archive), n, CAPTIONS, text, where)
                for n, text in enumerate(read.get(kind, ()))
            ]
            others = [own for own in read.values() if any(own) and own != read.get(kind)]
            yield key, captions, bool(others)


def read_member_texts(member: TarMember, kind: str) -> list[str]:
    """The texts in a member, perhaps none. Raises OSError, or ValueError for what isn't UTF-8 or JSON."""
    content = member.read_bytes().decode("utf-8-sig")
    if kind != ".json":
        return [*flatten_texts(content)]
    found = json.loads(content)
    cells = [found.get(name) for name in CAPTION_FIELDS] if isinstance(found, dict) else []
    cell = next((cell for cell in cells if cell), None)
    if isinstance(cell, list) and not all(isinstance(one, str) for one in cell):
        return []
    return [*flatten_texts(cell)] if isinstance(cell, str | list) else []


def find_shards(folder: DatasetFolder) -> list[Path]:
    """The tar archives in which pictures have texts; none where a list says what the pictures are."""
    if (folder.root / IMAGE_LIST).is_file():
        return []
    tars = [file for file in folder.inside if file.suffix.lower() == ".tar"]
    return [file for file in tars if has_texts(file)]


@remember_by_state
def has_texts(archive: Path) -> bool:
    """Whether a text of a shard isn't empty; seldom more than the first is read for it. Raises BadFile."""
    shard = TextShard.open(archive)
    return any(one.text for _, texts, _ in shard.read_texts([], []) for one in texts)


def read_shards(files: Sequence[Path], purpose: Purpose) -> Labels:
    """The queries of all shards; item ids are the paths of the pictures, as if archives were unpacked."""
    root = Path(getattr(purpose.collection.paths, "root", ""))
    captions: dict[str, list[Caption]] = {}
    problems: dict[Path, list[str]] = {}
    passed: list[str] = []
    used, differing, dotted = Counter[str](), 0, 0
    for file in files:
        shard = TextShard.open(file)
        inside = file.parent.relative_to(root).as_posix()
        above = "" if inside == "." else f"{inside}/"
        dotted += sum("." in PurePosixPath(key).name for key in shard.pictures)
        for key, texts, others in shard.read_texts(problems.setdefault(file, []), passed):
            captions[f"{above}{key}"] = texts
            used.update([*shard.texts[key]])
            differing += others
    labels = ask_captions(captions, purpose.collection, "archives")
    labels.problems, labels.used = problems, used
    without = len(purpose.collection) - len({query.item_ids for query in labels.queries})
    if without:
        labels.remarks.append(f"pictures without a text, searched all the same: {without:,}")
    if differing:
        said = f"{count_things(differing, 'picture')} of which .txt and .json say different things"
        labels.remarks.append(f"{said}: .txt is read")
    if passed:
        said = f"{count_things(len(passed), 'member')} of archives that can't be read"
        labels.remarks.append(f"{said}, beside others with texts: {list_first_names(passed, 3)}")
    if dotted:
        said = f"{count_things(dotted, 'picture')} in archives with a dot in the name"
        labels.remarks.append(f"{said}: webdataset would take what follows it for a suffix")
    return labels


FORMAT = LabelFormat(
    "shards",
    "texts in shards",
    98,
    find_shards,
    lambda files, split: (CAPTIONS,),
    read_shards,
    parts=False,
    deep=True,
    packed=True,
)
