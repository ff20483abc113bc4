"""The example report in the repository: whole, small, of no particular machine; and its check finds what differs."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from builders import ROOT, make_ranks

from kis_bench.results import write_run
from kis_bench.results.columns import ALL_VERDICTS, JUDGMENTS, TIMINGS

EXAMPLE = ROOT / "reports" / "example"
TOOL = ROOT / "tools" / "example.py"
FILES = sorted(file for file in EXAMPLE.rglob("*") if file.is_file())
TEXT = (EXAMPLE / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(TOOL))


def test_it_is_small():
    assert sum(file.stat().st_size for file in FILES) < 2_000_000


def test_it_names_no_machine():
    for file in FILES:
        assert not re.search("/(home|root|work|tmp|Users)/", file.read_text(encoding="utf-8")), file
    head = json.loads((EXAMPLE / "run.json").read_text(encoding="utf-8"))
    assert head["command"] == ["pytest", "benchmarks"]
    assert re.fullmatch(r"\w+", head["versions"]["platform"])


def test_its_links_lead_somewhere():
    linked = {*re.findall(r"\]\(((?:plots|tables)/[^)]+)\)", TEXT)}
    assert {(EXAMPLE / link) for link in linked} <= {*FILES}
    assert {file for file in FILES if file.parent.name == "plots"} <= {
        EXAMPLE / link for link in linked
    }
    assert "![" in TEXT
    assert "reports/example/report.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.suffix == ".svg"], ids=lambda f: f.name
)
def test_its_figures_are_svg(file):
    assert ElementTree.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@pytest.fixture(scope="module")
def made(tmp_path_factory, example):
    """A small run's folder, and the example that is made of it."""
    folder = tmp_path_factory.mktemp("example")
    places = np.arange(1, 13) * 7 % 40 + 1
    run = write_run(
        folder,
        ranks=make_ranks(places),
        judgments=pd.DataFrame(columns=JUDGMENTS),
        timings=pd.DataFrame(
            [("a", "mine", "", "embed images", 1.5, 9, 6, False, None)], columns=TIMINGS
        ),
        verdicts=pd.DataFrame(columns=ALL_VERDICTS),
        provenance={
            "command": ["pytest", "/home/anna/x"],
            "versions": {"python": "3.11.7", "platform": "Linux-6.1.0-anna-x86_64"},
            "time": "2026-11-24T02:15:00+00:00",
            "gate": "/home/anna/thresholds.toml",
            "models": {"a": {"key": "k", "device": "cpu", "threads": "2"}},
            "datasets": {},
        },
    )
    return run, example["make"](run, folder / "example")


def test_an_example_keeps_what_names_no_machine(made):
    _, folder = made
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {"report.md", "run.json", "metrics.csv"} <= files
    assert not [name for name in files if name.endswith((".png", ".pdf", ".parquet"))]
    text = (folder / "report.md").read_text("utf-8")
    assert "anna" not in text + (folder / "run.json").read_text("utf-8")
    assert ".svg)" in text
    assert ".png)" not in text


def test_time_and_machine_may_differ(made, example, tmp_path):
    run, folder = made
    other = shutil.copytree(run, tmp_path / "run")
    head = json.loads((other / "run.json").read_text("utf-8"))
    head |= {"time": "2027-01-01T00:00:00+00:00", "git": {"commit": "abc", "dirty": False}}
    head["versions"]["python"] = "3.13.0"
    head["models"]["a"] |= {"device": "cuda:0", "threads": "64"}
    (other / "run.json").write_text(json.dumps(head), "utf-8")
    times = (other / "timings.csv").read_text("utf-8")
    (other / "timings.csv").write_text(times.replace("1.5", "9.25"), "utf-8")
    fresh = example["make"](other, tmp_path / "fresh")
    assert example["list_differences"](folder, fresh) == []
    assert (fresh / "report.md").read_text("utf-8") != (folder / "report.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metrics.csv", ",12,", ",13,"),
        ("report.md", "10,000 images", "10,001 images"),
        ("report.md", "Wilson's", "Tango's"),
    ],
)
def test_a_word_or_a_figure_that_differs_is_found(made, example, tmp_path, capsys, file, old, new):
    fresh = shutil.copytree(made[1], tmp_path / "fresh")
    text = (fresh / file).read_text("utf-8")
    assert old in text
    (fresh / file).write_text(text.replace(old, new, 1), "utf-8")
    found = example["list_differences"](made[1], fresh)
    assert [line[0] for line in found if not line.startswith(("+++", "---", "@@"))] == ["-", "+"]
    assert example["tell_differences"](found) == 1
    assert "run: python tools/example.py" in capsys.readouterr().out


def test_a_figure_that_is_missing_is_found(made, example, tmp_path):
    fresh = shutil.copytree(made[1], tmp_path / "fresh")
    first = sorted((fresh / "plots").iterdir())[0]
    first.unlink()
    assert f"-plots/{first.name}" in example["list_differences"](made[1], fresh)
