"""The command that runs the benchmark suite, for those who don't know pytest."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import kis_bench
from kis_bench.cli.parser import Commands, Parser, add_command
from kis_bench.errors import SHORT_OPTIONS, find_close
from kis_bench.options import OPTIONS, Option

PYTEST_USAGE_ERROR = 4
#: Title -> the first option of the table that stands under it.
OPTION_GROUPS = {
    "what is measured": "model",
    "how it is measured": "segment",
    "what is written": "report",
    "what fails": "thresholds",
}
NOTES = """Whatever isn't named here goes on to pytest, which runs the suite: -k WORDS chooses tests by name, -n N runs
them in N processes, -x stops at the first that fails. Datasets come first; what stands behind -- is pytest's.

exit codes: 0 fine, 1 a test or the gate failed, 2 wrong usage or input, or nothing could be measured; others are
pytest's"""


class SuiteParser(Parser):
    """A parser that takes our options, and keeps for pytest what isn't ours."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        ours, others = split_arguments(args or ())
        found, _ = super().parse_known_args(ours, namespace)
        found.others = others
        return found, []


def add_suite_command(commands: Commands) -> None:
    commands._parser_class, usual = SuiteParser, commands._parser_class
    running = add_command(
        commands,
        "run",
        run_suite,
        "run",
        "run mine=path/to/mine --model clip-vit-b-32 --labels short --download",
        "run ./mine --privacy -k long -n 2",
        notes=NOTES,
        usage="kis-bench run [DATASET ...] [options] [-- arguments of pytest]",
        allow_abbrev=False,
    )
    commands._parser_class = usual
    running.add_argument(
        "datasets",
        nargs="*",
        metavar="DATASET",
        help="a name that is declared or known, NAME=FOLDER, or a folder (default: all declared, else openmoji)",
    )
    group: Any = running
    titles = {first: title for title, first in OPTION_GROUPS.items()}
    for one in OPTIONS:
        if one.name in titles:
            group = running.add_argument_group(titles[one.name])
        settings = one.settings()
        settings["help"] = settings["help"].replace("--kis-", "--")
        if not one.flag:
            settings["type"] = partial(check_text, one)
        group.add_argument(f"--{one.name}", dest=one.attribute, **settings)


def check_text(one: Option, text: str) -> str:
    """The same text, for pytest to read; an error of argparse where it is no value of the option."""
    one.parse(text)
    return text


def split_arguments(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what is pytest's: options that the table doesn't have, with the word behind each.

    >>> split_arguments(["mine", "-k", "long", "--labels", "short", "-x"])
    (['mine', '--labels', 'short'], ['-k', 'long', '-x'])
    >>> split_arguments(["--kis-labels", "short", "--kis-other", "x"])  # as pytest is given ours
    (['--labels', 'short'], ['--kis-other', 'x'])
    """
    flags = {f"--{no}{one.name}" for one in OPTIONS if one.flag for no in ("", "no-")}
    valued = {f"--{one.name}" for one in OPTIONS if not one.flag}
    ours: list[str] = []
    others: list[str] = []
    rest: Iterator[str] = iter(words)
    last = ours
    for word in rest:
        short = re.sub("^--(no-)?kis-", r"--\1", word)
        name, equals, _ = short.partition("=")
        if word == "--":
            others += rest
        elif not word.startswith("-") or word == "-":
            last.append(word)
            last = ours
        elif word in ("-h", "--help") or name in flags | valued:
            last = ours
            ours.append(short)
            if name in valued and not equals:
                ours += [value] if (value := next(rest, None)) is not None else []
        else:
            complete = equals or (word[:2] != "--" and len(word) > 2)  # -n2 has its value
            last = ours if complete else others
            others.append(word)
    return ours, others


def run_suite(arguments: argparse.Namespace) -> int:
    """Measures models on datasets and writes a report: runs the benchmark suite, here or in any folder."""
    command = [sys.executable, "-m", "pytest", *find_suite(Path.cwd())]
    command += [f"--kis-dataset={dataset}" for dataset in arguments.datasets]
    for one in OPTIONS:
        command += spell(one, getattr(arguments, one.attribute))
    code = call_pytest([*command, *arguments.others])
    if code == PYTEST_USAGE_ERROR:
        for line in explain_rejected(arguments.others):
            print(f"kis-bench run: {line}", file=sys.stderr)
    return code


def find_suite(here: Path) -> list[str]:
    """How pytest is told of the suite: its folder in the root of a clone, elsewhere its package."""
    beside = Path(kis_bench.__file__).parents[1] / "benchmarks"
    return ["benchmarks"] if here / "benchmarks" == beside else ["--pyargs", "kis_bench.suite"]


def spell(one: Option, value: Any) -> list[str]:
    """An option as pytest is given it; with an equals sign, for pytest takes what follows a blank for a test's path."""
    if value is None:
        return []
    if one.flag:
        return [f"--kis-{one.name}" if value else f"--no-kis-{one.name}"]
    return [f"--kis-{one.name}={each}" for each in (value if one.many else [value])]


def call_pytest(command: Sequence[str]) -> int:
    """Runs it with our terminal and returns its exit code; Ctrl-C and a request to end are left to it."""
    process: subprocess.Popen[bytes] | None = None

    def end(*_: object) -> None:
        if process is None:
            sys.exit(128 + signal.SIGTERM)
        process.terminate()

    # The terminal tells it of Ctrl-C, too, and it says what it keeps. A handler is not inherited, unlike SIG_IGN.
    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: end}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        process = subprocess.Popen(command, env={**os.environ, SHORT_OPTIONS: "1"})
        code = process.wait()
        return code if code >= 0 else 128 - code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def explain_rejected(others: Sequence[str]) -> Iterator[str]:
    """What words that pytest rejected may have meant."""
    known = [f"--{one.name}" for one in OPTIONS]
    for number, word in enumerate(others):
        if word.startswith("--"):
            close = find_close(word.partition("=")[0], known, cutoff=0.6)
            if close:
                yield f"{word.partition('=')[0]} went on to pytest; did you mean {' or '.join(close)}?"
        elif not word.startswith("-") and number:
            yield (
                f"{word} went on to pytest with {others[number - 1]}; a dataset comes before all options: "
                f"kis-bench run {word}"
            )
