"""Commands that open pages in a browser: people write labels there."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench import datasets
from kis_bench.cli.arguments import add_session_option, parse_positive
from kis_bench.cli.parser import Commands, add_command
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.layouts import LAYOUTS
from kis_bench.errors import KisBenchError, explain_install

if TYPE_CHECKING:
    from kis_bench.labelling.web.serve import Serving

MOST_PICTURES = 10**9  #: all that a list names


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
        "--task",
        metavar="thesis|FILE",
        help="what is asked for: as in the thesis, or a TOML file with label sets and what is said of them",
    )
    labelling.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="NAME",
        help="a label set to ask for; repeatable (default: those of the task, short and long)",
    )
    labelling.add_argument(
        "--goal",
        type=parse_positive,
        metavar="N",
        help="pictures to describe, all people together (default: that of the task, 100)",
    )
    labelling.add_argument(
        "--memory",
        type=parse_positive,
        metavar="SECONDS",
        help="show a picture that long; texts are then written from memory",
    )
    labelling.add_argument(
        "--overlap",
        type=parse_positive,
        default=1,
        metavar="N",
        help="how many people describe each picture (default: 1)",
    )
    which = labelling.add_mutually_exclusive_group()
    which.add_argument(
        "--items",
        type=Path,
        metavar="FILE",
        help="pictures in place of a sample: item ids, one a line, or a CSV with the column item_id",
    )
    which.add_argument(
        "--stratify",
        choices=["group"],
        help="take one picture of every group before a second of any, in place of all being as likely",
    )
    labelling.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the sample (default: 0)"
    )
    labelling.add_argument(
        "--then",
        metavar="MODEL",
        help="once the goal is reached, measure this model and show its recall curve in the page",
    )
    labelling.add_argument(
        "--warn-duplicates",
        action="store_true",
        help="warn of a text that another picture has, too; it biases what is written",
    )
    labelling.add_argument(
        "--show-rank",
        metavar="MODEL",
        help="after each save say where a model in the store found the picture; it biases what is written",
    )
    labelling.add_argument(
        "--from",
        dest="from_file",
        type=Path,
        metavar="FILE",
        help="first take over a label file: labels.csv after edits by hand, or where labels.sqlite is lost",
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
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="whom it serves: 0.0.0.0 is the whole network, without encryption (default: this machine)",
    )
    command.add_argument(
        "--no-browser", action="store_true", help="print the address and open no browser"
    )
    add_session_option(command, "max-pixels", default=None)


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

    goal = arguments.goal or (None if arguments.items is None else MOST_PICTURES)
    task = choose_task(arguments.task, arguments.labels, goal=goal, memory_s=arguments.memory)
    project = LabelProject(
        row=parse_folder(arguments),
        task=task,
        out=arguments.out,
        annotators=arguments.annotator,
        seed=arguments.seed,
        overlap=arguments.overlap,
        stratify=arguments.stratify is not None,
        items=arguments.items,
        from_file=arguments.from_file,
        warn_repeated=arguments.warn_duplicates,
        show_rank=arguments.show_rank,
        then=arguments.then,
    )
    label(project, read_serving(arguments))
    return 0


def read_serving(arguments: argparse.Namespace) -> Serving:
    """What the options of `add_server_options` say; from now on no larger pictures are read."""
    from kis_bench.files.picture_formats import set_pixel_limit
    from kis_bench.labelling.web.serve import Serving

    set_pixel_limit(arguments.max_pixels)
    return Serving(arguments.host, arguments.port or 0, not arguments.no_browser)
