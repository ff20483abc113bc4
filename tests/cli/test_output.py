"""What a terminal gets of names that hold control characters, or letters that it lacks; and closed outputs."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from builders import run_cli, run_python

from kis_bench.cli.output import PlainOutput, write_plain
from kis_bench.errors import BadFile, KisBenchError

HOSTILE = "red\x1b[31m\x07\x9b\u202e\r"
SHOWN = r"red\x1b[31m\x07\x9b\u202e\r"


def test_control_characters_are_shown_and_lines_stay():
    stream = io.StringIO()
    with redirect_stdout(stream), redirect_stderr(stream), write_plain():
        print(f"one {HOSTILE}\ttwo\nthree")
        print(HOSTILE, file=sys.stderr)
    assert stream.getvalue() == f"one {SHOWN}\ttwo\nthree\n{SHOWN}\n"


@pytest.mark.parametrize("error", [KisBenchError(HOSTILE), BadFile(HOSTILE, ["line 1"])])
def test_errors_show_them_too(error):
    assert SHOWN in str(error)
    assert "\x1b" not in str(error)


def test_letters_that_an_output_lacks_are_question_marks():
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, "ascii", newline="\n")
    PlainOutput(stream).write("rank 3 → 5, größer\n")
    stream.flush()
    assert file.getvalue() == b"rank 3 ? 5, gr??er\n"


CLOSED = """
import os, sys
for number in map(int, sys.argv[2:]):
    os.close(number)
os.execv(sys.executable, [sys.executable, "-m", "kis_bench.cli", "report", sys.argv[1]])
"""


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)])
def test_closed_outputs_are_no_matter(tmp_path, closed):
    done = run_python("-c", CLOSED, tmp_path / "nowhere", *closed)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_names_of_any_kind_on_an_output_of_ascii(tmp_path):
    done = run_cli("report", tmp_path / "größer\x1b[31m", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert done.stderr.isascii()
    assert "\x1b" not in done.stderr
    assert "there is no run folder" in done.stderr
