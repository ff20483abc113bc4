"""Runs in the real MLflow and Weights & Biases, both without a server; ``tox run -e tracking`` has them."""

import os

import numpy as np
import pandas as pd
import pytest
from builders import run_cli, run_pytest
from PIL import Image

from kis_bench.choices import TRACKERS

if "KIS_REQUIRE_TRACKERS" not in os.environ:
    for package in TRACKERS:
        pytest.importorskip(package)

COLOURS = ("red", "green", "blue", "white", "black", "yellow")
TEST = """
def test_search(model, dataset, query_set, known_item_search):
    known_item_search(model, dataset, query_set)
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A session of two models whose run was logged to MLflow under ``-W error``, and its folder."""
    folder = tmp_path_factory.mktemp("logged")
    images = folder / "colours" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text", *(f"{c},{c},short,{c}" for c in COLOURS)]
    (images.parent / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    for colour in COLOURS:
        Image.new("RGB", (8, 8), colour).save(images / f"{colour}.png")
    (folder / "test_search.py").write_text(TEST, encoding="utf-8")
    (folder / "floor.py").write_text(FLOOR, encoding="utf-8")
    models = ["--kis-model=colour-words", "--kis-model=floor:load"]
    done = run_pytest(
        *("--kis-dataset=colours", *models, "--kis-log=mlflow", "-W", "error"),
        cwd=folder,
        KIS_STORE=str(folder / "store"),
        MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db",
        MLFLOW_EXPERIMENT_NAME="colours we know",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "logged to MLflow as run " in done.stdout
    return folder, done.stdout


FLOOR = """
import numpy as np


class Floor:
    name, key, dim, vectors_per_item, context_length = "floor", "floor", 2, 1, None

    def encode_images(self, images):
        return np.tile(np.float32([[[1, 0]]]), (len(images), 1, 1))

    def encode_texts(self, texts):
        return self.encode_images(texts), np.zeros(len(texts), bool)


def load():
    return Floor()
"""


def open_client(folder, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(folder)
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def find_runs(client):
    experiment = client.get_experiment_by_name("colours we know")
    return {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_mlflow_has_what_the_run_has(logged, monkeypatch):
    folder, _ = logged
    client = open_client(folder, monkeypatch)
    runs = find_runs(client)
    latest = (folder / "reports" / "latest").resolve()
    assert {*runs} == {latest.name, "colour-words", "floor"}
    parent = runs.pop(latest.name)
    kept = {one.path for one in client.list_artifacts(parent.info.run_id, "run")}
    assert {"run/report.html", "run/report.md", "run/run.json", "run/ranks.parquet"} <= kept
    assert parent.info.status == "FINISHED"
    table = pd.read_csv(latest / "metrics.csv")
    for name, one in runs.items():
        assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert not {*one.data.tags} & {"mlflow.user", "mlflow.source.name"}
        wanted = table[(table["model"] == name) & (table["metric"] == "recall")]
        for row in wanted.itertuples():
            assert one.data.metrics[f"colours/short/recall_at_{row.k:.0f}"] == row.value
        own = table[table["model"] == name]
        n = np.isfinite(own[["value", "ci_low", "ci_high"]]).to_numpy().sum()
        assert len(one.data.metrics) == n
        assert one.data.params["dataset/colours/n_items"] == str(len(COLOURS))
    assert runs["floor"].data.params["model/key"] != runs["colour-words"].data.params["model/key"]


def test_a_server_that_is_gone_loses_nothing(logged):
    folder, _ = logged
    latest = (folder / "reports" / "latest").resolve()
    done = run_cli(
        *("export", "mlflow", latest),
        cwd=folder,
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    assert done.returncode == 2, done.stdout
    assert "kis-bench: MLflow failed: " in done.stderr
    assert "Traceback" not in done.stderr
    again = run_pytest(
        *("--kis-dataset=colours", "--kis-model=colour-words", "--kis-log=mlflow"),
        cwd=folder,
        drawn=False,
        KIS_STORE=str(folder / "store"),
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    said = again.stdout + again.stderr
    assert again.returncode == 2, said
    newest = (folder / "reports" / "latest").resolve()
    assert newest != latest
    assert f"to log it: kis-bench export mlflow {newest}" in said
    assert (newest / "metrics.csv").is_file()


def test_wandb_keeps_it_for_later_without_a_server(logged):
    folder, _ = logged
    latest = (folder / "reports" / "latest").resolve()
    done = run_cli("export", "wandb", latest, cwd=folder, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert f"as group {latest.name} of project kis-bench: " in done.stdout
    files = [*(folder / "wandb").glob("offline-run-*/*.wandb")]
    models = pd.read_csv(latest / "metrics.csv")["model"].unique()
    assert len(files) == len(models)
    contents = [file.read_bytes() for file in files]
    for model in models:
        assert sum(model.encode() in content for content in contents) >= 1
    for content in contents:
        assert b"colours/short/recall_at_10" in content
        assert latest.name.encode() in content
        assert b"sys.argv" not in content
    assert sum(b"report.html" in content for content in contents) <= 1


def test_wandb_without_a_key_is_told_before_it_would_ask(logged, tmp_path):
    folder, _ = logged
    clean = {name: text for name, text in os.environ.items() if not name.startswith("WANDB_")}
    clean |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    done = run_cli("export", "wandb", folder / "reports" / "latest", cwd=folder, base=clean)
    assert done.returncode == 2, done.stdout
    assert "has no key: set WANDB_API_KEY" in done.stderr
