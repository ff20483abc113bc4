"""The files of the study RESET: triplets of images, people's judgments on them, and extractors' distances.

The layout is that of the study; any folder with such files will do. Nothing is left out in silence: what does not fit
together is a problem with file and line, and what is merely odd is counted in a remark.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kis_bench.datasets.labels import line_of, read_rows
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.records import Judgment, Participant, Triplet

PARTICIPANTS, JUDGMENTS = "participants.csv", "triplet_judgements.csv"
TRIPLETS = ("triplets_extended.csv", "triplets.csv")  #: the first that is there
ABOUT_PEOPLE = ("user_id", "age_group", "education", "ml_expert")
ABOUT_JUDGMENTS = ("judgement_id", "triplet_id", "user_id", "option_one_path", "option_two_path")
CHOICES = ("choice", "simplified_choice")  #: one of them is needed
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


@dataclass
class Study:
    """What the files say; the lists are in the order of the rows."""

    triplets: list[Triplet] = field(default_factory=list)
    judgments: list[Judgment] = field(default_factory=list)
    participants: list[Participant] = field(default_factory=list)
    distances: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # extractor -> [t, 3]
    remarks: list[str] = field(default_factory=list)


def triplet_file(root: Path) -> Path | None:
    """The table of triplets in a dataset folder, if there is one."""
    return next((root / name for name in TRIPLETS if (root / name).is_file()), None)


def extractor_names(file: Path) -> tuple[str, ...]:
    """Extractors whose cosine distances stand in a table of triplets, by its header alone."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
    except OSError:
        return ()
    return tuple(columns_of_extractors(cell.strip().strip('"') for cell in header.split(",")))


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
    study, file = Study(), triplet_file(root)
    if file is None:
        needed = f"{', '.join((*ABOUT_TRIPLETS, 'class'))} and extractors' distances"
        raise BadFile(root, [f"there is no {TRIPLETS[1]} (or {TRIPLETS[0]}); it is the table with {needed}"])
    problems: dict[Path, list[str]] = {file: [], root / PARTICIPANTS: [], root / JUDGMENTS: []}
    people = table(root / PARTICIPANTS, ABOUT_PEOPLE, problems[root / PARTICIPANTS])
    judged = table(root / JUDGMENTS, ABOUT_JUDGMENTS, problems[root / JUDGMENTS])
    given = table(file, ABOUT_TRIPLETS, problems[file])
    if given is not None:
        take_triplets(study, given, problems[file])
        take_distances(study, given, problems[file])
        if file.name == TRIPLETS[0] and (root / TRIPLETS[1]).is_file():
            study.remarks.append(f"{TRIPLETS[0]} was read; {TRIPLETS[1]} is there too and was not")
    if people is not None:
        take_participants(study, people, problems[root / PARTICIPANTS])
    if judged is not None and given is not None and people is not None:
        take_judgments(study, judged, problems[root / JUDGMENTS])
    wrong = [BadFile(path, sorted(found, key=line_of)) for path, found in problems.items() if found]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else KisBenchError("\n".join(map(str, wrong)))
    study.remarks[:0] = counted(study)
    return study


def table(file: Path, needed: tuple[str, ...], problems: list[str]) -> Rows | None:
    """The rows of one file, by column; None if they can't be told apart."""
    if not file.is_file():
        problems.append(f"the file is missing; it is a table with the columns {', '.join(needed)}")
        return None
    try:
        header, rows = read_rows(file, problems, index=needed[0])
    except BadFile as error:
        problems[:] = error.problems
        return None
    looked_for = f"looked for {', '.join(needed)}"
    absent = [column for column in needed if column not in header]
    if file.name == JUDGMENTS and not any(column in header for column in CHOICES):
        absent, looked_for = [*absent, " or ".join(CHOICES)], f"{looked_for}, {' or '.join(CHOICES)}"
    if file.name in TRIPLETS and (BINS[0] in header) != (BINS[1] in header):
        absent.append(BINS[BINS[0] in header])
    problems += [f"line 1: missing column {column!r}; {looked_for}" for column in absent]
    return None if absent else list(rows)


def identified(rows: Rows, column: str, problems: list[str]) -> Iterable[tuple[int, str, Row]]:
    """The rows whose id is neither empty nor there before: line, id, row."""
    first: dict[str, int] = {}
    for line, row in rows:
        name = row[column].strip()
        if not name:
            problems.append(f"line {line}: {column} is empty; give each row one of its own")
        elif name in first:
            problems.append(f"line {line}: {column} {name!r} twice, first on line {first[name]}; delete one row")
        else:
            first[name] = line
            yield line, name, row


def item_of(path: str) -> str:
    """The item id of an image: its path below the folder of images without extension."""
    stripped = path.strip().replace("\\", "/")
    return os.path.splitext(stripped[FOLDERS.match(stripped).end() :])[0]  # type: ignore[union-attr]


def take_participants(study: Study, rows: Rows, problems: list[str]) -> None:
    for _, name, row in identified(rows, "user_id", problems):
        study.participants.append(Participant(name, *(row[column].strip() for column in ABOUT_PEOPLE[1:])))


def take_triplets(study: Study, rows: Rows, problems: list[str]) -> None:
    for line, name, row in identified(rows, "triplet_id", problems):
        images = target, first, second = tuple(item_of(row[column]) for column in ABOUT_TRIPLETS[1:])
        problems += [f"line {line}: {column} is empty; write the image's path"
                     for column, image in zip(ABOUT_TRIPLETS[1:], images, strict=True) if not image]  # fmt: skip
        if all(images) and len(set(images)) < 3:
            problems.append(f"line {line}: triplet {name!r} has the same image twice; a triplet needs three")
        about = row.get("class", "").strip()
        study.triplets.append(Triplet(name, target, first, second, about, bins_of(row, line, problems)))
    if not study.triplets and not problems:
        problems.append("no triplets; add one row per triplet")


def bins_of(row: Row, line: int, problems: list[str]) -> tuple[int, int] | None:
    cells = [row.get(column, "").strip() for column in BINS]
    if not any(cells):
        return None
    try:
        first, second = (int(float(cell)) if float(cell).is_integer() else int(cell) for cell in cells)
    except (ValueError, OverflowError):
        problems.append(f"line {line}: {' and '.join(BINS)} are {cells[0]!r} and {cells[1]!r}, not whole numbers")
        return None
    return first, second


def take_distances(study: Study, rows: Rows, problems: list[str]) -> None:
    """Distances of each extractor; empty cells and M3RT's marks of missing images are NaN."""
    header = list(rows[0][1]) if rows else []
    marked, euclidean = Counter[str](), sum("_eucldist_" in column for column in header)
    for name, columns in columns_of_extractors(header).items():
        absent = [f"{name}_cosdist_{of}" for of in OF[:2] if of not in columns]
        if absent:
            problems.append(f"line 1: missing column {absent[0]!r}; {', '.join(columns.values())} is there")
            continue
        own = np.full((len(rows), 3), np.nan)
        for place, of in enumerate(OF):
            if of in columns:
                own[:, place] = numbers(rows, columns[of], problems)
        missing = (own == MARKER).all(axis=1)
        own[missing] = np.nan
        marked[name] = int(missing.sum())
        if len(rows) == len(study.triplets):  # else there are problems anyway
            study.distances[name] = own
    absent_of = {name: int(np.isnan(own[:, :2]).any(axis=1).sum()) for name, own in study.distances.items()}
    if lacking := {name: n for name, n in absent_of.items() if n}:
        shown = ", ".join(f"{name} {n:,}" for name, n in list(lacking.items())[:NAMED])
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        study.remarks.append(f"distances that are missing, by extractor: {shown}{more}")
    if total := sum(marked.values()):
        study.remarks.append(f"{total:,} triplets and extractors were marked as missing by the number {MARKER}")
    if euclidean:
        study.remarks.append(f"{euclidean} columns of Euclidean distances are not used")


def numbers(rows: Rows, column: str, problems: list[str]) -> NDArray[np.float64]:
    """A column of cosine distances ``[t]``."""
    cells = [row[column].strip() for _, row in rows]
    try:
        found = np.array([cell if cell else "nan" for cell in cells], np.float64)
    except ValueError:
        found = np.array([number(cell) for cell in cells], np.float64)
    unread = np.isnan(found) & [cell.lower() not in ("", "nan") for cell in cells]
    bad = unread | (found < RANGE[0]) | (found > RANGE[1])
    problems += [f"line {line}: {column} {cell!r} is no cosine distance from 0 to 2; correct it, or leave the cell "
                 "empty if an image is missing"
                 for (line, _), cell, wrong in zip(rows, cells, bad, strict=True) if wrong]  # fmt: skip
    return found


def number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def take_judgments(study: Study, rows: Rows, problems: list[str]) -> None:
    triplets = {triplet.triplet_id: triplet for triplet in study.triplets}
    people = {participant.user_id for participant in study.participants}
    for line, name, row in identified(rows, "judgement_id", problems):
        user, about = row["user_id"].strip(), row["triplet_id"].strip()
        if user not in people:
            remedy = f"add the person to {PARTICIPANTS}, or delete the row"
            problems.append(f"line {line}: user {user!r} is not in {PARTICIPANTS}; {remedy}")
        choice, degree = choice_of(row, line, problems)
        triplet = triplets.get(about)
        if triplet is None:
            remedy = "add the triplet, or delete the row"
            problems.append(f"line {line}: triplet {about!r} is not in the table of triplets; {remedy}")
            continue
        shown = tuple(item_of(row[column]) for column in ABOUT_JUDGMENTS[3:])
        candidates = triplet.candidate1, triplet.candidate2
        if shown not in (candidates, candidates[::-1]):
            what = f"options {' and '.join(shown)} are not {' and '.join(candidates)}, the candidates of {about!r}"
            problems.append(f"line {line}: {what}; correct the paths or triplet_id")
            continue
        side = 1 if shown == candidates else -1
        study.judgments.append(
            Judgment(name, about, user, side * choice, None if degree is None else side * degree, 1 if side == 1 else 2)
        )
    if not study.judgments and not problems:
        problems.append("no judgments; add one row per judgment")


def choice_of(row: Row, line: int, problems: list[str]) -> tuple[int, int | None]:
    """-1, 0 or 1, and the same by degrees where that was asked; negative is the left option."""
    found: dict[str, int] = {}
    for column, most in zip(CHOICES, (2, 1), strict=True):
        if column not in row:
            continue
        value = number(row[column].strip() or "nan")
        if not (abs(value) <= most and value.is_integer()):
            problems.append(f"line {line}: {column} {row[column]!r} is not a whole number from {-most} to {most}")
            return 0, None
        found[column] = int(value)
    degree = found.get("choice")
    choice = found.get("simplified_choice", 0 if degree is None else (degree > 0) - (degree < 0))
    if degree is not None and choice != (degree > 0) - (degree < 0):
        problems.append(
            f"line {line}: choice {degree} and simplified_choice {choice} contradict each other; correct one"
        )
    return choice, degree


def counted(study: Study) -> list[str]:
    """How much there is, and what is odd about it."""
    judged = Counter(j.triplet_id for j in study.judgments)
    pairs = Counter((j.triplet_id, j.user_id) for j in study.judgments)
    silent = len(study.participants) - len({j.user_id for j in study.judgments})
    again = len(study.judgments) - len(pairs)
    said = [
        f"{len(study.judgments):,} judgments by {len(study.participants):,} participants on {len(study.triplets):,} "
        f"triplets; distances of {len(study.distances)} extractors"
    ]
    for n, what in (
        (sum(j.choice == 0 for j in study.judgments), "judgments have no preference"),
        (again, "judgments are of a person who had judged the triplet before; each counts"),
        (len(study.triplets) - len(judged), "triplets were judged by nobody"),
        (silent, "participants judged nothing"),
    ):
        if n:
            said.append(f"{n:,} {what}")
    return said
