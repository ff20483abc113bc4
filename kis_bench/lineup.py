"""Which models and datasets take part: what is declared, narrowed by what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kis_bench import datasets, encoders
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.layouts import LAYOUTS
from kis_bench.encoders.catalogue import read_toml
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.records import Checkpoint

DATASET_KEYS = {"name", "folder", "label_sets", "layout"}


def read_datasets(file: Path) -> list[DatasetRow]:
    """The rows of a datasets.toml; relative folders start at the file's own."""
    content = read_toml(file)
    problems = [f"unknown key {key!r}; datasets are declared as [[dataset]]" for key in content if key != "dataset"]
    found: list[DatasetRow] = []
    rows = content.get("dataset", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadFile(file, [*problems, "dataset is not a list of tables; declare each as [[dataset]]"])
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


@dataclass(frozen=True)
class LineUp:
    models: tuple[Checkpoint, ...]
    datasets: tuple[DatasetRow, ...]
    label_sets: tuple[str, ...]  # only these; empty: all

    @classmethod
    def choose(
        cls,
        *,
        models: Sequence[Checkpoint],
        datasets: Sequence[DatasetRow],
        model_names: Sequence[str] = (),
        dataset_names: Sequence[str] = (),
        label_sets: Sequence[str] = (),
        data: Path | None = None,
    ) -> LineUp:
        """Everything declared, or just the names asked for; with nothing declared, the embedded defaults.

        Raises:
            UnknownName: a name that nobody declared and nothing ships.
            KisBenchError: two models or datasets of one name, whose results could not be told apart.
        """
        chosen = [encoders.find(name, models) for name in dict.fromkeys(model_names)] or models
        rows = choose_datasets(datasets, dataset_names, data)
        for kind, names in (("models", [row.name for row in chosen]), ("datasets", [row.name for row in rows])):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise KisBenchError(f"two {kind} are called {twice[0]}; give them names of their own in a {kind}.toml")
        return cls(
            tuple(chosen or [encoders.find("demo")]),
            tuple(rows),
            tuple(dict.fromkeys(label_sets)),
        )

    def dataset(self, name: str) -> DatasetRow:
        """The row of a dataset that takes part."""
        return next(row for row in self.datasets if row.name == name)

    def query_sets(self) -> list[tuple[DatasetRow, str | None]]:
        """(dataset, label set); a dataset that is not there, or has no labels, has None, to be skipped by name.

        Datasets that are for image similarity only are none of these.
        """
        found: list[tuple[DatasetRow, str | None]] = []
        known: set[str] = set()
        for row in self.datasets:
            if not datasets.has_queries(row):
                continue
            if not datasets.readiness(row).ready:
                found.append((row, None))
                continue
            try:
                sets = datasets.label_sets(row)
            except BadFile:  # told when this dataset is loaded, with all else that is wrong; the others are measured
                sets = ()
            known |= set(sets)
            if not sets:
                found.append((row, None))
            found += [(row, name) for name in sets if not self.label_sets or name in self.label_sets]
        unknown = [name for name in self.label_sets if name not in known]
        if unknown and known:
            raise UnknownName("label set", unknown[0], known)
        return found

    def header(self) -> list[str]:
        """Lines for the top of a test session: what is ready, and how to get the rest."""
        lines = []
        for kind, states in (
            ("models", [(m.name, encoders.readiness(m)) for m in self.models]),
            ("datasets", [(d.name, datasets.readiness(d)) for d in self.datasets]),
        ):
            ready = [name for name, state in states if state.ready]
            lines.append(f"kis-bench {kind}: ready: {', '.join(ready) or 'none'}")
            absent = [name for name, state in states if state.downloadable]
            if absent:
                lines.append(f"    not downloaded: {', '.join(absent)}; kis-bench fetch NAME, or add --kis-download")
            lines += [f"    {name}: {state.state}; {state.remedy}"
                      for name, state in states if not (state.ready or state.downloadable)]  # fmt: skip
        return lines


def choose_datasets(declared: Sequence[DatasetRow], names: Sequence[str], data: Path | None) -> list[DatasetRow]:
    if not names:
        return [datasets.resolve(row, data) for row in declared] or [DatasetRow("openmoji")]
    by_name = {row.name: row for row in declared}
    chosen = []
    for wanted in dict.fromkeys(names):
        name, equals, folder = wanted.partition("=")
        row = by_name.get(name, DatasetRow(name))
        row = replace(row, folder=Path(folder).expanduser()) if equals else datasets.resolve(row, data)
        if row.folder is None and name not in by_name and name not in datasets.BUILT_IN:
            known = {*by_name, *datasets.BUILT_IN} - {"folder"}
            raise UnknownName("dataset", name, known, f"For a folder of your own: {name}=FOLDER.")
        chosen.append(row)
    return chosen
