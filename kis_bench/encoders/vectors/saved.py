"""Vectors of a folder as a model: found by id, checked against the dataset, made unit vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.vectors.matching import match_written_ids
from kis_bench.encoders.vectors.sides import Side
from kis_bench.encoders.vectors.tables import VectorTable
from kis_bench.errors import BadFile, BadVector, KisBenchError
from kis_bench.files.text import list_first_names
from kis_bench.records import Collection, Embeddings, Int64s, Query

NAMED_IDS = 5  #: ids in a message


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
        #: what asks for texts, by name and label set -> row -> the query that it was taken for
        self.asked: dict[tuple[str, str], dict[int, Query]] = {}
        self.matched: dict[str, tuple[tuple[str, ...], Int64s]] = {}  # dataset -> its ids and rows
        #: dataset -> how many vectors are of pictures that it doesn't have, and of which
        self.unused: dict[str, tuple[str, str]] = {}
        if texts is not None and texts.dim != images.dim:
            raise KisBenchError(
                f"model {name}: {images.files[0].name} has vectors of {images.dim:,} numbers, "
                f"{texts.files[0].name} of {texts.dim:,}: these are two models"
            )
        if texts is not None and texts.parts[0].shape[1] != 1:
            raise KisBenchError(f"model {name}: a text has one vector, [n, d] in a file")

    def describe_vectors(self, *, privacy: bool = False) -> list[str]:
        """What was read and what was done to it, a line for each side; under privacy without ids, which are paths."""
        sides = [self.images, *([] if self.texts is None else [self.texts])]
        unused = [said if privacy else f"{said}: {ids}" for said, ids in self.unused.values()]
        return [*(side.describe() for side in sides), *unused]

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
        """The row of each item ``[n]``; of each dataset's ids it is found once."""
        known, rows = self.matched.get(collection.name, ((), None))
        if rows is None or known != collection.ids:
            rows = self.match_anew(collection)
            self.matched[collection.name] = collection.ids, rows
        return rows

    def match_anew(self, collection: Collection) -> Int64s:
        ids, files = self.images.table.ids, self.images.table.files
        self.unused.pop(collection.name, None)
        if not ids:
            raise BadFile(files[0], ["it says no ids of pictures, only texts"])
        if ids == collection.ids:
            return np.arange(len(ids))
        found = match_written_ids(ids, collection.position)
        lacking = [item for item in collection.ids if item not in found.places]
        strange = [*found.strange, *(found.beside if self.surplus else ())]
        twice = [*found.twice, *(() if self.surplus else found.beside)]
        said = []
        if lacking:
            shown = list_first_names([repr(item) for item in lacking], NAMED_IDS)
            said.append(f"no vector for {len(lacking):,} of {len(collection):,} items: {shown}")
        if strange:
            shown = list_first_names([repr(item) for item in strange], NAMED_IDS)
            of = f"{len(strange):,} of {len(ids):,} vectors are of pictures that {{}} doesn't have"
            if lacking or not self.surplus:
                said.append(f"{of.format('it')}: {shown}")
            self.unused[collection.name] = of.format(collection.name), shown
        if twice:
            shown = list_first_names([repr(item) for item in twice], NAMED_IDS)
            said.append(f"a second vector for {len(twice):,} of its items: {shown}")
        if said:
            in_vain = lacking or found.twice
            hint = "" if in_vain else "; if that is meant, write vectors-of-more:FOLDER"
            raise KisBenchError(
                f"model {self.name}, dataset {collection.name}: {'; '.join(said)}{hint}"
            )
        return np.array([found.places[item] for item in collection.ids], np.int64)

    def find_texts(
        self, queries: Sequence[Query] | Sequence[str], name: str = "texts"
    ) -> Embeddings:
        """The vectors of queries: by ``LABEL_SET/QUERY_ID``, else by query id, else by the text itself.

        Texts that are no queries are found by what they say.

        Args:
            name: what asks for them, such as ``DATASET-LABEL_SET``. Others may share a vector with it where their texts
                are equal; what it asked for before may have been corrected.

        Raises:
            KisBenchError: there are no texts, queries without a vector or with another text than the file has, or a row
                that two different texts ask for.
            BadVector: see `Side.take`.
        """
        if self.texts is None:
            raise KisBenchError(f"model {self.name} has vectors of pictures only")
        known = [
            one if isinstance(one, Query) else Query(str(number), (), "", str(one))
            for number, one in enumerate(queries)
        ]
        asked = [one for one in queries if isinstance(one, Query)]
        by_text_only = len(asked) < len(queries)
        found = [self.find_row(query, by_text_only) for query in known]
        lacking = [query.query_id for query, row in zip(known, found, strict=True) if row is None]
        file = self.texts.table.files[0].name
        if lacking:
            shown = list_first_names([repr(one) for one in lacking], NAMED_IDS)
            what, how = "queries", "are called QUERY_ID or LABEL_SET/QUERY_ID, or have"
            if by_text_only:
                what, how = "texts, by their places in the list", "need"
            raise KisBenchError(
                f"model {self.name}: {file} has no vector for {len(lacking):,} of {len(queries):,} {what}: {shown}; "
                f"its rows {how} the text in a column"
            )
        rows = [row for row in found if row is not None]
        self.refuse_other_texts(known, rows)
        if not by_text_only:
            self.refuse_shared_rows(name, known, rows)
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
            if text.strip():
                by_text.setdefault(text.strip(), row)
        return by_id, by_text

    def find_row(self, query: Query, by_text_only: bool) -> int | None:
        by_id, by_text = self.rows_of_texts
        for name in () if by_text_only else (name_query(query), query.query_id):
            if name in by_id:
                return by_id[name]
        return by_text.get(query.text.strip())

    def refuse_other_texts(self, queries: Sequence[Query], rows: Sequence[int]) -> None:
        """Raises KisBenchError where an id leads to a row whose text, if it has one, isn't the query's."""
        assert self.texts is not None
        table = self.texts.table
        if not table.texts:
            return
        other = [
            f"{name_query(query)} in {table.locate(row)}"
            for query, row in zip(queries, rows, strict=True)
            if table.texts[row].strip() not in ("", query.text.strip())
        ]
        if other:
            raise KisBenchError(
                f"model {self.name}: {len(other):,} of {len(queries):,} queries have another text than their vectors: "
                f"{list_first_names(other, NAMED_IDS)}; make vectors of these texts, or name rows LABEL_SET/QUERY_ID"
            )

    def refuse_shared_rows(self, name: str, queries: Sequence[Query], rows: Sequence[int]) -> None:
        """Raises KisBenchError where a row would serve two texts: of these queries, or of what else was asked."""
        own: dict[int, Query] = {}
        for query, row in zip(queries, rows, strict=True):
            others = [
                asked[row]
                for asker, asked in self.asked.items()
                if asker != (name, query.label_set) and row in asked
            ]
            for one in (own.setdefault(row, query), *others):
                if one.text != query.text:
                    raise KisBenchError(
                        f"model {self.name}: the vector of query {query.query_id!r} would serve two texts, those of "
                        f"{name_query(one)} and {name_query(query)}; call its rows LABEL_SET/QUERY_ID"
                    )
        for row, query in own.items():
            self.asked.setdefault((name, query.label_set), {})[row] = query

    def encode_images(self, images: Sequence[Image.Image]) -> Any:
        raise KisBenchError(f"model {self.name} is vectors of a folder: it encodes no pictures")

    def encode_texts(self, texts: Sequence[str]) -> Any:
        raise KisBenchError(f"model {self.name} is vectors of a folder: it encodes no texts")


def name_query(query: Query) -> str:
    return f"{query.label_set}/{query.query_id}"
