"""``labels.csv`` and its like; an error names all problems of a file at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kis_bench.datasets.label_formats.label_format import LabelFormat, Labels
from kis_bench.datasets.near_ids import NearIds
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.csv_tables import (
    NumberedRow,
    find_unexpected_columns,
    parse_line_number,
    parse_seconds,
    read_rows,
)
from kis_bench.files.states import remember_by_state
from kis_bench.files.workbooks import WORKBOOK_SUFFIX
from kis_bench.records import Collection, Query

LONG_FORM = ("query_id", "item_id", "label_set", "text")
RANGE_COLUMNS = ("range_start_s", "range_end_s")
OPTIONAL_LABEL_COLUMNS = ("annotator", "stage", *RANGE_COLUMNS)
LABEL_FORMS = (
    f"{','.join(LONG_FORM)} (optional: {', '.join(OPTIONAL_LABEL_COLUMNS)}), "
    "or M3RT's ID,short_label,long_label or ID,label"
)

FilePlace = tuple[str, str]  #: the name of a file, and the line


def find_wide_label_sets(header: tuple[str, ...]) -> tuple[str, ...] | None:
    """The label sets of M3RT's wide form: one column ``NAME_label`` each, or a single ``label``, which is ``short``."""
    if header[0] != "ID" or len(header) < 2:
        return None
    if header == ("ID", "label"):
        return ("short",)
    names = tuple(column.removesuffix("_label") for column in header[1:])
    told = all(name and name != c for name, c in zip(names, header[1:], strict=True))
    return names if told else None


def find_label_files(root: Path) -> list[Path]:
    """``labels.csv``, ``labels-*.csv`` and ``labels/*.csv`` of a dataset folder, else spreadsheets so called."""
    if found := list_tables_of_labels(root, ".csv"):
        return found
    books = list_tables_of_labels(root, WORKBOOK_SUFFIX)
    return [file for file in books if file.parent == root or has_label_columns(file)]


@remember_by_state
def has_label_columns(file: Path) -> bool:
    """Whether a spreadsheet in ``labels/`` has one of our columns; people keep other sheets there, too."""
    try:
        header = read_rows(file, [])[0]
    except KisBenchError:
        return True  # those who read it say what is wrong
    return not {*LONG_FORM}.isdisjoint(header) or find_wide_label_sets(header) is not None


def list_tables_of_labels(root: Path, suffix: str) -> list[Path]:
    found: list[Path] = []
    try:
        for pattern in ("labels", "labels-*", "labels/*"):
            some = [file for file in root.glob(pattern + suffix) if file.name[0] != "~"]  # a lock
            found += sorted(file for file in some if pattern != "labels" or file.is_file())
    except OSError as error:
        raise BadFile(root, [f"can't be read: {error.strerror}"]) from error
    return found


def read_label_sets(files: Iterable[Path]) -> tuple[str, ...]:
    """The names of the label sets in label files, in order, without looking at any image."""
    found: list[str] = []
    for file in files:
        header, rows = read_rows(file)
        names = find_wide_label_sets(header)
        if names is None and (
            problems := find_unexpected_columns(header, LONG_FORM, OPTIONAL_LABEL_COLUMNS)
        ):
            raise BadFile(file, [*problems, f"expected {LABEL_FORMS}"])
        found += names if names is not None else [name_label_set(row) for _, row in rows]
    return tuple(name for name in dict.fromkeys(found) if name)


def name_label_set(row: dict[str, str]) -> str:
    """The label set of a row; with a stage it is ``stage-N``, after the row's label set if that is given."""
    name, stage = row["label_set"].strip(), row.get("stage", "").strip()
    if not stage or name == f"stage-{stage}" or name.endswith(f"-stage-{stage}"):
        return name
    return f"{name}-stage-{stage}" if name else f"stage-{stage}"


def read_labels(files: Sequence[Path], collection: Collection) -> Labels:
    """The queries of all label files of a dataset.

    Rows of one query id, label set, annotator and text are one query with several targets. Where several annotators
    wrote a text for one query id in one label set, each is a query ``query_id/annotator``.
    """
    merged: dict[tuple[str, str, str | None], tuple[Query, FilePlace]] = {}
    labels, near = Labels(), NearIds(collection.ids)
    for file in files:
        problems = labels.problems[file] = []
        try:
            header, rows = read_rows(file, problems)
        except BadFile as error:
            problems[:] = error.problems
            continue
        names = find_wide_label_sets(header)
        if names is not None:
            rows = lengthen(rows, names, header, collection)
        elif columns := find_unexpected_columns(header, LONG_FORM, OPTIONAL_LABEL_COLUMNS):
            problems += [*columns, f"expected {LABEL_FORMS}"]
            continue
        before = len(merged)
        for line, row in rows:
            add_row(row, line, (file.name, f"line {line}"), merged, problems, collection, near)
        problems[:] = sorted(dict.fromkeys(problems), key=parse_line_number)
        if len(merged) == before and not problems:
            problems.append("no queries; add one row per query")
    several = Counter((name, query_id) for name, query_id, _ in merged)
    for (name, query_id, annotator), (query, place) in merged.items():
        one_of_several = annotator is not None and several[name, query_id] > 1
        labels.queries.append(
            replace(query, query_id=f"{query_id}/{annotator}") if one_of_several else query
        )
        labels.places.append(place)
    named = Counter((query.label_set, query.query_id) for query in labels.queries)
    for query, place in zip(labels.queries, labels.places, strict=True):
        if named[query.label_set, query.query_id] > 1:
            twice = f"query {query.query_id!r} would be there twice, as the annotators' names show"
            said = f"{' '.join(place)}: {twice}; rename one"
            labels.problems.setdefault(files[0], []).append(said)
    return labels


def add_row(
    row: dict[str, str],
    line: int,
    place: FilePlace,
    merged: dict[tuple[str, str, str | None], tuple[Query, FilePlace]],
    problems: list[str],
    collection: Collection,
    near: NearIds,
) -> None:
    """Adds a row of the long form to ``merged``: a new query, or another target of an earlier one."""
    query_id, item, name, text = (
        row["query_id"].strip(),
        row["item_id"].strip(),
        name_label_set(row),
        row["text"].strip(),
    )
    column = row.get("column", "text")  # of a wide form, what stood above the text
    ids = (
        {"ID": item}
        if "column" in row
        else {"query_id": query_id, "item_id": item, "label_set": name}
    )
    cells = {**ids, column: text}
    empty = [c for c, cell in cells.items() if not cell]
    problems += [f"line {line}: {c} is empty; fill it in or delete the row" for c in empty]
    if item and item not in collection.position:
        remedy = "correct item_id or add the image"
        problems.append(
            f"line {line}: item {item!r} is not in the collection{near.suggest(item)}; {remedy}"
        )
    span = read_range(row, line, problems)
    if span is not None and collection.times_s is None:
        problems.append(
            f"line {line}: range_start_s needs images with times; give group and time_s in images.csv"
        )
    if empty:
        return
    annotator, stage = (row.get(c, "").strip() or None for c in ("annotator", "stage"))
    key = (name, query_id, annotator)
    if key not in merged:
        merged[key] = Query(query_id, (item,), name, text, annotator, stage, span), place
        return
    earlier, first = merged[key]
    if earlier.text != text:
        problems.append(
            f"line {line}: query {query_id!r} of label set {name!r} has another text in {' '.join(first)}; "
            "give it another query_id, or both an annotator (in the long form)"
        )
    elif item in earlier.item_ids:
        problems.append(
            f"line {line}: query {query_id!r} names item {item!r} twice; delete the row"
        )
    elif earlier.range_s != span:
        problems.append(
            f"line {line}: query {query_id!r} has another range in {' '.join(first)}; make them the same"
        )
    else:
        merged[key] = replace(earlier, item_ids=(*earlier.item_ids, item)), first


def read_range(row: dict[str, str], line: int, problems: list[str]) -> tuple[float, float] | None:
    """The start and end of the segment in a row, in seconds; None if it has none."""
    cells = [row.get(column, "").strip() for column in RANGE_COLUMNS]
    if not any(cells):
        return None
    before = len(problems)
    start, end = (
        parse_seconds(cell, column, line, problems)
        for cell, column in zip(cells, RANGE_COLUMNS, strict=True)
    )
    if len(problems) > before:
        return None
    if math.isnan(start) or math.isnan(end):
        problems.append(
            f"line {line}: {' and '.join(RANGE_COLUMNS)} go together; fill in both or none"
        )
    elif start > end:
        problems.append(
            f"line {line}: the range ends at {cells[1]} s, before it begins at {cells[0]} s; swap them"
        )
    return start, end


def lengthen(
    rows: Iterator[NumberedRow],
    names: tuple[str, ...],
    header: tuple[str, ...],
    collection: Collection,
) -> Iterator[NumberedRow]:
    """Turns M3RT's wide rows into long form, where ``42`` means item ``0042`` and a file's name its path."""
    by_number: dict[int, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for item in collection.ids:
        if (number := parse_number(item)) is not None:
            by_number.setdefault(number, []).append(item)
        by_name.setdefault(item.rsplit("/", 1)[-1], []).append(item)
    for line, row in rows:
        item = row["ID"].strip()
        if item not in collection.position:
            number = parse_number(item)
            same = (by_number.get(number) if number is not None else None) or by_name.get(item, [])
            item = same[0] if len(same) == 1 else item
        for name, column in zip(names, header[1:], strict=True):
            query_id = f"{item}-{name}" if item else ""
            yield (
                line,
                {
                    "query_id": query_id,
                    "item_id": item,
                    "label_set": name,
                    "text": row[column],
                    "column": column,
                },
            )


def parse_number(name: str) -> int | None:
    """The number that a name such as ``00042`` stands for; None for other names and for 20 digits or more."""
    return int(name) if name.isascii() and name.isdigit() and len(name) < 20 else None


FORMAT = LabelFormat(
    *("labels", "labels.csv", 0),
    lambda folder: find_label_files(folder.root),
    lambda files, split, pictures: read_label_sets(files),
    lambda files, purpose: read_labels(files, purpose.collection),
    parts=False,
)
