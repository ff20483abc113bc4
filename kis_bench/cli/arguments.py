"""Arguments that several commands share, and tables on the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kis_bench import datasets, encoders
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.layouts import LAYOUTS
from kis_bench.errors import KisBenchError, UnknownName, in_one_line
from kis_bench.options import OPTIONS
from kis_bench.ranking.relevance import NearDuplicates
from kis_bench.records import Checkpoint, Dataset

if TYPE_CHECKING:
    from kis_bench.results import Run


def add_dataset(command: argparse.ArgumentParser, about: str) -> None:
    """Adds the arguments for one dataset and its layout."""
    command.add_argument("dataset", metavar="DATASET", help=about)
    command.add_argument(
        "--layout", choices=LAYOUTS, help="how its files are named (default: that of its name)"
    )


def add_run(command: argparse.ArgumentParser) -> None:
    """Adds the argument for one run folder."""
    command.add_argument(
        "run", type=Path, metavar="RUN", help="a run folder, such as reports/latest"
    )


def add_session_option(command: argparse.ArgumentParser, name: str, **changes: Any) -> None:
    """Adds an option that a session has, too: of one name, and with one help.

    Args:
        changes: what is otherwise here than in a session.
    """
    (one,) = [option for option in OPTIONS if option.name == name]
    settings = {**one.settings(), "default": one.default, **changes}
    if one.flag:
        settings["action"] = "store_true"
    command.add_argument(f"--{name}", **settings)


def add_old_name(command: argparse.ArgumentParser, old: str, name: str, **settings: Any) -> None:
    """Adds a name that an option had before; it works, and help doesn't show it."""
    command.add_argument(
        f"--{old}", dest=name, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **settings
    )


def add_folders(command: argparse.ArgumentParser, about: str) -> None:
    """Adds a repeatable option for datasets with their folders."""
    command.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help=f"{about}; repeatable",
    )


def read_dataset_row(arguments: argparse.Namespace) -> DatasetRow:
    """The dataset given by the arguments of `add_dataset`."""
    return datasets.parse_row(arguments.dataset, layout=arguments.layout)


def load_chosen_dataset(arguments: argparse.Namespace) -> Dataset:
    """The dataset given by the arguments of `add_dataset`, read as the other options say, where a command has them."""
    from kis_bench.files.picture_formats import set_pixel_limit

    set_pixel_limit(getattr(arguments, "max_pixels", None))
    row, skip = read_dataset_row(arguments), getattr(arguments, "skip_unreadable", False)
    return datasets.load(row.name, row.folder, layout=row.layout, skip_unreadable=skip)


def require_usable(name: str, *, download: bool = False, weights: bool = True) -> Checkpoint:
    """The model of a name. Raises NotReady if it couldn't encode what isn't stored.

    Args:
        download: fetch what is missing.
        weights: without them it is of no use.
    """
    checkpoint = encoders.find(name)
    if download:
        encoders.fetch(checkpoint)
    enough = not weights and encoders.readiness(checkpoint).downloadable
    if (
        not enough and not encoders.LazyEncoder(checkpoint).key_known
    ):  # else all of it may be stored
        encoders.require(checkpoint)
    return checkpoint


def run_every(steps: Iterable[Callable[[], Any]]) -> list[Any]:
    """Runs all steps and returns their results. Raises one KisBenchError with a line for each that fails."""
    found, lines = [], []
    for step in steps:
        try:
            found.append(step())
        except KisBenchError as error:
            lines.append(in_one_line(error))
            last = error
    if len(lines) == 1:
        raise last
    if lines:
        raise KisBenchError("\n  ".join([f"{len(lines)} problems; nothing was done", *lines]))
    return found


def parse_folders(given: Iterable[str]) -> dict[str, Path]:
    """Maps dataset names to folders, from the option of `add_folders`."""
    found = {}
    for each in given:
        row = datasets.parse_row(each)
        if row.folder is None:
            raise KisBenchError(f"--dataset {each}: write NAME=FOLDER, or a folder")
        found[row.name] = row.folder
    return found


def match_to_run(folders: Mapping[str, Path], run: Run) -> Mapping[str, Path]:
    """Returns the folders. Raises KisBenchError unless each belongs to a dataset of the run."""
    return match_to_runs(folders, [run])


def match_to_runs(folders: Mapping[str, Path], runs: Sequence[Run]) -> Mapping[str, Path]:
    """Returns the folders. Raises KisBenchError unless each belongs to a dataset of one of the runs."""
    known = {name for run in runs for name in run.provenance.get("datasets", {})}
    for name, folder in folders.items():
        if name not in known:
            raise UnknownName(
                "dataset",
                name,
                known,
                f"These are in {', '.join(str(run.folder) for run in runs)}.",
            )
        if not folder.is_dir():
            raise KisBenchError(f"dataset {name}: {datasets.explain_no_folder(folder)}")
    return folders


def parse_positive(text: str) -> int:
    return parse_whole(text, 1)


def parse_natural(text: str) -> int:
    return parse_whole(text, 0)


def parse_whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def parse_phash(text: str) -> int:
    """The bits of a rule for near-duplicates that goes by perceptual hashes."""
    try:
        rule = NearDuplicates.parse(text)
    except KisBenchError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if rule.method != "phash":
        raise argparse.ArgumentTypeError(f"{text!r}: a check has no vectors; write phash:BITS")
    return int(rule.threshold)


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    from tabulate import tabulate

    print(tabulate(rows, headers=header, disable_numparse=True))
