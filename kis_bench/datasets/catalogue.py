"""Tables of datasets: the built-in ones and a user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.layouts import GENERAL_LAYOUTS, LAYOUTS
from kis_bench.datasets.papers import PAPER_COLLECTIONS
from kis_bench.errors import BadFile
from kis_bench.files.toml_tables import read_toml

DATASET_KEYS = {"name", "folder", "label_sets", "layout"}


def read_datasets(file: Path) -> list[DatasetRow]:
    """The rows of a datasets.toml; relative folders start at the file's own."""
    content = read_toml(file)
    problems = [
        f"unknown key {key!r}; datasets are declared as [[dataset]]"
        for key in content
        if key != "dataset"
    ]
    found: list[DatasetRow] = []
    rows = content.get("dataset", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadFile(
            file, [*problems, "dataset is not a list of tables; declare each as [[dataset]]"]
        )
    for number, row in enumerate(rows, start=1):
        name, place = row.get("name"), f"[[dataset]] {number} ({row.get('name')})"
        sets, layout = row.get("label_sets", []), row.get("layout")
        wrong = [f"{place}: unknown key {key}" for key in sorted(set(row) - DATASET_KEYS)]
        if not isinstance(name, str) or not name:
            wrong.append(f"[[dataset]] {number}: name is missing")
        if not isinstance(row.get("folder", ""), str):
            wrong.append(f"{place}: folder is not a text in quotes")
        if not isinstance(sets, list) or not all(isinstance(one, str) for one in sets):
            wrong.append(f'{place}: label_sets is not a list of names, such as ["short"]')
        if layout is not None and layout not in [*LAYOUTS]:
            wrong.append(f"{place}: layout {layout!r} is none of {', '.join(LAYOUTS)}")
        if any(name == earlier.name for earlier in found):
            wrong.append(f"[[dataset]] {number}: {name} is there twice")
        problems += wrong
        if not wrong:
            folder = file.parent / Path(row["folder"]).expanduser() if "folder" in row else None
            found.append(DatasetRow(str(name), folder, tuple(sets) or None, layout))
    if problems:
        raise BadFile(file, problems)
    return found


EMBEDDED = ("openmoji", "openmoji-triplets")  #: come with the package
#: Known by name; all but the embedded ones need a folder.
BUILT_IN = (
    *EMBEDDED,
    *(name for name in LAYOUTS if name not in GENERAL_LAYOUTS),
    *PAPER_COLLECTIONS,
)


@dataclass(frozen=True)
class DatasetRow:
    """One row of a table of datasets: a built-in name, or a name and a folder."""

    name: str
    folder: Path | None = None
    label_sets: tuple[str, ...] | None = None  # None: all that the label files have
    layout: str | None = None  # one of LAYOUTS; None: that of the name, else any folder
