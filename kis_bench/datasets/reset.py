"""Reads the files of the study RESET: triplets of images, people's judgments, and extractors' distances.

The layout is that of the study; any folder with such files will do. Nothing is left out in silence: what does not fit
together is a problem with file and line, and what is merely odd is counted in a remark.
"""

from __future__ import annotations

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
from kis_bench.files.csv_tables import parse_line_number, parse_rows, read_rows, read_sheet
from kis_bench.files.text import list_first_names
from kis_bench.records import Float64s, Judgment, Participant, Triplet

PARTICIPANTS_FILE, JUDGMENTS_FILE = "participants.csv", "triplet_judgements.csv"
JUDGMENTS_DATABASE = "judgments.sqlite"  #: from which kis-bench judge writes them
TRIPLET_FILES = ("triplets_extended.csv", "triplets.csv")  #: the first that is there
PERSON_COLUMNS = ("user_id", "age_group", "education", "ml_expert")
OPTION_COLUMNS = ("option_one_path", "option_two_path")  #: left and right
JUDGMENT_COLUMNS = ("judgement_id", "triplet_id", "user_id", *OPTION_COLUMNS)
CHOICE_COLUMNS = ("choice", "simplified_choice")  #: one of them is needed
LARGEST_CHOICE = {"choice": 2, "simplified_choice": 1}  #: from this, negative, to this
TRIPLET_COLUMNS = ("triplet_id", "target_path", "candidate1_path", "candidate2_path")
BIN_COLUMNS = ("candidate1_bin", "candidate2_bin")
DISTANCE_COLUMN = re.compile(
    r"(?P<name>.+)_cosdist_(?P<of>query_candidate1|query_candidate2|candidates)"
)
DISTANCE_PAIRS = ("query_candidate1", "query_candidate2", "candidates")
MISSING_MARK = 1.11  #: M3RT's three distances where an image is missing
DISTANCE_RANGE = (-0.001, 2.001)  #: of a cosine distance, with room for rounding
LEADING_FOLDER = re.compile(r"(?:\./)?(?:images/|keyframes/)?")
MOST_IDS_NAMED = 5  #: so many examples in a remark

StudyRow = Mapping[str, str]
StudyRows = Sequence[tuple[int, StudyRow]]


class StudyTable(NamedTuple):
    """One of the files: its header, and its rows with the line that each begins on."""

    header: tuple[str, ...]
    rows: StudyRows


@dataclass(frozen=True)
class Study:
    """The content of a study's files, in the order of their rows."""

    triplets: tuple[Triplet, ...] = ()
    judgments: tuple[Judgment, ...] = ()
    participants: tuple[Participant, ...] = ()
    # extractor -> its cosine distances, float64 [t, 3]: target-candidate1, target-candidate2, candidate1-candidate2
    distances: dict[str, Float64s] = field(default_factory=dict, compare=False)
    remarks: tuple[str, ...] = ()  # the first says how much was read

    @cached_property
    def images(self) -> frozenset[str]:
        """All items that the triplets name, whether their images are there or not."""
        return frozenset(
            image for t in self.triplets for image in (t.target, t.candidate1, t.candidate2)
        )


def find_triplet_file(root: Path) -> Path | None:
    """The table of triplets in a dataset folder, if there is one."""
    return next((root / name for name in TRIPLET_FILES if os.path.isfile(root / name)), None)


def is_study(root: Path) -> bool:
    """Whether a dataset folder has a table of triplets and one of what people said of them.

    Triplets alone are a study to come, and the pictures are a collection like any other.
    """
    others = (root / PARTICIPANTS_FILE, root / JUDGMENTS_FILE)
    return find_triplet_file(root) is not None and any(map(os.path.isfile, others))


def read_extractor_names(file: Path) -> tuple[str, ...]:
    """Names of extractors with cosine distances in the header of a table; none if it can't be read."""
    try:
        _, header = next(parse_rows(read_sheet(file, []), []), (1, []))
    except BadFile:
        return ()
    found = find_distance_columns(cell.strip() for cell in header)
    return tuple(
        name for name, columns in found.items() if columns.keys() >= set(DISTANCE_PAIRS[:2])
    )


def find_distance_columns(header: Iterable[str]) -> dict[str, dict[str, str]]:
    """Maps each extractor to its distances, and each distance to its column."""
    found: dict[str, dict[str, str]] = {}
    for column in header:
        if match := DISTANCE_COLUMN.fullmatch(column):
            found.setdefault(match["name"], {})[match["of"]] = column
    return found


def read_study(root: Path) -> Study:
    """Reads all of the study's files in a dataset folder.

    Raises:
        BadFile: a file is missing or has problems; KisBenchError: several have. All problems are named.
    """
    file = find_triplet_file(root) or root / TRIPLET_FILES[1]
    of_triplets, of_people, of_judgments = problems = list[str](), list[str](), list[str]()
    given = read_study_table(file, TRIPLET_COLUMNS, of_triplets)
    people = read_study_table(root / PARTICIPANTS_FILE, PERSON_COLUMNS, of_people)
    judged = read_study_table(root / JUDGMENTS_FILE, JUDGMENT_COLUMNS, of_judgments)
    # What one file lacks hides no problem of another: what can't be looked up in it is not asked for.
    triplets = None if given is None else parse_triplets(given.rows, of_triplets)
    participants = None if people is None else parse_participants(people.rows, of_people)
    judgments = (
        () if judged is None else parse_judgments(judged.rows, triplets, participants, of_judgments)
    )
    distances, remarks = ({}, []) if given is None else parse_distances(given, of_triplets)
    files = file, root / PARTICIPANTS_FILE, root / JUDGMENTS_FILE
    wrong = [
        BadFile(path, sorted(found, key=parse_line_number))
        for path, found in zip(files, problems, strict=True)
        if found
    ]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else KisBenchError("\n".join(map(str, wrong)))
    if file.name == TRIPLET_FILES[0] and os.path.isfile(root / TRIPLET_FILES[1]):
        remarks.append(f"{TRIPLET_FILES[0]} was read; {TRIPLET_FILES[1]} is there too and was not")
    study = Study(triplets or (), judgments, participants or (), distances)
    return replace(study, remarks=(*describe_study(study), *remarks))


def read_study_table(file: Path, needed: tuple[str, ...], problems: list[str]) -> StudyTable | None:
    """Reads one of the files; None, with problems, if it can't be read or lacks required columns."""
    one_of = " or ".join(CHOICE_COLUMNS) if file.name == JUDGMENTS_FILE else ""
    columns = ", ".join([*needed, *[one_of] * bool(one_of)])
    if not os.path.isfile(file):
        said = (
            f"there is no {TRIPLET_FILES[1]} or {TRIPLET_FILES[0]}"
            if file.name in TRIPLET_FILES
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
    if one_of and not any(column in header for column in CHOICE_COLUMNS):
        absent.append(one_of)
    if file.name in TRIPLET_FILES and (BIN_COLUMNS[0] in header) != (BIN_COLUMNS[1] in header):
        absent.append(BIN_COLUMNS[BIN_COLUMNS[0] in header])
    problems += [f"line 1: missing column {column!r}; looked for {columns}" for column in absent]
    return None if absent else StudyTable(header, list(rows))


def check_ids(
    rows: StudyRows, column: str, problems: list[str]
) -> Iterable[tuple[int, str, StudyRow]]:
    """Yields line, id and row for each row with a new id; the others are problems."""
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


def parse_item_id(path: str) -> str:
    """The item id of an image: its path below the folder of images without extension."""
    stripped = path.strip().replace("\\", "/")
    return os.path.splitext(stripped[LEADING_FOLDER.match(stripped).end() :])[0]  # type: ignore[union-attr]


def parse_participants(rows: StudyRows, problems: list[str]) -> tuple[Participant, ...]:
    people = check_ids(rows, "user_id", problems)
    return tuple(
        Participant(name, *(row[column].strip() for column in PERSON_COLUMNS[1:]))
        for _, name, row in people
    )


def parse_triplets(rows: StudyRows, problems: list[str]) -> tuple[Triplet, ...]:
    found = []
    for line, name, row in check_ids(rows, "triplet_id", problems):
        images = target, first, second = tuple(
            parse_item_id(row[column]) for column in TRIPLET_COLUMNS[1:]
        )
        problems += [
            f"line {line}: {column} is empty; write the image's path"
            for column, image in zip(TRIPLET_COLUMNS[1:], images, strict=True)
            if not image
        ]
        if all(images) and len(set(images)) < 3:
            problems.append(
                f"line {line}: triplet {name!r} has the same image twice; a triplet needs three"
            )
        about = row.get("class", "").strip()
        found.append(Triplet(name, target, first, second, about, parse_bins(row, line, problems)))
    if not rows and not problems:
        problems.append("no triplets; add one row per triplet")
    return tuple(found)


def parse_bins(row: StudyRow, line: int, problems: list[str]) -> tuple[int, int] | None:
    cells = [row.get(column, "").strip() for column in BIN_COLUMNS]
    if not any(cells):
        return None
    try:
        first, second = (
            int(float(cell)) if float(cell).is_integer() else int(cell) for cell in cells
        )
    except (ValueError, OverflowError):
        problems.append(
            f"line {line}: {' and '.join(BIN_COLUMNS)} are {cells[0]!r} and {cells[1]!r}, not whole numbers"
        )
        return None
    return first, second


def parse_distances(
    given: StudyTable, problems: list[str]
) -> tuple[dict[str, Float64s], list[str]]:
    """Distances ``[t, 3]`` of each extractor, and remarks; empty cells and M3RT's marks of missing images are NaN."""
    found: dict[str, Float64s] = {}
    marked, euclidean = 0, sum("_eucldist_" in column for column in given.header)
    for name, columns in find_distance_columns(given.header).items():
        absent = [f"{name}_cosdist_{of}" for of in DISTANCE_PAIRS[:2] if of not in columns]
        if absent:
            there = f"only {', '.join(columns.values())} is there"
            remedy = "add it, or delete the extractor's other columns"
            problems += [
                f"line 1: missing column {column!r}, {there}; {remedy}" for column in absent
            ]
            continue
        own = np.full((len(given.rows), len(DISTANCE_PAIRS)), np.nan)
        for place, of in enumerate(DISTANCE_PAIRS):
            if of in columns:
                own[:, place] = parse_distance_column(given.rows, columns[of], problems)
        missing = (own == MISSING_MARK).all(axis=1)
        own[missing] = np.nan
        marked += int(missing.sum())
        found[name] = own
    remarks = []
    if lacking := {
        name: n for name, own in found.items() if (n := int(np.isnan(own[:, :2]).any(axis=1).sum()))
    }:
        shown = list_first_names([f"{name} {n:,}" for name, n in lacking.items()], MOST_IDS_NAMED)
        remarks.append(f"distances that are missing, by extractor: {shown}")
    if marked:
        remarks.append(
            f"images marked as missing by {MISSING_MARK}, over all triplets and extractors: {marked:,}"
        )
    if euclidean:
        remarks.append(f"columns of Euclidean distances, which are not used: {euclidean}")
    return found, remarks


def parse_distance_column(rows: StudyRows, column: str, problems: list[str]) -> Float64s:
    """A column of cosine distances ``[t]``."""
    cells = [row[column].strip() for _, row in rows]
    try:
        found = np.array([cell if cell else "nan" for cell in cells], np.float64)
    except ValueError:
        found = np.array([parse_distance(cell) for cell in cells], np.float64)
    unread = np.isnan(found) & [cell.lower() not in ("", "nan") for cell in cells]
    bad = unread | (found < DISTANCE_RANGE[0]) | (found > DISTANCE_RANGE[1])
    problems += [
        f"line {line}: {column} {cell!r} is no cosine distance from 0 to 2; correct it, or leave the cell "
        "empty if an image is missing"
        for (line, _), cell, wrong in zip(rows, cells, bad, strict=True)
        if wrong
    ]
    return found


def parse_distance(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def parse_judgments(
    rows: StudyRows,
    triplets: Sequence[Triplet] | None,
    people: Sequence[Participant] | None,
    problems: list[str],
) -> tuple[Judgment, ...]:
    """The judgments; triplets or people are not checked if None, when their file couldn't be read."""
    known = {triplet.triplet_id: triplet for triplet in triplets or ()}
    users = {participant.user_id for participant in people or ()}
    found = []
    for line, name, row in check_ids(rows, "judgement_id", problems):
        user, about = row["user_id"].strip(), row["triplet_id"].strip()
        if people is not None and user not in users:
            remedy = f"add the person to {PARTICIPANTS_FILE}, or delete the row"
            problems.append(f"line {line}: user {user!r} is not in {PARTICIPANTS_FILE}; {remedy}")
        choice, degree = parse_choice(row, line, problems)
        triplet = known.get(about)
        if triplet is None:
            if triplets is not None:
                remedy = "add the triplet, or delete the row"
                problems.append(
                    f"line {line}: triplet {about!r} is not in the table of triplets; {remedy}"
                )
            continue
        shown = tuple(parse_item_id(row[column]) for column in OPTION_COLUMNS)
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


def parse_choice(row: StudyRow, line: int, problems: list[str]) -> tuple[int, int | None]:
    """The choice -1, 0 or 1, and its degree where one was asked for; negative means the left option."""
    asked, found = [column for column in CHOICE_COLUMNS if column in row], dict[str, int]()
    for column in asked:
        value, most = parse_distance(row[column].strip()), LARGEST_CHOICE[column]
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


def describe_study(study: Study) -> list[str]:
    """Remarks on the size of a study and on its oddities."""
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
