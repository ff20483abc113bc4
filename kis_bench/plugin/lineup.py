"""Which models and datasets take part: what is declared, narrowed by what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kis_bench import datasets, encoders
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.layouts import choose_layout
from kis_bench.encoders.prompts import add_prompts, prompt_model
from kis_bench.errors import BadFile, KisBenchError, UnknownName, spell_option
from kis_bench.records import Checkpoint

HEADER_CELLS = 80  #: of a line at the top of a session
Given = TypeVar("Given")
Made = TypeVar("Made")
Named = TypeVar("Named", Checkpoint, DatasetRow)


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
        prompts: Mapping[str, Sequence[str]] | None = None,
        data: Path | None = None,
        problems: list[KisBenchError] | None = None,
    ) -> LineUp:
        """Everything declared, or just the names asked for; with nothing declared, the embedded defaults.

        Models that are declared ``with_judgments`` take part if they or any datasets are named, or if a dataset with
        people's judgments is here.

        Args:
            prompts: by name; with each of them each model takes part as ``MODEL+NAME``, too.
            problems: takes what is wrong with single names, which then don't take part; None: the first one raises.

        Raises:
            UnknownName: a name that nobody declared and nothing ships.
            KisBenchError: a source or layout that can't be, or two models or datasets of one name, whose results could
                not be told apart.
        """
        wrong: list[KisBenchError] = []
        chosen = [
            *make_each(
                dict.fromkeys(model_names),
                lambda name: find_prompted(name, models, prompts or {}),
                wrong,
            )
        ]
        if not model_names:
            chosen = [*models] or list_default_models()
        rows = choose_datasets(datasets, dataset_names, data, wrong)
        chosen = [*make_each(chosen, check_source, wrong)]
        rows = [*make_each(rows, check_row_layout, wrong)]
        if not model_names and not dataset_names and not any(map(is_judged, rows)):
            chosen = [one for one in chosen if not one.with_judgments] or chosen
        kept_models = add_prompts(drop_twins("models", chosen, wrong), prompts or {})
        refuse_other_prompts(kept_models, models)
        kept_rows = drop_twins("datasets", rows, wrong)
        if wrong and problems is None:
            raise wrong[0]
        if problems is not None:
            problems += wrong
        return cls(tuple(kept_models), tuple(kept_rows), tuple(dict.fromkeys(label_sets)))

    def dataset(self, name: str) -> DatasetRow:
        """The row of a dataset that takes part.

        Raises:
            KisBenchError: it was measured by a process of pytest-xdist, and this one doesn't know of it.
        """
        for row in self.datasets:
            if row.name == name:
                return row
        raise KisBenchError(
            f"dataset {name} is declared in a conftest.py that is read by processes of pytest-xdist only; "
            "declare it in the one at the root of the project"
        )

    def query_sets(
        self, problems: list[KisBenchError] | None = None
    ) -> list[tuple[DatasetRow, str | None]]:
        """(dataset, label set); a dataset that is not there, or has no labels, has None, to be skipped by name.

        Datasets that are for image similarity only are none of these.

        Args:
            problems: takes label sets that nothing has; None: the first one raises.
        """
        wrong: list[KisBenchError] = []
        found: list[tuple[DatasetRow, str | None]] = []
        known: set[str] = set()
        for row in self.datasets:
            if not datasets.has_queries(row):
                continue
            if not datasets.find_readiness(row).ready:
                found.append((row, None))
                continue
            try:
                sets = datasets.list_label_sets(row)
            except BadFile:  # told when this dataset is loaded, with all else that is wrong; the others are measured
                sets = ()
            except UnknownName as error:
                wrong.append(error)
                continue
            known |= set(sets)
            if not sets:
                found.append((row, None))
            found += [
                (row, name) for name in sets if not self.label_sets or name in self.label_sets
            ]
        nobody_knows = any(label_set is None for _, label_set in found) and not known
        unknown = [name for name in self.label_sets if name not in known and not nobody_knows]
        wrong += [UnknownName("label set", name, known) for name in unknown]
        if wrong and problems is None:
            raise wrong[0]
        if problems is not None:
            problems += wrong
        return found

    def header(self, *, detailed: bool = False) -> list[str]:
        """Lines for the top of a test session: what is ready; detailed, also how to get each of the rest."""
        lines, absent = [], []
        for kind, states in (
            ("model", [(m.name, encoders.readiness(m)) for m in self.models]),
            ("dataset", [(d.name, datasets.find_readiness(d)) for d in self.datasets]),
        ):
            ready = [name for name, state in states if state.ready]
            rest = [(name, state) for name, state in states if not state.ready]
            if rest:
                absent.append(f"{len(rest)} {kind}{'' if len(rest) == 1 else 's'}")
            if not detailed:
                of = f"{len(ready)} of {len(states)} ready: " if rest else ""
                lines.append(list_that_fit(f"kis-bench {kind}s: {of}", ready))
                continue
            lines.append(f"kis-bench {kind}s: ready: {', '.join(ready) or 'none'}")
            if names := [name for name, state in rest if state.downloadable]:
                lines.append(
                    f"    not downloaded: {', '.join(names)}; kis-bench fetch NAME, or add {spell_option('download')}"
                )
            lines += [
                f"    {name}: {state.state}; {state.remedy}"
                for name, state in rest
                if not state.downloadable
            ]
        if absent and not detailed:
            lines.append(f"kis-bench: not here: {' and '.join(absent)}; -v says how to get them")
        return lines


def find_prompted(
    name: str, models: Sequence[Checkpoint], prompts: Mapping[str, Sequence[str]]
) -> Checkpoint:
    """The model of a name, which may be ``MODEL+NAME`` with one of the prompts."""
    base, _, prompt = name.rpartition("+")
    if base and prompt in prompts and all(row.name != name for row in models):
        return prompt_model(encoders.find(base, models), prompt, prompts[prompt])
    return encoders.find(name, models)


def refuse_other_prompts(kept: Sequence[Checkpoint], declared: Sequence[Checkpoint]) -> None:
    """Raises KisBenchError if the name of a model with prompts is declared for other ones."""
    known = {row.name: row.prompts for row in declared if row.prompts}
    for model in kept:
        if model.prompts != known.get(model.name, model.prompts):
            option, name = spell_option("prompt"), model.name.rpartition("+")[2]
            raise KisBenchError(
                f"{option} {name}: model {model.name} is declared with other prompts; give yours another name"
            )


def list_that_fit(start: str, names: Sequence[str], width: int = HEADER_CELLS) -> str:
    """One line with as many of the names as it has room for, and the number of the others.

    >>> list_that_fit("ready: ", ["demo", "colour-words"]), list_that_fit("ready: ", ["demo", "colour-words"], 24)
    ('ready: demo, colour-words', 'ready: demo and 1 more')
    """
    for shown in range(len(names), 0, -1):
        more = f" and {len(names) - shown} more" if shown < len(names) else ""
        line = f"{start}{', '.join(names[:shown])}{more}"
        if len(line) <= width or shown == 1:
            return line
    return f"{start}none"


def list_default_models() -> list[Checkpoint]:
    """The embedded model; where that lacks what it runs on, also the one that needs nothing."""
    demo = encoders.find("demo")
    return [demo] if encoders.readiness(demo).ready else [demo, encoders.find("colour-words")]


def choose_datasets(
    declared: Sequence[DatasetRow],
    names: Sequence[str],
    data: Path | None,
    problems: list[KisBenchError],
) -> list[DatasetRow]:
    if not names:
        return [datasets.resolve(row, data) for row in declared] or [DatasetRow("openmoji")]

    def choose(wanted: str) -> DatasetRow:
        return datasets.parse_row(wanted, declared, data)

    return [*make_each(dict.fromkeys(names), choose, problems)]


def make_each(
    given: Iterable[Given], make: Callable[[Given], Made], problems: list[KisBenchError]
) -> Iterator[Made]:
    """What is made of each of some, but of those with which that is a problem."""
    for one in given:
        try:
            yield make(one)
        except KisBenchError as error:
            problems.append(error)


def is_judged(row: DatasetRow) -> bool:
    """Whether a dataset is here that has judgments of people, which none has that comes with the package."""
    return (
        row.folder is not None and datasets.find_readiness(row).ready and datasets.has_triplets(row)
    )


def check_source(checkpoint: Checkpoint) -> Checkpoint:
    """The same; a source that is written wrong shows here."""
    encoders.readiness(checkpoint)
    return checkpoint


def check_row_layout(row: DatasetRow) -> DatasetRow:
    """The same; a layout that nobody knows shows here."""
    choose_layout(row.name, row.layout, row.folder)
    return row


def drop_twins(kind: str, rows: Sequence[Named], problems: list[KisBenchError]) -> list[Named]:
    """The rows whose names no other has; names that two have are problems."""
    counts = Counter(row.name for row in rows)
    problems += [
        KisBenchError(
            f"two {kind} are called {name}; give them names of their own in a {kind}.toml"
        )
        for name, count in counts.items()
        if count > 1
    ]
    return [row for row in rows if counts[row.name] == 1]
