"""All declared models in one run over the loopback hub, from an empty cache, and again without any network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kis_bench import encoders
from kis_bench.results import read_run

ROOT = Path(__file__).parents[2]
NAMES = [row.name for row in encoders.read_models(ROOT / "fixtures" / "models.toml") if row.name != "demo"]

#: A small drawing for each colour; enough for ranks, and quick.
PLUGIN = """
import gc, sys
import pytest

@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    torch = sys.modules.get("torch")
    if torch is not None:
        from kis_bench.encoders.torch_encoder import TorchEncoder
        gc.collect()
        alive = [one.name for one in gc.get_objects() if issubclass(type(one), TorchEncoder)]
        with open("alive.txt", "a") as file:
            print(len(alive), file=file)
"""


@pytest.fixture
def dataset(tmp_path):
    from PIL import Image

    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for name in ("red", "green", "blue", "yellow", "white", "black"):
        Image.new("RGB", (64, 48), name).save(images / f"{name}.png")
        rows += [f"s-{name},{name},short,{name}", f"l-{name},{name},long,a photo of a {name} sky above the sea"]
    (tmp_path / "mine" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return f"mine={tmp_path / 'mine'}"


@pytest.mark.slow
def test_every_declared_model_from_an_empty_cache_and_then_offline(hub, dataset, tmp_path):
    from miniatures import REPOSITORIES

    hub.offer(*REPOSITORIES)
    (tmp_path / "alive.py").write_text(PLUGIN, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "alive", "-c", ROOT / "pyproject.toml",
               ROOT / "benchmarks", "--kis-strict", "--kis-dataset", dataset,
               "--kis-report", tmp_path / "reports"]  # fmt: skip

    def run(*arguments, **environment):
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)} | environment,
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        return done, done.stdout + done.stderr

    done, said = run("--kis-store", tmp_path / "nothing")
    assert done.returncode == 1, said  # strict: what is not downloaded fails
    assert hub.log == []
    done, said = run("--kis-download", "--kis-store", tmp_path / "store")
    assert done.returncode == 0, said
    first = read_run(tmp_path / "reports" / "latest")
    assert set(first.ranks.model) == {"demo", *NAMES}
    assert all(first.provenance["models"][name]["key"] for name in NAMES)
    assert max(int(n) for n in (tmp_path / "alive.txt").read_text().split()) == 1  # models in memory at a time
    asked = len(hub.log)
    done, said = run("--kis-store", tmp_path / "other", HF_HUB_OFFLINE="1")  # loads every model once more
    assert done.returncode == 0, said
    assert len(hub.log) == asked
    again = read_run(tmp_path / "reports" / "latest")
    columns = ["model", "label_set", "query_id", "rank", "top_item_ids"]
    assert again.ranks[columns].equals(first.ranks[columns])
