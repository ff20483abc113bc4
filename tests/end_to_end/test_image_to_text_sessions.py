"""Sessions of pytest in which pictures look for their texts: asked for, stored, written, shown, and else not there."""

import os
import re

import pandas as pd
import pytest
from builders import run_pytest
from PIL import Image

from kis_bench.results import read_run

pytestmark = pytest.mark.slow
COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200)}
TESTS = """
def test_known_item_search(model, dataset, query_set, known_item_search):
    known_item_search(model, dataset, query_set)

def test_image_to_text(model, dataset, query_set, image_to_text):
    assert len(image_to_text(model, dataset, query_set).rank) == 3
"""
COUNTING = """
from kis_bench import embed

made, fill = embed.fill_entry, None

def count(entry, work):
    found = made(entry, work)
    assert found.limit is None, "something was encoded"
    return found

embed.fill_entry = count
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("direction")
    (folder / "toy" / "images").mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (32, 32), colour).save(folder / "toy" / "images" / f"{name}.png")
    rows = [
        (f"{name}-{i}", name, "short", f"{name}{' field' * i}") for name in COLOURS for i in (0, 1)
    ]
    table = pd.DataFrame(rows, columns=["query_id", "item_id", "label_set", "text"])
    table.to_csv(folder / "toy" / "labels.csv", index=False)
    (folder / "test_both.py").write_text(TESTS)
    (folder / "encodes_nothing.py").write_text(COUNTING)
    return folder


def measure(project, *arguments, **options):
    path = os.pathsep.join(filter(None, [str(project), os.environ.get("PYTHONPATH")]))
    variables = {"KIS_STORE": str(project / "store"), "PYTHONPATH": path}
    named = "--kis-dataset=toy=toy", "--kis-model=colour-words"
    return run_pytest(*named, *arguments, cwd=project, **options, **variables)


def list_run(done):
    return re.findall(r"test_both\.py::(\S+) PASSED", done.stdout)


@pytest.fixture(scope="module")
def plain(project):
    """A session that asks for nothing special; the store has all vectors after it."""
    return measure(project, "-v", drawn=True)


def test_other_directions_are_not_there_unless_asked_for(project, plain):
    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert list_run(plain) == ["test_known_item_search[toy-short-colour-words]"]
    (folder,) = [*project.glob("reports/2*")][:1]
    assert not len(read_run(folder).image_to_text)
    assert not [*folder.glob("image_to_text*")]
    assert "mage-to-text" not in (folder / "report.md").read_text()
    one = measure(project, "-k", "image_to_text", drawn=False)
    assert one.returncode == 5
    assert "tests of the other direction take part with --kis-direction both" in one.stdout


def test_both_directions_use_the_same_vectors(project, plain):
    wanted = "-p", "encodes_nothing", "--kis-direction=both", "-n", "2"
    done = measure(project, *wanted, drawn=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "known-item search =" in done.stdout
    assert "image-to-text retrieval =" in done.stdout
    assert "toy, short: 3 pictures as queries, 6 texts searched" in done.stdout
    run = read_run(project / "reports" / "latest")
    assert (len(run.ranks), len(run.image_to_text)) == (6, 3)
    steps = sorted(run.timings["step"])
    assert steps == ["embed images", "embed texts", "rank", "rank texts", "relevance"]
    text = (run.folder / "report.md").read_text()
    assert "### Image-to-text retrieval: toy, short" in text
    assert "| colour-words | 100.0%" in re.sub(" +", " ", text.partition("## Image-to-text")[2])
    assert "Image-to-text retrieval" in (run.folder / "report.html").read_text()


def test_one_direction_alone_under_privacy(project, plain):
    done = measure(project, "--kis-direction=image-to-text", "--kis-privacy", drawn=True)
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(project / "reports" / "latest")
    assert (len(run.ranks), len(run.image_to_text)) == (0, 3)
    assert "--kis-direction=image-to-text" in run.provenance["command"]
    text = (run.folder / "report.md").read_text()
    assert text.startswith("# Image-to-text retrieval: report")
    assert "field" not in text


def test_what_failed_is_measured_again(project, plain):
    (project / "test_both.py").write_text(TESTS.replace("== 3", "== 4"))
    failed = measure(project, "--kis-direction=both", "-x", cached=True, drawn=False)
    assert failed.returncode == 1
    (project / "test_both.py").write_text(TESTS)
    again = measure(project, "--kis-direction=both", "--lf", "-v", cached=True, drawn=False)
    assert list_run(again) == ["test_image_to_text[toy-short-colour-words]"]
