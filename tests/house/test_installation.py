"""No package index has kis-bench: what is said of installing leads to a clone or a wheel, and extras exist."""

import ast
import re
from pathlib import Path

import pytest
from packaging.version import Version

import kis_bench
from kis_bench.choices import TRACKERS
from kis_bench.errors import explain_install
from kis_bench.files.toml_tables import read_toml

ROOT = Path(__file__).parents[2]
EXTRAS = read_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"]
KINDS = ("*.md", "*.py", "*.toml", "*.yml", "*.yaml", "*.ini", "*.js")
PLACES = ("kis_bench", "docs", "examples", "benchmarks", "tools", "findings", ".github")
#: A requirement of pip that names the distribution, which pip would look for on an index.
BY_NAME = re.compile(r"""\bpip3? install [^\n`]*?(?<![\w./-])kis[-_]bench(?![\w./-])""")
WHEELS = re.compile(r"kis_bench-([^-\s/]+)-py3-none-any\.whl(?:\[([\w,-]+)\])?")


def find_files():
    found = [*ROOT.glob("*.md"), *ROOT.glob("*.ini"), *ROOT.glob(".ci/*")]
    return found + [
        file for place in PLACES for kind in KINDS for file in (ROOT / place).rglob(kind)
    ]


def test_nothing_is_installed_from_an_index_that_lacks_it():
    named = [
        f"{file.relative_to(ROOT)}: {hit[0]}"
        for file in find_files()
        for hit in BY_NAME.finditer(file.read_text(encoding="utf-8"))
    ]
    assert named == []


@pytest.mark.parametrize(
    ("text", "by_name"),
    [
        ('pip install "kis-bench[all]" pytest-xdist', True),
        ("python -m pip install kis-bench", True),
        ("pip3 install -U pytest kis_bench==0.1", True),
        ("python -m pip install -e '.[all]'", False),
        ("python -m pip install './kis_bench-0.1.0-py3-none-any.whl[all]'", False),
        ("pip install bench/kis_bench-0.1.0-py3-none-any.whl", False),
    ],
)
def test_what_counts_as_an_index(text, by_name):
    assert bool(BY_NAME.search(text)) == by_name


def test_wheels_are_of_this_version_and_extras_exist():
    found = [hit for file in find_files() for hit in WHEELS.findall(file.read_text("utf-8"))]
    assert found
    assert {version for version, _ in found} <= {kis_bench.__version__, "{__version__}"}
    asked = {extra for _, extras in found for extra in extras.split(",") if extra}
    assert asked <= {*EXTRAS}


def test_messages_name_extras_that_exist():
    """Also where a back end hands the name of its extra on."""
    named = set()
    for file in (ROOT / "kis_bench").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            said = ast.unparse(call.func)
            if said.rpartition(".")[2] == "explain_install":
                extra = call.args[0]
            elif said == "hub.readiness":
                extra = call.args[4]
            else:
                continue
            if isinstance(extra, ast.Constant):
                named.add(extra.value)
            elif file.parent.name == "tracking":
                named |= {*TRACKERS}
            elif file.name != "hub.py":
                named.add(constants[ast.unparse(extra)])
    assert {"demo", "openclip", "extractors", "timm", "sentence-transformers"} <= named <= {*EXTRAS}


def test_a_clone_and_a_wheel_are_told_apart(monkeypatch, tmp_path):
    said = "in the clone of kis-bench: python -m pip install -e '.[demo]'"
    assert explain_install("demo") == said
    monkeypatch.setattr("kis_bench.errors.__file__", str(tmp_path / "kis_bench" / "errors.py"))
    wheel = f"'./kis_bench-{kis_bench.__version__}-py3-none-any.whl[demo]'"
    said = f"where the wheel of kis-bench lies: python -m pip install {wheel}"
    assert explain_install("demo") == said


def test_the_oldest_versions_are_those_of_the_project():
    """The file of the environment `lowest` pins each dependency of what it tests to the version that is its minimum."""
    project = read_toml(ROOT / "pyproject.toml")["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["xlsx"]]
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        re.split(r"[~=<]=?", line, maxsplit=1)[0]: line
        for line in lines
        if not line.startswith("#")
    }
    for one in declared:
        name, version = re.match(r"([\w-]+)[>=]=([\d.*]+)", one).groups()
        found = re.match(rf"{name}[~=]=([\d.*]+)", pinned[name])
        assert Version(found[1].removesuffix(".*")) == Version(version.removesuffix(".*")), one
