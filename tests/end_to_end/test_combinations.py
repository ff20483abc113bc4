"""Real pytest runs in which models are combined, of a project with two small models of its own."""

import itertools
import os
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
from builders import run_pytest
from PIL import Image

from kis_bench.results import read_run
from kis_bench.results.columns import FUSED

pytestmark = pytest.mark.slow

CONFTEST = """
    from pathlib import Path
    import numpy as np
    from kis_bench.datasets import DatasetRow
    from kis_bench.records import Checkpoint

    HERE = Path(__file__).parent

    class Channels:
        \"\"\"Knows some channels of a colour only; texts are three numbers.\"\"\"
        dim, vectors_per_item, context_length = 3, 1, None

        def __init__(self, weights):
            self.name = self.key = "channels-" + "-".join(map(str, weights))
            self.weights = np.array(weights, np.float32)

        def unit(self, rows):
            rows = np.array(rows, np.float32) * self.weights + 1
            return (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:, None]

        def encode_images(self, images):
            return self.unit([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images])

        def encode_texts(self, texts):
            return self.unit([list(map(float, text.split()))[:3] for text in texts]), np.zeros(len(texts), bool)

    def reddish(**_):
        return Channels((1, 0.2, 0.1))

    def bluish(**_):
        return Channels((0.1, 0.2, 1))

    def pytest_kis_models(config):
        return [Checkpoint(name, f"python:conftest:{name}") for name in ("reddish", "bluish")]

    def pytest_kis_datasets(config):
        return [DatasetRow("colours", HERE / "colours")]
"""
TESTS = """
    def test_alone(model, dataset, query_set, known_item_search):
        known_item_search(model, dataset, query_set)

    def test_complementarity(dataset, query_set, complementarity):
        assert len(complementarity(dataset, query_set))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "conftest.py").write_text(dedent(CONFTEST))
    (tmp_path / "test_both.py").write_text(dedent(TESTS))
    folder = tmp_path / "colours" / "images"
    folder.mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    for i in range(30):
        colour = rng.integers(0, 256, 3)
        Image.new("RGB", (8, 8), tuple(int(c) for c in colour)).save(folder / f"{i}.png")
        noisy = np.clip(colour + rng.normal(0, 25, 3), 0, 255)
        rows.append((f"q{i}", str(i), "numbers", " ".join(f"{c:.0f}" for c in noisy)))
    table = pd.DataFrame(rows, columns=["query_id", "item_id", "label_set", "text"])
    table.to_csv(folder.parent / "labels.csv", index=False)
    return tmp_path


def measured(project, *arguments, drawn=False):
    done = run_pytest("-rs", *arguments, cwd=project, drawn=drawn)
    return done, project / "reports" / "latest"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["plain", "two workers"])
def test_combinations_are_measured_and_written(project, workers):
    done, latest = measured(project, *workers, drawn=True)
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(latest)
    assert list(run.fused.columns) == FUSED
    assert {"rrf", "comb_sum", "comb_mnz", "weighted"} <= {*run.fused.method}
    assert {*run.fused.model_1} | {*run.fused.model_2} == {"reddish", "bluish"}
    assert run.fused.groupby("method").size().eq(30).all()
    assert len(run.ranks) == 60  # once, though two tests measured them
    page = (latest / "report.md").read_text(encoding="utf-8")
    assert "What combinations find" in page
    assert {"combinations.csv", "advice.csv"} <= {
        file.name for file in (latest / "tables").iterdir()
    }


COUNTED = """

    from kis_bench.ranking import ranks

    class CountedPanel(ranks.Panel):
        def ranks(self, top_k, *blocks, **options):
            with (HERE / "passes").open("a") as file:
                print(top_k, file=file)
            return super().ranks(top_k, *blocks, **options)

    ranks.Panel = CountedPanel
"""


@pytest.mark.parametrize(
    ("choice", "n_passes", "top_k"),
    [((), 4, 1001), (("-k", "test_alone"), 4, 10), (("-k", "complementarity and words"), 2, 1001)],
    ids=["all", "alone", "combined only"],
)
def test_each_model_ranks_each_query_set_once(project, choice, n_passes, top_k):
    """Two models, two label sets: whatever is made of a ranking, the items pass once."""
    (project / "conftest.py").write_text(dedent(CONFTEST + COUNTED))
    table = pd.read_csv(project / "colours" / "labels.csv", dtype=str)
    words = table.assign(label_set="words", query_id="w" + table["query_id"])
    pd.concat([table, words]).to_csv(project / "colours" / "labels.csv", index=False)
    done, latest = measured(project, *choice)
    assert done.returncode == 0, done.stdout + done.stderr
    passes = (project / "passes").read_text().split()
    assert passes == [str(top_k)] * n_passes
    run = read_run(latest)
    assert len(run.ranks) == 30 * n_passes
    assert run.ranks["top_item_ids"].map(len).eq(10).all()


def test_a_model_that_knows_nothing_gains_nothing(project):
    """The oracle's luck is what going through all places gives; all but alternating is the other model."""
    blind = dedent(CONFTEST).replace("bluish", "blind").replace("(0.1, 0.2, 1)", "(0, 0, 0)")
    (project / "conftest.py").write_text(blind)
    done, latest = measured(project, drawn=True)
    assert done.returncode == 0, done.stdout + done.stderr
    run, table = read_run(latest), pd.read_csv(latest / "tables" / "combinations.csv")
    assert run.fused.groupby("method").size().eq(30).all()
    of = {model: rows.set_index("query_id") for model, rows in run.ranks.groupby("model")}
    assert (of["blind"]["rank_best"].eq(1) & of["blind"]["rank_worst"].eq(30)).all()
    places = [
        [
            range(own.loc[f"q{i}", "rank_best"], own.loc[f"q{i}", "rank_worst"] + 1)
            for own in of.values()
        ]
        for i in range(30)
    ]
    found = [[min(pair) for pair in itertools.product(*both)] for both in places]
    bound = table[(table.method == "oracle") & table.metric.isin(["recall", "mrr"])]
    oracle = bound.fillna({"k": 0}).set_index("k")["value"]
    for k in (1, 10):
        assert oracle[k] == pytest.approx(
            np.mean([np.mean(np.array(ranks) <= k) for ranks in found])
        )
    assert oracle[0] == pytest.approx(np.mean([1 / np.mean(ranks) for ranks in found]))
    assert set(table.method) == {"oracle", "interleave"}
    page = (latest / "report.md").read_text(encoding="utf-8")
    assert "No pair is worth it" in page
    assert "weighted sum, " not in page


def test_alone_it_has_the_single_models_too(project):
    done, latest = measured(project, "-k", "complementarity")
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(latest)
    assert {*run.ranks.model} == {"reddish", "bluish"}
    assert len(run.fused)


def test_with_one_model_there_is_nothing_to_combine(project):
    done, latest = measured(project, "--kis-model", "reddish")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 deselected" in done.stdout
    assert not (latest / "fused.parquet").exists()


def test_a_model_that_is_not_here_is_left_out_or_under_strict_fails(project):
    conftest = (project / "conftest.py").read_text()
    other = 'Checkpoint("absent", "hf-hub:nobody/nothing")'
    conftest = conftest.replace('("reddish", "bluish")]', f'("reddish",)] + [{other}]')
    assert other in conftest
    (project / "conftest.py").write_text(conftest)
    done, _ = measured(project)
    assert "complementarity: takes two models, and only reddish is here" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    done, _ = measured(project, "--kis-strict")
    assert done.returncode == 1
    assert "model absent: not downloaded" in done.stdout
