"""BLIP-2 without LAVIS: open_clip's image transformer and transformers' Q-Former, fed LAVIS' weights."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from open_clip.transformer import LayerNorm, QuickGELU, VisionTransformer
from PIL import Image
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel, Blip2TextEmbeddings

from kis_bench.encoders.blip2 import BLIP2_CONTEXT, BLIP2_SIDE, Files, clean_caption, find_context
from kis_bench.encoders.blip2.state import LAYERS, VISION, State, read_weights, require_names
from kis_bench.encoders.torch_encoder import TorchEncoder, loading
from kis_bench.records import Checkpoint

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


class Network(torch.nn.Module):
    """The parts of BLIP-2 that embed images and texts, with the shapes of the weights.

    Args:
        weights: under LAVIS' names; only shapes are looked at.
        config: of bert-base-uncased.
    """

    def __init__(self, weights: State, config: dict[str, int]) -> None:
        super().__init__()
        width, _, patch, _ = weights[f"{VISION}conv1.weight"].shape
        tokens, hidden = weights["query_tokens"].shape[1:]
        dim = len(weights["vision_proj.weight"])
        self.visual_encoder = VisionTransformer(
            image_size=BLIP2_SIDE,
            patch_size=patch,
            width=width,
            layers=LAYERS,
            heads=width // 64,
            mlp_ratio=4.0,
            output_dim=width,
            act_layer=QuickGELU,
            norm_layer=LayerNorm,
            pool_type="none",
        )
        # BLIP-2 reads the tokens as the last layer leaves them.
        self.visual_encoder.ln_post, self.visual_encoder.proj = torch.nn.Identity(), None
        self.ln_vision = torch.nn.LayerNorm(width)
        qformer = transformers.Blip2QFormerConfig(
            vocab_size=len(weights["Qformer.bert.embeddings.word_embeddings.weight"]),
            hidden_size=hidden,
            num_hidden_layers=config["num_hidden_layers"],
            num_attention_heads=config["num_attention_heads"],
            intermediate_size=config["intermediate_size"],
            encoder_hidden_size=width,
            cross_attention_frequency=2,
            max_position_embeddings=config["max_position_embeddings"],
            layer_norm_eps=config["layer_norm_eps"],
            use_qformer_text_input=True,
        )
        self.embeddings, self.qformer = Blip2TextEmbeddings(qformer), Blip2QFormerModel(qformer)
        self.query_tokens = torch.nn.Parameter(torch.zeros(1, tokens, hidden))
        self.vision_proj, self.text_proj = (
            torch.nn.Linear(hidden, dim),
            torch.nn.Linear(hidden, dim),
        )

    def image_states(self, pixels: torch.Tensor) -> torch.Tensor:
        """``[n, 3, 224, 224]`` -> the query tokens' hidden states ``[n, 32, h]``."""
        seen = self.ln_vision(self.visual_encoder(pixels)).float()
        queries = self.query_tokens.expand(len(pixels), -1, -1)
        mask = torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device)
        found = self.qformer(
            query_embeds=queries, encoder_hidden_states=seen, encoder_attention_mask=mask
        )
        states: torch.Tensor = found.last_hidden_state
        return states

    def text_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token ids ``[n, l]`` -> the hidden states of [CLS] ``[n, h]``."""
        embedded = self.embeddings(input_ids=ids)
        states: torch.Tensor = self.qformer(
            query_embeds=embedded, query_length=0, attention_mask=mask
        ).last_hidden_state
        return states[:, 0]


def our_name(name: str) -> str:
    """LAVIS' name of a weight -> the name in `Network`."""
    for theirs, ours in (
        (r"^Qformer\.bert\.embeddings\.LayerNorm\.", "qformer.layernorm."),
        (r"^Qformer\.bert\.embeddings\.", "embeddings."),
        (r"^Qformer\.bert\.", "qformer."),
        (r"attention\.self\.", "attention.attention."),
    ):
        name = re.sub(theirs, ours, name)
    return name


class NativeBlip2(TorchEncoder):
    """BLIP-2 with ViT-L, projected into its joint space or, to explain a published curve, not."""

    input_side = BLIP2_SIDE

    def __init__(
        self,
        checkpoint: Checkpoint,
        key: str,
        device: str,
        precision: str,
        projected: bool,
        files: Files,
    ) -> None:
        assert files.bert is not None  # it is ready
        weights = read_weights(checkpoint.name, files.vision, files.model)
        with loading(checkpoint.name, files.model):
            config = transformers.BertConfig.from_pretrained(files.bert).to_dict()
            network = Network(weights, config)
        named = {our_name(name): value for name, value in weights.items()}
        require_names(checkpoint.name, files.model, network.state_dict(), named)
        with loading(checkpoint.name, files.model):
            network.load_state_dict(named)
        for module in network.visual_encoder.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.half().float()  # LAVIS keeps these in half precision, on a CPU too for a moment
        with loading(checkpoint.name, files.bert):
            self.tokenizer = transformers.BertTokenizer.from_pretrained(files.bert)
            self.tokenizer.add_special_tokens({"bos_token": "[DEC]"})
        super().__init__(checkpoint, key, device, precision, 0, network)
        self.network, self.projected = network, projected
        self.context_length: int = find_context(projected)
        _, queries, hidden = network.query_tokens.shape
        self.vectors_per_item = queries if projected else 1
        self.dim = network.vision_proj.out_features if projected else hidden

    def prepare_image(self, image: Image.Image) -> torch.Tensor:
        squashed = (
            np.asarray(
                image.resize((BLIP2_SIDE, BLIP2_SIDE), Image.Resampling.BICUBIC), dtype=np.float32
            )
            / 255
        )
        return torch.from_numpy((squashed - MEAN) / STD).permute(2, 0, 1)

    def image_vectors(self, images: torch.Tensor) -> torch.Tensor:
        states = self.network.image_states(images)
        vectors: torch.Tensor = self.network.vision_proj(states) if self.projected else states[:, 0]
        return vectors

    def tokens(self, texts: Sequence[str]) -> tuple[dict[str, torch.Tensor], NDArray[np.bool_]]:
        captions, cut_words = zip(*map(clean_caption, texts), strict=True)
        whole_texts = self.tokenizer(list(captions), truncation=False, verbose=False).input_ids
        tokens = self.tokenizer(
            list(captions),
            padding="longest",
            pad_to_multiple_of=BLIP2_CONTEXT,
            truncation=True,
            max_length=self.context_length,
            return_tensors="pt",
        )
        too_long = np.array([len(ids) > self.context_length for ids in whole_texts])
        named = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        return named, too_long | np.array(cut_words)

    def text_vectors(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        states = self.network.text_states(tokens["input_ids"], tokens["attention_mask"])
        vectors: torch.Tensor = self.network.text_proj(states) if self.projected else states
        return vectors
