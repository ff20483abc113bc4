"""Models of transformers and timm against the usage that these libraries document, on the same weights."""

import json

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.encoders import transformers as transformers_back_end
from kis_bench.encoders.hub import find_repository
from kis_bench.encoders.own_folders import needs_lower_case
from kis_bench.errors import KisBenchError, NotReady

TEXTS = [
    "red apple",
    "a sailboat on the sea at night",
    "",
    "Two people, under a tree - in the RAIN!",
]
FAMILIES = [
    "transformers:kakaobrain/align-base",
    "transformers:openai/clip-vit-base-patch32",
    "transformers:google/siglip-base-patch16-224",
    "transformers:google/siglip2-base-patch16-224",
    "transformers:google/siglip2-base-patch16-naflex",
]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    shapes = [(48, 64), (300, 200), (33, 90), (40, 400)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in shapes]


def files(hub, source):
    """The repository on the hub, as a folder that the libraries load directly."""
    name = source.partition(":")[2]
    hub.offer(name)
    return hub.root / name


def normalised(vectors):
    return (vectors / vectors.norm(dim=-1, keepdim=True)).numpy()


@pytest.mark.parametrize("source", FAMILIES)
def test_vectors_of_two_towers(source, hub, images):
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    folder = files(hub, source)
    encoder = encoders.load(source, device="cpu", download=True)
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer, processor = (
        AutoTokenizer.from_pretrained(folder),
        AutoImageProcessor.from_pretrained(folder),
    )
    lower = "siglip2" in source
    tokens = tokenizer(
        [text.lower() if lower else text for text in TEXTS],
        padding="max_length",
        truncation=True,
        max_length=encoder.context_length,
        return_tensors="pt",
    )
    with torch.no_grad():
        expected = normalised(
            model.get_image_features(**processor(images=images, return_tensors="pt")).pooler_output
        )
        expected_texts = normalised(model.get_text_features(**tokens).pooler_output)
    vectors, (texts, truncated) = encoder.encode_images(images), encoder.encode_texts(TEXTS)
    np.testing.assert_allclose(vectors[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(texts[:, 0], expected_texts, atol=1e-6)
    assert np.ptp(vectors, axis=0).max() > 1e-3
    assert encoder.dim == vectors.shape[2] == texts.shape[2]
    side = encoder.prepare_image(images[0])["pixel_values"].shape[-1]
    told = {"align": 346, "siglip2": None}  # the one crops it, the other's pictures vary in size
    assert encoder.input_side == told.get(model.config.model_type, side)
    assert encoder.context_length == {"clip": 77}.get(model.config.model_type, 64)
    assert not truncated.any()
    growing = ["cat" + " cat" * n for n in range(80)]
    longer = [len(tokenizer(text).input_ids) > encoder.context_length for text in growing]
    assert 0 < sum(longer) < 80
    assert encoder.encode_texts(growing)[1].tolist() == longer


def test_siglip_reads_the_model_of_sentencepiece(hub):
    """The tokenizer class that its makers' repositories name; it folds case and drops punctuation by itself."""
    hub.offer("google/siglip-base-patch16-224")
    encoder = encoders.load(
        "transformers:google/siglip-base-patch16-224", device="cpu", download=True
    )
    assert type(encoder.tokenizer).__name__ == "SiglipTokenizer"
    tokens = encoder.tokens(["Red Kite", "red kite", "red, kite!", "red kites"])[0]
    ids = tokens["input_ids"]
    assert set(tokens) == {"input_ids"}  # padding is read, as in training
    assert (ids[0] == ids[1]).all()
    assert (ids[0] == ids[2]).all()
    assert (ids[0] != ids[3]).any()
    assert "lower" not in encoder.key


def test_siglip_says_what_its_tokenizer_needs(hub, monkeypatch):
    checkpoint = encoders.find("transformers:google/siglip-base-patch16-224")
    hub.offer("google/siglip-base-patch16-224")
    encoders.fetch(checkpoint)
    assert encoders.readiness(checkpoint).ready
    installed = transformers_back_end.hub.installed
    monkeypatch.setattr(
        transformers_back_end.hub,
        "installed",
        lambda need: not need.startswith("protobuf") and installed(need),
    )
    state = encoders.readiness(checkpoint)
    assert (state.ready, state.state) == (False, "needs protobuf>=4")
    assert "[transformers]" in state.remedy


SIGLIP_2 = [
    "transformers:google/siglip2-base-patch16-224",
    "transformers:google/siglip2-base-patch16-naflex",
    "hf-hub:timm/ViT-B-16-SigLIP2-256",
]


def test_siglip_2_folds_case_by_every_route(hub):
    """Their miniatures have one vocabulary; the models were trained on lower case."""
    texts = ["Red Kite", "red kite", "RED KITE", "Ein ROTER Fuß", "ein roter fuß", "red kites"]
    found = []
    for source in SIGLIP_2:
        hub.offer(source.partition(":")[2])
        encoder = encoders.load(source, device="cpu", download=True)
        tokens = encoder.tokens(texts)[0]
        found.append((tokens if source.startswith("hf-hub") else tokens["input_ids"]).tolist())
        vectors = encoder.encode_texts(texts)[0]
        np.testing.assert_array_equal(vectors[0], vectors[1])
        assert np.abs(vectors[0] - vectors[5]).max() > 1e-4
    assert found[0] == found[1] == found[2]
    ids = found[0]
    assert ids[0] == ids[1] == ids[2]
    assert ids[3] == ids[4]
    assert len({tuple(row) for row in ids}) == 3


def test_only_what_keeps_capitals_and_should_not_is_folded(hub):
    source = SIGLIP_2[0]
    hub.offer(source.partition(":")[2])
    checkpoint = encoders.find(source)
    encoders.fetch(checkpoint)
    folder = find_repository(checkpoint).snapshot
    folded = transformers_back_end.key(checkpoint, "fp32")
    assert folded.endswith("-lower-fp32")  # vectors of before are no longer found
    table = folder / "tokenizer_config.json"
    about = json.loads(table.read_text())
    table.unlink()  # a link into the cache
    table.write_text(json.dumps({**about, "do_lower_case": False}))
    assert transformers_back_end.key(checkpoint, "fp32") == folded.replace("-lower", "")
    ids = encoders.load(checkpoint, device="cpu").tokens(["Red Kite", "red kite"])[0]["input_ids"]
    assert (ids[0] != ids[1]).any()
    table.write_text("{")
    assert not needs_lower_case(folder)
    with pytest.raises(KisBenchError, match="can't be loaded"):
        encoders.load(checkpoint, device="cpu")


def test_vectors_of_blip2_are_those_whose_maximum_is_the_retrieval_score(hub, images):
    import torch
    from transformers import AutoImageProcessor, AutoTokenizer, Blip2ForImageTextRetrieval

    folder = files(hub, "transformers:Salesforce/blip2-itm-vit-g")
    encoder = encoders.load("blip2-itm-vit-g", device="cpu", download=True)
    vectors, (texts, _) = encoder.encode_images(images), encoder.encode_texts(TEXTS)
    assert (vectors.shape, texts.shape) == ((4, 32, 256), (4, 1, 256))
    assert (encoder.dim, encoder.vectors_per_item, encoder.context_length) == (256, 32, 32)
    model = Blip2ForImageTextRetrieval.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(folder)(images=images, return_tensors="pt")
    with torch.no_grad():
        scores = model(
            **pixels,
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            use_image_text_matching_head=False,
        ).logits_per_image.numpy()
    ours = np.einsum("ivd,td->itv", vectors, texts[:, 0]).max(axis=2)
    np.testing.assert_allclose(ours, scores, atol=1e-6)


def test_features_of_timm(hub, images):
    import timm
    import torch

    files(hub, "timm:timm/test_vit.r160_in1k")
    encoder = encoders.load("timm:test_vit.r160_in1k", device="cpu", download=True)
    model = timm.create_model(
        f"local-dir:{hub.root / 'timm/test_vit.r160_in1k'}", pretrained=True, num_classes=0
    ).eval()
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(model), is_training=False
    )
    with torch.no_grad():
        expected = normalised(model(torch.stack([transform(image) for image in images])))
    np.testing.assert_allclose(encoder.encode_images(images)[:, 0], expected, atol=1e-6)
    assert encoder.name == "timm.test_vit.r160_in1k"
    assert encoder.image_only
    assert encoder.dim == 64
    assert encoder.input_side == 169  # 160 of it are left by the crop, which takes 0.95
    with pytest.raises(KisBenchError, match="image-only"):
        encoder.encode_texts(["cat"])


def test_a_timm_model_without_its_weights_named(hub):
    with pytest.raises(NotReady, match=r"choose one of timm:test_vit\.r160_in1k"):
        encoders.fetch(encoders.find("timm:test_vit"))
    with pytest.raises(NotReady, match="timm has none for it"):
        encoders.fetch(encoders.find("timm:test_vat"))


FAULTS = [
    (fault, source)
    for fault in ("missing", "unexpected")
    for source in (*FAMILIES, "blip2-itm-vit-g")
]
FAULTS += [
    (fault, source) for fault in ("damaged", "pickle") for source in FAMILIES[:2]
]  # read alike in all


@pytest.mark.parametrize(("fault", "source"), FAULTS)
def test_a_checkpoint_that_is_not_the_models_is_refused(fault, source, hub, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    full = encoders.find(source).source
    files(hub, full)
    encoders.fetch(encoders.find(source))
    folder = find_repository(encoders.find(source)).snapshot
    safe = folder / "model.safetensors"
    weights = safe if safe.exists() else folder / "pytorch_model.bin"
    tensors = load_file(weights) if safe.exists() else torch.load(weights, weights_only=True)
    victim = sorted(name for name in tensors if name.endswith("weight") and "query" not in name)[0]
    weights.unlink()  # a link into the cache

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "owned"), "w")

    if fault == "damaged":
        weights.write_bytes(b"nothing of the kind")
    elif fault == "pickle":
        torch.save({"weights": Evil()}, folder / "pytorch_model.bin")
    else:
        if fault == "missing":
            del tensors[victim]
        else:
            tensors["something.else"] = torch.zeros(3)
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, safe, {"format": "pt"}
        )
    said = {
        "missing": f"lacks weights: {victim}",
        "unexpected": "unexpected weights: something.else",
    }
    with pytest.raises(KisBenchError, match=said.get(fault, "can't be loaded")):
        encoders.load(source, device="cpu")
    assert not (tmp_path / "owned").exists()


def test_a_model_without_a_joint_space(hub, tmp_path):
    from transformers import BertConfig, BertModel

    folder = hub.root / "some" / "bert"
    if not folder.exists():
        config = BertConfig(
            vocab_size=9,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
        )
        BertModel(config).save_pretrained(folder)
    with pytest.raises(KisBenchError, match="does not embed images and texts in one space"):
        encoders.load("transformers:some/bert", device="cpu", download=True)


def test_a_repository_with_code_of_its_own_is_not_run(hub, tmp_path):
    folder = hub.root / "some" / "code"
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "model_type": "of-my-own",
        "auto_map": {"AutoConfig": "code.Mine", "AutoModel": "code.Mine"},
    }
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "code.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    with pytest.raises(KisBenchError, match="can't be loaded"):
        encoders.load("transformers:some/code", device="cpu", download=True)
    assert not (tmp_path / "owned").exists()


CLIP = "openai/clip-vit-base-patch32"


@pytest.fixture
def saved(hub, tmp_path, monkeypatch):
    """A model as the library's own `save_pretrained` writes it, and the repository that it came from."""
    from transformers import AutoModel, AutoProcessor

    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    source = files(hub, f"transformers:{CLIP}")
    AutoModel.from_pretrained(source).save_pretrained(tmp_path / "out" / "ours")
    AutoProcessor.from_pretrained(source).save_pretrained(tmp_path / "out" / "ours")
    return tmp_path / "out" / "ours"


def test_a_folder_of_save_pretrained(saved, images):
    by_folder = encoders.load(f"transformers:{saved}", device="cpu")
    by_name = encoders.load(f"transformers:{CLIP}", device="cpu", download=True)
    np.testing.assert_array_equal(by_folder.encode_images(images), by_name.encode_images(images))
    np.testing.assert_array_equal(by_folder.encode_texts(TEXTS)[0], by_name.encode_texts(TEXTS)[0])
    assert by_folder.name == "transformers.ours"
    checkpoint = encoders.find(f"transformers:{saved}")
    before = encoders.LazyEncoder(checkpoint).key
    assert before == by_folder.key
    assert before.startswith("transformers-local-")
    assert {"config.json", "model.safetensors"} <= encoders.weights(checkpoint).keys()
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config, indent=4) + "\n\n")
    assert encoders.LazyEncoder(checkpoint).key != before


def test_a_folder_of_the_name_is_tried_before_it_is_not_downloaded(saved, hub, monkeypatch):
    monkeypatch.chdir(saved.parents[1])
    found = encoders.find("transformers:out/ours")
    assert (found.name, found.source) == ("transformers.ours", "transformers:./out/ours")
    assert encoders.readiness(found).ready
    assert encoders.find("transformers:out/others").source == "transformers:out/others"
    (saved.parents[1] / "models").mkdir()
    table = saved.parents[1] / "models" / "models.toml"
    table.write_text('[[model]]\nname = "a"\nsource = "transformers:../out/ours"\n')
    (row,) = encoders.read_models(table)
    assert encoders.readiness(row).ready
    saved.rename(table.with_name("ours"))
    table.write_text('[[model]]\nname = "a"\nsource = "transformers:ours"\n')
    (row,) = encoders.read_models(table)
    assert (row.name, encoders.readiness(row).ready) == ("a", True)
    (saved.parents[1] / "openai").mkdir()
    (saved.parents[1] / CLIP).mkdir()
    hub.offer(CLIP)
    encoders.fetch(encoders.find("clip-vit-b-32").__class__("x", f"transformers:{CLIP}"))
    assert encoders.find(f"transformers:{CLIP}").source == f"transformers:{CLIP}"


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "processor", "tokenizer"])
def test_a_folder_says_what_it_lacks(saved, lost):
    for file in saved.iterdir():
        if lost in file.name or (lost == "tokenizer" and file.name in ("vocab.json", "merges.txt")):
            file.unlink()
    said = {
        "processor": r"preprocessor_config.json. looked in .*processor.save_pretrained",
        "tokenizer": r"tokenizer.json. looked in .*processor.save_pretrained",
    }
    with pytest.raises(NotReady, match=f"no {said.get(lost, lost + '. looked in .*ours')}"):
        encoders.load(f"transformers:{saved}")
