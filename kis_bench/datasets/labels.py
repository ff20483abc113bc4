"""Readers of a dataset folder's tables: labels.csv and images.csv. All problems of a file at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from kis_bench.errors import BadFile
from kis_bench.records import Query

LONG_FORM = ("query_id", "item_id", "label_set", "text")
OPTIONAL = ("annotator", "stage")
M3RT_FORMS = {("ID", "short_label", "long_label"): ("short", "long"), ("ID", "label"): ("short",)}
Row = tuple[int, dict[str, str]]


def read_rows(file: Path) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The header of a CSV file (UTF-8, RFC 4180) and its rows with their line numbers, from 2."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise BadFile(file, [f"line {line}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from error
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    if "\0" in text:
        raise BadFile(file, [f"line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL byte; is this a text file?"])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        found = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        message = f"line {reader.line_num}: {error}; quote cells that hold commas or quotes"
        raise BadFile(file, [message]) from error
    wrong = [
        f"line {line}: {len(row)} cells where the header has {len(header)}; quote cells that hold commas"
        for line, row in found
        if len(row) != len(header)
    ]
    if not header or len(set(header)) != len(header):
        wrong.insert(0, "line 1: the header is empty or names a column twice")
    if wrong:
        raise BadFile(file, wrong)
    return header, ((line, dict(zip(header, row, strict=True))) for line, row in found)


def label_sets(file: Path) -> tuple[str, ...]:
    """The names of the label sets in a labels file, in order, without looking at any image."""
    header, rows = read_rows(file)
    for form, names in M3RT_FORMS.items():
        if header == form:
            return names
    check_columns(file, header)
    return tuple(dict.fromkeys(row["label_set"].strip() for _, row in rows))


def check_columns(file: Path, header: tuple[str, ...]) -> None:
    missing = [c for c in LONG_FORM if c not in header]
    unknown = [c for c in header if c not in (*LONG_FORM, *OPTIONAL)]
    if missing or unknown:
        forms = " or ".join(",".join(form) for form in (LONG_FORM, *M3RT_FORMS))
        problems = [f"line 1: missing column {c!r}" for c in missing] + [
            f"line 1: unknown column {c!r}" for c in unknown
        ]
        raise BadFile(file, [*problems, f"expected {forms} (optional: {', '.join(OPTIONAL)})"])


def read_queries(file: Path, position: dict[str, int]) -> tuple[Query, ...]:
    """The queries of a labels file; ``position``: the known item ids.

    Several rows with one query id and one text are one query with several targets.
    """
    header, rows = read_rows(file)
    m3rt = M3RT_FORMS.get(header)
    if m3rt is None:
        check_columns(file, header)
        long_rows = rows
    else:
        long_rows = spread(rows, header, m3rt, position)
    problems: list[str] = []
    merged: dict[tuple[str, str], Query] = {}
    for line, row in long_rows:
        query_id, item, name, text = (row[c].strip() for c in LONG_FORM)
        problems += [f"line {line}: {c} is empty" for c in LONG_FORM if not row[c].strip()]
        if item and item not in position:
            problems.append(f"line {line}: item {item!r} is not in the collection; correct item_id or add the image")
        if not (query_id and item and name and text):
            continue
        earlier = merged.get((name, query_id))
        if earlier is None:
            annotator, stage = (row.get(c, "").strip() or None for c in OPTIONAL)
            merged[name, query_id] = Query(query_id, (item,), name, text, annotator, stage)
        elif earlier.text != text:
            problems.append(f"line {line}: query {query_id!r} of label set {name!r} has another text on an earlier row")
        elif item in earlier.item_ids:
            problems.append(f"line {line}: query {query_id!r} names item {item!r} twice; delete the row")
        else:
            merged[name, query_id] = Query(
                query_id, (*earlier.item_ids, item), name, text, earlier.annotator, earlier.stage
            )
    if problems:
        raise BadFile(file, problems)
    if not merged:
        raise BadFile(file, ["no queries; add one row per query"])
    return tuple(merged.values())


def spread(
    rows: Iterator[Row], header: tuple[str, ...], names: tuple[str, ...], position: dict[str, int]
) -> Iterator[Row]:
    """M3RT's wide rows in long form; ``0042`` and ``42`` are the same item there."""
    by_number: dict[int, list[str]] = {}
    for item in position:
        if item.isascii() and item.isdigit():
            by_number.setdefault(int(item), []).append(item)
    for line, row in rows:
        item = row["ID"].strip()
        if item not in position and item.isascii() and item.isdigit():
            same = by_number.get(int(item), [])
            item = same[0] if len(same) == 1 else item
        for name, column in zip(names, header[1:], strict=True):
            yield line, {"query_id": f"{item}-{name}", "item_id": item, "label_set": name, "text": row[column]}
