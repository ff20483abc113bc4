"""Texts about the pictures in Parquet tables, as the hub's datasets have them: each is a query for its picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kis_bench.datasets.labels import Labels, read_labels
from kis_bench.datasets.parquet import find_image_column, find_rows_without_image, open_table
from kis_bench.files.text import list_first_names
from kis_bench.records import Collection, Query

#: Columns of texts in any case, perhaps numbered as ``caption_0`` to ``caption_4``, which are texts of one kind.
CAPTION_COLUMN = re.compile(
    r"(captions?|texts?|sentences?(?:_raw)?|descriptions?|alt_?text)(?:_?\d+)?", re.IGNORECASE
)


class Caption(NamedTuple):
    """A text in a table, perhaps an empty one."""

    table: str
    row: int  # of the table, from 1
    label_set: str
    text: str


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
        yield " ".join(filter(None, map(str.strip, (cell or "").splitlines())))


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


def read_texts(
    files: Sequence[Path], captions: Mapping[str, Sequence[Caption]], collection: Collection
) -> Labels:
    """The queries in label files; where there are none, those that captions of pictures make.

    Args:
        captions: item id -> the texts in its rows, in their order.
    """
    if not files:
        return ask_captions(captions, collection)
    labels = read_labels(files, collection)
    if names := list(dict.fromkeys(one.label_set for texts in captions.values() for one in texts)):
        said = f"texts of {list_first_names(names, 5)} in Parquet tables"
        labels.unread.append(f"{said}, because there is {files[0].name}")
    return labels


def ask_captions(captions: Mapping[str, Sequence[Caption]], collection: Collection) -> Labels:
    """A query ``ITEM#n`` of each caption, where n counts those of the picture in the label set from 0.

    Empty captions and those that a picture has already count, so that no other query changes its id when they are
    mended, but are no queries; ``unread`` says how many there are.
    """
    labels = Labels()
    empty, repeated = Counter[str](), Counter[str]()
    for item in collection.ids:
        numbers, seen = Counter[str](), set[tuple[str, str]]()
        for one in captions.get(item, ()):
            number = numbers[one.label_set]
            numbers[one.label_set] += 1
            if not one.text:
                empty[one.label_set] += 1
            elif (one.label_set, one.text) in seen:
                repeated[one.label_set] += 1
            else:
                query = Query(f"{item}#{number}", (item,), one.label_set, one.text)
                labels.queries.append(query)
                labels.places.append(f"{Path(one.table).name} line {one.row}")
            seen.add((one.label_set, one.text))
    counted = [f"{n:,} empty of {name}" for name, n in empty.items()]
    counted += [f"{n:,} of {name} that their picture has already" for name, n in repeated.items()]
    lost = [texts for item, texts in captions.items() if item not in collection.position]
    if n_lost := sum(bool(one.text) for texts in lost for one in texts):
        counted.append(f"{n_lost:,} of pictures that are left out")
    labels.unread += [f"texts in Parquet tables: {', '.join(counted)}"] if counted else []
    return labels
