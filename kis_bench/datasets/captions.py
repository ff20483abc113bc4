"""Texts about the pictures in Parquet tables, as the hub's datasets have them: each is a query for its picture."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kis_bench.datasets.parquet import find_image_column, find_rows_without_image, open_table

#: Columns of texts in any case, perhaps numbered as ``caption_0`` to ``caption_4``, which are texts of one kind.
CAPTION_COLUMN = re.compile(
    r"(captions?|texts?|sentences?(?:_raw)?|descriptions?|alt_?text)(?:_?\d+)?", re.IGNORECASE
)


class Caption(NamedTuple):
    """A text about a picture in a file, perhaps an empty one."""

    file: str
    number: int  # of its row or record
    label_set: str
    text: str
    where: str = "line {}"  # around the number, in messages
    annotator: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """The name of the file, and the place in it."""
        return os.path.basename(self.file), self.where.format(self.number)


def find_caption_columns(schema: Any) -> dict[str, str]:
    """Maps the columns of a table that hold texts about its pictures to their label sets."""
    named = [(field, CAPTION_COLUMN.fullmatch(field.name)) for field in schema]
    return {field.name: name[1] for field, name in named if name and holds_text(field.type)}


def holds_text(kind: Any) -> bool:
    """Whether a column holds texts: plain, in lists, or as ``raw`` in the records of Karpathy's splits."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return kind.get_field_index("raw") >= 0 and holds_text(kind.field("raw").type)
    if types.is_nested(kind) or types.is_dictionary(kind):
        return hasattr(kind, "value_type") and holds_text(kind.value_type)
    return str(kind) in ("string", "large_string", "string_view")


def flatten_texts(cell: Any) -> Iterator[str]:
    """Yields the texts in a cell, each on one line and without outer blanks; an empty one where there is none."""
    if isinstance(cell, dict):
        yield from flatten_texts(cell["raw"])
    elif isinstance(cell, list) and cell:
        for one in cell:
            yield from flatten_texts(one)
    else:
        yield put_on_one_line(cell or "")


def put_on_one_line(text: str) -> str:
    """A text without line breaks and outer blanks.

    >>> put_on_one_line(" a dog \\n runs ")
    'a dog runs'
    """
    if text.isprintable():  # as nearly all are, and then there is no line break
        return text.strip()
    return " ".join(filter(None, map(str.strip, text.splitlines())))


def take_captions(
    cell: Mapping[str, Any], columns: Mapping[str, str], table: Path, row: int
) -> list[Caption]:
    """The texts in the columns of a row, which maps them to label sets; ``row`` counts from 1."""
    return [
        Caption(str(table), row, name, text)
        for column, name in columns.items()
        for text in flatten_texts(cell.get(column))
    ]


def read_caption_sets(table: Path) -> tuple[str, ...]:
    """The label sets of which a table has texts for its pictures; reads no picture. Raises BadFile."""
    with open_table(table) as file:
        image = find_image_column(table, file.schema_arrow)
        columns = {} if image is None else find_caption_columns(file.schema_arrow)
        return tuple(
            dict.fromkeys(
                name for column, name in columns.items() if has_captions(file, column, str(image))
            )
        )


def has_captions(file: Any, column: str, image: str) -> bool:
    """Whether a picture of a table has a text in a column; seldom more than the first row group is read for it."""
    for number in range(file.num_row_groups):
        without = find_rows_without_image(file, number, image)
        cells = file.read_row_group(number, columns=[column])[column].to_pylist()
        if any(any(flatten_texts(cell)) for row, cell in enumerate(cells) if row not in without):
            return True
    return False
