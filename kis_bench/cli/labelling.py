"""Commands that open pages in a browser: people write labels there."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from kis_bench import datasets
from kis_bench.cli.arguments import parse_positive
from kis_bench.cli.parser import Commands, add_command
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.layouts import LAYOUTS
from kis_bench.errors import KisBenchError, explain_install


def add_labelling_commands(commands: Commands) -> None:
    labelling = add_command(
        commands,
        "label",
        label_folder,
        "label path/to/photos",
        "label mvk=path/to/mvk --annotator Ada --annotator Ben --goal 200",
    )
    labelling.add_argument(
        "dataset", metavar="FOLDER", help="a dataset folder, a folder of pictures, or NAME=FOLDER"
    )
    labelling.add_argument(
        "--layout", choices=LAYOUTS, help="how its files are named (default: that of its name)"
    )
    labelling.add_argument(
        "--annotator",
        action="append",
        default=[],
        metavar="NAME",
        help="who writes; repeatable, each gets a link; the first is you, and may invite others (default: annotator-1)",
    )
    labelling.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="NAME",
        help="a label set to ask for; repeatable (default: short and long)",
    )
    labelling.add_argument(
        "--task",
        metavar="thesis|FILE",
        help="what is asked for: the conditions of the thesis, or a TOML file with guides",
    )
    labelling.add_argument(
        "--goal", type=parse_positive, metavar="N", help="how many pictures (default: 100)"
    )
    labelling.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the sample (default: 0)"
    )
    add_server_options(labelling, "labels.sqlite and labels.csv")


def add_server_options(command: argparse.ArgumentParser, files: str) -> None:
    """Adds what every command has that serves pages."""
    command.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=f"where {files} are written (default: the dataset's folder)",
    )
    command.add_argument(
        "--port",
        type=parse_positive,
        metavar="N",
        help="of the page's address (default: the last one, else a free one)",
    )
    command.add_argument(
        "--no-browser", action="store_true", help="print the address and open no browser"
    )


def require_web_packages() -> None:
    """Raises KisBenchError unless what serves pages is installed."""
    try:
        import jinja2
        import starlette
        import uvicorn
    except ImportError as error:
        raise KisBenchError(
            f"the pages need the package {error.name}; {explain_install('label')}"
        ) from error
    del jinja2, starlette, uvicorn


def parse_folder(arguments: argparse.Namespace) -> DatasetRow:
    """The dataset of pictures: as everywhere, and a folder right here may have the name of a known layout."""
    row = datasets.parse_row(arguments.dataset, layout=arguments.layout)
    here = Path(arguments.dataset)
    return replace(row, folder=here) if row.folder is None and here.is_dir() else row


def label_folder(arguments: argparse.Namespace) -> int:
    """Opens a page on which people describe sampled pictures of a folder; their texts become its labels.csv."""
    require_web_packages()
    from kis_bench.labelling.texts.project import LabelProject, label
    from kis_bench.labelling.texts.task import choose_task

    task = choose_task(arguments.task, arguments.labels, goal=arguments.goal)
    project = LabelProject(
        row=parse_folder(arguments),
        task=task,
        out=arguments.out,
        annotators=arguments.annotator,
        seed=arguments.seed,
    )
    label(project, port=arguments.port or 0, browser=not arguments.no_browser)
    return 0
