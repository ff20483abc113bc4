"""The examples of docs/python.md run as they stand there, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from kis_bench.results import read_run

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def read_examples():
    tokens = MarkdownIt("commonmark").parse(PAGE.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == "python"]


def run_example(code, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def small(tmp_path):
    """The small dataset in place of the page's: eight drawings of one colour each."""
    rng, root = np.random.default_rng(0), tmp_path / "small"
    (root / "images").mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for i, name in enumerate(("red", "green", "blue", "yellow", "pink", "black", "white", "brown")):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        Image.new("RGB", (32, 32), colour).save(root / "images" / f"{i}.png")
        rows.append(f"q{i},{i},short,a {name} thing")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


def test_the_page_has_three_examples():
    assert len(read_examples()) == 3


def test_measuring_and_writing_a_run(tmp_path, small):
    whole = read_examples()[0]
    code = whole.replace('datasets.load("openmoji")', f'datasets.load("small", {str(small)!r})')
    assert code != whole
    done = run_example(code, tmp_path)
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path / "runs" / "latest")
    assert run.ranks.groupby("model").size().to_dict() == {"colour-words": 8, "demo": 8}
    assert len(run.judgments)
    assert "mrr" in done.stdout
    assert f"kis-bench report {Path('runs') / run.folder.resolve().name}" in done.stdout
    shown = run_example(read_examples()[1], tmp_path)
    assert shown.stdout.startswith("Run('latest', 2 models, 2 datasets"), shown.stderr


def test_vectors_from_elsewhere(tmp_path):
    done = run_example(read_examples()[2], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mrr" in done.stdout
