"""How commands are parsed and explained: groups, examples, exit codes, and what a wrong name may have meant."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from kis_bench.errors import unknown

EXIT_CODES = "exit codes: 0 fine, 1 a check failed, 2 wrong usage or input"
LIST_CELLS = 79  #: characters of a line of the list of commands

Commands = Any  #: what argparse returns from add_subparsers, which it has no public name for


class Parser(argparse.ArgumentParser):
    """A parser that knows examples, and names what is like a command or option that isn't there."""

    examples: tuple[str, ...] = ()
    subcommands: Mapping[str, argparse.ArgumentParser] = {}  # replaced as a whole

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            **{"formatter_class": argparse.RawDescriptionHelpFormatter, **settings},
        )

    def add_commands(self, *, required: bool = True, **settings: Any) -> Commands:
        """Makes room for commands behind this one."""
        commands = self.add_subparsers(required=required, **settings)
        self.subcommands = commands.choices
        return commands

    def parse_known_args(  # type: ignore[override]  # of several signatures this is the one that argparse calls
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if args is not None:
            self.check_names(args)
        return super().parse_known_args(args, namespace)

    def check_names(self, words: Sequence[str]) -> None:
        """Ends with exit code 2 at the first option or command that isn't there."""
        known = self._option_string_actions
        awaited = False
        for word in words:
            if word == "--":
                return
            if awaited:
                awaited = False
            elif not word.startswith("-"):
                if not self.subcommands:
                    continue
                if word not in self.subcommands:
                    self.error(unknown("command", word, self.subcommands))
                return
            elif word.startswith("--"):
                name, equals, _ = word.partition("=")
                meant = [option for option in known if option.startswith(name)]
                if not meant:
                    spelt = [o for o, action in known.items() if o[:2] == "--" and is_shown(action)]
                    self.error(unknown("option", name, spelt))
                action = known[name if name in known else meant[0]]
                awaited = not equals and action.nargs is None

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n{self.prog} --help has examples\n")


def is_shown(action: argparse.Action) -> bool:
    return action.help is not argparse.SUPPRESS


def add_command(
    commands: Commands,
    name: str,
    call: Callable[..., int],
    *examples: str,
    notes: str = EXIT_CODES,
    **settings: Any,
) -> Parser:
    """Adds a command whose help is the docstring of the function behind it.

    Args:
        examples: what stands behind the program's name, two or more of them.
        notes: the last lines of the help.
        settings: of the parser.
    """
    about = str(call.__doc__).strip()
    made: Parser = commands.add_parser(name, help=about, description=about, **settings)
    made.set_defaults(call=call)
    add_examples(made, examples, notes)
    return made


def add_command_group(commands: Commands, name: str, about: str) -> Commands:
    """Adds a command that does nothing without another behind it."""
    made: Parser = commands.add_parser(name, help=about, description=about)
    return made.add_commands(metavar="COMMAND", title="commands")


def add_examples(parser: Parser, examples: Iterable[str], notes: str = EXIT_CODES) -> None:
    parser.examples = tuple(f"kis-bench {example}" for example in examples)
    lines = ["examples:", *(f"  {example}" for example in parser.examples), "", notes]
    parser.epilog = "\n".join(lines)


def describe_groups(groups: Mapping[str, Sequence[str]], about: Mapping[str, str]) -> str:
    """The commands by group, each with what it does, as far as one line has room for it."""
    width = max(map(len, about)) + 4
    lines = []
    for title, names in groups.items():
        lines += ["", f"{title}:"]
        for name in names:
            first = re.split("[.;:]", about[name])[0]
            lines += textwrap.wrap(
                first,
                LIST_CELLS,
                initial_indent=f"  {name}".ljust(width),
                subsequent_indent=" " * width,
            )
    return "\n".join(lines)


def list_commands(parser: argparse.ArgumentParser) -> dict[str, Parser]:
    """The parser of each command that does something, those within commands too, by what is typed."""
    found: dict[str, Parser] = {}
    for command in getattr(parser, "subcommands", {}).values():
        if command.get_default("call") is not None:
            found[command.prog] = command
        found |= list_commands(command)
    return found
