"""Begins a study anew from its tables, where its database was lost or the tables were edited."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.reset import (
    JUDGMENT_COLUMNS,
    JUDGMENTS_FILE,
    PARTICIPANTS_FILE,
    StudyRow,
    parse_item_id,
    read_study,
    read_study_table,
)
from kis_bench.errors import BadFile
from kis_bench.files.whole import digest_content
from kis_bench.labelling.judging.exporting import REPEATED_FILE
from kis_bench.labelling.truth import Truth
from kis_bench.records import Participant

#: Number, triplet id, user id, the number that it repeats or 0, left candidate, choice, milliseconds.
Answer = tuple[int, str, str, int, int, int, "int | None"]


@dataclass(frozen=True)
class StudyToRestore:
    """What the tables of a study say."""

    participants: Sequence[Participant]
    answers: Sequence[Answer]
    digests: Mapping[str, str]  # of the tables by their names


def read_study_to_restore(folder: Path) -> StudyToRestore:
    """Reads the tables in a folder.

    Raises:
        BadFile, KisBenchError: they have problems, or weren't written by ``kis-bench judge``.
    """
    study = read_study(folder)
    first = {t.triplet_id: t.candidate1 for t in study.triplets}
    answers: list[Answer] = []
    for name in (JUDGMENTS_FILE, REPEATED_FILE):
        if (folder / name).is_file():
            problems: list[str] = []
            answers += read_answers(folder / name, first, answers, problems)
            if problems:
                raise BadFile(folder / name, problems)
    files = (folder / name for name in (PARTICIPANTS_FILE, JUDGMENTS_FILE, REPEATED_FILE))
    digests = {file.name: digest_content(file) for file in files if file.is_file()}
    return StudyToRestore(study.participants, answers, digests)


def restore_study(truth: Truth, found: StudyToRestore, goal: int) -> None:
    """Takes participants and judgments over into a database that knows the triplets and nobody else.

    Participants are called by their ids from then on, and need new links. The tables are ours to write over again.
    """
    now = time.time()
    with truth.writing() as rows:
        people: dict[str, int] = {}
        for who in found.participants:
            (people[who.user_id],) = rows.execute(
                "INSERT INTO people (name, owner) VALUES (?, 0) RETURNING id", (who.user_id,)
            ).fetchone()
            about = (who.user_id, who.age_group, who.education, who.ml_expert, "", now, goal)
            rows.execute(
                "INSERT INTO participants VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (people[who.user_id], *about),
            )
        for revision, one in enumerate(found.answers, 1):
            number, triplet, user, repeats, left, choice, spent = one
            rows.execute(
                'INSERT INTO questions (id, triplet, person, repeats, "left", state, choice, reserved, opened,'
                " spent_ms, revision) VALUES (?, (SELECT number FROM triplets WHERE triplet_id = ?), ?, ?, ?,"
                " 'judged', ?, ?, ?, ?, ?)",
                (number, triplet, people[user], repeats, left, choice, now, now, spent, revision),
            )
        rows.executemany("INSERT INTO exports VALUES (?, ?, '')", [*found.digests.items()])


def read_answers(
    file: Path, first: dict[str, str], before: list[Answer], problems: list[str]
) -> Iterator[Answer]:
    """Yields the rows of a table of judgments.

    Args:
        first: item id of candidate 1 by triplet id.
        before: answers of the other table, which rows may repeat.
    """
    table = read_study_table(file, JUDGMENT_COLUMNS, problems)
    users = {number: (triplet, user) for number, triplet, user, *_ in before}
    taken = {(triplet, user, repeats) for _, triplet, user, repeats, *_ in before}
    numbers = {*users}
    for line, row in table.rows if table is not None else ():
        cells = {column: cell.strip() for column, cell in row.items()}
        number, repeats = read_count(cells, "judgement_id"), read_count(cells, "repeats") or 0
        triplet, user = cells["triplet_id"], cells["user_id"]
        if number is None or number in numbers:
            problems.append(
                f"line {line}: judgement_id {cells['judgement_id']!r} is no number of its own; only tables that "
                "kis-bench judge wrote are taken over"
            )
        elif repeats and users.get(repeats) != (triplet, user):
            problems.append(
                f"line {line}: repeats {repeats}, which is no judgment of {user!r} on triplet {triplet!r}; "
                "delete the row"
            )
        elif (triplet, user, repeats) in taken:
            problems.append(
                f"line {line}: {user!r} judged triplet {triplet!r} on an earlier line; delete one of the rows"
            )
        else:
            numbers.add(number)
            taken.add((triplet, user, repeats))
            left = 1 if parse_item_id(cells["option_one_path"]) == first.get(triplet) else 2
            choice = int(float(cells.get("choice") or cells["simplified_choice"]))
            yield number, triplet, user, repeats, left, choice, read_count(cells, "time_spent")


def read_count(cells: StudyRow, column: str) -> int | None:
    """A whole number in a row; None where there is none."""
    text = cells.get(column, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
