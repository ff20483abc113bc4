"""Rewrites what the documentation takes from the code: ``python tools/docs.py``.

A page marks such a part with ``<!-- generated: NAME -->`` and ``<!-- end -->`` on lines of their own; NAME is a key of
`GENERATORS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pages import write_page, write_table

from kis_bench.analysis.models import queries_needed
from kis_bench.cli import make_parser
from kis_bench.cli.parser import Parser, list_commands
from kis_bench.metrics import COMPARED, METRICS, TESTABLE, USUALLY_TESTED, Metric
from kis_bench.options import OPTIONS
from kis_bench.results.columns import TABLES
from kis_bench.statistics import wilson_interval

ROOT = Path(__file__).resolve().parents[1]
MARK = "generated"


def write_pytest_options() -> str:
    rows = []
    for one in OPTIONS:
        value = f" {one.metavar or '|'.join(one.choices)}".rstrip()
        rows.append([f"`--kis-{one.name}{value}`", f"`--{one.name}`", one.help])
    return write_table(["`pytest`", "`kis-bench run`", "meaning"], rows)


def find_arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    left_out = (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)
    return [
        action
        for action in parser._actions
        if not isinstance(action, left_out) and action.help != argparse.SUPPRESS
    ]


def write_arguments(parser: Parser) -> str:
    """What stands behind a command: examples, then arguments as they are typed, positional ones first."""

    def row(action: argparse.Action) -> list[str]:
        value = action.metavar or "|".join(action.choices or ()) or action.dest.upper()
        value = value if isinstance(value, str) else " ".join(value)
        if action.option_strings:
            value = f"{action.option_strings[0]} {value if action.nargs != 0 else ''}".strip()
        return [f"`{value}`", str(action.help).replace("%%", "%")]

    examples = "\n".join(["```", *parser.examples, "```"])
    sessions = {one.attribute for one in OPTIONS}  # listed once, as options of pytest
    arguments = [action for action in find_arguments(parser) if action.dest not in sessions]
    table = write_table(["argument", "meaning"], map(row, arguments)) if arguments else ""
    return f"{examples}\n\n{table}"


def write_commands() -> str:
    rows = ([f"`{name}`", str(command.description)] for name, command in COMMANDS.items())
    return write_table(["command", "what it does"], rows)


KINDS = {
    "string": "text",
    "texts": "list of texts",
    "float64": "number",
    "float32": "number",
    "int64": "whole number",
    "Int64": "whole number",
    "bool": "true or false",
}


def write_columns(name: str) -> str:
    rows = (
        [
            f"`{one.name}`",
            KINDS[one.kind],
            one.meaning + ("; older runs lack it" if one.since else ""),
        ]
        for one in TABLES[name].columns
    )
    return write_table(["column", "holds", "meaning"], rows)


INTERVALS = {
    "proportion": "Wilson's score interval",
    "mean": "bootstrap over queries",
    "quantile": "order statistics",
    "consistency": "over people, triplets and target pictures",
    "correlation": "over people, triplets and target pictures",
}


def write_metrics() -> str:
    """The metrics of a run: what they are, and where they are compared."""

    def row(one: Metric) -> list[str]:
        cutoffs = f"; k = {', '.join(map(str, one.cutoffs))}" if one.cutoffs else ""
        others = "; also under other rules" if one.relevances else ""
        gate = "yes" if one in USUALLY_TESTED else "if named" if one in TESTABLE else "no"
        compared = "yes" if one in COMPARED else "no"
        return [
            f"`{one.name}`",
            f"{one.meaning}{cutoffs}{others}",
            INTERVALS[one.kind],
            compared,
            gate,
        ]

    head = ["metric", "meaning", "95% interval", "compared by `kis-bench compare`", "by the gate"]
    return write_table(head, map(row, METRICS))


LABELS = (50, 100, 200, 400, 800, 1600)  #: how many texts a study may have
RECALLS = (0.1, 0.3, 0.5, 0.7, 0.9)
DIFFERING, DIFFERENCES = (0.1, 0.2, 0.3), (0.02, 0.05, 0.1)  #: of the texts


def write_label_intervals() -> str:
    """The interval of a recall by how many texts it was measured on."""

    def cell(recall: float, n: int) -> str:
        low, high = wilson_interval(recall * n, n)
        return f"{100 * low:.0f} to {100 * high:.0f}%"

    rows = ([f"{n:,}", *(cell(recall, n) for recall in RECALLS)] for n in LABELS)
    return write_table(["texts", *(f"{recall:.0%}" for recall in RECALLS)], rows)


def write_labels_needed() -> str:
    """How many texts tell two models apart, by how often they differ and by how much one is better."""

    def cell(share: float, difference: float) -> str:
        better, worse = (round(5000 * (share + sign * difference)) for sign in (1, -1))
        signs = np.repeat([1.0, -1.0, 0.0], [better, worse, 10_000 - better - worse])
        return f"{queries_needed(signs[None], hits=True)[0]:,.0f}"

    rows = ([f"{share:.0%}", *(cell(share, d) for d in DIFFERENCES)] for share in DIFFERING)
    heads = [f"recalls differ by {100 * d:.0f} points" for d in DIFFERENCES]
    return write_table(["only one of the two finds it", *heads], rows)


COMMANDS = list_commands(make_parser())

#: Name of a part -> what writes its Markdown.
GENERATORS: dict[str, Callable[[], str]] = {
    "options of pytest": write_pytest_options,
    "commands": write_commands,
    "metrics": write_metrics,
    "intervals by labels": write_label_intervals,
    "labels to tell models apart": write_labels_needed,
    **{
        f"arguments of {name}": partial(write_arguments, command)
        for name, command in COMMANDS.items()
    },
    **{f"columns of {name}": partial(write_columns, name) for name in TABLES},
}


def find_pages() -> list[Path]:
    """Every Markdown page that may have generated parts."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def main() -> None:
    for page in find_pages():
        if write_page(page, MARK, GENERATORS):
            print(f"rewritten: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
