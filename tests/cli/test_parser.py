"""Help of every command, and what is said of names that aren't there."""

import re
import shlex

import pytest

from kis_bench import cli
from kis_bench.cli.parser import EXIT_CODES, list_commands

PARSER = cli.make_parser()
COMMANDS = list_commands(PARSER)


def parse(line):
    """What a command line means; every word of it has to mean something."""
    program, *words = shlex.split(line)
    assert program == "kis-bench"
    return cli.make_parser().parse_args(words)


def show(capsys, *words, code=0):
    with pytest.raises(SystemExit, match=str(code)):
        cli.main([*words])
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_every_command_has_examples():
    assert len(PARSER.examples) >= 2
    assert {
        name: len(command.examples)
        for name, command in COMMANDS.items()
        if len(command.examples) < 2
    } == {}


@pytest.mark.parametrize(
    ("name", "example"),
    [(name, example) for name, command in COMMANDS.items() for example in command.examples],
)
def test_an_example_is_of_its_command_and_is_understood(name, example):
    assert example.startswith(name)
    assert parse(example).call is COMMANDS[name].get_default("call")


def test_an_example_that_means_nothing_is_noticed(capsys):
    with pytest.raises(SystemExit, match="2"):
        parse("kis-bench report reports/latest --as-pdf")
    assert "unknown option '--as-pdf'" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_and_exit_codes(name, capsys):
    said = show(capsys, *name.split()[1:], "--help")
    assert all(f"  {example}\n" in said for example in COMMANDS[name].examples)
    assert "\nexit codes: 0 fine, " in said
    assert said.endswith("\n")


def test_each_command_is_in_one_group_and_on_one_line(capsys):
    grouped = [name for names in cli.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(PARSER.subcommands)
    said = show(capsys, "--help")
    listed = re.findall(r"^  ([a-z]+) {2,}[A-Z].*[a-z)]$", said, re.M)
    assert listed == grouped
    assert max(map(len, said.splitlines())) <= 79
    assert EXIT_CODES in said


def test_nothing_is_help(capsys):
    assert show(capsys) == show(capsys, "--help")


def test_the_version(capsys):
    assert show(capsys, "--version") == f"kis-bench {cli.__version__}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("reprot x", "kis-bench: unknown command 'reprot': did you mean report"),
        ("baseline sav x", "kis-bench baseline: unknown command 'sav': did you mean save"),
        (
            "datasets --data x chekc y",
            "kis-bench datasets: unknown command 'chekc': did you mean check",
        ),
        ("embed x --modle demo", "unknown option '--modle': did you mean --model"),
        ("embed x --modle=demo", "unknown option '--modle': did you mean --model"),
        ("run --precision fp33", "argument --precision: invalid choice: 'fp33'"),
        ("run --segment -1", "argument --segment"),
    ],
)
def test_what_is_not_there_is_told_with_what_is_like_it(line, said, capsys):
    shown = show(capsys, *line.split(), code=2)
    assert said in shown
    assert "--kis-" not in shown
    assert "has examples" in shown


def test_beginnings_of_options_and_values_with_hyphens_still_hold():
    chosen = parse("kis-bench embed mine --mod demo --dev cpu")
    assert (chosen.model, chosen.device) == ("demo", "cpu")
    assert parse("kis-bench compare --out=--odd old new").out.name == "--odd"
