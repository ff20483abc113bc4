"""A model of open_clip as an Encoder. Imports torch and open_clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.decoding import find_largest_side
from kis_bench.encoders.openclip.tags import Tag, find_quick_gelu
from kis_bench.encoders.torch_encoder import TorchEncoder, find_cut_texts, loading
from kis_bench.records import Checkpoint


class OpenClipEncoder(TorchEncoder):
    """Preprocessing, tokenizer and context are those of the model's own configuration."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        key: str,
        device: str,
        precision: str,
        dim: int,
        model: torch.nn.Module,
        preprocess: Callable[[Image.Image], torch.Tensor],
        tokenizer: Any,
        quick_gelu: bool | None,
    ) -> None:
        super().__init__(checkpoint, key, device, precision, dim, model)
        self.model, self.preprocess, self.tokenizer = model, preprocess, tokenizer
        self.context_length: int = tokenizer.context_length
        self.input_side = find_largest_side(getattr(model.visual, "image_size", None))
        self.quick_gelu = quick_gelu
        self.empty = tokenizer([""], context_length=self.context_length + 1)[0]

    @classmethod
    def of_folder(
        cls, checkpoint: Checkpoint, key: str, device: str, precision: str, folder: Path
    ) -> OpenClipEncoder:
        """From a folder with ``open_clip_config.json``, weights, and tokenizer files where it needs some."""
        with loading(checkpoint.name, folder):
            config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))[
                "model_cfg"
            ]
            name = f"local-dir:{folder}"
            model, preprocess = open_clip.create_model_from_pretrained(name)
            options = fallback_config(folder) if config["text_cfg"].get("hf_tokenizer_name") else {}
            tokenizer = open_clip.get_tokenizer(name, **options)
        source = checkpoint.origin
        known = source.kind == "hf-hub"
        expected = find_quick_gelu(source.rest.partition("@")[0]) if known else None
        return cls(
            checkpoint,
            key,
            device,
            precision,
            config["embed_dim"],
            model,
            preprocess,
            tokenizer,
            expected,
        )

    @classmethod
    def of_tag(
        cls, checkpoint: Checkpoint, key: str, device: str, precision: str, tag: Tag
    ) -> OpenClipEncoder:
        """A built-in architecture; activation and preprocessing are those of the weights, whatever its name says."""
        weights = tag.find_weights()
        assert weights is not None  # it is ready
        with loading(checkpoint.name, weights):
            preprocessing: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v
                for name, v in tag.preprocessing.items()
            }
            if tag.quick_gelu is not None:
                preprocessing["quick_gelu"] = tag.quick_gelu
            model, preprocess = open_clip.create_model_from_pretrained(
                tag.architecture,
                pretrained=str(weights),
                **preprocessing,
            )
            if tag.tokenizer is None:
                tokenizer = open_clip.get_tokenizer(tag.architecture)
            else:
                from open_clip.tokenizer import HFTokenizer

                files = tag.tokenizer.snapshot
                assert files is not None
                options = {**tag.tokenizer_options, **fallback_config(files)}
                tokenizer = HFTokenizer(str(files), context_length=tag.context_length, **options)
        return cls(
            checkpoint,
            key,
            device,
            precision,
            tag.dim,
            model,
            preprocess,
            tokenizer,
            tag.quick_gelu,
        )

    def prepare_image(self, image: Image.Image) -> torch.Tensor:
        return self.preprocess(image)

    def image_vectors(self, images: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model.encode_image(images)  # type: ignore[operator]
        return vectors

    def tokens(self, texts: Sequence[str]) -> tuple[torch.Tensor, NDArray[np.bool_]]:
        tokens = self.tokenizer(list(texts), context_length=self.context_length)
        one_more = self.tokenizer(list(texts), context_length=self.context_length + 1)
        return tokens, find_cut_texts(tokens, one_more, self.empty)

    def text_vectors(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model.encode_text(tokens)  # type: ignore[operator]
        return vectors


def fallback_config(folder: Path) -> dict[str, Any]:
    """transformers finds a tokenizer's class by config.json; SigLIP repositories have none, and use T5's."""
    if (folder / "config.json").is_file():
        return {}
    import transformers

    return {"config": transformers.T5Config()}
