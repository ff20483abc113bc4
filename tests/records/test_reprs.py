"""What a notebook shows of a record is one short line, whatever the record holds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import ROOT, make_ranks, make_run

import kis_bench
from kis_bench.measuring import rank
from kis_bench.records import Collection, Dataset, Embeddings, Query

NAMES = ["mine", "", "x" * 5_000, "a\nb\x1b[31m", "\u202eenim", "<b>|"]


def make_records(name):
    ids = tuple(str(i) for i in range(3_000))
    collection = Collection(name, ids, [Path(i) for i in ids], ids, groups=ids)
    queries = [Query(f"q{i}", (str(i),), name, "text " * 50) for i in range(500)]
    vectors = np.eye(60, dtype=np.float32)
    found = rank(vectors, vectors, range(60), model=name, dataset=name, label_set=name)
    run = make_run(Path("reports") / (name or "none"), make_ranks(range(1, 500), model=name))
    embedded = Embeddings(ids, np.zeros((3_000, 1, 8), np.float32), name)
    return [
        collection,
        Dataset(name, collection, tuple(queries)),
        embedded,
        found,
        found.ranks,
        run,
    ]


@pytest.mark.parametrize("name", NAMES)
def test_one_line_of_few_letters(name):
    for record in make_records(name):
        shown = repr(record)
        assert len(shown) <= 120
        assert shown.isprintable()
        assert shown.startswith(f"{type(record).__name__}(")
        assert "text text" not in shown


def test_what_the_lines_say():
    shown = [repr(record) for record in make_records("mine")]
    assert shown == [
        "Collection('mine', 3,000 items, 3,000 groups)",
        "Dataset('mine', 3,000 items, 'mine': 500)",
        "Embeddings(3,000 x 1 x 8, float32, 'mine')",
        "KnownItems('mine', 'mine', 'mine', 60 queries, R@1 100.0%, R@10 100.0%)",
        "Ranks(60 queries, median 1)",
        "Run('mine', 1 model, 1 dataset, ranks: 499)",
    ]


def test_public_names_are_listed_and_there():
    assert {"read_run", "measure_known_items", "datasets", "Dataset"} <= {*dir(kis_bench)}
    assert [name for name in dir(kis_bench) if getattr(kis_bench, name, None) is None] == []
    with pytest.raises(AttributeError, match="nonsense"):
        _ = kis_bench.nonsense


def test_they_are_documented():
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    assert [name for name in kis_bench._HOMES if f"`{name}`" not in text] == []


def test_listing_them_imports_nothing():
    code = (
        "import sys, kis_bench; dir(kis_bench); print(sorted({'numpy', 'pandas'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
