"""Models of open_clip: by hub repository, by tag, from a folder; and files that are not theirs."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.encoders.catalogue import find
from kis_bench.encoders.hub import cache as hub_cache
from kis_bench.errors import KisBenchError, NotReady, UnknownName

#: Of other architectures than the miniatures on the test's hub; tests/encoders/test_full_size.py has these.
WITHOUT_MINIATURE = ("mobileclip2-", "pe-core-", "eva02-", "metaclip2-")
NAMES = [
    row.name
    for row in encoders.catalogue().values()
    if row.source.startswith("hf-hub:") and not row.name.startswith(WITHOUT_MINIATURE)
]
TEXTS = [
    "red apple",
    "a sailboat on the sea at night",
    "",
    "Two people, under a tree - in the RAIN!",
]


def repository(name):
    return find(name).source.partition(":")[2]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    shapes = [(48, 64), (300, 200), (33, 90), (5, 400)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in shapes]


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_those_of_the_documented_usage(name, hub, images):
    """As on the models' cards: create_model_from_pretrained and get_tokenizer by hub name, then normalised features."""
    import open_clip
    import torch
    import transformers

    hub.offer(repository(name))
    encoder = encoders.load(name, device="cpu", download=True)
    asked = len(hub.log)
    vectors, (texts, truncated) = encoder.encode_images(images), encoder.encode_texts(TEXTS)
    assert len(hub.log) == asked  # nothing is asked of the hub by encoding
    cache = str(hub_cache())
    source = f"hf-hub:{repository(name)}"
    model, preprocess = open_clip.create_model_from_pretrained(source, cache_dir=cache)
    options = {"config": transformers.T5Config()} if "SigLIP" in source else {}
    tokenizer = open_clip.get_tokenizer(source, cache_dir=cache, **options)
    model.eval()
    with torch.no_grad():
        expected = model.encode_image(
            torch.stack([preprocess(image) for image in images]), normalize=True
        ).numpy()
        expected_texts = model.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    np.testing.assert_allclose(vectors[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(texts[:, 0], expected_texts, atol=1e-6)
    row = find(name)
    assert (encoder.dim, vectors.shape, texts.shape) == (row.dim, (4, 1, row.dim), (4, 1, row.dim))
    assert encoder.context_length == row.context_length
    assert encoder.input_side == encoder.prepare_image(images[0]).shape[-1]
    assert not truncated.any()
    assert hub.commit(repository(name))[:12] in encoder.key


@pytest.mark.parametrize("name", ["clip-vit-b-32", "vit-b-16-siglip-512"])
def test_texts_that_lose_words_are_counted(name, hub):
    hub.offer(repository(name))
    encoder = encoders.load(name, device="cpu", download=True)
    room = encoder.context_length - (
        2 if name == "clip-vit-b-32" else 1
    )  # the marks of start and end
    texts = ["cat " * room, "cat " * (room + 1), "cat " * 500, ""]
    vectors, truncated = encoder.encode_texts(texts)
    assert truncated.tolist() == [False, True, True, False]
    np.testing.assert_allclose(vectors[1], vectors[2], atol=1e-6)


def test_offline_from_the_cache(hub, images, monkeypatch):
    """Also the SigLIP tokenizer, whose repositories lack the file that transformers would ask for."""
    name = "vit-b-16-siglip-512"
    hub.offer(repository(name))
    first = encoders.load(name, device="cpu", download=True)
    asked = len(hub.log)
    again = encoders.load(name, device="cpu")
    np.testing.assert_array_equal(again.encode_texts(TEXTS)[0], first.encode_texts(TEXTS)[0])
    np.testing.assert_array_equal(again.encode_images(images), first.encode_images(images))
    assert len(hub.log) == asked


def test_nothing_is_downloaded_unasked(hub):
    hub.offer(repository("clip-vit-b-32"))
    with pytest.raises(
        NotReady, match="clip-vit-b-32: not downloaded. kis-bench fetch clip-vit-b-32"
    ):
        encoders.load("clip-vit-b-32")
    assert hub.log == []


def shrunk(architecture, tmp_path, monkeypatch):
    """The built-in architecture with a few narrow layers."""
    import json

    import open_clip
    from miniatures import REPOSITORIES

    REPOSITORIES["timm/vit_base_patch32_clip_224.openai"](folder := tmp_path / "small")
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    config.pop("quick_gelu")
    (tmp_path / "archs").mkdir()
    (tmp_path / "archs" / f"{architecture}.json").write_text(json.dumps(config))
    monkeypatch.setattr(
        "open_clip.factory._MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS)
    )
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    open_clip.add_model_config(tmp_path / "archs")


def test_a_tag_brings_its_own_activation_whatever_the_architecture_is_called(
    hub, images, tmp_path, monkeypatch
):
    """ViT-B-32 with OpenAI's weights: the library warns and computes with GELU; the weights want QuickGELU."""
    hub.offer("timm/vit_base_patch32_clip_224.openai")
    (tmp_path / "small").mkdir()
    shrunk("ViT-B-32", tmp_path, monkeypatch)
    by_tag = encoders.load("openclip:ViT-B-32/openai", device="cpu", download=True)
    by_repository = encoders.load("clip-vit-b-32", device="cpu", download=True)
    np.testing.assert_array_equal(by_tag.encode_images(images), by_repository.encode_images(images))
    np.testing.assert_array_equal(
        by_tag.encode_texts(TEXTS)[0], by_repository.encode_texts(TEXTS)[0]
    )
    assert by_tag.quick_gelu is by_repository.quick_gelu is True
    assert by_tag.name == "openclip.ViT-B-32.openai"


def test_a_folder(hub, images, tmp_path):
    from miniatures import REPOSITORIES

    (tmp_path / "mine").mkdir()
    REPOSITORIES["laion/CLIP-ViT-H-14-laion2B-s32B-b79K"](tmp_path / "mine")
    source = f"openclip:local-dir:{tmp_path / 'mine'}"
    encoder = encoders.load(source, device="cpu")
    assert encoder.name == "openclip.mine"
    assert encoder.encode_images(images).shape == (4, 1, 1024)
    before = encoder.key
    (tmp_path / "mine" / "open_clip_model.safetensors").unlink()
    with pytest.raises(NotReady, match="no open_clip_model.safetensors"):
        encoders.load(source)
    REPOSITORIES["laion/CLIP-ViT-H-14-laion2B-s32B-b79K"](tmp_path / "mine")  # other random weights
    assert encoders.LazyEncoder(find(source)).key != before


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("openclip:ViT-B-23/openai", "did you mean .*ViT-B-32"),
        ("openclip:ViT-B-32/openia", "did you mean openai"),
        ("openclip:ViT-B-32", "write openclip:ARCH/TAG"),
        ("hf-hub:a/b/c", "write ORG/NAME"),
        ("clip-vit-b-23", "did you mean clip-vit-b-32"),
        ("hf-hub:", "hf-hub:ORG/NAME"),
    ],
)
def test_wrong_names(source, said):
    with pytest.raises((KisBenchError, UnknownName), match=said):
        encoders.load(source)


class Evil:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize(
    "fault", ["truncated", "foreign", "renamed", "no weights", "no config", "pickle", "text"]
)
def test_files_that_are_not_the_models_are_refused(fault, tmp_path):
    import safetensors.torch
    import torch
    from miniatures import REPOSITORIES

    folder = tmp_path / "mine"
    folder.mkdir()
    REPOSITORIES["laion/CLIP-ViT-H-14-laion2B-s32B-b79K"](folder)
    weights = folder / "open_clip_model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    said = {
        "foreign": "visual.conv1.weight",
        "renamed": "visual.conv9.weight",
        "pickle": "could run code",
    }
    if fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif fault == "foreign":
        safetensors.torch.save_file({"something": torch.zeros(3)}, weights)
    elif fault == "renamed":
        tensors["visual.conv9.weight"] = tensors.pop("visual.conv1.weight")
        safetensors.torch.save_file(tensors, weights)
    elif fault == "no weights":
        weights.unlink()
    elif fault == "no config":
        (folder / "open_clip_config.json").write_text("{}")
    elif fault == "pickle":
        weights.unlink()
        torch.save({"state_dict": Evil(tmp_path / "owned")}, folder / "open_clip_pytorch_model.bin")
    elif fault == "text":
        weights.write_text("this is not a checkpoint")
    with pytest.raises(KisBenchError, match=said.get(fault, "mine")):
        encoders.load(f"openclip:local-dir:{folder}", device="cpu")
    assert not (tmp_path / "owned").exists()


def test_a_gpu_that_is_not_there_and_half_precision_on_a_cpu(hub):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    hub.offer(repository("clip-vit-b-32"))
    with pytest.raises(KisBenchError, match="0 GPUs here"):
        encoders.load("clip-vit-b-32", device="cuda", download=True)
    with pytest.raises(KisBenchError, match="meant for GPUs"):
        encoders.load("clip-vit-b-32", device="cpu", precision="bf16")


def test_a_text_side_of_transformers_brings_its_configuration(hub):
    """open_clip builds such a text side from the configuration of another repository."""
    import json

    import safetensors.torch
    from miniatures import OPENAI, bert_tokenizer, save_json
    from open_clip.model import CustomTextCLIP
    from transformers import XLMRobertaConfig

    text, mine = hub.root / "some" / "xlm", hub.root / "some" / "multilingual"
    text.mkdir(parents=True, exist_ok=True)
    mine.mkdir(parents=True, exist_ok=True)
    words = bert_tokenizer(mine)
    XLMRobertaConfig(
        vocab_size=words,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        architectures=["XLMRobertaModel"],
        max_position_embeddings=90,
    ).save_pretrained(text)
    vision = {"image_size": 28, "layers": 1, "width": 64, "head_width": 16, "patch_size": 14}
    side = {
        "hf_model_name": "some/xlm",
        "hf_tokenizer_name": "some/multilingual",
        "hf_proj_type": "mlp",
        "hf_pooler_type": "mean_pooler",
        "context_length": 77,
    }
    config = {"embed_dim": 48, "vision_cfg": vision, "text_cfg": side}
    save_json(mine / "open_clip_config.json", {"model_cfg": config, "preprocess_cfg": OPENAI})
    built = json.loads(json.dumps(config))
    built["text_cfg"] |= {"hf_model_name": str(text), "hf_model_pretrained": False}
    model = CustomTextCLIP(**built)
    safetensors.torch.save_file(model.state_dict(), mine / "open_clip_model.safetensors")
    code = (  # in a process of its own, because transformers reads HF_HOME once
        "from kis_bench import encoders\n"
        "encoder = encoders.load('hf-hub:some/multilingual', device='cpu', download=True)\n"
        "texts, cut = encoder.encode_texts(['red apple', 'cat ' * 100])\n"
        "print(encoder.dim, texts.shape, cut.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "48 (2, 1, 48) [False, True]" in done.stdout, done.stderr


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """ViT-B-32 of a few narrow layers, its folder of weights, and what `open_clip_train` saves of it."""
    import safetensors.torch
    import torch

    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "small").mkdir()
    shrunk("ViT-B-32", tmp_path, monkeypatch)
    (weights,) = (tmp_path / "small").glob("open_clip_model.safetensors")
    tensors = safetensors.torch.load_file(weights)
    distributed = {f"module.{name}": tensor for name, tensor in tensors.items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 5e-4, "betas": (0.9, 0.98)}]}
    checkpoint = {"epoch": 3, "name": "ours", "state_dict": distributed, "optimizer": optimizer}
    torch.save(checkpoint, tmp_path / "epoch_3.pt")
    torch.save(tensors, tmp_path / "plain.bin")
    safetensors.torch.save_file(tensors, tmp_path / "plain.safetensors")
    return tmp_path


def test_files_of_training_are_loaded_as_they_lie_on_disk(trained, images):
    expected = encoders.load(f"openclip:local-dir:{trained / 'small'}", device="cpu")
    keys = set()
    for name in ("epoch_3.pt", "plain.bin", "plain.safetensors"):
        source = f"openclip:ViT-B-32-quickgelu/{trained / name}"
        with pytest.raises(KisBenchError, match="can't be loaded"):
            encoders.load(source, device="cpu")  # weights of another width
        encoder = encoders.load(f"openclip:ViT-B-32/{trained / name}", device="cpu")
        assert encoder.name == f"openclip.ViT-B-32.{name}"
        assert encoder.encode_images(images).shape == expected.encode_images(images).shape
        np.testing.assert_allclose(
            encoder.prepare_image(images[0]), expected.prepare_image(images[0]), atol=1e-6
        )
        keys.add(encoder.key)
        again = find(f"openclip:ViT-B-32/{trained / name}")
        assert encoders.LazyEncoder(again).key == encoder.key
        assert encoders.weights(again).keys() == {name}
        assert str(trained) not in again.origin.public
    assert len(keys) == 3


def test_files_of_training_give_the_vectors_of_their_weights(trained, images):
    """The one with prefixes, against the library's own loading of the same tensors."""
    import open_clip
    import torch

    model, preprocess = open_clip.create_model_from_pretrained(
        "ViT-B-32", pretrained=str(trained / "plain.bin")
    )
    encoder = encoders.load(f"openclip:ViT-B-32/{trained / 'epoch_3.pt'}", device="cpu")
    with torch.no_grad():
        pictures = torch.stack([preprocess(image) for image in images])
        expected = model.eval().encode_image(pictures, normalize=True).numpy()
        tokens = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
        texts = model.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_images(images)[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS)[0][:, 0], texts, atol=1e-6)


def test_an_architecture_without_weights_of_its_own_is_known(trained, monkeypatch):
    import open_clip

    untagged = {*open_clip.list_models()} - {name for name, _ in open_clip.list_pretrained()}
    assert "ViT-S-32-alt" in untagged
    file = trained / "plain.safetensors"
    state = encoders.readiness(find(f"openclip:ViT-S-32-alt/{file}"))
    assert state.ready
    with pytest.raises(UnknownName, match="did you mean .*ViT-B-32"):
        encoders.load(f"openclip:ViT-B-23/{file}")
    with pytest.raises(NotReady, match="no such file. looked for .*nothing.pt"):
        encoders.load(f"openclip:ViT-B-32/{trained / 'nothing.pt'}")


def test_a_file_of_training_that_holds_code_is_not_read(trained):
    import torch

    torch.save({"state_dict": Evil(trained / "owned")}, trained / "evil.pt")
    with pytest.raises(KisBenchError, match="could run code"):
        encoders.load(f"openclip:ViT-B-32/{trained / 'evil.pt'}", device="cpu")
    assert not (trained / "owned").exists()


def test_pictures_are_prepared_as_all_weights_of_an_architecture_want(tmp_path):
    from kis_bench.encoders.openclip.tags import find_weights_file

    siglip = find_weights_file("ViT-B-16-SigLIP", tmp_path / "ours.pt").preprocessing
    assert [*siglip["image_mean"]] == [0.5, 0.5, 0.5]
    assert siglip["image_resize_mode"] == "squash"
    assert find_weights_file("ViT-S-32-alt", tmp_path / "ours.pt").preprocessing == {}
