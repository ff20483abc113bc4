"""The real architectures, on torch's meta device: shapes without numbers. What the catalogue says of them holds."""

import pytest

from kis_bench.checks.datasets import CLIP_TOKENIZER
from kis_bench.encoders.catalogue import catalogue, find
from kis_bench.encoders.openclip.tags import find_tag, read_tags

ARCHITECTURES = {
    "clip-vit-b-32": "ViT-B-32-quickgelu",
    "vit-so400m-14-siglip-384": "ViT-SO400M-14-SigLIP-384",
    "vit-l-16-siglip-384": "ViT-L-16-SigLIP-384",
    "vit-b-16-siglip-512": "ViT-B-16-SigLIP-512",
    "dfn5b-vit-h-14-378": "ViT-H-14-378-quickgelu",
    "vit-g-14-laion2b": "ViT-g-14",
    "vit-h-14-laion2b": "ViT-H-14",
}


def millions(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


#: Rows beside those of the thesis, of repositories in open_clip's own table of weights.
LATER = {
    row.name: row.origin.rest
    for row in catalogue().values()
    if row.origin.kind == "hf-hub" and row.name not in ARCHITECTURES
}


def find_architecture(name):
    """Architecture and tag under which open_clip has the repository, with the activation of its weights."""
    import open_clip

    found = [
        (architecture, tag)
        for architecture, tags in read_tags()["tags"].items()
        for tag, about in tags.items()
        if about["hf_hub"].rpartition("/")[0] == LATER[name]
        and bool(about.get("quick_gelu"))
        == bool(open_clip.get_model_config(architecture).get("quick_gelu"))
    ]
    assert found
    return found[0]


@pytest.mark.parametrize("name", LATER)
def test_later_models(name):
    """What is told of a model without loading it is what open_clip's table says of its repository."""
    row, known = find(name), find_tag(*find_architecture(name))
    assert known.weights.name == LATER[name]
    assert (known.dim, known.context_length) == (row.dim, row.context_length)
    # The check of texts takes CLIP's tokenizer and context for these.
    assert (known.tokenizer is None and row.context_length == 77) == (
        row.tokenizer == CLIP_TOKENIZER
    )
    assert row.paper
    assert row.licence


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_open_clip(name):
    check_architecture(name, ARCHITECTURES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LATER)
def test_later_architectures(name):
    check_architecture(name, find_architecture(name)[0])


def check_architecture(name, architecture):
    import open_clip
    import torch
    from open_clip.model import CLIP, CustomTextCLIP

    config, row = open_clip.get_model_config(architecture), find(name)
    size, context = config["vision_cfg"]["image_size"], config["text_cfg"].get("context_length", 77)
    made = CustomTextCLIP if config.pop("custom_text", False) else CLIP
    with torch.device("meta"), torch.no_grad():
        model = made(**config).eval()
        image = model.encode_image(torch.empty(2, 3, size, size))
        text = model.encode_text(torch.zeros(2, context, dtype=torch.long))
    assert tuple(image.shape) == tuple(text.shape) == (2, row.dim)
    assert context == row.context_length
    assert millions(model) == pytest.approx(row.parameters_m, abs=1)


#: Width, layers and heads of both sides, by the makers' own configurations; megabytes of the published file.
TINY_CLIPS = {
    "tinyclip-vit-8m-16": ((256, 10, 4), (256, 3, 4), 93.8),
    "tinyclip-vit-39m-16": ((512, 12, 8), (512, 6, 8), 332),
}


@pytest.mark.parametrize("name", TINY_CLIPS)
def test_tiny_clips(name):
    """The architecture has as many parameters as the file of weights holds, and gives vectors of the row's size."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    *sides, megabytes = TINY_CLIPS[name]
    vision, text = (
        {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
        }
        for width, layers, heads in sides
    )
    row = find(name)
    config = CLIPConfig(
        text_config=text, vision_config={**vision, "patch_size": 16}, projection_dim=row.dim
    )
    with torch.device("meta"), torch.no_grad():
        model = CLIPModel(config).eval()
        image = model.get_image_features(pixel_values=torch.empty(2, 3, 224, 224)).pooler_output
    assert tuple(image.shape) == (2, row.dim)
    assert model.text_model.embeddings.position_embedding.num_embeddings == row.context_length
    assert millions(model) == pytest.approx(row.parameters_m, abs=0.2)
    assert 4 * millions(model) == pytest.approx(megabytes, abs=0.5)
    assert (row.origin.kind, row.tokenizer) == ("transformers", CLIP_TOKENIZER)


@pytest.fixture
def masks_without_numbers(monkeypatch):
    """A shortcut for masks of ones has to look at their numbers, and here are none."""
    monkeypatch.setattr(
        "transformers.masking_utils._ignore_bidirectional_mask_sdpa", lambda *_: False
    )


@pytest.mark.usefixtures("masks_without_numbers")
def test_align():
    import torch
    from transformers import AlignConfig, AlignModel

    row = find("align")
    with torch.device("meta"), torch.no_grad():
        model = AlignModel(AlignConfig()).eval()
        image = model.get_image_features(pixel_values=torch.empty(2, 3, 289, 289)).pooler_output
        tokens = torch.ones(2, 64, dtype=torch.long)
        text = model.get_text_features(input_ids=tokens, attention_mask=tokens).pooler_output
    assert tuple(image.shape) == tuple(text.shape) == (2, row.dim)
    assert millions(model) == pytest.approx(row.parameters_m, abs=1)


@pytest.mark.usefixtures("masks_without_numbers")
def test_blip2(tmp_path):
    import json

    import miniatures
    import torch

    from kis_bench.encoders.blip2.network import Network
    from kis_bench.encoders.blip2.state import read_weights

    miniatures.lavis_files(tmp_path, width=1024, layers=12)
    (tmp_path / "bert").mkdir()
    miniatures.bert(tmp_path / "bert", layers=12)
    files = [
        tmp_path / "hub" / "checkpoints" / name
        for name in ("clip_vit_L.pth", "blip2_pretrained_vitL.pth")
    ]
    weights = read_weights("blip2", *files)
    vocabulary = 30523  # of bert-base-uncased and [DEC]
    weights["Qformer.bert.embeddings.word_embeddings.weight"] = torch.empty(
        vocabulary, 768, device="meta"
    )
    with torch.device("meta"), torch.no_grad():
        network = Network(
            weights, json.loads((tmp_path / "bert" / "config.json").read_text())
        ).eval()
        states = network.image_states(torch.empty(2, 3, 224, 224))
        text = network.text_states(*(torch.ones(2, 32, dtype=torch.long),) * 2)
        image, projected = network.vision_proj(states), network.text_proj(text)
    row = find("blip2")
    assert tuple(image.shape) == (2, row.vectors_per_item, row.dim) == (2, 32, 256)
    assert tuple(projected.shape) == (2, 256)
    assert states.shape[2] == text.shape[1] == find("blip2-thesis").dim == 768
    assert millions(network) == pytest.approx(row.parameters_m, abs=1)
    assert len(network.visual_encoder.transformer.resblocks) == 21


@pytest.mark.usefixtures("masks_without_numbers")
def test_blip2_of_transformers():
    import torch
    from transformers import (
        Blip2Config,
        Blip2TextModelWithProjection,
        Blip2VisionModelWithProjection,
    )

    row = find("blip2-itm-vit-g")
    config = Blip2Config(
        qformer_config={"vocab_size": 30523, "use_qformer_text_input": True},
        image_text_hidden_size=256,
    )
    with torch.device("meta"), torch.no_grad():
        vision, text = (
            Blip2VisionModelWithProjection(config).eval(),
            Blip2TextModelWithProjection(config).eval(),
        )
        image = vision(pixel_values=torch.empty(2, 3, 224, 224)).image_embeds
        tokens = torch.ones(2, 32, dtype=torch.long)
        read = text(input_ids=tokens, attention_mask=tokens).text_embeds[:, 0]
    assert tuple(image.shape) == (2, row.vectors_per_item, row.dim)
    assert tuple(read.shape) == (2, row.dim)
    of_text = millions(text.embeddings) + millions(
        text.text_projection
    )  # the rest it shares with the other
    assert millions(vision) + of_text == pytest.approx(row.parameters_m, abs=1)
