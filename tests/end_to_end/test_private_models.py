"""Models of every back end, by path where it takes one: under privacy nothing that is written names a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from reset_files import judgment, person, triplet, write_study

from kis_bench import encoders

SECRET = "anna-secret"
#: Kind of back end -> source of a miniature; {here} is a folder that nobody else is to hear of.
SOURCES = {
    "blip2": "blip2:pretrain_vitL",
    "colour-words": "colour-words:",
    "demo": "demo:",
    "extractor": "extractor:vlad-sift={here}/words.npy",
    "hf-hub": "hf-hub:laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "http": "http:http://127.0.0.1:9/v1?model=tiny",
    "lavis": "lavis:pretrain_vitL+unprojected",
    "m3rt": "m3rt:align",
    "onnx": "onnx:{here}/onnx",
    "openclip": "openclip:local-dir:{here}/openclip",
    "python": "python:own_model:load",
    "sentence-transformers": "sentence-transformers:{here}/sentence",
    "timm": "timm:timm/test_vit.r160_in1k",
    "transformers": "transformers:{here}/clip",
    "vectors": "vectors:{here}/vectors",
    "vectors-of-more": "vectors-of-more:{here}/vectors",
}
#: The same with something wrong, which errors tell.
WRONG = {
    "extractor": "extractor:vlad-sift={here}/wrong.npy",
    "onnx": "onnx:{here}/broken-onnx",
    "openclip": "openclip:local-dir:{here}/broken-openclip",
    "sentence-transformers": "sentence-transformers:{here}/broken-sentence",
    "transformers": "transformers:{here}/broken-clip",
    "vectors": "vectors:{here}/broken-vectors",
    "vectors-of-more": "vectors-of-more:{here}/broken-vectors",
}
ABSENT = {
    kind: source.replace("wrong", "no").replace("broken", "no") for kind, source in WRONG.items()
}
CONFTEST = """
from pathlib import Path
from kis_bench.encoders import read_models

def pytest_kis_models(config):
    return read_models(Path(__file__).with_name("models.toml"))
"""
TEST = """
import pytest

def test_search(model, dataset, query_set, known_item_search):
    known_item_search(model, dataset, query_set)

def test_images(model, dataset, image_similarity):
    image_similarity(model, dataset)
"""
OWN = """
from pathlib import Path
from kis_bench.encoders import find, load as load_known

def load():
    own = load_known("colour-words")
    own.files = [Path({file!r})]
    return own
"""


def test_no_back_end_is_forgotten():
    assert set(SOURCES) == set(encoders.back_ends())
    by_path = {kind for kind, source in SOURCES.items() if "{here}" in source}
    with_path = {
        kind
        for kind, back_end in encoders.back_ends().items()
        if any(
            form.startswith(f"{kind}:") and ("PATH" in form or "FOLDER" in form)
            for form in back_end.forms
        )
    }
    assert with_path <= by_path == set(WRONG)


def read_texts(file: Path) -> str:
    if file.suffix != ".parquet":
        return file.read_bytes().decode("latin-1")
    table = pq.read_table(file)
    return f"{table.schema} {table.schema.metadata} {table.to_pylist()}"


def write_project(folder: Path, here: Path) -> None:
    """A suite with a dataset of six pictures and the miniatures of all back ends, good, spoilt and absent."""
    import miniatures
    import numpy as np
    from PIL import Image

    images = folder / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for name in ("red", "green", "blue", "yellow", "white", "black"):
        Image.new("RGB", (64, 48), name).save(images / f"{name}.png")
        rows.append(f"q-{name},{name},short,{name}")
    (folder / "mine" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    triplets = [triplet("t1", 0, 1, 4), triplet("t2", 3, 2, 0)]
    judgments = [judgment(f"j{i}", about, "u1", -1) for i, about in enumerate(triplets)]
    write_study(folder / "judged", triplets, judgments, [person("u1")], pictures=range(5))
    here.mkdir()
    miniatures.write("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", here / "openclip")
    miniatures.write("sentence-transformers/clip-ViT-B-32", here / "sentence")
    miniatures.write("openai/clip-vit-base-patch32", here / "clip")
    miniatures.write("openai/clip-vit-base-patch32", here / "onnx")
    miniatures.export_to_onnx(here / "onnx")
    shutil.copytree(here / "onnx", here / "broken-onnx")
    (here / "broken-onnx" / "text_model.onnx").write_bytes(b"nothing")
    for kind, inside in (("openclip", "."), ("sentence", "0_CLIPModel"), ("clip", ".")):
        broken = Path(shutil.copytree(here / kind, here / f"broken-{kind}"))
        for file in (broken / inside).glob("*.safetensors"):
            file.write_bytes(b"nothing")
    for name in ("vectors", "broken-vectors"):
        (here / name).mkdir()
        np.save(here / name / "images.npy", np.eye(6, dtype=np.float16))
        ids = ["red", "green", "blue", "yellow", "white", "black"][: 6 if name == "vectors" else 5]
        (here / name / "ids.txt").write_text("\n".join(ids), encoding="utf-8")
    words = np.random.default_rng(1).standard_normal((4, 128)).astype(np.float32)
    np.save(here / "words.npy", words)
    (here / "wrong.npy").write_bytes(b"nothing")
    (here / "own.txt").write_text("anything", encoding="utf-8")
    models = [
        (f"{prefix}{kind}", source.format(here=here))
        for prefix, sources in (("", SOURCES), ("wrong-", WRONG), ("absent-", ABSENT))
        for kind, source in sources.items()
    ]
    table = "".join(f'[[model]]\nname = "{name}"\nsource = "{source}"\n' for name, source in models)
    for name, content in {
        "models.toml": table,
        "conftest.py": CONFTEST,
        "own_model.py": OWN.format(file=str(here / "own.txt")),
        "test_suite.py": TEST,
        "pytest.ini": "[pytest]\n",
    }.items():
        (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.slow
def test_under_privacy_no_output_names_a_folder_of_a_model(hub, tmp_path):
    if not os.environ.get("KIS_REQUIRE_ONNX"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
    project, here = tmp_path / "project", tmp_path / SECRET
    write_project(project, here)
    hub.offer(
        "bert-base-uncased",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        "timm/test_vit.r160_in1k",
    )
    command = ["-m", "pytest", "-p", "no:cacheprovider", "-rA", "--kis-privacy", "--kis-download"]
    done = subprocess.run(
        [
            *(sys.executable, *command, f"--kis-dataset=mine={project / 'mine'}"),
            f"--kis-dataset=judged={project / 'judged'}",
            *("--kis-report", project / "reports", "--junitxml", project / "junit.xml"),
        ],
        cwd=project,
        env=os.environ
        | {
            "KIS_STORE": str(here / "store"),
            "HF_HOME": str(here / "hf"),
            "TORCH_HOME": str(here / "torch"),
            "PYTHONPATH": os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said  # the spoilt ones
    run = (project / "reports" / "latest").resolve()
    sources = read_texts(run / "run.json")
    for source in (
        "openclip:local-dir:openclip",
        "extractor:vlad-sift=words.npy",
        "timm:timm/test_vit",
    ):
        assert source in sources
    for name in ("wrong-openclip", "wrong-extractor", "absent-openclip", "absent-extractor"):
        assert name in said
    files = [project / "junit.xml", *(file for file in run.rglob("*") if file.is_file())]
    assert len(files) > 10
    assert [file.name for file in files if SECRET in read_texts(file)] == []
    assert [line for line in said.splitlines() if SECRET in line] == []
