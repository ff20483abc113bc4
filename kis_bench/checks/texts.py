"""Checks of a dataset's queries: texts, targets, stages, ranges."""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from kis_bench.analysis.label_sets import UNSPACED
from kis_bench.checks.check import Check
from kis_bench.datasets.label_formats.label_format import Labels
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.text import make_plain, shorten
from kis_bench.records import Collection, Query

MOST_PLACES, MOST_SHOWN = 10, 60  #: that a finding names; characters of each text
STAGE = re.compile(r"(?:(.*)-)?stage-(\d{1,9})")
#: Line ends, tabs and the joiners that emoji and some scripts need are not meant.
INVISIBLE = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_TAIL = f"[\x80-\xbf{re.escape(bytes(range(0x80, 0xA0)).decode('cp1252', 'ignore'))}]"
#: UTF-8 that was read as Windows-1252. What honest texts may hold, as a sharp s and a quote, counts if twice in a row.
MOJIBAKE = re.compile(
    f"(?:[\xc2-\xdf]{_TAIL}){{2,}}|[\xc2-\xc5]{_TAIL}|\xe2{_TAIL}{{2}}|(?:[\xe0-\xef]{_TAIL}{{2}}){{2,}}"
    f"|[\xf0-\xf4]{_TAIL}{{3}}"
)


def make_notes(topic: str, found: Iterator[str], clean: str = "nothing found") -> list[Check]:
    return [Check(topic, None, note) for note in found] or [Check(topic, True, clean)]


@dataclass(frozen=True)
class ExaminedDataset:
    """A dataset under examination, as far as it can be read."""

    collection: Collection
    labels: Labels

    @property
    def queries(self) -> list[Query]:
        return self.labels.queries

    @cached_property
    def sets(self) -> dict[str, list[int]]:
        """Maps each label set to the positions of its queries."""
        found: dict[str, list[int]] = {}
        for i, query in enumerate(self.queries):
            found.setdefault(query.label_set, []).append(i)
        return found

    def targets(self, query: Query) -> tuple[int, ...]:
        """Positions of a query's targets, without those that aren't in the collection."""
        position = self.collection.position
        return tuple(sorted(position[item] for item in query.item_ids if item in position))

    def list_rows(self, which: Sequence[int], show: Show) -> str:
        """Lists where queries stand and what ``show`` says of each."""
        said, last = list[str](), ""
        for i in which[:MOST_PLACES]:
            file, where = self.labels.places[i]
            said.append(f"{'' if file == last else f'{file} '}{where} {show(self.queries[i])}")
            last = file
        return list_first(said, len(which))

    def check_each_set(self, look: Look, show: Show) -> Iterator[str]:
        for name, queries in self.sets.items():
            which, meaning = look(self, queries)
            if which:
                yield f"{name}: {len(which)} of {len(queries)} {meaning}\n{self.list_rows(which, show)}"


#: Of the queries of a label set, those that have a fault, and what it is and means; and what to show of each.
Look = Callable[[ExaminedDataset, list[int]], tuple[list[int], str]]
Show = Callable[[Query], str]


def find_same_texts(subject: ExaminedDataset, queries: list[int]) -> tuple[list[int], str]:
    """Finds queries of one text with different targets, of which only some can have theirs first."""
    by_text: dict[str, list[int]] = {}
    for i in queries:
        by_text.setdefault(fold(subject.queries[i].text), []).append(i)
    which, lost, texts = list[int](), 0, 0
    for same in by_text.values():
        owners = Counter(item for i in same for item in subject.queries[i].item_ids)
        if less := len(same) - max(owners.values()):
            which += same
            lost, texts = lost + less, texts + 1
    return which, (
        f"queries have the text of queries for other targets (texts: {texts}); at most one of each can be first, so "
        f"recall@1 of a perfect model is at most {100 * (1 - lost / len(queries)):.1f}%; say what sets pictures apart"
    )


def find_several_queries(subject: ExaminedDataset, queries: list[int]) -> tuple[list[int], str]:
    owners = Counter(item for i in queries for item in subject.queries[i].item_ids)
    which = [i for i in queries if any(owners[item] > 1 for item in subject.queries[i].item_ids)]
    unnamed = any(subject.queries[i].annotator is None for i in which)
    return which, (
        f"queries have a target in common (targets: {sum(n > 1 for n in owners.values())}); they are not independent, "
        "so that intervals, tests and folds are clustered by target"
        + "; if several people wrote them, say who in the column annotator"
        * unnamed
    )


def find_texts_that(fault: Callable[[ExaminedDataset, Query], object], meaning: str) -> Look:
    return lambda subject, queries: (
        [i for i in queries if fault(subject, subject.queries[i])],
        f"texts {meaning}",
    )


def is_short(subject: ExaminedDataset, query: Query) -> bool:
    text = repair(query.text)
    letters = sum(map(len, re.findall(r"[^\W_]+", text)))
    return letters < 3 or (len(text.split()) == 1 and not UNSPACED.search(text))


def is_damaged(subject: ExaminedDataset, query: Query) -> bool:
    return "\ufffd" in query.text or repair(query.text) != query.text


def is_file_name(subject: ExaminedDataset, query: Query) -> bool:
    files = [Path(subject.collection.paths[t].name).stem for t in subject.targets(query)]
    names = {
        name.casefold()
        for item in query.item_ids
        for name in (item, item.rpartition("/")[2], *files)
    }
    stem, suffix = os.path.splitext(query.text.casefold())
    return stem + suffix in names or (stem in names and suffix in IMAGE_SUFFIXES)


def check_stages(subject: ExaminedDataset) -> Iterator[str]:
    """Checks that each hint of a query contains the one before.

    Hints belong together by their query id or, in a wide form, by the id of their item.
    """
    hints: dict[tuple[str | None, str, str | None], list[tuple[int, int]]] = {}
    for name, queries in subject.sets.items():
        if found := STAGE.fullmatch(name):
            for i in queries:
                query = subject.queries[i]
                own = query.query_id.removesuffix(f"/{query.annotator}").removesuffix(f"-{name}")
                hints.setdefault((found[1], own, query.annotator), []).append((int(found[2]), i))
    steps = [
        (early, late) for some in hints.values() for (_, early), (_, late) in pairwise(sorted(some))
    ]
    texts = {i: fold(subject.queries[i].text) for step in steps for i in step}
    which = sorted(late for early, late in steps if texts[early] not in texts[late])
    if which:
        shorter = sum(len(texts[late]) < len(texts[early]) for early, late in steps)
        yield (
            f"{len(which)} of {len(steps)} later hints don't contain the one before ({shorter} are shorter); stages "
            f"are then not growing hints; begin with the earlier text\n{subject.list_rows(which, show_text)}"
        )


def check_missing_targets(subject: ExaminedDataset) -> Iterator[str]:
    owned = {
        name: {item for i in some for item in subject.queries[i].item_ids}
        for name, some in subject.sets.items()
    }
    every = set().union(*owned.values())
    lacking = [name for name, items in owned.items() if len(items) < len(every)]
    for name in lacking[:MOST_PLACES]:
        missing = sorted(every - owned[name])
        first = list_first([*map(quote, missing[:MOST_PLACES])], len(missing))
        yield (
            f"{name} lacks {len(missing)} of {len(every)} targets that other label sets have; comparing them is not on "
            f"the same targets; write the texts that lack\n{first}"
        )
    if len(lacking) > MOST_PLACES:
        yield f"{len(lacking) - MOST_PLACES} label sets more lack some"


def check_ranges(subject: ExaminedDataset) -> Iterator[str]:
    times, groups = subject.collection.times_s, subject.collection.groups
    spans = {
        i: q.range_s
        for i, q in enumerate(subject.queries)
        if q.range_s and q.range_s[0] <= q.range_s[1]
    }
    if not spans or times is None:  # without times, the rows have a problem
        return
    if groups is None:
        yield f"{len(spans)} are not used: there is no segment rank without groups; give group in images.csv"
        return
    known: dict[str, list[float]] = {
        groups[t]: [] for i in spans for t in subject.targets(subject.queries[i])
    }
    for group, time in zip(groups, times, strict=True):
        if group in known and not math.isnan(time):
            known[group].append(time)
    ordered = {group: sorted(some) for group, some in known.items()}
    found: dict[str, list[int]] = {"no image": [], "images, but not the target,": []}
    for i, (start, end) in spans.items():
        targets = subject.targets(subject.queries[i])
        if targets and not any(start <= times[t] <= end for t in targets):
            around = [ordered[groups[t]] for t in targets]
            inside = any(bisect_left(some, start) < bisect_right(some, end) for some in around)
            found["images, but not the target," if inside else "no image"].append(i)
    for what, which in found.items():
        if which:
            yield (
                f"{len(which)} of {len(spans)} hold {what} of the target's group; the segment rank tells little; "
                f"correct the range, or time_s of the images\n{subject.list_rows(which, show_target)}"
            )


def fold(text: str) -> str:
    """A text as most readers compare it: lower case, single spaces, no final mark."""
    line = " ".join(text.casefold().split())
    return line.rstrip(" .,;:!?\u2026") or line


def repair(text: str) -> str:
    """The text before its UTF-8 was read as Windows-1252, where that can be undone."""

    def decode(found: re.Match[str]) -> str:
        try:
            return b"".join(
                c.encode("latin-1" if c < "\u0100" else "cp1252") for c in found[0]
            ).decode()
        except UnicodeDecodeError:
            return found[0]

    return MOJIBAKE.sub(decode, text)


def find_hidden(query: Query) -> list[str]:
    return sorted(set(INVISIBLE.findall(MOJIBAKE.sub("", query.text))))


def quote(text: str) -> str:
    return repr(shorten(make_plain(text), MOST_SHOWN))


def show_text(query: Query) -> str:
    return quote(query.text)


def show_repaired(query: Query) -> str:
    """The words around the first damage, and the original where it can be told."""
    found = MOJIBAKE.search(query.text)
    at = found.start() if found else query.text.find("\ufffd")
    begin = query.text.rfind(" ", 0, max(0, at - MOST_SHOWN // 3)) + 1
    piece = query.text[begin : begin + MOST_SHOWN]
    better = repair(piece)
    return quote(piece) + (f", rather {quote(better)}" if better != piece else "")


def show_hidden(query: Query) -> str:
    return f"{quote(query.text)} with {' '.join(f'U+{ord(c):04X}' for c in find_hidden(query))}"


def show_target(query: Query) -> str:
    return ", ".join(shorten(item, MOST_SHOWN) for item in query.item_ids[:3])


def list_first(shown: Sequence[str], total: int) -> str:
    """Lists the first of ``total`` things, and how many more there are."""
    first = list(shown[:MOST_PLACES])
    return ", ".join(first) + (f" and {total - len(first)} more" if total > len(first) else "")


IN_EACH_SET: tuple[tuple[str, Look, Show], ...] = (
    ("same text", find_same_texts, show_text),
    ("several queries", find_several_queries, show_target),
    (
        "short texts",
        find_texts_that(
            is_short,
            "are one word, or fewer than 3 letters; that may fit many pictures; say more "
            "where people would",
        ),
        show_text,
    ),
    (
        "damaged texts",
        find_texts_that(
            is_damaged,
            "were damaged by a wrong encoding; models read other words; save them as "
            "UTF-8 from a good copy",
        ),
        show_repaired,
    ),
    (
        "invisible characters",
        find_texts_that(
            lambda _, query: find_hidden(query),
            "hold control or invisible characters; models may read them as words; delete them",
        ),
        show_hidden,
    ),
    (
        "file names",
        find_texts_that(
            is_file_name,
            "are the name of the target's file; that is seldom what a picture shows; describe it",
        ),
        show_text,
    ),
)
ACROSS_SETS: tuple[tuple[str, Callable[[ExaminedDataset], Iterator[str]]], ...] = (
    ("stages", check_stages),
    ("targets", check_missing_targets),
    ("ranges", check_ranges),
)
