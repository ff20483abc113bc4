"""Vectors of a folder as a model: found by id, checked against the dataset, made unit vectors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.vectors.tables import VectorTable
from kis_bench.encoders.vectors.unit_rows import (
    LEAST_LENGTH,
    MOST_LENGTH,
    UnitRows,
    describe_lengths,
    measure_lengths,
)
from kis_bench.errors import BadFile, BadVector, KisBenchError
from kis_bench.files.picture_formats import IMAGE_SUFFIXES
from kis_bench.files.text import list_first_names
from kis_bench.ranking.unit_vectors import LENGTH_ROUNDING
from kis_bench.records import Collection, Embeddings, Float32s, Float64s, Int64s, Query

MOST_BYTES_IN_MEMORY = (
    64 * 2**20
)  #: of float32; what takes more is read from the files again and again
NAMED_IDS = 5  #: ids in a message


@dataclass(frozen=True)
class Side:
    """The vectors of pictures or of texts."""

    table: VectorTable

    @cached_property
    def lengths(self) -> Float64s:
        """Of all rows, ``[m, v]``."""
        return measure_lengths(self.table.parts)

    @cached_property
    def scales(self) -> Float32s | None:
        """What rows are divided by; None: their lengths are 1 as they are."""
        off = np.abs(self.lengths - 1)
        return None if off.max() <= LENGTH_ROUNDING else self.lengths.astype(np.float32)

    def take(self, rows: Int64s) -> NDArray[np.float32]:
        """Some rows as unit vectors ``[n, v, d]``: in memory, or an object that reads them by slices.

        Raises:
            BadVector: one of them is NaN, infinity or of length zero; names the file and the row.
        """
        own = self.lengths[rows]
        for wrong, what in (
            (~np.isfinite(own) | (own > MOST_LENGTH), "NaN, infinity or numbers beyond float32"),
            (own < LEAST_LENGTH, "length zero"),
        ):
            bad = rows[wrong.any(axis=1)]
            if len(bad):
                shown = "; ".join(self.table.locate(int(row)) for row in bad[:NAMED_IDS])
                more = f" and {len(bad) - NAMED_IDS:,} more" if len(bad) > NAMED_IDS else ""
                said = f"{len(bad):,} of {len(rows):,} vectors have {what}: {shown}{more}"
                raise BadVector(f"{said}; make these anew, or take pictures and vectors out")
        found = UnitRows(self.table.parts, self.scales, rows)
        n_bytes = 4 * int(np.prod(found.shape))
        return np.asarray(found) if n_bytes <= MOST_BYTES_IN_MEMORY else found  # type: ignore[return-value]

    def describe(self) -> str:
        """Numbers, type and what was done to lengths, in words for runs and terminals."""
        parts, m = self.table.parts, len(self.table)
        files = self.table.files
        name = (
            files[0].name if len(files) == 1 else f"{files[0].parent.name} ({len(files):,} files)"
        )
        types = " and ".join(sorted({str(part.dtype) for part in parts}))
        done = describe_lengths(self.lengths)
        return f"{name}: {m:,} vectors of {self.table.dim:,} numbers, {types}, {done}"


class SavedVectors:
    """A model of which only the vectors are here: those of pictures by item id, those of texts by query id.

    Args:
        surplus: whether there may be vectors of pictures that a dataset doesn't have.
    """

    device, precision = None, "fp32"
    context_length: int | None = None

    def __init__(
        self, name: str, key: str, images: VectorTable, texts: VectorTable | None, *, surplus: bool
    ) -> None:
        self.name, self.key, self.surplus = name, key, surplus
        self.images, self.texts = Side(images), None if texts is None else Side(texts)
        self.dim, self.vectors_per_item = images.dim, images.parts[0].shape[1]
        self.image_only = texts is None
        self.asked: dict[int, str] = {}  # row -> the text that it was taken for
        self.unused: dict[
            str, str
        ] = {}  # dataset -> which vectors are of pictures that it doesn't have
        if texts is not None and texts.dim != images.dim:
            raise KisBenchError(
                f"model {name}: {images.files[0].name} has vectors of {images.dim:,} numbers, "
                f"{texts.files[0].name} of {texts.dim:,}: these are two models"
            )
        if texts is not None and texts.parts[0].shape[1] != 1:
            raise KisBenchError(f"model {name}: a text has one vector, [n, d] in a file")

    def describe_vectors(self) -> list[str]:
        """What was read and what was done to it, a line for each side."""
        sides = [self.images, *([] if self.texts is None else [self.texts])]
        return [*(side.describe() for side in sides), *self.unused.values()]

    def find_images(self, collection: Collection) -> Embeddings:
        """The vectors of all items.

        Raises:
            KisBenchError: items without a vector, vectors of other pictures, ids twice.
            BadVector: see `Side.take`.
        """
        rows = self.match_items(collection)
        return Embeddings(collection.ids, self.take_rows(self.images, rows), self.key)

    def take_rows(self, side: Side, rows: Int64s) -> NDArray[np.float32]:
        try:
            return side.take(rows)
        except BadVector as error:
            raise BadVector(f"model {self.name}: {error}") from None

    def match_items(self, collection: Collection) -> Int64s:
        """The row of each item ``[n]``."""
        ids, files = self.images.table.ids, self.images.table.files
        if not ids:
            raise BadFile(files[0], ["it says no ids of pictures, only texts"])
        if ids == collection.ids:
            return np.arange(len(ids))
        places: dict[str, int] = {}
        strange, twice = [], []
        for row, written in enumerate(ids):
            item = find_meant_item(written, collection.position)
            if item is None:
                strange.append(written)
            elif item in places:
                twice.append(written)
            else:
                places[item] = row
        lacking = [item for item in collection.ids if item not in places]
        said = []
        if lacking:
            shown = list_first_names([repr(item) for item in lacking], NAMED_IDS)
            said.append(f"no vector for {len(lacking):,} of {len(collection):,} items: {shown}")
        if strange:
            shown = list_first_names([repr(item) for item in strange], NAMED_IDS)
            of = f"{len(strange):,} of {len(ids):,} vectors are of pictures that {{}} doesn't have: {shown}"
            if lacking or not self.surplus:
                said.append(of.format("it"))
            self.unused[collection.name] = of.format(collection.name)
        if twice:
            shown = list_first_names([repr(item) for item in twice], NAMED_IDS)
            said.append(f"a second vector for {len(twice):,} of its items: {shown}")
        if said:
            hint = "" if lacking or twice else "; if that is meant, write vectors-of-more:FOLDER"
            raise KisBenchError(
                f"model {self.name}, dataset {collection.name}: {'; '.join(said)}{hint}"
            )
        return np.array([places[item] for item in collection.ids], np.int64)

    def find_texts(self, queries: Sequence[Query] | Sequence[str]) -> Embeddings:
        """The vectors of queries: by ``LABEL_SET/QUERY_ID``, else by query id, else by the text itself.

        Raises:
            KisBenchError: there are no texts, queries without a vector, or a row that two different texts ask for.
            BadVector: see `Side.take`.
        """
        if self.texts is None:
            raise KisBenchError(f"model {self.name} has vectors of pictures only")
        known = [
            one if isinstance(one, Query) else Query(str(number), (), "", str(one))
            for number, one in enumerate(queries)
        ]
        found = [self.find_row(query) for query in known]
        lacking = [query.query_id for query, row in zip(known, found, strict=True) if row is None]
        file = self.texts.table.files[0].name
        if lacking:
            shown = list_first_names([repr(one) for one in lacking], NAMED_IDS)
            raise KisBenchError(
                f"model {self.name}: {file} has no vector for {len(lacking):,} of {len(queries):,} queries: {shown}; "
                "its rows are called QUERY_ID or LABEL_SET/QUERY_ID, or have the text in a column"
            )
        rows = [row for row in found if row is not None]
        for query, row in zip(known, rows, strict=True):
            if self.asked.setdefault(row, query.text) != query.text:
                raise KisBenchError(
                    f"model {self.name}: the vector of query {query.query_id!r} would serve two texts, "
                    f"{self.asked[row]!r} and {query.text!r}; call its rows LABEL_SET/QUERY_ID"
                )
        vectors = np.asarray(self.take_rows(self.texts, np.array(rows, np.int64)))
        return Embeddings(tuple(query.query_id for query in known), vectors, self.key)

    @cached_property
    def rows_of_texts(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Rows by id and by text; of equal texts the first."""
        assert self.texts is not None
        table = self.texts.table
        by_id, by_text = dict[str, int](), dict[str, int]()
        for row, one in enumerate(table.ids):
            if by_id.setdefault(one, row) != row:
                raise BadFile(table.files[0], [f"id {one!r} is there twice; rename one"])
        for row, text in enumerate(table.texts):
            by_text.setdefault(text.strip(), row)
        return by_id, by_text

    def find_row(self, query: Query) -> int | None:
        by_id, by_text = self.rows_of_texts
        for name in (f"{query.label_set}/{query.query_id}", query.query_id):
            if name in by_id:
                return by_id[name]
        return by_text.get(query.text.strip())

    def encode_images(self, images: Sequence[Image.Image]) -> Any:
        raise KisBenchError(f"model {self.name} is vectors of a folder: it encodes no pictures")

    def encode_texts(self, texts: Sequence[str]) -> Any:
        raise KisBenchError(f"model {self.name} is vectors of a folder: it encodes no texts")


def find_meant_item(written: str, items: Mapping[str, int]) -> str | None:
    """The item of an id, or of a picture's path: without its suffix, and without folders at its start.

    >>> find_meant_item("/data/images/beach/0042.jpg", {"beach/0042": 0})
    'beach/0042'
    """
    if written in items:
        return written
    path = written.replace("\\", "/")
    stem, suffix = os.path.splitext(path)
    while True:
        for form in (path, *([stem] if suffix.lower() in IMAGE_SUFFIXES else [])):
            if form in items:
                return form
        if "/" not in stem:
            return None
        path, stem = path.partition("/")[2], stem.partition("/")[2]
