"""The command line ``kis-bench``. Exit codes: 0 fine, 1 a check failed, 2 wrong usage or input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from kis_bench import __version__
from kis_bench.cli.completion import complete
from kis_bench.cli.copying import add_copy_command
from kis_bench.cli.datasets import add_dataset_commands
from kis_bench.cli.diagnosis import add_diagnosis_command
from kis_bench.cli.labelling import add_labelling_commands
from kis_bench.cli.models import add_model_commands
from kis_bench.cli.output import open_closed_streams, write_plain
from kis_bench.cli.parser import EXIT_CODES, Parser, add_examples, describe_groups
from kis_bench.cli.runs import add_run_commands
from kis_bench.cli.suite import add_suite_command
from kis_bench.cli.triplets import add_triplet_commands
from kis_bench.errors import SHORT_OPTIONS, KisBenchError
from kis_bench.files.progress import watch
from kis_bench.files.status_line import StatusLine

GROUPS = {
    "measure": ("run", "embed"),
    "see what is here": ("datasets", "models", "fetch", "doctor"),
    "look at results": ("report", "compare", "diagnose", "export"),
    "keep results from getting worse": ("thresholds", "baseline"),
    "ask people": ("label", "triplets", "judge"),
    "bring in and prepare": ("import", "copy", "codebook"),
}


def make_parser() -> Parser:
    main = Parser(prog="kis-bench", usage="kis-bench COMMAND ...")
    main.add_argument(
        "--version",
        action="version",
        version=f"kis-bench {__version__}",
        help="show the version and stop",
    )
    commands = main.add_commands(dest="command", prog="kis-bench", help=argparse.SUPPRESS)
    for add_commands in (
        add_suite_command,
        add_model_commands,
        add_dataset_commands,
        add_copy_command,
        add_run_commands,
        add_diagnosis_command,
        add_labelling_commands,
        add_triplet_commands,
    ):
        add_commands(commands)
    about = {name: str(command.description) for name, command in commands.choices.items()}
    main.description = (
        f"Which joint-embedding model finds my image?\n{describe_groups(GROUPS, about)}"
    )
    notes = f"kis-bench COMMAND --help has the options of a command, and examples.\n{EXIT_CODES}"
    add_examples(main, ("run", "report reports/latest"), notes)
    return main


def watch_steps() -> AbstractContextManager[None]:
    """Shows long steps on standard error: in a line of a terminal, or a line a minute."""
    try:
        return watch(StatusLine(sys.stderr.fileno()))
    except (AttributeError, OSError, ValueError):  # it is no file
        return watch(None)


@contextmanager
def short_options() -> Iterator[None]:
    """Messages name options as they are typed here, without "kis-"."""
    before = os.environ.get(SHORT_OPTIONS)
    os.environ[SHORT_OPTIONS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SHORT_OPTIONS]


def main(arguments: Sequence[str] | None = None) -> int:
    open_closed_streams()
    words = sys.argv[1:] if arguments is None else [*arguments]
    try:
        with short_options(), watch_steps():
            parser = make_parser()
            complete(parser)
            chosen = parser.parse_args(words or ["--help"])
            # The run's terminal is pytest's, which has colours.
            with nullcontext() if chosen.command == "run" else write_plain():
                return int(chosen.call(chosen))
    except KisBenchError as error:
        print(f"kis-bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nkis-bench: stopped; what was finished is kept, the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
