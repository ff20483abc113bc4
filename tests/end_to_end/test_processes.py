"""A run in several processes leaves the same tables, rows and report as one in a single process: real sessions."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from builders import run_python
from PIL import Image
from reset_files import judgment, keyframe, person, triplet, write_study

pytestmark = pytest.mark.slow

CONFTEST = """
from pathlib import Path

from kis_bench import encoders
from kis_bench.datasets import DatasetRow
from kis_bench.records import Checkpoint

HERE = Path(__file__).parent

def pytest_kis_models(config):
    named = ["rgb-histogram-64", "colour-words"]
    return [Checkpoint("wide", "python:wider:load"), *map(encoders.find, named)]

def pytest_kis_datasets(config):
    return [DatasetRow("study", HERE / "study", layout="reset"), DatasetRow("squares", HERE / "squares"),
            DatasetRow("absent")]
"""
WIDER = """
import time

from kis_bench.encoders import colour_words

class Slow(colour_words.ColourWords):
    def encode_prepared(self, prepared):
        time.sleep(1)  # so that others are done before
        return super().encode_prepared(prepared)

def load():
    return Slow("wide", "wide-1")
"""
COLOURS = ("red", "green", "blue", "white", "black", "orange", "purple", "yellow")
TABLES = ("ranks", "judgments", "distances", "fused")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run folders of one process and of two."""
    root = tmp_path_factory.mktemp("project")
    (root / "conftest.py").write_text(CONFTEST)
    (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (root / "wider.py").write_text(WIDER)
    (root / "squares" / "images").mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for colour in COLOURS:
        Image.new("RGB", (8, 8), colour).save(root / "squares" / "images" / f"{colour}.png")
        rows += [f"{name}-{colour},{colour},{name},{name} {colour}" for name in ("short", "longer")]
    (root / "squares" / "labels.csv").write_text("\n".join(rows))
    triplets = [triplet(i, i % 4, (i + 1) % 4, (i + 2) % 4) for i in range(6)]
    judged = [
        judgment(10 * i + j, one, name, (-1) ** (i + j))
        for i, one in enumerate(triplets)
        for j, name in enumerate(("ann", "bob"))
    ]
    distances = {name: [[0.1 * (i % 3), 0.2, 0.1] for i in range(6)] for name in ("Zeta", "Alpha")}
    write_study(
        root / "study", triplets, judged, [person("ann"), person("bob", "35-44")], distances
    )
    for number in range(4):
        file = root / "study" / "keyframes" / keyframe(number)
        file.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), COLOURS[number]).save(file)

    def run(name, *arguments):
        folder = root / name
        command = ["-m", "pytest", "--pyargs", "kis_bench.suite", "--kis-report", folder]
        done = run_python(*command, *arguments, cwd=root, KIS_STORE=str(root / f"store of {name}"))
        assert done.returncode == 0, done.stdout + done.stderr
        return (folder / "latest").resolve()

    return run("one"), run("two", "-n", "2")


def test_rows_and_tables_are_the_same(runs):
    for table in TABLES:
        one, two = (pd.read_parquet(folder / f"{table}.parquet") for folder in runs)
        assert len(one), table
        pd.testing.assert_frame_equal(one, two)
    files = [
        [file.relative_to(folder) for file in sorted(folder.rglob("*.csv"))] for folder in runs
    ]
    assert files[0] == files[1]
    for file in files[0]:
        if file != Path("timings.csv"):
            assert (runs[0] / file).read_bytes() == (runs[1] / file).read_bytes(), file
    columns = ["model", "dataset", "label_set", "step", "n"]
    one, two = (pd.read_csv(folder / "timings.csv")[columns] for folder in runs)
    pd.testing.assert_frame_equal(one, two)


def test_rows_are_in_the_order_of_the_line_up(runs):
    """Whatever took longest, and whatever its name."""
    ranks = pd.read_parquet(runs[1] / "ranks.parquet")
    assert [*ranks.dataset.unique()] == ["squares"]
    assert [*ranks.label_set.unique()] == ["short", "longer"]
    assert [*ranks.model.unique()] == ["wide", "colour-words"]
    judgments = pd.read_parquet(runs[1] / "judgments.parquet")
    of_models = ["wide", "rgb-histogram-64", "colour-words"]
    assert [*judgments.model.unique()] == [*of_models, "Zeta", "Alpha"]


def test_provenance_and_report_are_the_same_but_for_times(runs):
    one, two = (json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in runs)
    assert [key for key in one if one[key] != two.get(key)] == ["command", "time"]
    assert one.keys() == two.keys()
    pages = [
        re.sub(r"It was written at \S+", "", text.partition("## Timings")[0])
        for text in ((folder / "report.md").read_text(encoding="utf-8") for folder in runs)
    ]
    assert pages[0] == pages[1]
