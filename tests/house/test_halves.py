"""The tests run in two halves, which together are all of them: the first minutes, and the rest.

Those of search engines have an environment of their own, which runs all of them, so the rest leaves them out.
"""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = configparser.ConfigParser(interpolation=None)
ENVIRONMENTS.read(ROOT / "tox.ini", encoding="utf-8")
ENGINES = "tests/search_engines"


def read_commands(name):
    """What pytest is given by each command of a tox environment: the marker expression, and the rest."""
    defaults = re.findall(r"\{posargs:(.*)\}", ENVIRONMENTS[f"testenv:{name}"]["commands"])
    for arguments in map(shlex.split, defaults):
        place = arguments.index("-m")
        yield arguments[place + 1], arguments[:place] + arguments[place + 2 :]


def test_the_halves_are_complementary():
    ((marker, first),) = read_commands("py")
    assert (marker, first[-1]) == ("not slow", "tests")
    rest = list(read_commands("rest"))
    assert len(rest) == 2  # Windows has its programs in another folder
    assert all(half == ("slow", [*first[:-1], f"--ignore={ENGINES}", "tests"]) for half in rest)
    assert ENVIRONMENTS["testenv:engines"]["commands"] == f"pytest {{posargs:{ENGINES}}}"


@pytest.mark.parametrize("file", [".ci/run", ".github/workflows/tests.yml"])
def test_both_halves_are_run(file):
    """By plain commands: arguments of one's own would take the place of the marker."""
    text = (ROOT / file).read_text(encoding="utf-8")
    runs = re.findall(r"^ *\(?python .*tox run -e (py|rest)\)?(?: #.*)?$", text, re.M)
    assert {*runs} == {"py", "rest"}, runs
    assert re.search(r"tox run(-parallel)? .*-e (cluster,)?engines\b", text)


def test_a_whole_run_is_in_the_first_half():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow"]
    found = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests/end_to_end/test_suite.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "::test_a_plain_run_prints_the_table_and_writes_the_folder" in found.stdout, found.stdout
