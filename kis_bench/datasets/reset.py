"""The files of the study RESET: triplets of images, people's judgments on them, and extractors' distances.

The layout is that of the study; any folder with such files will do. Nothing is left out in silence: what does not fit
together is a problem with file and line, and what is merely odd is counted in a remark.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.csv_tables import line_of, read_rows
from kis_bench.records import Float64s, Judgment, Participant, Triplet

PARTICIPANTS, JUDGMENTS = "participants.csv", "triplet_judgements.csv"
TRIPLETS = ("triplets_extended.csv", "triplets.csv")  #: the first that is there
ABOUT_PEOPLE = ("user_id", "age_group", "education", "ml_expert")
OPTIONS = ("option_one_path", "option_two_path")  #: left and right
ABOUT_JUDGMENTS = ("judgement_id", "triplet_id", "user_id", *OPTIONS)
CHOICES = ("choice", "simplified_choice")  #: one of them is needed
MOST = {"choice": 2, "simplified_choice": 1}  #: from this, negative, to this
ABOUT_TRIPLETS = ("triplet_id", "target_path", "candidate1_path", "candidate2_path")
BINS = ("candidate1_bin", "candidate2_bin")
DISTANCE = re.compile(r"(?P<name>.+)_cosdist_(?P<of>query_candidate1|query_candidate2|candidates)")
OF = ("query_candidate1", "query_candidate2", "candidates")
MARKER = 1.11  #: M3RT's three distances where an image is missing
RANGE = (-0.001, 2.001)  #: of a cosine distance, with room for rounding
FOLDERS = re.compile(r"(?:\./)?(?:images/|keyframes/)?")
NAMED = 5  #: so many examples in a remark

Row = Mapping[str, str]
Rows = Sequence[tuple[int, Row]]


class Table(NamedTuple):
    """One of the files: its header, and its rows with the line that each begins on."""

    header: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True)
class Study:
    """What the files say; all in the order of the rows."""

    triplets: tuple[Triplet, ...] = ()
    judgments: tuple[Judgment, ...] = ()
    participants: tuple[Participant, ...] = ()
    # extractor -> its cosine distances, float64 [t, 3]: target-candidate1, target-candidate2, candidate1-candidate2
    distances: dict[str, Float64s] = field(default_factory=dict, compare=False)
    remarks: tuple[str, ...] = ()  # the first says how much was read

    @cached_property
    def images(self) -> frozenset[str]:
        """Items that the triplets name, also those that are missing."""
        return frozenset(
            image for t in self.triplets for image in (t.target, t.candidate1, t.candidate2)
        )


def triplet_file(root: Path) -> Path | None:
    """The table of triplets in a dataset folder, if there is one."""
    return next((root / name for name in TRIPLETS if os.path.isfile(root / name)), None)


def extractor_names(file: Path) -> tuple[str, ...]:
    """Extractors whose cosine distances stand in a table of triplets, by its header alone; none if it can't be read."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            header = next(csv.reader(stream, skipinitialspace=True), [])
    except (OSError, csv.Error):
        return ()
    found = columns_of_extractors(cell.strip() for cell in header)
    return tuple(name for name, columns in found.items() if columns.keys() >= set(OF[:2]))


def columns_of_extractors(header: Iterable[str]) -> dict[str, dict[str, str]]:
    """Extractor -> which distance -> its column."""
    found: dict[str, dict[str, str]] = {}
    for column in header:
        if match := DISTANCE.fullmatch(column):
            found.setdefault(match["name"], {})[match["of"]] = column
    return found


def read_study(root: Path) -> Study:
    """All the study's files in a dataset folder.

    Raises:
        BadFile: a file is missing or has problems; KisBenchError: several have. All problems are named.
    """
    file = triplet_file(root) or root / TRIPLETS[1]
    of_triplets, of_people, of_judgments = problems = list[str](), list[str](), list[str]()
    given = table(file, ABOUT_TRIPLETS, of_triplets)
    people = table(root / PARTICIPANTS, ABOUT_PEOPLE, of_people)
    judged = table(root / JUDGMENTS, ABOUT_JUDGMENTS, of_judgments)
    # What one file lacks hides no problem of another: what can't be looked up in it is not asked for.
    triplets = None if given is None else triplets_of(given.rows, of_triplets)
    participants = None if people is None else participants_of(people.rows, of_people)
    judgments = (
        () if judged is None else judgments_of(judged.rows, triplets, participants, of_judgments)
    )
    distances, remarks = ({}, []) if given is None else distances_of(given, of_triplets)
    files = file, root / PARTICIPANTS, root / JUDGMENTS
    wrong = [
        BadFile(path, sorted(found, key=line_of))
        for path, found in zip(files, problems, strict=True)
        if found
    ]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else KisBenchError("\n".join(map(str, wrong)))
    if file.name == TRIPLETS[0] and os.path.isfile(root / TRIPLETS[1]):
        remarks.append(f"{TRIPLETS[0]} was read; {TRIPLETS[1]} is there too and was not")
    study = Study(triplets or (), judgments, participants or (), distances)
    return replace(study, remarks=(*counted(study), *remarks))


def table(file: Path, needed: tuple[str, ...], problems: list[str]) -> Table | None:
    """One of the files; None if its columns can't be told apart."""
    one_of = " or ".join(CHOICES) if file.name == JUDGMENTS else ""
    columns = ", ".join([*needed, *[one_of] * bool(one_of)])
    if not os.path.isfile(file):
        said = (
            f"there is no {TRIPLETS[1]} or {TRIPLETS[0]}"
            if file.name in TRIPLETS
            else "the file is missing"
        )
        problems.append(
            f"{said}; it is a table with the columns {columns}, see docs/datasets/reset.md"
        )
        return None
    try:
        header, rows = read_rows(file, problems, index=needed[0])
    except BadFile as error:
        problems[:] = error.problems
        return None
    absent = [column for column in needed if column not in header]
    if one_of and not any(column in header for column in CHOICES):
        absent.append(one_of)
    if file.name in TRIPLETS and (BINS[0] in header) != (BINS[1] in header):
        absent.append(BINS[BINS[0] in header])
    problems += [f"line 1: missing column {column!r}; looked for {columns}" for column in absent]
    return None if absent else Table(header, list(rows))


def identified(rows: Rows, column: str, problems: list[str]) -> Iterable[tuple[int, str, Row]]:
    """The rows whose id is neither empty nor there before: line, id, row."""
    first: dict[str, int] = {}
    for line, row in rows:
        name = row[column].strip()
        if not name:
            problems.append(f"line {line}: {column} is empty; give each row one of its own")
        elif name in first:
            problems.append(
                f"line {line}: {column} {name!r} twice, first on line {first[name]}; delete one row"
            )
        else:
            first[name] = line
            yield line, name, row


def item_of(path: str) -> str:
    """The item id of an image: its path below the folder of images without extension."""
    stripped = path.strip().replace("\\", "/")
    return os.path.splitext(stripped[FOLDERS.match(stripped).end() :])[0]  # type: ignore[union-attr]


def participants_of(rows: Rows, problems: list[str]) -> tuple[Participant, ...]:
    people = identified(rows, "user_id", problems)
    return tuple(
        Participant(name, *(row[column].strip() for column in ABOUT_PEOPLE[1:]))
        for _, name, row in people
    )


def triplets_of(rows: Rows, problems: list[str]) -> tuple[Triplet, ...]:
    found = []
    for line, name, row in identified(rows, "triplet_id", problems):
        images = target, first, second = tuple(
            item_of(row[column]) for column in ABOUT_TRIPLETS[1:]
        )
        problems += [
            f"line {line}: {column} is empty; write the image's path"
            for column, image in zip(ABOUT_TRIPLETS[1:], images, strict=True)
            if not image
        ]
        if all(images) and len(set(images)) < 3:
            problems.append(
                f"line {line}: triplet {name!r} has the same image twice; a triplet needs three"
            )
        about = row.get("class", "").strip()
        found.append(Triplet(name, target, first, second, about, bins_of(row, line, problems)))
    if not rows and not problems:
        problems.append("no triplets; add one row per triplet")
    return tuple(found)


def bins_of(row: Row, line: int, problems: list[str]) -> tuple[int, int] | None:
    cells = [row.get(column, "").strip() for column in BINS]
    if not any(cells):
        return None
    try:
        first, second = (
            int(float(cell)) if float(cell).is_integer() else int(cell) for cell in cells
        )
    except (ValueError, OverflowError):
        problems.append(
            f"line {line}: {' and '.join(BINS)} are {cells[0]!r} and {cells[1]!r}, not whole numbers"
        )
        return None
    return first, second


def distances_of(given: Table, problems: list[str]) -> tuple[dict[str, Float64s], list[str]]:
    """Distances of each extractor ``[t, 3]``, and remarks; empty cells and M3RT's marks of missing images are NaN."""
    found: dict[str, Float64s] = {}
    marked, euclidean = 0, sum("_eucldist_" in column for column in given.header)
    for name, columns in columns_of_extractors(given.header).items():
        absent = [f"{name}_cosdist_{of}" for of in OF[:2] if of not in columns]
        if absent:
            there = f"only {', '.join(columns.values())} is there"
            remedy = "add it, or delete the extractor's other columns"
            problems += [
                f"line 1: missing column {column!r}, {there}; {remedy}" for column in absent
            ]
            continue
        own = np.full((len(given.rows), len(OF)), np.nan)
        for place, of in enumerate(OF):
            if of in columns:
                own[:, place] = numbers(given.rows, columns[of], problems)
        missing = (own == MARKER).all(axis=1)
        own[missing] = np.nan
        marked += int(missing.sum())
        found[name] = own
    remarks = []
    if lacking := {
        name: n for name, own in found.items() if (n := int(np.isnan(own[:, :2]).any(axis=1).sum()))
    }:
        shown = ", ".join(f"{name} {n:,}" for name, n in list(lacking.items())[:NAMED])
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        remarks.append(f"distances that are missing, by extractor: {shown}{more}")
    if marked:
        remarks.append(
            f"images marked as missing by {MARKER}, over all triplets and extractors: {marked:,}"
        )
    if euclidean:
        remarks.append(f"columns of Euclidean distances, which are not used: {euclidean}")
    return found, remarks


def numbers(rows: Rows, column: str, problems: list[str]) -> Float64s:
    """A column of cosine distances ``[t]``."""
    cells = [row[column].strip() for _, row in rows]
    try:
        found = np.array([cell if cell else "nan" for cell in cells], np.float64)
    except ValueError:
        found = np.array([number(cell) for cell in cells], np.float64)
    unread = np.isnan(found) & [cell.lower() not in ("", "nan") for cell in cells]
    bad = unread | (found < RANGE[0]) | (found > RANGE[1])
    problems += [
        f"line {line}: {column} {cell!r} is no cosine distance from 0 to 2; correct it, or leave the cell "
        "empty if an image is missing"
        for (line, _), cell, wrong in zip(rows, cells, bad, strict=True)
        if wrong
    ]
    return found


def number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def judgments_of(
    rows: Rows,
    triplets: Sequence[Triplet] | None,
    people: Sequence[Participant] | None,
    problems: list[str],
) -> tuple[Judgment, ...]:
    """The judgments; nothing is said of triplets or people that are None, because their file can't be read."""
    known = {triplet.triplet_id: triplet for triplet in triplets or ()}
    users = {participant.user_id for participant in people or ()}
    found = []
    for line, name, row in identified(rows, "judgement_id", problems):
        user, about = row["user_id"].strip(), row["triplet_id"].strip()
        if people is not None and user not in users:
            remedy = f"add the person to {PARTICIPANTS}, or delete the row"
            problems.append(f"line {line}: user {user!r} is not in {PARTICIPANTS}; {remedy}")
        choice, degree = choice_of(row, line, problems)
        triplet = known.get(about)
        if triplet is None:
            if triplets is not None:
                remedy = "add the triplet, or delete the row"
                problems.append(
                    f"line {line}: triplet {about!r} is not in the table of triplets; {remedy}"
                )
            continue
        shown = tuple(item_of(row[column]) for column in OPTIONS)
        candidates = triplet.candidate1, triplet.candidate2
        if shown not in (candidates, candidates[::-1]):
            what = f"options {' and '.join(shown)} are not {' and '.join(candidates)}, the candidates of {about!r}"
            problems.append(f"line {line}: {what}; correct the paths or triplet_id")
            continue
        side, left = (1, 1) if shown == candidates else (-1, 2)
        found.append(
            Judgment(
                name, about, user, side * choice, None if degree is None else side * degree, left
            )
        )
    if not rows and not problems:
        problems.append("no judgments; add one row per judgment")
    return tuple(found)


def choice_of(row: Row, line: int, problems: list[str]) -> tuple[int, int | None]:
    """-1, 0 or 1, and the same by degrees where that was asked; negative is the left option."""
    asked, found = [column for column in CHOICES if column in row], dict[str, int]()
    for column in asked:
        value, most = number(row[column].strip()), MOST[column]
        if value.is_integer() and abs(value) <= most:
            found[column] = int(value)
        else:
            problems.append(
                f"line {line}: {column} {row[column]!r} is not a whole number from {-most} to {most}"
            )
    if len(found) < len(asked):
        return 0, None
    degree = found.get("choice")
    if degree is None:
        return found["simplified_choice"], None
    sign = (degree > 0) - (degree < 0)
    choice = found.get("simplified_choice", sign)
    if choice != sign:
        said = f"choice {degree} and simplified_choice {choice} contradict each other"
        problems.append(f"line {line}: {said}; correct one")
    return choice, degree


def counted(study: Study) -> list[str]:
    """How much there is, and what is odd about it."""
    judged = Counter(j.triplet_id for j in study.judgments)
    pairs = Counter((j.triplet_id, j.user_id) for j in study.judgments)
    said = [
        f"{len(study.judgments):,} judgments by {len(study.participants):,} participants on {len(study.triplets):,} "
        f"triplets; distances of {len(study.distances)} extractors"
    ]
    for n, what in (
        (sum(j.choice == 0 for j in study.judgments), "judgments without preference"),
        (
            len(study.judgments) - len(pairs),
            "judgments of a person who had judged the triplet before; each counts",
        ),
        (len(study.triplets) - len(judged), "triplets that nobody judged"),
        (
            len(study.participants) - len({j.user_id for j in study.judgments}),
            "participants who judged nothing",
        ),
    ):
        if n:
            said.append(f"{n:,} {what if n > 1 else what.replace('s ', ' ', 1)}")
    return said
