"""Miniature models with random weights, in the file layouts and under the names of the real ones.

``write(name, folder)`` writes one repository; the vectors have the real dimensions, the networks a few layers.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

TEXT = (
    "a an the of on in at over with and is beside above under two three red green blue yellow white black photo "
    "picture drawing face grinning smiling cat dog fish bird boat sailboat apple tree clock people rain street night "
    "sea sky sun coral reef diver sand shark turtle children water"
)
WORDS = re.findall(r"\w+", TEXT)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
OPENAI = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
SQUASHED = {"interpolation": "bicubic", "resize_mode": "squash"}
HALF = {"mean": [0.5] * 3, "std": [0.5] * 3, **SQUASHED}


def write(name: str, folder: Path) -> None:
    """The files of the repository ``name`` into ``folder``."""
    import torch

    unfinished = folder.with_name(f"{folder.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(sum(name.encode()))
        REPOSITORIES[name](unfinished)
    unfinished.rename(folder)


def save_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


# Tokenizers ---------------------------------------------------------------------------------------------------


def t5_tokenizer(folder: Path) -> None:
    """Of the SigLIP repositories: a unigram tokenizer that ends texts with </s> and pads with it, no config.json."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS), *LETTERS]
    vocabulary = [(piece, 0.0 if i < 3 else -float(i) / 10) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    added = {
        str(i): {
            "content": piece,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for i, piece in enumerate(pieces[:3])
    }
    about = {
        "model_max_length": 64,
        "tokenizer_class": "T5Tokenizer",
        "extra_ids": 0,
        "additional_special_tokens": [],
    }
    save_json(folder / "tokenizer_config.json", {**about, **special, "added_tokens_decoder": added})
    save_json(folder / "special_tokens_map.json", special)


def siglip_tokenizer(folder: Path) -> None:
    """Of SigLIP 1 in transformers: a model of sentencepiece, trained here, under the library's own class."""
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT]),
        model_writer=model,
        vocab_size=120,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    about = {
        "tokenizer_class": "SiglipTokenizer",
        "model_max_length": 64,
        "model_input_names": ["input_ids"],
        "do_lower_case": True,
    }
    save_json(folder / "tokenizer_config.json", {**about, **special})
    save_json(folder / "special_tokens_map.json", special)


def gemma_tokenizer(folder: Path) -> None:
    """Of SigLIP 2, at fixed resolutions and NaFlex alike: pairs of bytes that keep case, <eos> behind each text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{n:02X}>" for n in range(256))]
    pieces += ["▁", *LETTERS, *LETTERS[:26].upper()]
    merges = [*dict.fromkeys((word[:n], word[n]) for word in WORDS for n in range(1, len(word)))]
    pieces += ["".join(pair) for pair in merges]
    tokenizer = Tokenizer(
        models.BPE(
            {piece: i for i, piece in enumerate(pieces)},
            merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = {f"{name}_token": f"<{name}>" for name in ("pad", "eos", "bos", "unk", "mask")}
    tokenizer.add_special_tokens([*special.values()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "tokenizer_class": "GemmaTokenizer",
        "model_max_length": 64,
        "model_input_names": ["input_ids"],
        "padding_side": "right",
        "add_bos_token": False,
        "add_eos_token": True,
        "do_lower_case": True,
    }
    save_json(folder / "tokenizer_config.json", {**about, **special})
    save_json(folder / "special_tokens_map.json", special)


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS_OF_BERT = list(
    dict.fromkeys([*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)])
)


def bert_tokenizer(folder: Path, **about: object) -> int:
    """Files of a BERT tokenizer; returns the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    words, special = WORDS_OF_BERT, SPECIAL
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = ("pad", "unk", "cls", "sep", "mask")
    tokens = {f"{name}_token": token for name, token in zip(names, special, strict=True)}
    save_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            "tokenizer_class": "BertTokenizer",
            "model_max_length": 512,
            **tokens,
            **about,
        },
    )
    save_json(folder / "special_tokens_map.json", tokens)
    return len(words)


# Repositories of open_clip ------------------------------------------------------------------------------------


def open_clip_repository(
    folder: Path, model: dict, preprocessing: dict, *, safe: bool = True
) -> None:
    import safetensors.torch
    import torch
    from open_clip.model import CLIP, CustomTextCLIP

    save_json(
        folder / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocessing}
    )
    arguments = json.loads(json.dumps(model))
    network = (CustomTextCLIP if arguments.pop("custom_text", False) else CLIP)(**arguments)
    if safe:
        safetensors.torch.save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    else:
        torch.save(network.state_dict(), folder / "open_clip_pytorch_model.bin")


def clip(
    dim: int, preprocessing: dict, *, quick_gelu: bool = False, safe: bool = True, size: int = 28
) -> Callable:
    vision = {"image_size": size, "layers": 2, "width": 64, "head_width": 16, "patch_size": 14}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    model = {
        "embed_dim": dim,
        "vision_cfg": vision,
        "text_cfg": text,
        **({"quick_gelu": True} if quick_gelu else {}),
    }
    return lambda folder: open_clip_repository(folder, model, preprocessing, safe=safe)


def siglip(name: str, dim: int, tokenizer: Callable = t5_tokenizer) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        tokenizer(folder)
        vision = {
            "image_size": 160,
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "",
        }
        text = {
            "context_length": 64,
            "vocab_size": 512,
            "hf_tokenizer_name": name,
            "width": 64,
            "heads": 2,
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
        }
        model = {
            "embed_dim": dim,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": vision,
            "text_cfg": text,
        }
        open_clip_repository(folder, model, HALF)

    return make


# Repositories of transformers and timm -----------------------------------------------------------------------


def align(folder: Path) -> None:
    import torch
    from transformers import AlignConfig, AlignModel, EfficientNetImageProcessor

    words = bert_tokenizer(folder, model_max_length=64, processor_class="AlignProcessor")
    text = {
        "vocab_size": words,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    # The channels of the last stage are the vector; the other stages are narrow.
    vision = {
        "image_size": 289,
        "width_coefficient": 1.0,
        "depth_coefficient": 0.1,
        "hidden_dim": 640,
        "in_channels": [32, 8, 8, 8, 16, 16, 16],
        "out_channels": [8, 8, 8, 16, 16, 16, 640],
    }
    model = AlignModel(
        AlignConfig(
            text_config={**text, "intermediate_size": 64}, vision_config=vision, projection_dim=640
        )
    )
    for (
        module
    ) in model.vision_model.modules():  # as initialised, the features vanish in the batch norms
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    EfficientNetImageProcessor(
        size={"height": 346, "width": 346},
        resample=2,
        do_center_crop=True,
        crop_size={"height": 289, "width": 289},
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        do_normalize=False,
        include_top=False,
    ).save_pretrained(folder)


def blip2(folder: Path) -> None:
    from transformers import Blip2Config, Blip2ForImageTextRetrieval, BlipImageProcessor

    words = bert_tokenizer(folder)
    qformer = {
        "vocab_size": words,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "encoder_hidden_size": 32,
        "cross_attention_frequency": 2,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Blip2Config(
        vision_config=vision,
        qformer_config={**qformer, "use_qformer_text_input": True},
        num_query_tokens=32,
        image_text_hidden_size=256,
        text_config={
            "model_type": "opt",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "ffn_dim": 16,
            "vocab_size": words,
            "word_embed_proj_dim": 16,
        },
    )
    model = Blip2ForImageTextRetrieval(config)
    model.query_tokens.data.normal_()
    for weights in (*model.vision_model.parameters(), *model.qformer.parameters()):
        if weights.ndim > 1:  # as initialised, all images look the same
            weights.data.normal_(std=0.2)
    model.save_pretrained(folder)
    BlipImageProcessor(size={"height": 28, "width": 28}).save_pretrained(folder)


def clip_of_transformers(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    merges = [f"{a} {b}</w>" for a, b in zip("thandofi", "ennfffst", strict=True)]
    letters = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    pieces = dict.fromkeys(
        [
            *letters,
            *(merge.replace(" ", "") for merge in merges),
            "<|startoftext|>",
            "<|endoftext|>",
        ]
    )
    save_json(folder / "vocab.json", {piece: i for i, piece in enumerate(pieces)})
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8"
    )
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    about = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "pad_token": "<|endoftext|>",
        **special,
    }
    save_json(folder / "tokenizer_config.json", about)
    n = len(pieces)
    text = {
        "vocab_size": n,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "eos_token_id": n - 1,
        "num_attention_heads": 2,
        "bos_token_id": n - 2,
        "pad_token_id": n - 1,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=512)
    ).save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    ).save_pretrained(folder)


def export_to_onnx(folder: Path, *, example: int = 2, dynamic: bool = True) -> None:
    """The networks of a folder of transformers, exported by torch beside their tokenizer in one file.

    Args:
        example: how many inputs they are traced with.
        dynamic: whether the files declare batches of any size.
    """
    import warnings

    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    context, side = tokenizer.model_max_length, model.config.vision_config.image_size
    pixels, ids = torch.zeros(example, 3, side, side), torch.ones(example, context).long()
    inputs = {"input_ids": ids}
    if model.config.model_type == "clip":
        inputs["attention_mask"] = ids

    class Images(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pixel_values):
            return self.model.get_image_features(pixel_values=pixel_values).pooler_output

    class Texts(Images):
        def forward(self, *tokens):
            named = dict(zip(inputs, tokens, strict=True))
            return self.model.get_text_features(**named).pooler_output

    for name, network, given, output in (
        ("vision_model", Images(), {"pixel_values": pixels}, "image_embeds"),
        ("text_model", Texts(), inputs, "text_embeds"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, and that there is a newer exporter
            torch.onnx.export(
                network.eval(),
                tuple(given.values()),
                str(folder / f"{name}.onnx"),
                input_names=[*given],
                output_names=[output],
                dynamic_axes={each: {0: "batch"} for each in (*given, output)} if dynamic else None,
                dynamo=False,
            )


def clip_of_sentence_transformers(folder: Path) -> None:
    """In the layout of sentence-transformers/clip-ViT-B-32: a module in a folder of its own."""
    inner = folder / "0_CLIPModel"
    inner.mkdir()
    clip_of_transformers(inner)
    modules = [
        {
            "idx": 0,
            "name": "0",
            "path": inner.name,
            "type": "sentence_transformers.models.CLIPModel",
        }
    ]
    save_json(folder / "modules.json", modules)
    version = {"sentence_transformers": "2.0.0", "transformers": "4.7.0", "pytorch": "1.9.0"}
    save_json(folder / "config_sentence_transformers.json", {"__version__": version})


def siglip_of_transformers(
    tokenizer: Callable[[Path], None], *, naflex: bool = False
) -> Callable[[Path], None]:
    """SigLIP 1 and, at fixed resolutions, 2 are one class there; the one of varying resolution is another."""

    def make(folder: Path) -> None:
        import transformers

        tokenizer(folder)
        config, model = (
            ("Siglip2Config", "Siglip2Model") if naflex else ("SiglipConfig", "SiglipModel")
        )
        text = {
            "vocab_size": 512,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 64,
            "projection_size": 32,
        }
        vision = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        }
        sizes = (
            {"num_patches": 16, "patch_size": 14}
            if naflex
            else {"image_size": 28, "patch_size": 14}
        )
        made = getattr(transformers, config)(text_config=text, vision_config={**vision, **sizes})
        getattr(transformers, model)(made).save_pretrained(folder)
        processor = (
            transformers.Siglip2ImageProcessor(patch_size=14, max_num_patches=16)
            if naflex
            else transformers.SiglipImageProcessor(size={"height": 28, "width": 28})
        )
        processor.save_pretrained(folder)

    return make


def timm_model(folder: Path) -> None:
    import safetensors.torch
    import timm

    model = timm.create_model("test_vit", num_classes=10)
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")
    about = {
        "input_size": [3, 160, 160],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "num_classes": 10,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
    }
    save_json(
        folder / "config.json",
        {"architecture": "test_vit", "num_classes": 10, "pretrained_cfg": about},
    )


# Files of LAVIS ----------------------------------------------------------------------------------------------


def bert(folder: Path, *, hidden: int = 768, layers: int = 2, weights: bool = False) -> None:
    """The repository bert-base-uncased; its weights are made of few numbers, so that they are small at any size."""
    import torch

    words = bert_tokenizer(folder)
    about = {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": words,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
        "max_position_embeddings": 512,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    save_json(folder / "config.json", about)
    if weights:  # overwritten as soon as they are read, so nothing but a beginning
        state = {"bert.embeddings.word_embeddings.weight": matrix(words, hidden)}
        torch.save(state, folder / "pytorch_model.bin")


def matrix(rows: int, columns: int, scale: float = 0.02):
    """Random numbers, each used in a whole antidiagonal: full rank, and a file of a few kilobytes."""
    import torch

    return (torch.randn(rows + columns - 1) * scale).as_strided((rows, columns), (1, 1))


def lavis_files(torch_home: Path, *, width: int = 64, hidden: int = 768, layers: int = 2) -> None:
    """clip_vit_L.pth and blip2_pretrained_vitL.pth, names and nesting as LAVIS has them."""
    import torch

    folder = torch_home / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    words = len(WORDS_OF_BERT) + 1  # LAVIS adds [DEC]

    def vector(n: int, mean: float = 0.0):
        return mean + torch.randn(n) * 0.02

    def norm(name: str, n: int):
        return {f"{name}.weight": vector(n, 1.0), f"{name}.bias": vector(n)}

    def linear(name: str, n: int, of: int):
        return {f"{name}.weight": matrix(n, of, 0.04), f"{name}.bias": vector(n)}

    with torch.random.fork_rng():
        torch.manual_seed(width)
        vision = {
            "class_embedding": vector(width),
            "positional_embedding": matrix(257, width),
            "conv1.weight": matrix(width, 3 * 14 * 14).reshape(width, 3, 14, 14),
            **norm("ln_pre", width),
            **norm("ln_post", width),
            "proj": matrix(width, 16),
        }
        for i in range(24):
            block = f"transformer.resblocks.{i}"
            vision |= norm(f"{block}.ln_1", width) | norm(f"{block}.ln_2", width)
            vision |= linear(f"{block}.attn.out_proj", width, width) | linear(
                f"{block}.mlp.c_fc", 4 * width, width
            )
            vision |= linear(f"{block}.mlp.c_proj", width, 4 * width)
            vision |= {
                f"{block}.attn.in_proj_weight": matrix(3 * width, width),
                f"{block}.attn.in_proj_bias": vector(3 * width),
            }
        torch.save(vision, folder / "clip_vit_L.pth")
        emb = "Qformer.bert.embeddings"
        state = {
            "query_tokens": torch.randn(1, 32, hidden),
            "temp": torch.tensor(0.07),
            **norm("ln_vision", width),
            f"{emb}.word_embeddings.weight": matrix(words, hidden, 1.0),
            f"{emb}.position_embeddings.weight": matrix(512, hidden, 0.3),
            **norm(f"{emb}.LayerNorm", hidden),
            f"{emb}.position_ids": torch.arange(512)[None],
            **linear("vision_proj", 256, hidden),
            **linear("text_proj", 256, hidden),
            **linear("itm_head", 2, hidden),
            "Qformer.cls.predictions.bias": vector(words),
        }
        for i in range(layers):
            layer = f"Qformer.bert.encoder.layer.{i}"
            for attention, of in (
                ("attention", hidden),
                *((("crossattention", width),) if i % 2 == 0 else ()),
            ):
                state |= linear(f"{layer}.{attention}.self.query", hidden, hidden)
                state |= linear(f"{layer}.{attention}.self.key", hidden, of)
                state |= linear(f"{layer}.{attention}.self.value", hidden, of)
                state |= linear(f"{layer}.{attention}.output.dense", hidden, hidden)
                state |= norm(f"{layer}.{attention}.output.LayerNorm", hidden)
            for kind in ("", "_query"):
                state |= linear(f"{layer}.intermediate{kind}.dense", 4 * hidden, hidden)
                state |= linear(f"{layer}.output{kind}.dense", hidden, 4 * hidden)
                state |= norm(f"{layer}.output{kind}.LayerNorm", hidden)
        torch.save({"model": state}, folder / "blip2_pretrained_vitL.pth")


REPOSITORIES: dict[str, Callable[[Path], None]] = {
    "timm/vit_base_patch32_clip_224.openai": clip(512, OPENAI, quick_gelu=True),
    "timm/ViT-SO400M-14-SigLIP-384": siglip("timm/ViT-SO400M-14-SigLIP-384", 1152),
    "timm/ViT-L-16-SigLIP-384": siglip("timm/ViT-L-16-SigLIP-384", 1024),
    "timm/ViT-B-16-SigLIP-512": siglip("timm/ViT-B-16-SigLIP-512", 768),
    "timm/ViT-B-16-SigLIP2-256": siglip("timm/ViT-B-16-SigLIP2-256", 768, gemma_tokenizer),
    "apple/DFN5B-CLIP-ViT-H-14-378": clip(
        1024, OPENAI | SQUASHED, quick_gelu=True, safe=False, size=42
    ),
    **{
        f"timm/{name}": siglip(f"timm/{name}", dim, gemma_tokenizer)
        for name, dim in (
            ("ViT-B-16-SigLIP2", 768),
            ("ViT-B-16-SigLIP2-512", 768),
            ("ViT-L-16-SigLIP2-384", 1024),
            ("ViT-SO400M-16-SigLIP2-384", 1152),
            ("ViT-gopt-16-SigLIP2-384", 1536),
        )
    },
    "timm/vit_large_patch14_clip_224.metaclip_2pt5b": clip(768, OPENAI, quick_gelu=True),
    "timm/vit_huge_patch14_clip_224.metaclip_2pt5b": clip(1024, OPENAI, quick_gelu=True),
    "timm/vit_large_patch14_clip_336.openai": clip(768, OPENAI, quick_gelu=True, size=42),
    "apple/DFN2B-CLIP-ViT-L-14": clip(768, OPENAI, quick_gelu=True, safe=False),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": clip(512, OPENAI),
    "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K": clip(768, OPENAI),
    "laion/CLIP-ViT-g-14-laion2B-s34B-b88K": clip(1024, OPENAI),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": clip(1024, OPENAI),
    "kakaobrain/align-base": align,
    "Salesforce/blip2-itm-vit-g": blip2,
    "openai/clip-vit-base-patch32": clip_of_transformers,
    "google/siglip-base-patch16-224": siglip_of_transformers(siglip_tokenizer),
    "google/siglip2-base-patch16-224": siglip_of_transformers(gemma_tokenizer),
    "google/siglip2-base-patch16-naflex": siglip_of_transformers(gemma_tokenizer, naflex=True),
    "sentence-transformers/clip-ViT-B-32": clip_of_sentence_transformers,
    "timm/test_vit.r160_in1k": timm_model,
    "bert-base-uncased": bert,
}
