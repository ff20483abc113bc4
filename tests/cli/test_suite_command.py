"""``kis-bench run``: what is ours, what is pytest's, and how the one is told the other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kis_bench import cli
from kis_bench.cli import suite
from kis_bench.errors import SHORT_OPTIONS, spell_option
from kis_bench.options import OPTIONS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def started(monkeypatch):
    """The commands that would have been started instead of pytest; each ends with the first of the codes."""
    commands = []
    codes = [0]
    monkeypatch.setattr(suite, "call_pytest", lambda command: commands.append(command) or codes[0])
    return commands, codes


@pytest.mark.parametrize(
    ("words", "ours", "others"),
    [
        ("", "", ""),
        ("mine ./theirs", "mine ./theirs", ""),
        ("mine -k long --labels short -x", "mine --labels short", "-k long -x"),
        ("--labels short mine", "--labels short mine", ""),
        ("--labels=short -n2 mine", "--labels=short mine", "-n2"),
        ("--privacy mine --no-strict", "--privacy mine --no-strict", ""),
        ("-n 4 mine", "mine", "-n 4"),
        ("--maxfail=2 mine --lf", "mine", "--maxfail=2 --lf"),
        ("mine -- --labels short", "mine", "--labels short"),
        ("--kis-model demo --no-kis-strict", "--model demo --no-strict", ""),
        ("--kis-dataset=a=b --kis-xyz 1", "--dataset=a=b", "--kis-xyz 1"),
        ("--lab short", "", "--lab short"),
    ],
)
def test_words_are_split(words, ours, others):
    assert suite.split_arguments(words.split()) == (ours.split(), others.split())


def test_every_option_of_the_table_can_be_given(started):
    commands, _ = started
    values = {"batch-size": "8", "segment": "5", "verify": "0", "alpha": "0.1", "tolerance": "0.1"}
    values |= {
        "query-factor": "3",
        "max-pixels": "1000",
        "precision": "bf16",
        "decode": "scaled",
        "engine": "torch",
        "image-similarity": "max",
        "plots": "svg,pdf",
        "log": "mlflow",
        "direction": "both",
    }
    given = {one.name: values.get(one.name, "x") for one in OPTIONS if not one.flag}
    flags = [one.name for one in OPTIONS if one.flag]
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    assert cli.main(["run", *words, *(f"--{name}" for name in flags)]) == 0
    (command,) = commands
    assert command[:3] == [sys.executable, "-m", "pytest"]
    said = dict(word.removeprefix("--kis-").split("=") for word in command if "=" in word)
    assert said == given
    assert {f"--kis-{name}" for name in flags} <= {*command}


def test_datasets_are_named_first_or_by_option(started):
    commands, _ = started
    cli.main(["run", "mine", "./theirs", "--dataset", "other=there", "--no-strict", "-k", "a or b"])
    rest = commands[0][3:]
    assert [word for word in rest if "dataset" in word] == [
        "--kis-dataset=mine",
        "--kis-dataset=./theirs",
        "--kis-dataset=other=there",
    ]
    assert rest[-3:] == ["--no-kis-strict", "-k", "a or b"]
    cli.main(["run", "--kis-dataset", "/photos"])  # after a blank pytest would take it for its root
    assert commands[1][-1] == "--kis-dataset=/photos"


def test_the_suite_is_that_of_the_clone_or_of_the_package(monkeypatch, tmp_path, started):
    commands, _ = started
    for folder in (ROOT, ROOT / "docs", tmp_path):
        monkeypatch.chdir(folder)
        assert cli.main(["run"]) == 0
    assert [command[3:] for command in commands] == [
        ["benchmarks"],
        ["--pyargs", "kis_bench.suite"],
        ["--pyargs", "kis_bench.suite"],
    ]
    (tmp_path / "benchmarks").mkdir()  # of somebody else
    cli.main(["run"])
    assert commands[-1][3:] == ["--pyargs", "kis_bench.suite"]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5])
def test_the_exit_code_is_that_of_pytest(started, code):
    started[1][0] = code
    assert cli.main(["run"]) == code


def test_what_pytest_rejected_is_explained(started, capsys):
    started[1][0] = 4
    assert cli.main(["run", "--modle", "demo", "-x", "mine"]) == 4
    said = capsys.readouterr().err
    assert "--modle went on to pytest; did you mean --model" in said
    assert (
        "mine went on to pytest with -x; a dataset comes before all options: kis-bench run mine"
        in said
    )


def test_options_are_spelt_as_they_are_typed(monkeypatch, started):
    monkeypatch.delenv(SHORT_OPTIONS, raising=False)
    assert spell_option("model") == "--kis-model"
    with cli.short_options():
        assert spell_option("model") == "--model"
        with cli.short_options():
            pass
        assert spell_option("model") == "--model"
    assert spell_option("model") == "--kis-model"


PROGRAM = """
import sys, time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped by hand", flush=True)
    sys.exit(7)
"""
CALL = (
    "import sys; from kis_bench.cli.suite import call_pytest; sys.exit(call_pytest(sys.argv[1:]))"
)


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 7, "stopped by hand"), (signal.SIGTERM, 143, "")]
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups of this kind")
def test_ctrl_c_is_left_to_pytest_and_an_end_is_passed_on(number, code, said):
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if number == signal.SIGINT:  # as a terminal does
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.strip()) == (code, said)
