"""Queries of captions: whatever form they were handed out in, each is a query ``ITEM#n`` for its picture."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from kis_bench.datasets.captions import Caption
from kis_bench.datasets.label_formats.label_format import (
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
)
from kis_bench.datasets.label_formats.numbered_captions import (
    ask_captions,
    spell_spread,
    take_first_captions,
)
from kis_bench.datasets.label_formats.picture_names import PictureNames, normalise_name
from kis_bench.datasets.near_ids import NearIds
from kis_bench.datasets.papers import refuse_other_collection
from kis_bench.errors import BadFile, spell_option
from kis_bench.files.garbage import collecting_no_garbage
from kis_bench.records import Collection, count_things

CAPTIONS = "captions"  #: the label set of what a file says of pictures
MOST_MISSING = 0.01  #: of the pictures that are named, where missing ones may be left out
MOST_SUGGESTED = 20  #: missing pictures for which near names are looked for


@dataclass
class CaptionTable:
    """What one file says of pictures, before it is known which of them are there."""

    file: Path
    texts: dict[str, list[Caption]] = field(default_factory=dict)  # name of a picture -> its texts
    pictures: Sequence[str] | None = (
        None  # those of the split; None: all in the folder are searched
    )
    within: str = ""  # a folder of pictures; if it is there, its pictures alone are searched
    only_within: bool = False  # texts of other pictures aren't read, and the folder has to be there
    folders_count: bool = True  # else the last part of a name tells the picture
    aliases: dict[str, list[str]] = field(default_factory=dict)  # other names it may have
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    about: str = ""  # the collection that it says it is about


def make_caption_labels(table: CaptionTable, purpose: Purpose) -> Labels:
    """The queries of a file of captions, joined with the pictures by name."""
    collection, most = purpose.collection, purpose.part.most_texts
    if wrong := refuse_other_collection(table.about, purpose.part.whole, table.file.name):
        raise BadFile(table.file, [wrong])
    names = PictureNames(
        collection,
        folders_count=table.folders_count,
        within="" if table.only_within else table.within,
    )
    items, problems, missing = join_pictures(table, names)
    remarks = list(table.remarks)
    named = len(items) + len(missing)
    if missing and purpose.skip_missing and len(missing) <= MOST_MISSING * named:
        which = ", ".join(show_name(table, name) for name in missing)
        remarks.append(f"{table.file.name} names pictures that aren't there: {which}")
    elif missing:
        problems += name_missing(table, missing, collection, named)
    captions: dict[str, list[Caption]] = {}
    for name, texts in table.texts.items():
        if name in items:
            captions.setdefault(items[name], []).extend(texts)
    searched = find_searched(table, items, names)
    if table.only_within:
        if searched is None:
            problems.append(
                f"no folder of its pictures is called {table.within!r}; ask for another"
            )
        captions = {item: texts for item, texts in captions.items() if item in (searched or ())}
    captions = {item: take_first_captions(texts, most) for item, texts in captions.items()}
    labels = ask_captions(captions, collection, table.file.name)
    labels.problems[table.file] = [*table.problems, *problems]
    labels.searched, labels.about = searched, table.about
    labels.unread += table.unread
    if most is not None:
        remarks.append(f"texts read of each picture, as the name asks: the first {most:,}")
    labels.remarks = [*remarks, *count_captions(table, labels, searched, collection)]
    if not labels.queries and not labels.problems[table.file]:
        labels.problems[table.file].append("it has no texts about pictures; take one that has")
    return labels


def join_pictures(
    table: CaptionTable, names: PictureNames
) -> tuple[dict[str, str], list[str], list[str]]:
    """Name -> item of the pictures that are there; problems of names that several have; names that none has.

    Two names of one item are a problem, too: of one of them the picture is missing, and nobody knows of which.
    """
    items: dict[str, str] = {}
    first: dict[str, str] = {}  # item -> the name that leads to it
    problems: list[str] = []
    missing: list[str] = []
    for name in dict.fromkeys((*table.texts, *(table.pictures or ()))):
        if table.only_within and not lies_inside(name, table.within, names.above):
            continue
        found = names.find_first((name, *table.aliases.get(name, ())))
        if not found:
            missing.append(name)
            continue
        shown, place = show_name(table, name), find_first_mention(table, name)
        if len(found) > 1:
            many = f"{shown!r} may be {' or '.join(found[:3])}"
            problems.append(f"{place}: {many}; write it with its folder")
            continue
        items[name] = found[0]
        other = first.setdefault(found[0], name)
        if normalise_name(other) != normalise_name(name):
            both = f"{show_name(table, other)!r} and {shown!r} both lead to item {found[0]!r}"
            problems.append(f"{place}: {both}; add the picture that is missing, or name one alone")
    return items, problems, missing


def lies_inside(name: str, folder: str, above: str) -> bool:
    """Whether the name of a picture has a folder, where folders above the pictures don't count."""
    path = os.path.relpath(name, above) if os.path.isabs(name) else name
    return folder in normalise_name(path).split("/")[:-1]


def show_name(table: CaptionTable, name: str) -> str:
    """The name of a picture without folders of this machine: from the file that names it."""
    return os.path.relpath(name, table.file.parent) if os.path.isabs(name) else name


def find_first_mention(table: CaptionTable, name: str) -> str:
    """Where the file first speaks of a picture."""
    texts = table.texts.get(name)
    return texts[0].place[1] if texts else "pictures"


def name_missing(
    table: CaptionTable, missing: Sequence[str], collection: Collection, named: int
) -> Iterator[str]:
    near = NearIds(collection.ids)
    option = spell_option("skip-unreadable")
    yield (
        f"{len(missing):,} of {named:,} pictures that it names aren't there; add them"
        + f", or leave them out with {option}" * (len(missing) <= MOST_MISSING * named)
    )
    for i, name in enumerate(missing):
        place = find_first_mention(table, name)
        meant = near.suggest(name) if i < MOST_SUGGESTED else ""
        yield f"{place}: picture {show_name(table, name)!r} is not in the collection{meant}"


def find_searched(
    table: CaptionTable, items: Mapping[str, str], names: PictureNames
) -> frozenset[str] | None:
    """The items of the split that a file is about; None if all are searched."""
    if table.pictures is not None:
        return frozenset(items[name] for name in table.pictures if name in items)
    if not table.within:
        return None
    inside = names.list_inside(table.within)
    fits = table.only_within or inside.issuperset(items.values())
    return inside if inside and fits else None


def count_captions(
    table: CaptionTable, labels: Labels, searched: frozenset[str] | None, collection: Collection
) -> Iterator[str]:
    """What a reader of figures has to know: pictures, texts, and how many of the ones have how many of the others."""
    n_searched = len(collection if searched is None else searched)
    asked = Counter((query.label_set, query.item_ids[0]) for query in labels.queries)
    said = f"{count_things(n_searched, 'picture')}, {count_things(len(labels.queries), 'text')}"
    yield f"{table.file.name}: {said} (texts of a picture: {spell_spread(asked) or 'none'})"
    if without := n_searched - len({item for _, item in asked}):
        yield f"pictures without a text, searched all the same: {without:,}"
    owners = Counter(text for text, _ in {(q.text, q.item_ids[0]) for q in labels.queries})
    if shared := sum(n > 1 for n in owners.values()):
        yield f"{count_things(shared, 'text')} of several pictures, each of which is asked for"
    if searched is not None and n_searched < len(collection):
        rest = len(collection) - n_searched
        yield f"{count_things(rest, 'picture')} of other parts of the dataset, which are not searched"


#: Reads what files of a form say, of a split, if the form has some; raises BadFile.
ReadCaptions = Callable[[Sequence[Path], str], CaptionTable]


def make_caption_format(
    name: str,
    about: str,
    turn: int,
    find: Callable[[DatasetFolder], list[Path]],
    read: ReadCaptions,
    *,
    deep: bool = False,
) -> LabelFormat:
    """A form whose texts are captions: one label set, one query each."""
    remembered = remember_last(read)

    def read_queries(files: Sequence[Path], purpose: Purpose) -> Labels:
        with collecting_no_garbage():
            return make_caption_labels(remembered(files, purpose.part.split), purpose)

    def list_sets(files: Sequence[Path], split: str, pictures: Path) -> tuple[str, ...]:
        above = os.path.join(os.path.abspath(pictures), "")
        with collecting_no_garbage():
            table = remembered(files, split)
        named = (
            texts
            for name, texts in table.texts.items()
            if not table.only_within or lies_inside(name, table.within, above)
        )
        sets = dict.fromkeys(one.label_set for texts in named for one in texts if one.text)
        return tuple(sets) or (CAPTIONS,)

    return LabelFormat(name, about, turn, find, list_sets, read_queries, deep=deep)


def remember_last(read: ReadCaptions) -> ReadCaptions:
    """The same, but files that haven't changed since are not read again for the tests of a session."""

    @lru_cache(maxsize=1)
    def read_state(
        files: tuple[Path, ...], split: str, states: tuple[tuple[int, int], ...]
    ) -> CaptionTable:
        return read(files, split)

    def read_again(files: Sequence[Path], split: str) -> CaptionTable:
        try:
            about = [file.stat() for file in files]
        except OSError as error:
            raise BadFile(error.filename, [f"can't be read: {error.strerror}"]) from error
        states = tuple((one.st_size, one.st_mtime_ns) for one in about)
        return read_state(tuple(files), split, states)

    return read_again
