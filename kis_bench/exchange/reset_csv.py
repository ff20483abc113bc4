"""Exports a run's distances: RESET's table of triplets with three more columns for each model.

The study's notebook finds them there by name, and takes the first column for the ids of triplets, so that these go
first. All else in the table stays: the text of all cells, all rows, their order. Where an image is missing, cells are
empty under our names, and hold the study's mark under its own: its notebook leaves out the rows with that mark, and
takes an empty cell for a choice of the left option.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from kis_bench import datasets as readers
from kis_bench import encoders
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.reset import (
    DISTANCE_PAIRS,
    MISSING_MARK,
    TRIPLET_COLUMNS,
    TRIPLET_FILES,
    find_triplet_file,
)
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.rankings import Unavailable, load_measured_dataset
from kis_bench.files.csv_tables import read_sheet, strip_padding
from kis_bench.files.text import make_file_name
from kis_bench.files.whole import fill_folder, write_whole
from kis_bench.records import Dataset
from kis_bench.results import Run
from kis_bench.results.provenance import of_study

#: What columns are called by, and what stands there for a distance that is missing.
NAMINGS = {"ours": "", "study": repr(MISSING_MARK)}
OTHER_COLUMNS = {"CLIP": "clip"}  #: where M3RT's columns have another name than its figures
MEASURED_COLUMNS = [
    "triplet_id",
    "distance_candidate1",
    "distance_candidate2",
    "distance_candidates",
]

Distances = Mapping[
    str, Sequence[float]
]  #: triplet id -> target-candidate 1, target-candidate 2, the candidates


def export_reset(
    run: Run, out: Path, *, names: str = "ours", datasets: Mapping[str, Path | None] = {}
) -> list[str]:
    """Writes ``out/DATASET/triplets_extended.csv`` for each dataset that models were compared on, once all are made.

    Args:
        names: what the columns are called: "ours" by our names of models, "study" by M3RT's where it has one, and
            then missing distances are 1.11 and not empty.
        datasets: folders of datasets by name; the others are built in or below ``KIS_DATA``.

    Returns:
        A line for each model: how many rows, and how many of them without distance; and one for each table whose ids
        did not stand first.

    Raises:
        KisBenchError: a run without distances, no dataset that is as it was measured, names that are taken.
    """
    if names not in NAMINGS:
        raise KisBenchError(f"unknown names {names!r}: known are {', '.join(NAMINGS)}")
    if run.distances.empty:
        remedy = "measure some with kis-bench run reset=FOLDER -k reset"
        raise KisBenchError(
            f"{run.folder} has no distances, because nothing of image similarity was measured; {remedy}"
        )
    remarks, contents = list[str](), dict[Path, bytes]()
    for name, rows in run.distances.groupby("dataset", sort=False):
        measured = {
            str(model): index_by_triplet(own) for model, own in rows.groupby("model", sort=False)
        }
        own = {
            model: found for model, found in measured.items() if not of_study(run.provenance, model)
        }
        dataset = load_measured_dataset(run, str(name), datasets.get(str(name))) if own else None
        if dataset is None or isinstance(dataset, Unavailable):
            why = dataset or "its distances are all the study's own, which its table has"
            remarks.append(f"{name}: not written; {why}")
            continue
        file, columns = (
            find_table_file(dataset, datasets.get(dataset.name)),
            name_columns(own, names),
        )
        header, *table = read_cells(file) if file else make_triplets_table(dataset)
        if taken := find_taken_columns(header, columns.values()):
            other = "take --names ours, or " if names != "ours" else ""
            remedy = f"{other}name a copy of the folder without it (--dataset {name}=FOLDER)"
            raise BadFile(
                file or name,
                [f"line 1: the column {column!r} is there already; {remedy}" for column in taken],
            )
        target = out / make_file_name(dataset.name) / TRIPLET_FILES[0]
        if file and target.exists() and target.samefile(file):
            raise KisBenchError(
                f"{target} is the study's own table; choose another folder with --out"
            )
        added = {columns[model]: found for model, found in own.items()}
        wider = extend_table(header, table, added, missing=NAMINGS[names])
        contents[target] = format_csv(wider)
        remarks += [f"{name}: {said}" for said in note_moved_ids(header)]
        for model, column in columns.items():
            first = wider[0].index(f"{column}_cosdist_{DISTANCE_PAIRS[0]}")
            pair = slice(first, first + 2)  # the distances to the target
            missing = sum(NAMINGS[names] in row[pair] for row in wider[1:])
            called = "" if column == model else f" as {column}"
            marked = f", marked by {NAMINGS[names]}" if missing and NAMINGS[names] else ""
            remarks.append(
                f"{name} {model}{called}: {len(table):,} rows, {missing:,} of them without distance{marked}"
            )
    if not contents:
        raise KisBenchError("\n  ".join([f"nothing in {run.folder} can be exported:", *remarks]))
    with fill_folder(out) as hidden:
        for target, content in contents.items():
            write_whole(hidden / target.relative_to(out), content)
    return remarks


def extend_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    distances: Mapping[str, Distances],
    *,
    missing: str = "",
) -> list[list[str]]:
    """A table of triplets, header first, with three more cells in each row for each name in ``distances``.

    The ids of triplets become the first column, called ``triplet_id``. Numbers can be read back exactly. Missing
    distances are empty cells; or ``missing``, in all three cells of a triplet that lacks one to its target.

    Raises:
        ValueError: the table has such a column.

    >>> extend_table(["triplet_id"], [["7"], ["8"]], {"m": {"7": (0.5, 0.25, 1.0)}})[1:]
    [['7', '0.5', '0.25', '1.0'], ['8', '', '', '']]
    """
    if taken := find_taken_columns(header, distances):
        raise ValueError(f"the table has the column(s) {', '.join(taken)} already")
    place = find_id_column(header)
    nothing = (math.nan,) * len(DISTANCE_PAIRS)
    wider = [
        [TRIPLET_COLUMNS[0], *header[:place], *header[place + 1 :], *name_new_columns(distances)]
    ]
    for row in rows:
        own = [found.get(row[place].strip(), nothing) for found in distances.values()]
        wider.append(
            [
                row[place],
                *row[:place],
                *row[place + 1 :],
                *(cell for three in own for cell in format_distances(three, missing)),
            ]
        )
    return wider


def name_new_columns(names: Iterable[str]) -> list[str]:
    return [f"{name}_cosdist_{of}" for name in names for of in DISTANCE_PAIRS]


def find_taken_columns(header: Iterable[str], names: Iterable[str]) -> list[str]:
    """Columns of the header that would be written again."""
    there = {column.strip() for column in header}
    return [column for column in name_new_columns(names) if column in there]


def find_id_column(header: Sequence[str]) -> int:
    """Position of the triplet ids: the column of that name, else a nameless first one, as pandas writes its index."""
    columns = [column.strip() for column in header]
    return columns.index(TRIPLET_COLUMNS[0]) if TRIPLET_COLUMNS[0] in columns else 0


def note_moved_ids(header: Sequence[str]) -> list[str]:
    """Remarks on a column of ids that doesn't stand first under its name.

    >>> note_moved_ids(["class", "triplet_id"])
    ['triplet_id was column 2 and is the first now, where the notebook looks for it']
    """
    name, place = TRIPLET_COLUMNS[0], find_id_column(header)
    if place:
        return [
            f"{name} was column {place + 1} and is the first now, where the notebook looks for it"
        ]
    return (
        []
        if header[0] == name
        else [f"the first column was called {header[0]!r} and is called {name} now"]
    )


def format_distances(distances: Sequence[float], missing: str) -> list[str]:
    """The cells of one triplet; without both distances to the target all are ``missing``, if that is a mark."""
    if missing and any(map(math.isnan, distances[:2])):
        return [missing] * len(distances)
    return ["" if math.isnan(each) else repr(float(each)) for each in distances]


def index_by_triplet(rows: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    ids, *columns = (rows[column].tolist() for column in MEASURED_COLUMNS)
    return dict(zip(ids, zip(*columns, strict=True), strict=True))


def name_columns(models: Iterable[str], names: str) -> dict[str, str]:
    """Maps each model to the prefix of its columns.

    Raises:
        KisBenchError: two models would have the same.
    """
    known = encoders.catalogue() if names == "study" else {}
    found = {m: name_study_column(known[m].thesis_name) or m if m in known else m for m in models}
    for column, count in Counter(found.values()).items():
        if count > 1:
            same = " and ".join(model for model, own in found.items() if own == column)
            raise KisBenchError(f"{same} are both called {column} by the study; take --names ours")
    return found


def name_study_column(thesis_name: str) -> str:
    """The prefix of M3RT's columns for a model by its name in M3RT; empty if it has none."""
    return OTHER_COLUMNS.get(thesis_name, thesis_name)


def find_table_file(dataset: Dataset, folder: Path | None) -> Path | None:
    """The file of triplets that a dataset was read from; None for an embedded one."""
    root = readers.resolve(DatasetRow(dataset.name, folder)).folder
    return None if root is None else find_triplet_file(root)


def make_triplets_table(dataset: Dataset) -> list[list[str]]:
    """A table of triplets, header first, for a dataset that has no file of them; all its pictures are PNG."""
    rows = (
        [
            t.triplet_id,
            *(f"{item}.png" for item in (t.target, t.candidate1, t.candidate2)),
            t.category,
        ]
        for t in dataset.triplets
    )
    return [[*TRIPLET_COLUMNS, "class"], *rows]


def read_cells(file: Path) -> list[list[str]]:
    """All rows of a CSV file, header first, with each cell's text unchanged.

    Raises:
        BadFile: no table can be read.
    """
    problems: list[str] = []
    table = read_sheet(file, problems)
    text = strip_padding(table.text, table.separator)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=table.separator)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}; mend the quotes")
        rows = []
    if problems or not rows:
        raise BadFile(file, problems or ["the file is empty; write the table of triplets"])
    return rows


def format_csv(rows: Iterable[Sequence[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(
        rows
    )  # ends lines with CR LF, without which a cell with CR would get no quotes
    return stream.getvalue().encode("utf-8")
