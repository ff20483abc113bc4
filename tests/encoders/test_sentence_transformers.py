"""Models of sentence-transformers: what is handed to the library, what it gives, and what is refused."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.encoders import hub as hub_module
from kis_bench.errors import KisBenchError, NotReady, explain_install

NAME = "sentence-transformers/clip-ViT-B-32"
SOURCE = f"sentence-transformers:{NAME}"


def need_library():
    if os.environ.get("KIS_REQUIRE_SENTENCE_TRANSFORMERS"):
        import sentence_transformers

        return sentence_transformers
    return pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    import miniatures

    folder = tmp_path_factory.mktemp("models") / "clip"
    miniatures.write(NAME, folder)
    return folder


@pytest.fixture
def ours(miniature, tmp_path):
    """A copy to spoil."""
    return Path(shutil.copytree(miniature, tmp_path / "ours"))


@pytest.fixture(scope="module")
def encoder(miniature):
    need_library()
    return encoders.load(f"sentence-transformers:{miniature}", device="cpu")


def pictures():
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)
    return [Image.fromarray(noise), Image.new("RGB", (40, 80), "red"), Image.new("RGB", (9, 9))]


def test_vectors_are_those_of_the_library_made_of_length_1(encoder, miniature):
    sentence_transformers = need_library()
    model = sentence_transformers.SentenceTransformer(str(miniature), device="cpu")
    texts = ["a red boat", "two dogs in the rain"]
    for ours, plain in (
        (encoder.encode_images(pictures()), model.encode(pictures())),
        (encoder.encode_texts(texts)[0], model.encode(texts)),
    ):
        lengths = np.linalg.norm(plain, axis=1, keepdims=True)
        assert (abs(lengths - 1) > 0.01).all()  # else nobody would see who normalises
        assert ours.dtype == np.float32
        assert ours.shape == (len(plain), 1, encoder.dim)
        np.testing.assert_allclose(ours[:, 0], plain / lengths, atol=2e-6)


def test_prepared_pictures_give_the_same_vectors_whatever_the_batch(encoder):
    whole = encoder.encode_images(pictures())
    prepared = [encoder.prepare_image(picture) for picture in pictures()]
    np.testing.assert_allclose(encoder.encode_prepared(prepared), whole, atol=2e-6)
    single = np.concatenate([encoder.encode_images([picture]) for picture in pictures()])
    np.testing.assert_allclose(single, whole, atol=1e-5)


def test_pictures_are_handed_over_upright_on_white_and_open(encoder):
    lying = pictures()[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = lying.copy()
    turned.info["exif"] = exif.tobytes()
    upright, as_stored = lying.transpose(Image.Transpose.ROTATE_270), lying
    found, wanted, other = encoder.encode_images([turned, upright, as_stored])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert abs(found - other).max() > 1e-4
    clear = Image.new("RGBA", (30, 30), (255, 0, 0, 0))
    found, white, red = encoder.encode_images(
        [clear, Image.new("RGB", (30, 30), "white"), Image.new("RGB", (30, 30), "red")]
    )
    np.testing.assert_allclose(found, white, atol=1e-6)
    assert abs(found - red).max() > 1e-4
    handed = []

    class Spy:
        def encode_document(self, inputs, **options):
            handed.extend(inputs)
            return model.encode_document(inputs, **options)

    model, encoder.model = encoder.model, Spy()
    try:
        encoder.encode_images([turned, clear])
    finally:
        encoder.model = model
    assert [(type(one), one.mode) for one in handed] == [(Image.Image, "RGB")] * 2


def test_texts_that_are_cut_are_told(encoder):
    assert encoder.context_length == 77
    texts = ["a", " ".join("a" * 75), " ".join("a" * 76), " ".join("a" * 300)]
    vectors, cut = encoder.encode_texts(texts)
    assert cut.dtype == bool
    assert cut.tolist() == [False, False, True, True]
    np.testing.assert_array_equal(vectors[2], vectors[3])  # silently the same
    _, cut = encoder.encode_texts(texts[:1])
    assert cut.tolist() == [False]


def test_a_shorter_limit_and_a_prompt_of_the_model_count(ours):
    need_library()
    about = {"prompts": {"query": "a photo of "}, "__version__": {}}
    (ours / "config_sentence_transformers.json").write_text(json.dumps(about), encoding="utf-8")
    config = ours / "0_CLIPModel" / "tokenizer_config.json"
    content = json.loads(config.read_text(encoding="utf-8")) | {"model_max_length": 20}
    config.write_text(json.dumps(content), encoding="utf-8")
    encoder = encoders.load(f"sentence-transformers:{ours}", device="cpu")
    assert encoder.context_length == 20
    prompt = len(encoder.model.tokenizer("a photo of ")["input_ids"]) - 2
    fits = 18 - prompt
    _, cut = encoder.encode_texts([" ".join("a" * fits), " ".join("a" * (fits + 1))])
    assert cut.tolist() == [False, True]


def test_device_and_precision_are_honoured_or_refused(miniature):
    need_library()
    source = f"sentence-transformers:{miniature}"
    with pytest.raises(KisBenchError, match="precision bf16 is meant for GPUs"):
        encoders.load(source, device="cpu", precision="bf16")
    with pytest.raises(KisBenchError, match="finds 0 GPUs"):
        encoders.load(source, device="cuda")
    found = encoders.load(source, device="cpu")
    assert (str(found.device), found.precision) == ("cpu", "fp32")
    assert {p.dtype.itemsize for p in found.model.parameters()} == {4}
    assert not found.model.training


def test_the_key_changes_with_every_file_that_is_read(ours):
    back_end, row = encoders.back_ends()["sentence-transformers"], encoders.find
    checkpoint = row(f"sentence-transformers:{ours}")
    before = back_end.key(checkpoint, "fp32")
    assert str(ours.parent) not in before
    assert before != back_end.key(checkpoint, "bf16")
    assert set(back_end.weights(checkpoint)) >= {"modules.json", "0_CLIPModel:model.safetensors"}
    (ours / "README.md").write_text("anything", encoding="utf-8")
    assert back_end.key(checkpoint, "fp32") == before
    for file in ("modules.json", "0_CLIPModel/model.safetensors", "0_CLIPModel/vocab.json"):
        content = (ours / file).read_bytes()
        (ours / file).write_bytes(content + b" ")
        assert back_end.key(checkpoint, "fp32") != before
        (ours / file).write_bytes(content)
    moved = ours.rename(ours.with_name("elsewhere"))
    assert back_end.key(row(f"sentence-transformers:{moved}"), "fp32") == before


def test_a_model_for_texts_alone_is_refused(tmp_path):
    need_library()
    import miniatures

    folder = tmp_path / "texts"
    (folder / "1_Pooling").mkdir(parents=True)
    miniatures.bert(folder, hidden=64)
    from transformers import BertConfig, BertModel

    BertModel(BertConfig.from_pretrained(folder)).save_pretrained(folder)
    kind = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kind}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kind}.Pooling"},
    ]
    miniatures.save_json(folder / "modules.json", modules)
    pooling = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
    miniatures.save_json(folder / "1_Pooling" / "config.json", pooling)
    with pytest.raises(KisBenchError, match=r"embeds no pictures \(text only\)"):
        encoders.load(f"sentence-transformers:{folder}", device="cpu")


@pytest.mark.parametrize("kind", ["ours.Evil", "os.system"])
def test_code_of_a_model_is_never_run(kind, ours, tmp_path):
    need_library()
    (ours / "ours.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n", encoding="utf-8")
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": kind}]
    (ours / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(KisBenchError, match="can't be loaded"):
        encoders.load(f"sentence-transformers:{ours}", device="cpu")
    assert not (tmp_path / "run").exists()


class Evil:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_pickles_that_hold_code_are_never_run(ours, tmp_path):
    need_library()
    inner = ours / "0_CLIPModel"
    (inner / "model.safetensors").unlink()
    (inner / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "run"), protocol=2))
    with pytest.raises(KisBenchError, match="can't be loaded"):
        encoders.load(f"sentence-transformers:{ours}", device="cpu")
    assert not (tmp_path / "run").exists()


def test_weights_that_are_missing_are_named(ours):
    need_library()
    from safetensors.torch import load_file, save_file

    file = ours / "0_CLIPModel" / "model.safetensors"
    state = load_file(file)
    del state["text_projection.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(KisBenchError, match=r"lacks weights: text_projection\.weight"):
        encoders.load(f"sentence-transformers:{ours}", device="cpu")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "modules.json").unlink(), "no modules.json"),
        (lambda folder: (folder / "modules.json").write_text("{"), r"no modules.json \(damaged\)"),
        (
            lambda folder: (folder / "0_CLIPModel" / "model.safetensors").unlink(),
            "no 0_CLIPModel/model.safetensors",
        ),
    ],
)
def test_a_folder_that_lacks_something_says_what(spoil, said, ours, monkeypatch):
    monkeypatch.setattr(hub_module, "installed", lambda need: True)
    spoil(ours)
    with pytest.raises(NotReady, match=f"{said}. looked in .*ours"):
        encoders.load(f"sentence-transformers:{ours}")


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(hub_module, "installed", lambda need: "sentence" not in need)
    state = encoders.readiness(encoders.find(SOURCE))
    assert state.state == "needs sentence-transformers>=6,<7"
    assert state.remedy == explain_install("sentence-transformers")
    assert not state.downloadable


def test_a_name_of_the_hub_is_fetched_when_asked_and_then_needs_no_network(hub, monkeypatch):
    need_library()
    hub.offer(NAME)
    with pytest.raises(NotReady, match=f"not downloaded. kis-bench fetch {SOURCE}"):
        encoders.load(SOURCE)
    assert hub.log == []
    assert encoders.fetch(encoders.find(SOURCE))
    asked = len(hub.log)
    found = encoders.load(SOURCE, device="cpu")
    assert found.key == (
        f"sentence-transformers-sentence-transformers--clip-ViT-B-32-{hub.commit(NAME)[:12]}-fp32"
    )
    assert encoders.weights(encoders.find(SOURCE)) == {NAME: hub.commit(NAME)}
    assert found.encode_texts(["a boat"])[0].shape == (1, 1, 512)
    assert len(hub.log) == asked


def test_a_repository_of_another_library_is_refused(hub, monkeypatch):
    monkeypatch.setattr(hub_module, "installed", lambda need: True)
    hub.offer("openai/clip-vit-base-patch32")
    source = "sentence-transformers:openai/clip-vit-base-patch32"
    with pytest.raises(NotReady, match=r"it has no modules\.json; try transformers:ORG/NAME"):
        encoders.fetch(encoders.find(source))


def test_a_folder_of_the_name_of_a_repository_is_taken_where_that_is_not_here(
    hub, tmp_path, monkeypatch
):
    monkeypatch.setattr(hub_module, "installed", lambda need: True)
    (tmp_path / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = encoders.find("sentence-transformers:org/name")
    assert (found.name, found.source) == (
        "sentence-transformers.name",
        "sentence-transformers:./org/name",
    )
    assert encoders.readiness(found).remedy.startswith("looked in org")


@pytest.mark.slow
def test_the_doctor_looks_at_it(miniature):
    need_library()
    command = ["-m", "kis_bench.cli", "doctor", f"sentence-transformers:{miniature}"]
    done = subprocess.run(
        [sys.executable, *command, "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert "truncated" in done.stdout or "cut" in done.stdout
