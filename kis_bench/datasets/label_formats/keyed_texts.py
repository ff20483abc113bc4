"""Texts that share a key with a picture: ``KEY.txt`` and ``KEY.json`` beside ``KEY.jpg``, packed or not."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kis_bench.datasets.captions import Caption, flatten_texts
from kis_bench.datasets.label_formats.caption_queries import CAPTIONS
from kis_bench.datasets.label_formats.label_format import Labels, Purpose
from kis_bench.datasets.label_formats.numbered_captions import ask_captions
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.text import list_first_names
from kis_bench.records import count_things

TEXT_SUFFIXES = (".txt", ".json")  #: the first goes before the other
CAPTION_FIELDS = ("caption", "text")  #: of JSON, likewise


class TextMember(Protocol):
    """A file with a text, in an archive or not."""

    @property
    def name(self) -> str: ...
    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class KeyedTexts:
    """The texts in an archive or folder: key of a picture -> suffix -> the member with its text."""

    place: Path
    above: str  # before keys, so that they are item ids
    pictures: Sequence[str]  # keys of all pictures
    texts: Mapping[str, Mapping[str, TextMember]]

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
                        wrong[members[kind].name] = f"{said}; mend it, or take it away"
            if any(map(any, read.values())):
                passed += wrong
            else:
                problems += wrong.values()
            kind = next((kind for kind in TEXT_SUFFIXES if any(read.get(kind, ()))), "")
            kind = kind or next(iter(read), "")
            where = members[kind].name.replace("{", "{{").replace("}", "}}") if kind else ""
            captions = [
                Caption(str(self.place), n, CAPTIONS, text, where)
                for n, text in enumerate(read.get(kind, ()))
            ]
            others = [own for own in read.values() if any(own) and own != read.get(kind)]
            yield key, captions, bool(others)


def pair_texts(
    place: Path, above: str, names: Iterable[str], open_member: Callable[[str], TextMember | None]
) -> KeyedTexts:
    """Gives each picture the texts of its key, which is the path without the last suffix.

    Texts of no picture, or of two that differ in their suffix alone, are nobody's.

    Args:
        open_member: from the name of a text; None if it has no content.
    """
    pictures, several = dict[str, str](), set[str]()
    texts: dict[str, dict[str, TextMember]] = {}
    for name in names:
        key, suffix = os.path.splitext(name)
        kind = suffix.lower()
        if kind in IMAGE_SUFFIXES and pictures.setdefault(key, name) != name:
            several.add(key)  # nobody knows whose the text is
        elif kind in TEXT_SUFFIXES and (member := open_member(name)) is not None:
            texts.setdefault(key, {})[kind] = member
    alone = pictures.keys() - several
    own = {key: found for key, found in texts.items() if key in alone}
    return KeyedTexts(place, above, [*pictures], own)


def read_member_texts(member: TextMember, kind: str) -> list[str]:
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


def ask_keyed_texts(groups: Iterable[KeyedTexts], purpose: Purpose, source: str) -> Labels:
    """The queries of texts that lie beside their pictures.

    Args:
        source: what they lie in, in words.
    """
    captions: dict[str, list[Caption]] = {}
    problems: dict[Path, list[str]] = {}
    passed: list[str] = []
    used, differing = Counter[str](), 0
    for group in groups:
        for key, texts, others in group.read_texts(problems.setdefault(group.place, []), passed):
            captions[f"{group.above}{key}"] = texts
            used.update([*group.texts[key]])
            differing += others
    labels = ask_captions(captions, purpose.collection, source)
    labels.problems, labels.used = problems, used
    without = len(purpose.collection) - len({query.item_ids for query in labels.queries})
    if without:
        labels.remarks.append(f"pictures without a text, searched all the same: {without:,}")
    if differing:
        said = f"{count_things(differing, 'picture')} of which .txt and .json say different things"
        labels.remarks.append(f"{said}: .txt is read")
    if passed:
        said = f"{count_things(len(passed), 'text')} in {source} that can't be read"
        labels.remarks.append(f"{said}, beside others with texts: {list_first_names(passed, 3)}")
    return labels
