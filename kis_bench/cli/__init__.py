"""The command line ``kis-bench``. Exit codes: 0 fine, 1 a check failed, 2 wrong usage or input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

from kis_bench import __version__
from kis_bench.cli.datasets import add_dataset_commands
from kis_bench.cli.models import add_model_commands
from kis_bench.cli.runs import add_run_commands
from kis_bench.errors import KisBenchError
from kis_bench.files.progress import watch
from kis_bench.files.status_line import StatusLine


def make_parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="kis-bench", description="Which joint-embedding model finds my image?"
    )
    main.add_argument("--version", action="version", version=f"kis-bench {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add_commands in (add_model_commands, add_dataset_commands, add_run_commands):
        add_commands(commands)
    return main


def watch_steps() -> AbstractContextManager[None]:
    """Shows long steps on standard error: in a line of a terminal, or a line a minute."""
    try:
        return watch(StatusLine(sys.stderr.fileno()))
    except (AttributeError, OSError, ValueError):  # it is no file
        return watch(None)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = make_parser().parse_args(arguments)
    try:
        with watch_steps():
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
