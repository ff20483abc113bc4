"""The command that copies folders from and to object stores."""

from __future__ import annotations

import argparse

from kis_bench.cli.arguments import parse_positive
from kis_bench.cli.parser import Commands, add_command


def add_copy_command(commands: Commands) -> None:
    copying = add_command(
        commands,
        "copy",
        run_copy,
        "copy s3://bucket/mine /shared/mine",
        "copy reports/latest gs://bucket/runs/first --threads 16",
    )
    for name, others in (("source", "from"), ("target", "to")):
        copying.add_argument(
            name,
            metavar=name.upper(),
            help=f"the folder to copy {others}: one here, or a URL (s3://, gs://, az://, …); one of both is a URL",
        )
    copying.add_argument(
        "--threads",
        type=parse_positive,
        default=8,
        metavar="N",
        help="files that are copied at once (default: 8)",
    )


def run_copy(arguments: argparse.Namespace) -> int:
    """Copies a folder from or to object storage: a dataset, a store, a run; files that are there already stay."""
    from kis_bench.exchange.copies import copy_folder

    done = copy_folder(arguments.source, arguments.target, threads=arguments.threads)
    print(
        f"{done.files} files copied ({done.bytes} bytes), {done.already_there} were there already"
    )
    return 0
