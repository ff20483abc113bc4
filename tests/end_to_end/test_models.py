"""All declared models in one run over the loopback hub, from an empty cache, and again without any network."""

from pathlib import Path

import pytest
from builders import run_pytest

from kis_bench import encoders
from kis_bench.results import read_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DECLARED = encoders.read_models(ROOT / "fixtures" / "models.toml")
NAMES = [row.name for row in DECLARED if row.name != "demo" and not row.image_only]

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


LARGER = "clip-vit-b-32"  # all models take the small dataset, this one that of the suite too


@pytest.fixture
def dataset(tmp_path):
    from PIL import Image

    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for name in ("red", "green", "blue", "yellow", "white", "black"):
        Image.new("RGB", (64, 48), name).save(images / f"{name}.png")
        rows += [
            f"s-{name},{name},short,{name}",
            f"l-{name},{name},long,a photo of a {name} sky above the sea",
        ]
    (tmp_path / "mine" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return f"mine={tmp_path / 'mine'}"


def test_every_declared_model_from_an_empty_cache_and_then_offline(hub, dataset, tmp_path):
    from miniatures import REPOSITORIES

    hub.offer(*REPOSITORIES)
    (tmp_path / "alive.py").write_text(PLUGIN, encoding="utf-8")
    suite = ("-c", ROOT / "pyproject.toml", ROOT / "benchmarks", "--kis-strict")
    here = ("--kis-dataset", dataset, "--kis-report", tmp_path / "reports")
    command = [*suite, *here, "-p", "alive", "-k", f"mine or (openmoji and {LARGER})"]

    def run(*arguments, drawn=False, **environment):
        environment = {"PYTHONPATH": str(tmp_path)} | environment
        done = run_pytest(*command, *arguments, cwd=tmp_path, drawn=drawn, **environment)
        return done, done.stdout + done.stderr

    done, said = run("--kis-store", tmp_path / "nothing")
    assert done.returncode == 1, said  # strict: what is not downloaded fails
    assert hub.log == []
    larger = ("--kis-dataset", "openmoji")
    done, said = run("--kis-download", *larger, "--kis-store", tmp_path / "store", drawn=True)
    assert done.returncode == 0, said
    first = read_run(tmp_path / "reports" / "latest")
    cells = first.ranks.groupby(["dataset", "label_set", "model"]).size()
    assert set(cells.index) == {
        (dataset, labels, model)
        for labels in ("short", "long")
        for model in ("demo", *NAMES)
        for dataset in ("mine", "openmoji")
        if dataset == "mine" or model == LARGER
    }
    assert (cells["openmoji"] == 1617).all()
    about = first.provenance["models"]
    assert all(about[name]["key"] for name in NAMES)
    assert about["align"]["weights"] == {
        "kakaobrain/align-base": hub.commit("kakaobrain/align-base")
    }
    assert len(about["blip2"]["weights"]["clip_vit_L.pth"]) == 64
    assert (
        max(int(n) for n in (tmp_path / "alive.txt").read_text().split()) == 1
    )  # models in memory at a time
    asked = len(hub.log)
    done, said = run(
        "--kis-store", tmp_path / "other", HF_HUB_OFFLINE="1"
    )  # loads every model once more
    assert done.returncode == 0, said
    assert len(hub.log) == asked
    again = read_run(tmp_path / "reports" / "latest")
    columns = ["model", "label_set", "query_id", "rank", "top_item_ids"]
    before = first.ranks[first.ranks.dataset == "mine"].reset_index(drop=True)
    assert again.ranks[columns].equals(before[columns])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--kis-model", "openclip:ViT-B-23/openai"],
            "open_clip architecture 'ViT-B-23': did you mean ViT-B-32",
        ),
        (["--kis-model", "hf-hub:a/b/c"], "write ORG/NAME"),
        (["--kis-model", "clip-vit-b32"], "did you mean clip-vit-b-32"),
        (["--kis-model", "extractor:vlad"], "did you mean vlad-sift"),
    ],
)
def test_wrong_sources_end_the_session_with_code_2(arguments, said, tmp_path):
    done = run_pytest("-q", "benchmarks", *arguments)
    assert done.returncode == 2
    assert said in done.stdout + done.stderr


def test_faults_are_one_message(hub, dataset, tmp_path):
    """A model without texts, one that can't be fetched, a device that isn't there, a damaged file."""
    from miniatures import REPOSITORIES

    (tmp_path / "broken").mkdir()
    REPOSITORIES["laion/CLIP-ViT-H-14-laion2B-s32B-b79K"](tmp_path / "broken")
    (tmp_path / "broken" / "open_clip_model.safetensors").write_bytes(b"nothing")
    broken = f"openclip:local-dir:{tmp_path / 'broken'}"

    def run(*models):
        folders = ("--kis-store", tmp_path / "store", "--kis-report", tmp_path / "reports")
        named = [f"--kis-model={model}" for model in models]
        here = ("--kis-dataset", dataset, "--kis-download")
        done = run_pytest("benchmarks", *here, *folders, *named)
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        assert "in named_skip" not in said
        assert "During handling" not in said
        return done.returncode, said

    code, said = run("lab-kmeans-4", "hf-hub:nobody/nothing", broken)
    assert code == 2
    assert "model lab-kmeans-4: has no text side" in said
    assert (
        "model hf-hub.nobody.nothing: not downloaded. nobody/nothing (revision main) can't be downloaded"
        in said
    )
    assert "2 problems; nothing was measured" in said
    code, said = run(broken)  # what shows only when it is loaded
    assert code == 1
    assert "model openclip.broken:" in said
    assert "can't be loaded" in said
    assert "2 failed" in said
