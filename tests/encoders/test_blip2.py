"""BLIP-2 of LAVIS without LAVIS, on miniature files; that both ways agree is tested in lavis_environment."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.encoders import blip2
from kis_bench.encoders.catalogue import find
from kis_bench.errors import KisBenchError, NotReady, UnknownName

TEXTS = ["red apple", "A Sailboat (at night) - on the sea!", "", "two people under a tree"]


@pytest.fixture
def files(hub):
    hub.offer("bert-base-uncased")
    encoders.fetch(find("blip2"))
    return blip2.files()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    shapes = [(48, 64), (300, 200), (33, 90), (224, 224)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in shapes]


def test_from_an_empty_cache(hub, images):
    hub.offer("bert-base-uncased")
    with pytest.raises(NotReady, match="blip2: not downloaded. kis-bench fetch blip2"):
        encoders.load("blip2")
    encoder = encoders.load("blip2", device="cpu", download=True)
    assert not any(
        path.endswith("pytorch_model.bin") for _, path, _ in hub.log
    )  # LAVIS alone wants BERT's weights
    asked = len(hub.log)
    vectors, (texts, truncated) = encoder.encode_images(images), encoder.encode_texts(TEXTS)
    assert len(hub.log) == asked
    assert (vectors.shape, texts.shape) == ((4, 32, 256), (4, 1, 256))
    assert (encoder.dim, encoder.vectors_per_item, encoder.context_length) == (256, 32, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1, atol=1e-6)
    assert encoder.input_side == encoder.prepare_image(images[0]).shape[-1]
    assert not truncated.any()
    thesis = encoders.load("blip2-thesis", device="cpu")
    assert (thesis.encode_images(images).shape, thesis.dim, thesis.vectors_per_item) == (
        (4, 1, 768),
        768,
        1,
    )
    assert encoder.projected
    assert not thesis.projected


def test_texts_alone_and_beside_longer_ones_and_cut(files):
    encoder = encoders.load("blip2", device="cpu")
    texts = ["cat", "cat " * 30, "cat " * 31, "cat " * 200]
    together, truncated = encoder.encode_texts(texts)
    assert truncated.tolist() == [False, False, True, True]
    alone = np.concatenate([encoder.encode_texts([text])[0] for text in texts])
    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_allclose(together[2], together[3], atol=1e-6)
    same = encoder.encode_texts(['Red: "Apple" (big)!', "red apple big"])[0]
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)  # as LAVIS cleans captions


def test_the_thesis_read_texts_beyond_the_trained_context(files):
    """Which explains its curve: LAVIS left 50 words, and M3RT cut no tokens of them."""
    encoder = encoders.load("blip2-thesis", device="cpu")
    assert encoder.context_length == find("blip2-thesis").context_length == 512
    texts = ["cat " * 31, "cat " * 49 + "dog", "cat " * 49 + "fish", "cat " * 50, "cat " * 51]
    texts += [",".join(["cat"] * 300)]  # one word
    vectors, cut = encoder.encode_texts(texts)
    assert cut.tolist() == [False, False, False, False, True, True]
    assert np.abs(vectors[1] - vectors[2]).max() > 1e-3
    np.testing.assert_allclose(vectors[3], vectors[4], atol=1e-6)
    alone = np.concatenate([encoder.encode_texts([text])[0] for text in texts])
    np.testing.assert_allclose(alone, vectors, atol=1e-6)
    assert "+unprojected-512-" in encoder.key
    assert "512" not in encoders.LazyEncoder(find("blip2")).key.rpartition("-")[0][:25]


def test_text_against_plain_formulas(files):
    """[CLS] through embeddings, self-attention and feed-forward layers, written out with arrays."""
    import torch

    state = torch.load(files.model, weights_only=True)["model"]
    w = {
        name.removeprefix("Qformer.bert."): value.double().numpy() for name, value in state.items()
    }
    encoder = encoders.load("blip2", device="cpu")
    ids = encoder.tokenizer("a cat beside two dogs").input_ids

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        return (
            centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"]
            + w[f"{name}.bias"]
        )

    def gelu(x):
        return x * 0.5 * (1 + torch.erf(torch.from_numpy(x / np.sqrt(2))).numpy())

    x = (
        w["embeddings.word_embeddings.weight"][ids]
        + w["embeddings.position_embeddings.weight"][: len(ids)]
    )
    x = norm("embeddings.LayerNorm", x)
    for i in range(2):
        at = f"encoder.layer.{i}"
        q, k, v = (
            linear(f"{at}.attention.self.{part}", x).reshape(len(ids), 12, 64)
            for part in ("query", "key", "value")
        )
        logits = np.einsum("ihd,jhd->hij", q, k) / 8
        share = np.exp(logits - logits.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", share, v).reshape(len(ids), -1)
        x = norm(
            f"{at}.attention.output.LayerNorm", x + linear(f"{at}.attention.output.dense", mixed)
        )
        inner = linear(f"{at}.output.dense", gelu(linear(f"{at}.intermediate.dense", x)))
        x = norm(f"{at}.output.LayerNorm", x + inner)
    expected = linear("text_proj", x[0])
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(
        encoder.encode_texts(["a cat beside two dogs"])[0][0, 0], expected, atol=2e-6
    )
    unprojected = encoders.load("blip2-thesis", device="cpu").encode_texts(
        ["a cat beside two dogs"]
    )[0][0, 0]
    np.testing.assert_allclose(unprojected, x[0] / np.linalg.norm(x[0]), atol=2e-6)


@pytest.mark.parametrize(
    "fault", ["missing", "unexpected", "vision", "shape", "foreign", "damaged", "pickle"]
)
def test_files_that_are_not_the_models_are_refused(fault, files, tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "owned"), "w")

    state = torch.load(files.model, weights_only=True)["model"]
    said = {
        "missing": "lacks weights: text_proj.weight",
        "unexpected": "unexpected weights: something",
        "foreign": "lacks weights: Qformer.*query_tokens",
        "vision": "lacks weights: .*visual_encoder.conv1.weight",
        "shape": "text_proj",
    }
    if fault == "missing":
        del state["text_proj.weight"]
    elif fault == "unexpected":
        state["something"] = torch.zeros(2)
    elif fault == "shape":
        state["text_proj.weight"] = torch.zeros(9, 768)
    elif fault == "vision":
        vision = torch.load(files.vision, weights_only=True)
        del vision["ln_pre.weight"]
        torch.save(vision, files.vision)
        said["vision"] = "lacks weights: visual_encoder.ln_pre.weight"
    torch.save({"model": state}, files.model)
    if fault == "foreign":
        torch.save({"model": {"weight": torch.zeros(2)}}, files.model)
    elif fault == "damaged":
        files.model.write_bytes(files.model.read_bytes()[:1000])
    elif fault == "pickle":
        torch.save({"model": Evil()}, files.model)
    with pytest.raises(KisBenchError, match=said.get(fault, "blip2_pretrained_vitL.pth")):
        encoders.load("blip2", device="cpu")
    assert not (tmp_path / "owned").exists()


def test_the_image_encoder_of_the_models_own_file_comes_first(files, images):
    """As with LAVIS, which loads that file last."""
    import torch

    before = encoders.load("blip2", device="cpu").encode_images(images)
    content = torch.load(files.model, weights_only=True)
    content["model"]["visual_encoder.class_embedding"] = torch.linspace(-1, 1, 64)
    torch.save(content, files.model)
    after = encoders.load("blip2", device="cpu").encode_images(images)
    assert np.abs(before - after).max() > 1e-4


def test_the_key_follows_the_files_and_not_the_way(files):
    ours = encoders.LazyEncoder(find("blip2")).key
    assert ours == encoders.LazyEncoder(find("blip2-lavis")).key
    assert ours != encoders.LazyEncoder(find("blip2-thesis")).key
    content = bytearray(files.vision.read_bytes())
    content[-100] ^= 1
    files.vision.write_bytes(content)
    assert encoders.LazyEncoder(find("blip2")).key != ours
    state = encoders.readiness(find("blip2-lavis"))
    assert (state.ready, state.state) == (False, "needs tox -e lavis")
    with pytest.raises(UnknownName, match="pretrain_vitL"):
        encoders.readiness(find("blip2").__class__("mine", "blip2:pretrain_vitG"))


def test_looking_imports_no_library(files):
    code = (
        "import sys\nfrom kis_bench import encoders\n"
        "found = encoders.LazyEncoder(encoders.find('blip2'))\n"
        "print(found.key_known, encoders.readiness(found.checkpoint).state, "
        "{'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "ready", "set()"]
