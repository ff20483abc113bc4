"""Leaves out pictures that can't be read, and the queries for them, where somebody asked for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import PIL

from kis_bench.datasets.digests import CHUNK_UNIT, Digests, digest_some
from kis_bench.datasets.listing import PictureFiles
from kis_bench.errors import KisBenchError
from kis_bench.files.cache import FileFacts
from kis_bench.files.images import find_fault
from kis_bench.files.parallel import map_in_threads
from kis_bench.files.picture_formats import find_pixel_limit
from kis_bench.records import Collection, Query

EXAMINING_THREADS = 2  #: each holds a picture in memory


def leave_out_unreadable(collection: Collection) -> tuple[Collection, dict[str, str]]:
    """The collection without pictures that can't be read, and these: item id -> why. Decodes each content once.

    Raises:
        KisBenchError: none can be read.
    """
    pictures = collection.paths
    assert isinstance(pictures, PictureFiles)  # as readers of folders make them
    parts = map_in_threads(
        find_faults,
        pictures.chunks(),
        EXAMINING_THREADS,
        f"{collection.name}: reading",
        unit=CHUNK_UNIT,
    )
    faults = [fault for part in parts for fault in part]
    kept = [i for i, fault in enumerate(faults) if not fault]
    if not kept and faults:
        raise KisBenchError(
            f"dataset {collection.name}: none of {len(faults):,} pictures can be read, such as "
            f"{pictures[0]} ({faults[0]})"
        )
    unreadable = {collection.ids[i]: fault for i, fault in enumerate(faults) if fault}
    return (select_items(collection, kept) if unreadable else collection), unreadable


def select_items(collection: Collection, places: Sequence[int]) -> Collection:
    """The items at some places of a collection that was read from a folder."""
    pictures = collection.paths
    assert isinstance(pictures, PictureFiles)
    groups, times = collection.groups, collection.times_s
    kept = PictureFiles(pictures.root, [pictures.entries[i] for i in places])
    return replace(
        collection,
        ids=tuple(collection.ids[i] for i in places),
        paths=kept,
        content=Digests(collection.name, kept),
        groups=groups and tuple(groups[i] for i in places),
        times_s=times and tuple(times[i] for i in places),
    )


def find_faults(pictures: PictureFiles) -> list[str]:
    """Why each picture can't be read, "" if it can. What could be read before is not decoded again."""
    digests, _ = digest_some(pictures)
    facts = FileFacts("readable")
    state = f"Pillow {PIL.__version__}, {find_pixel_limit()} pixels"
    readable = facts.look_up(dict.fromkeys(filter(None, digests), state))
    found: dict[str, str] = {}
    faults = []
    for picture, digest in zip(pictures, digests, strict=True):
        if digest in readable or found.get(digest) == "":
            faults.append("")
            continue
        fault = find_fault(picture)
        faults.append(fault)
        if digest:
            found[digest] = fault
    facts.keep([(digest, state, "") for digest, fault in found.items() if not fault])
    return faults


def leave_out_queries(
    queries: Sequence[Query], unreadable: Mapping[str, str]
) -> tuple[tuple[Query, ...], tuple[str, ...]]:
    """The queries with the targets that can be read, and the names ``LABEL_SET/QUERY_ID`` of those that have none.

    Raises:
        KisBenchError: a label set loses all its queries.
    """
    kept: list[Query] = []
    unasked: list[str] = []
    for query in queries:
        targets = tuple(item for item in query.item_ids if item not in unreadable)
        if targets:
            kept.append(query if targets == query.item_ids else replace(query, item_ids=targets))
        else:
            unasked.append(f"{query.label_set}/{query.query_id}")
    empty = {query.label_set for query in queries} - {query.label_set for query in kept}
    if empty:
        raise KisBenchError(
            f"label set {', '.join(sorted(empty))}: no target of any query can be read; replace these pictures"
        )
    return tuple(kept), tuple(unasked)
