"""Completion in a shell: what a line of the command line may go on with. argcomplete asks and answers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec

from kis_bench import datasets
from kis_bench.cli.parser import list_commands
from kis_bench.encoders import catalogue

ASKED = "_ARGCOMPLETE"  #: set by the shell where it asks, see argcomplete's documentation
Completer = Callable[..., Iterable[str]]


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers a shell that asks and ends the process; returns where none asks, or argcomplete isn't installed.

    Completed are commands, options, their choices, names of models and of datasets, and files.
    """
    if ASKED not in os.environ or find_spec("argcomplete") is None:
        return
    import argcomplete

    def complete_dataset(prefix: str, **_: object) -> list[str]:
        files = argcomplete.completers.FilesCompleter(allowednames=(), directories=True)
        return [*start_with(prefix, datasets.BUILT_IN), *files(prefix)]

    completers: dict[str, Completer] = {
        "dataset": complete_dataset,
        "datasets": complete_dataset,
        **dict.fromkeys(("name", "model", "models", "kis_model"), complete_model),
    }
    for command in list_commands(parser).values():
        for action in command._actions:  # argparse lists them nowhere else
            if action.dest in completers and action.choices is None:
                action.completer = completers[action.dest]  # type: ignore[attr-defined]  # argcomplete's way
    argcomplete.autocomplete(parser, always_complete_options="long")


def complete_model(prefix: str, **_: object) -> list[str]:
    """Names of the catalogue that begin so."""
    return start_with(prefix, catalogue())


def start_with(prefix: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(prefix)]
