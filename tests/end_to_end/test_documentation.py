"""The examples of docs/your-model.md, as they stand there, in a folder of their own."""

import re
from pathlib import Path

import pytest
from builders import run_python

from kis_bench.encoders.catalogue import find, read_models
from kis_bench.results import read_run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-model.md").read_text(encoding="utf-8")
FILES = {
    re.match(r"# (\S+)", block)[1]: block
    for block in re.findall(r"```(?:python|toml)\n(# \S+\n.*?)```", PAGE, re.DOTALL)
}


@pytest.fixture
def folder(tmp_path):
    from PIL import Image

    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    for name in ("red", "green", "blue"):
        Image.new("RGB", (90, 90), name).save(images / f"{name}.png")
    (tmp_path / "mine" / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq1,red,short,a red | <b>square</b>\n"
    )
    return tmp_path


def run(folder, *arguments):
    done = run_python(*arguments, cwd=folder, KIS_STORE=str(folder / "store"))
    return done, done.stdout + done.stderr


def pytest_run(folder, *arguments):
    mine = ("--kis-dataset", "mine=mine", "--kis-report", "reports", "--kis-strict")
    done, said = run(folder, "-m", "pytest", "-p", "no:cacheprovider", *mine, *arguments)
    assert done.returncode == 0, said
    return read_run(folder / "reports" / "latest")


@pytest.mark.slow
def test_a_folder_of_weights(folder):
    from miniatures import REPOSITORIES

    (folder / "checkpoints" / "our-clip").mkdir(parents=True)
    REPOSITORIES["laion/CLIP-ViT-H-14-laion2B-s32B-b79K"](folder / "checkpoints" / "our-clip")
    for name in ("models.toml", "conftest.py", "test_ours.py"):
        (folder / name).write_text(FILES[name], encoding="utf-8")
    found = pytest_run(folder, "test_ours.py")
    assert set(found.ranks.model) == {"our-clip"}
    assert found.provenance["models"]["our-clip"]["dim"] == 1024
    assert "3 epochs" in found.provenance["models"]["our-clip"]["note"]


@pytest.mark.slow
def test_a_network_of_yours(folder):
    from miniatures import REPOSITORIES

    (folder / "our-model").mkdir()
    REPOSITORIES["openai/clip-vit-base-patch32"](folder / "our-model")
    (folder / "our_model.py").write_text(FILES["our_model.py"], encoding="utf-8")
    suite = ["-c", ROOT / "pyproject.toml", ROOT / "benchmarks"]
    found = pytest_run(folder, *suite, "--kis-model", "our_model:load")
    assert set(found.ranks.model) == {"our-model"}
    assert len(found.ranks) == 1
    done, said = run(folder, "-m", "kis_bench.cli", "doctor", "our_model:load")
    assert (done.returncode, "FAIL" in said) == (0, False), said


@pytest.mark.slow
def test_anything_that_makes_vectors(folder):
    (folder / "mean_colour.py").write_text(FILES["mean_colour.py"], encoding="utf-8")
    suite = ["-c", ROOT / "pyproject.toml", ROOT / "benchmarks"]
    found = pytest_run(
        folder, *suite, "--kis-model", "mean_colour:load", "--kis-model", "demo"
    ).ranks
    mine = found[found.model == "mean-colour"]
    assert mine["rank"].tolist() == [1.0]
    assert mine["text"].tolist() == ["a red | <b>square</b>"]
    done, said = run(folder, "-m", "kis_bench.cli", "doctor", "mean_colour:load")
    assert (done.returncode, "FAIL" in said) == (0, False), said


def test_an_ensemble_of_prompts(tmp_path):
    (tmp_path / "prompts.toml").write_text(FILES["prompts.toml"], encoding="utf-8")
    (row,) = read_models(tmp_path / "prompts.toml")
    assert (row.name, row.source) == ("clip-vit-b-32+ensemble", find("clip-vit-b-32").source)
    assert len(row.prompts) == 3


def test_the_page_has_no_example_that_is_not_run():
    assert set(FILES) == {
        "models.toml",
        "conftest.py",
        "test_ours.py",
        "our_model.py",
        "mean_colour.py",
        "prompts.toml",
        "onnx.toml",  # of which tests/encoders/test_onnx.py makes a model
    }
    assert PAGE.count("```python") + PAGE.count("```toml") == len(FILES)
