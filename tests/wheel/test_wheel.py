"""The built wheel, alone in its environment: what is in it, and a repository of somebody else's that uses it."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sysconfig
import zipfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas as pd
import pytest
from PIL import Image

import kis_bench

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own-suite"
REMEDY = "needs the wheel alone in its environment: python -m tox run -e wheel"
KINDS = {".py", ".typed", ".toml", ".csv", ".md", ".js", ".css", ".html", ".safetensors"}
CORE = (
    "records",
    "errors",
    "ranking",
    "metrics",
    "statistics",
    "triplets",
    "fusion",
    "analysis.models",
    "results",
    "store",
    "embed",
    "datasets",
    "encoders",
    "lineup",
    "report",
    "plugin",
    "cli",
)
DEEP_LEARNING = {"torch", "open_clip", "transformers", "timm", "safetensors"}
QUERIES = {
    (labels, model): 32 for labels in ("short", "long") for model in ("own-model", "colour-words")
}


def installed_wheel():
    """The file that this environment's kis-bench was installed from; None: it lies in a checkout, or came otherwise."""
    if not within_environment(kis_bench.__file__):
        return None
    origin = json.loads(
        importlib.metadata.distribution("kis-bench").read_text("direct_url.json") or "{}"
    )
    file = Path(url2pathname(urlsplit(origin.get("url", "")).path))
    return file if file.suffix == ".whl" and file.is_file() else None


def within_environment(file):
    return Path(sysconfig.get_path("purelib")) in Path(file).parents


@pytest.fixture(scope="module")
def wheel():
    """The wheel's file; skipped where another environment runs these tests."""
    file = installed_wheel()
    if file is None and "KIS_REQUIRE_WHEEL" not in os.environ:
        pytest.skip(REMEDY)
    assert file is not None, (
        f"{kis_bench.__file__} isn't installed from a wheel that is still there"
    )
    return file


@pytest.fixture(scope="module")
def files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return sorted(archive.namelist())


@pytest.fixture
def run_anywhere(tmp_path):
    """Runs a command of this environment outside the checkout, with none of the caller's settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KIS_", "PYTEST_", "PYTHON"))
    }
    environment = kept | {
        "KIS_STORE": str(tmp_path / "store"),
        "KIS_CACHE": str(tmp_path / "cache"),
    }

    def run(command, *arguments, cwd=tmp_path):
        program = shutil.which(command, path=sysconfig.get_path("scripts"))
        assert program, f"{command} isn't installed"
        return subprocess.run(
            [program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
        )

    return run


@pytest.fixture
def run(wheel, run_anywhere):
    """The same, in the wheel's environment only."""
    return run_anywhere


@pytest.fixture
def example(tmp_path):
    """A copy of the example, as if it were all that there is."""
    copy = tmp_path / "own-suite"
    shutil.copytree(
        EXAMPLE, copy, ignore=shutil.ignore_patterns("reports", "__pycache__", ".pytest_cache")
    )
    return copy


def package_files():
    """What belongs into the wheel: the package as it lies in the tree, and the suite that becomes part of it."""
    own = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "kis_bench").rglob("*")
        if file.is_file()
    }
    suite = {f"kis_bench/suite/{file.name}" for file in (ROOT / "benchmarks").glob("test_*.py")}
    suite.remove(
        "kis_bench/suite/test_labelling_throughput.py"
    )  # its people are those of the tests
    assert len(suite) == 8
    return {name for name in own if "__pycache__" not in name} - {
        "kis_bench/suite/conftest.py"
    } | suite


def test_the_package_and_nothing_else_is_in_the_wheel(files):
    assert {name for name in files if ".dist-info/" not in name} == package_files()
    assert len(files) == len(set(files))
    assert {Path(name).suffix for name in files if ".dist-info/" not in name} == KINDS


def test_about_the_wheel(files, wheel):
    about = [name for name in files if ".dist-info/" in name]
    of_all = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert {name.partition(".dist-info/")[2] for name in about} == of_all
    with zipfile.ZipFile(wheel) as archive:
        licence = next(name for name in about if name.endswith("LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert wheel.name.endswith("-py3-none-any.whl")
    points = importlib.metadata.distribution("kis-bench").entry_points
    found = {(point.group, point.name): point.value for point in points}
    assert found == {
        ("console_scripts", "kis-bench"): "kis_bench.cli:main",
        ("pytest11", "kis_bench.plugin"): "kis_bench.plugin",
    }


def test_wheel_environment_has_no_deep_learning_and_pytest_8(wheel, run):
    assert [name for name in DEEP_LEARNING if importlib.util.find_spec(name)] == []
    assert run("pytest", "--version").stdout.startswith("pytest 8.")


@pytest.mark.parametrize("module", ["kis_bench", *(f"kis_bench.{name}" for name in CORE)])
def test_core_imports_without_torch(run, module):
    code = f"import {module}, kis_bench; print(kis_bench.__file__)"
    done = run("python", "-I", "-c", code)
    assert done.returncode == 0, done.stderr
    assert within_environment(done.stdout.strip())


def test_command_line(run):
    version = run("kis-bench", "--version")
    assert (version.returncode, version.stdout) == (
        0,
        f"kis-bench {importlib.metadata.version('kis-bench')}\n",
    )
    models = run("kis-bench", "models")
    assert models.returncode == 0, models.stderr
    states = {line.split()[0]: line for line in models.stdout.splitlines() if line.strip()}
    assert "ready" in states["colour-words"]
    assert "needs torch" in states["demo"]


def measured(folder):
    """(label set, model) -> number of queries in the newest run of a repository, whose report is complete."""
    latest = folder / "reports" / "latest"
    assert {"report.md", "report.html", "ranks.parquet", "run.json"} <= {
        file.name for file in latest.iterdir()
    }
    assert "own-model" in (latest / "report.md").read_text(encoding="utf-8")
    ranks = pd.read_parquet(latest / "ranks.parquet")
    assert set(ranks.dataset) == {"shapes"}
    return {key: len(rows) for key, rows in ranks.groupby(["label_set", "model"])}


def test_suite_is_found_in_a_wheel_and_in_an_editable_install(run_anywhere, example):
    everything = ["-m", "throughput or not throughput", "--collect-only", "-q"]
    done = run_anywhere("pytest", "--pyargs", "kis_bench.suite", *everything, cwd=example)

    assert done.returncode == 0, done.stdout + done.stderr
    found = {
        re.split("[:/]+", line.partition(".py::")[0])[-1]
        for line in done.stdout.splitlines()
        if ".py::" in line
    }
    # No dataset of the example is for image similarity.
    assert found == {
        "test_complementarity",
        "test_decoding",
        "test_known_item_search",
        "test_overhead",
        "test_throughput",
    }


def verdicts(folder):
    return pd.read_csv(folder / "reports" / "latest" / "verdicts.csv")


def thresholds(folder):
    """The verdicts on thresholds in the newest run."""
    return verdicts(folder).query("rule == 'threshold'")


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["plain", "xdist"])
@pytest.mark.parametrize(
    ("what", "passed"), [(["--pyargs", "kis_bench.suite"], 6), ([], 4)], ids=["suite", "own test"]
)
def test_example(run, example, what, passed, processes):
    done = run("pytest", *what, *processes, cwd=example)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f" {passed} passed" in done.stdout
    assert "skipped" not in done.stdout
    assert re.search(r"\d warning", done.stdout) is None
    assert measured(example) == QUERIES
    held = thresholds(example)
    assert len(held) == 3
    assert set(held.verdict) == {"pass"}
    assert verdicts(example).rule.value_counts().to_dict() == {"significance": 24, "threshold": 3}
    assert set(verdicts(example).verdict) == {"pass"}


def test_example_is_held_to_its_thresholds(run, example):
    file = example / "thresholds.toml"
    file.write_text(file.read_text().replace("min = 0.7", "min = 0.99"))

    done = run("pytest", "--pyargs", "kis_bench.suite", cwd=example)

    assert done.returncode == 1, done.stdout + done.stderr
    failed = thresholds(example).query("verdict == 'fail'")
    assert failed[["dataset", "label_set", "model", "metric"]].values.tolist() == [
        ["shapes", "short", "own-model", "recall@1"]
    ]
    assert measured(example) == QUERIES  # measured and reported all the same


def test_example_is_compared_with_its_baseline(run, example):
    """A model that mixes colours up is worse than the one that was saved, also with its vectors in the store."""
    assert (
        run("pytest", "--pyargs", "kis_bench.suite", "-k", "own-model", cwd=example).returncode == 0
    )
    model = example / "own_model.py"
    text = model.read_text(encoding="utf-8")
    model.write_text(
        text.replace(
            "def load(", "COLOURS = dict(zip(COLOURS, [*COLOURS.values()][::-1]))\n\n\ndef load("
        )
    )

    done = run(
        "pytest", "--pyargs", "kis_bench.suite", "-k", "own-model", "--kis-thresholds=", cwd=example
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "beyond noise" in done.stdout
    assert re.search(r"worst of the \d+ queries that .*: find-", done.stdout)
    assert set(verdicts(example).query("verdict == 'fail'").model) == {"own-model"}


def shapes(folder):
    """Each picture's pixels, not its bytes, which depend on the version of zlib; and the table as it is."""
    pictures = {
        file.name: Image.open(file).convert("RGB").tobytes()
        for file in (folder / "images").iterdir()
    }
    return pictures | {"labels.csv": (folder / "labels.csv").read_bytes()}


def test_pictures_of_the_example_are_what_its_script_draws(run, example):
    committed = shapes(example / "shapes")
    shutil.rmtree(example / "shapes")

    done = run("python", "draw_shapes.py", cwd=example)

    assert done.returncode == 0, done.stderr
    assert len(committed) == 49
    assert shapes(example / "shapes") == committed
