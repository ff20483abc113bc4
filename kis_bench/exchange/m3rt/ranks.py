"""Pairs M3RT's ranks with their queries where that is certain; pure functions of what was read.

M3RT saved each rank with its label's text only. A rank is paired with its query where the text leaves no doubt. The
others count in all figures of their label set, but can't be compared query by query: their ids are no other model's.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from kis_bench.errors import BadFile
from kis_bench.exchange.m3rt.saves import Save
from kis_bench.records import Query

Say: TypeAlias = Callable[[str], None]
CellKey: TypeAlias = tuple[str, str, str]  # model, dataset, label set
SavedRanks: TypeAlias = list[tuple[str, int]]  # label text, and rank from 0, or -1: not found
#: A remark on one model and label set that counts something; see `report_left_out`.
ABOUT_CELL = re.compile(
    r"(?P<model>\S+) on (?P<dataset>[^:]+), (?P<label_set>[^:,]+): (?P<fact>.+): (?P<n>\d+) of (?P<total>\d+)"
    r"(?P<some> \(.*\))?"
)
Pairs: TypeAlias = list[tuple[Query, int]]


def expand_cumulation(key: CellKey, counts: list[int], say: Say) -> SavedRanks:
    """The ranks counted by a cumulation; which queries they belong to isn't known."""
    steps = [after - before for before, after in pairwise([0, *counts])]
    say(
        f"{format_key(key)}: taken from the cumulation alone, without texts, so none of "
        f"{counts[-1]} ranks is paired with its query; at the last rank, where M3RT also counts "
        f"what was not found: {steps[-1]}"
    )
    return [("", place) for place, step in enumerate(steps) for _ in range(step)]


def check_ranks(
    key: CellKey,
    save: Save,
    ranks: SavedRanks,
    counts: tuple[Save, list[int]] | None,
    n_items: int,
    say: Say,
) -> SavedRanks:
    """The ranks, checked against the number of images and against the cumulation of the same cell."""
    text, worst = max(ranks, key=lambda one: one[1])
    if worst >= n_items:
        message = f"{text!r} has rank {worst + 1}, but {n_items} images were searched"
        raise BadFile(save.path, [f"{message}; take away what is of other images"])
    if counts is not None:
        places = [
            place if place >= 0 else n_items - 1 for _, place in ranks
        ]  # M3RT counted from the end
        mine, theirs = np.bincount(places, minlength=n_items).cumsum().tolist(), counts[1]
        differ = [place for place in range(n_items) if mine[place] != theirs[place]]
        if differ:
            at = differ[0]
            say(
                f"{format_key(key)}: {save.path} and {counts[0].path} disagree at {len(differ)} "
                f"of {n_items} ranks; up to rank {at + 1} they count {mine[at]} and {theirs[at]} "
                "targets; the ranks were taken"
            )
    return ranks


def format_key(key: CellKey) -> str:
    return f"{key[0]} on {key[1]}, {key[2]}"


def pair(legacy: SavedRanks, queries: Sequence[Query]) -> tuple[Pairs, SavedRanks]:
    """Ranks with their queries, and those that fit several queries or none.

    A text tells its query if no other has it, or if all that have it came at the same rank. M3RT sorted what it saved
    by text and then by rank; a list that isn't sorted so is in the order of the labels, if its texts are, and then its
    order tells. Spaces around texts don't count, as they don't in label files.
    """
    if is_in_label_order(legacy, queries):
        return [(query, place) for query, (_, place) in zip(queries, legacy, strict=True)], []
    by_text: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        by_text[query.text].append(query)
    places: dict[str, list[int]] = defaultdict(list)
    for text, place in legacy:
        places[text.strip()].append(place)
    sure = {
        text
        for text, at in places.items()
        if len(by_text.get(text, ())) == len(at) and len(set(at)) == 1
    }
    pairs = [(query, places[query.text][0]) for query in queries if query.text in sure]
    return pairs, [(text, place) for text, place in legacy if text.strip() not in sure]


def is_in_label_order(legacy: SavedRanks, queries: Sequence[Query]) -> bool:
    """Whether ranks are in the order of the labels, and not in M3RT's own, where equal texts are in that of ranks."""
    texts = [text.strip() for text, _ in legacy]
    return legacy != sorted(legacy) and texts == [query.text for query in queries]


def report_left_out(
    key: CellKey, pairs: Pairs, loose: SavedRanks, queries: Sequence[Query], say: Say
) -> Counter[str]:
    """Reports what was left out or not paired, and returns the counts."""
    known = {query.text for query in queries}
    spaced = {" ".join(text.split()) for text in known}
    texts = [text for text, _ in loose if text]
    strange = [text for text in texts if queries and text.strip() not in known]
    ranked = {query.text for query, _ in pairs} | {text.strip() for text in texts}
    lost = [query.text for query, place in pairs if place < 0] + [
        text for text, place in loose if place < 0
    ]
    facts = {
        "left out, because the target was not among the images (M3RT's rank -1)": lost,
        "not paired, because no labels of this set are here": [] if queries else texts,
        "not paired, because several queries have the text, and M3RT sorted those by their ranks": [
            text for text in texts if text.strip() in known
        ],
        "not paired, because no label has the text": strange,
        "among these, other than a label in white space only": [
            t for t in strange if " ".join(t.split()) in spaced
        ],
        "labels without a rank": [
            query.text for query in queries if ranked and query.text not in ranked
        ],
    }
    for fact, which in facts.items():
        if which:
            some = list_some(list(dict.fromkeys(which)))
            say(f"{format_key(key)}: {fact}: {len(which)} of {len(pairs) + len(loose)}{some}")
    return Counter(
        {
            "left out, because the target was not found": len(lost),
            "not paired with their query": sum(place >= 0 for _, place in loose),
        }
    )


def make_rank_rows(
    key: CellKey, pairs: Pairs, loose: SavedRanks, n_items: int
) -> list[dict[str, Any]]:
    """The rows of ranks.parquet; columns that M3RT didn't save are empty."""
    model, dataset, label_set = key
    kept = [(text, place) for text, place in loose if place >= 0]
    found = [
        (query.query_id, "|".join(query.item_ids), query.text, place)
        for query, place in pairs
        if place >= 0
    ]
    found += [
        (f"unpaired-{model}-{label_set}-{n}", "", text, place)
        for n, (text, place) in enumerate(kept, start=1)
    ]
    return [
        {
            "model": model,
            "dataset": dataset,
            "label_set": label_set,
            "query_id": query_id,
            "text": text,
            "item_id": item,
            "rank": place + 1.0,
            "rank_best": place + 1,
            "rank_worst": place + 1,
            "group_rank": None,
            "n_items": n_items,
            "truncated": None,
            "target_score": math.nan,
            "top_item_ids": None,
        }
        for query_id, item, text, place in found
    ]


def merge_remarks(remarks: Sequence[str]) -> list[str]:
    """Remarks of one kind on several models and label sets of a dataset as one, with the range of what they count."""
    groups: dict[tuple[str, str], list[re.Match[str]]] = {}
    merged: dict[tuple[str, str], str] = {}  # in the order of what came first
    for remark in remarks:
        found = ABOUT_CELL.fullmatch(remark)
        key = ("", remark) if found is None else (found["dataset"], found["fact"])
        merged[key] = remark
        if found is not None:
            groups.setdefault(key, []).append(found)
    for key, several in groups.items():
        models = list(dict.fromkeys(one["model"] for one in several))
        if len(several) > 1:
            who = models[0] if len(models) == 1 else f"{len(models)} models"
            merged[key] = f"{who} on {key[0]}: {key[1]}: {'; '.join(count_by_label_set(several))}"
    return [*merged.values()]


def count_by_label_set(several: Sequence[re.Match[str]]) -> Iterator[str]:
    """What remarks of one kind count, for each label set, from the least to the most, with the examples of the most."""
    by_set: dict[str, list[re.Match[str]]] = {}
    for one in several:
        by_set.setdefault(one["label_set"], []).append(one)
    for label_set, ones in by_set.items():
        ones.sort(key=lambda one: int(one["n"]))
        least, most = ones[0]["n"], ones[-1]["n"]
        span = most if least == most else f"{least} to {most}"
        yield f"{label_set} {span} of {ones[-1]['total']}{ones[-1]['some'] or ''}"


def list_some(texts: Sequence[str], most: int = 5) -> str:
    """The first of the texts in brackets."""
    more = [f"{len(texts) - most} more"] if len(texts) > most else []
    return f" ({', '.join([*(repr(text[:60]) for text in texts[:most]), *more])})" if texts else ""
