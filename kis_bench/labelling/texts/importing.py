"""Takes texts over from a label file: edits made by hand, or all of them where the database is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.label_formats.label_files import LONG_FORM
from kis_bench.errors import BadFile
from kis_bench.files.csv_tables import find_unexpected_columns, read_rows
from kis_bench.files.whole import digest_content
from kis_bench.labelling.texts.assignments import NEXT_REVISION
from kis_bench.labelling.texts.handing import Handing, write_label
from kis_bench.labelling.texts.task import TEXT_LETTERS

LABEL_COLUMNS = (*LONG_FORM, "annotator")


@dataclass(frozen=True)
class TakenOver:
    """How many texts of a file are new, changed, or no longer there."""

    new: int
    changed: int
    gone: int

    def __str__(self) -> str:
        return (
            f"{self.new:,} texts are new, {self.changed:,} changed, {self.gone:,} no longer there"
        )


def import_labels(handing: Handing, file: Path, own: Path, annotator: str) -> TakenOver:
    """Takes the rows of a label file over.

    Args:
        own: the label file that is written for this database; if it is that, rows that it lacks are taken out, too,
            and it may be written over again.
        annotator: who wrote rows that name nobody.

    Raises:
        BadFile: it is no label file of the form that is written here; all problems are named.
    """
    rows = list(read_label_rows(file, handing, annotator))
    truth, is_own = handing.truth, own.exists() and file.samefile(own)
    known = {
        (item, label_set, name): text
        for item, label_set, name, text in truth.read(
            "SELECT item_id, label_set, name, text FROM labels"
            " JOIN assignments ON assignments.id = assignment JOIN items USING (number)"
            " JOIN people ON people.id = person WHERE state = 'saved' AND text != ''"
        )
    }
    new = changed = 0
    with handing.changing() as table:
        for key, text in rows:
            before = known.pop(key, None)
            if before == text:
                continue
            new, changed = new + (before is None), changed + (before is not None)
            item, label_set, name = key
            table.execute(
                "INSERT INTO people (name, owner) VALUES (?, 0) ON CONFLICT DO NOTHING", (name,)
            )
            (person,) = table.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
            number = handing.add_item(table, item)
            (assignment,) = table.execute(
                "INSERT INTO assignments (number, person, state, finished) VALUES (?, ?, 'saved', ?)"
                " ON CONFLICT DO UPDATE SET state = 'saved', reason = '' RETURNING id",
                (number, person, time.time()),
            ).fetchone()
            # Texts that the file lacks don't come back with their picture.
            table.execute(
                f"UPDATE labels SET revision = {NEXT_REVISION} WHERE assignment = ?", (assignment,)
            )
            write_label(table, assignment, label_set, text)
        gone = known if is_own else {}
        for item, label_set, name in gone:
            (assignment,) = table.execute(
                "SELECT assignments.id FROM assignments JOIN items USING (number)"
                " JOIN people ON people.id = person WHERE item_id = ? AND name = ?",
                (item, name),
            ).fetchone()
            write_label(table, assignment, label_set, "")
        if is_own:
            digest = digest_content(own)
            table.execute(
                "INSERT OR REPLACE INTO exports VALUES (?, ?, ?)", (own.name, digest, digest)
            )
    handing.recall()
    return TakenOver(new, changed, len(gone))


def read_label_rows(
    file: Path, handing: Handing, annotator: str
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yields item, label set and annotator of each row, and its text."""
    problems: list[str] = []
    header, rows = read_rows(file, problems)
    problems += find_unexpected_columns(header, LONG_FORM, LABEL_COLUMNS)
    seen: dict[tuple[str, str, str], int] = {}
    found = []
    for line, row in rows if set(LONG_FORM) <= {*header} else ():
        key = row["item_id"], row["label_set"], row.get("annotator", "") or annotator
        if not all(key) or not row["text"].strip():
            problems.append(f"line {line}: a cell is empty; fill it in or delete the row")
        elif len(row["text"]) > TEXT_LETTERS:
            problems.append(
                f"line {line}: text has more than {TEXT_LETTERS:,} characters; shorten it"
            )
        elif key[0] not in handing.pool.pictures:
            problems.append(
                f"line {line}: item {key[0]!r} is not among the pictures; correct item_id"
            )
        if key in seen:
            problems.append(
                f"line {line}: the same item, label set and annotator as line {seen[key]}"
            )
        seen[key] = line
        found.append((key, row["text"]))
    if problems:
        raise BadFile(file, problems)
    yield from found


def list_item_ids(file: Path) -> list[str]:
    """The ids that a label file names, as far as it can be read."""
    _, rows = read_rows(file, [])
    return [row["item_id"] for _, row in rows if "item_id" in row]
