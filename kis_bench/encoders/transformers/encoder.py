"""Models of transformers as Encoders. Imports torch and transformers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer, normalizers

from kis_bench.encoders.decoding import find_largest_side
from kis_bench.encoders.own_folders import needs_lower_case
from kis_bench.encoders.torch_encoder import (
    Prepared,
    TorchEncoder,
    find_cut_texts,
    loading,
    require_weights,
)
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint

#: Of families whose tokenizer would read more than the model was trained with.
TRAINED_CONTEXT = {"align": 64, "blip-2": 32}
#: Position counters, which some versions saved and others compute; and BLIP-2's matching head, which isn't used.
NOT_NEEDED = re.compile(r"(.*\.)?(position_ids|num_batches_tracked)|itm_head\..*")


class TransformersEncoder(TorchEncoder):
    """Image processor and tokenizer are the repository's own; texts are padded to the context, as in training."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        key: str,
        device: str,
        precision: str,
        dim: int,
        config: Any,
        folder: Path,
        *networks: torch.nn.Module,
    ) -> None:
        with loading(checkpoint.name, folder):
            self.processor = transformers.AutoImageProcessor.from_pretrained(folder)
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            if needs_lower_case(folder):
                fold_case(self.tokenizer.backend_tokenizer)
        if getattr(self.processor, "do_resize", False):
            size = getattr(self.processor, "size", None)  # pairs of names and lengths
            self.input_side = find_largest_side(dict(size or {}))
        limits = [self.tokenizer.model_max_length, TRAINED_CONTEXT.get(config.model_type)]
        limits.append(
            getattr(getattr(config, "text_config", None), "max_position_embeddings", None)
        )
        self.context_length: int = int(min(limit for limit in limits if limit))
        self.empty = self.padded([""], self.context_length + 1)["input_ids"][0]
        super().__init__(checkpoint, key, device, precision, dim, *networks)

    def prepare_image(self, image: Image.Image) -> Prepared:
        return dict(self.processor(images=image, return_tensors="pt"))

    def padded(self, texts: Sequence[str], length: int) -> dict[str, torch.Tensor]:
        options = {
            "padding": "max_length",
            "truncation": True,
            "max_length": length,
            "return_tensors": "pt",
        }
        return dict(self.tokenizer(list(texts), **options))

    def tokens(self, texts: Sequence[str]) -> tuple[Prepared, NDArray[np.bool_]]:
        tokens, one_more = (self.padded(texts, self.context_length + more) for more in (0, 1))
        return tokens, find_cut_texts(tokens["input_ids"], one_more["input_ids"], self.empty)


def fold_case(tokenizer: Tokenizer) -> None:
    """Lets a tokenizer read all texts in lower case, as `Siglip2Tokenizer` does."""
    before = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])


class TwoTowers(TransformersEncoder):
    """Families with ``get_image_features`` and ``get_text_features``: CLIP, SigLIP, ALIGN and their kin."""

    def image_vectors(self, images: Prepared) -> torch.Tensor:
        return features(self.networks[0].get_image_features(**images))  # type: ignore[operator]

    def text_vectors(self, tokens: Prepared) -> torch.Tensor:
        return features(self.networks[0].get_text_features(**tokens))  # type: ignore[operator]


class Blip2(TransformersEncoder):
    """BLIP-2 trained for matching images and texts: 32 projected query vectors an image, the text's [CLS]."""

    def image_vectors(self, images: Prepared) -> torch.Tensor:
        vectors: torch.Tensor = self.networks[0](**images).image_embeds
        return vectors

    def text_vectors(self, tokens: Prepared) -> torch.Tensor:
        used = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        vectors: torch.Tensor = self.networks[1](**used).text_embeds[:, 0]
        return vectors


def load(
    checkpoint: Checkpoint, key: str, device: str, precision: str, folder: Path
) -> TransformersEncoder:
    """The encoder of a repository's files, by the family that its configuration names.

    Raises:
        KisBenchError: a family without a joint space, missing or unexpected weights, a damaged file.
    """
    with loading(checkpoint.name, folder):
        config = transformers.AutoConfig.from_pretrained(folder)
    if config.model_type == "blip-2":
        config.use_qformer_text_input = (
            True  # older configurations don't say what these checkpoints hold
        )
        parts = (
            transformers.Blip2VisionModelWithProjection,
            transformers.Blip2TextModelWithProjection,
        )
        image, text = load_whole(checkpoint.name, folder, parts, config)
        dim = config.image_text_hidden_size
        encoder: TransformersEncoder = Blip2(
            checkpoint, key, device, precision, dim, config, folder, image, text
        )
        encoder.vectors_per_item = config.num_query_tokens
        return encoder
    (model,) = load_whole(checkpoint.name, folder, (transformers.AutoModel,), config)
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise KisBenchError(
            f"model {checkpoint.name}: {type(model).__name__} does not embed images and texts in one space; "
            "for its image features alone, timm: may have it"
        )
    encoder = TwoTowers(checkpoint, key, device, precision, 0, config, folder, model)
    encoder.dim = encoder.encode_texts([""])[0].shape[2]  # families name it differently
    return encoder


def load_whole(
    name: str, folder: Path, classes: Sequence[Any], config: Any
) -> list[torch.nn.Module]:
    """One model for each class, together made of all the weights in the folder and of nothing else."""
    models, missing, unexpected = list[torch.nn.Module](), set[str](), list[set[str]]()
    with loading(name, folder), quiet():
        for each in classes:
            model, found = each.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
            )
            models.append(model)
            missing |= set(found["missing_keys"])
            unexpected.append(set(found["unexpected_keys"]))
    for kind, keys in (("lacks", missing), ("has unexpected", set.intersection(*unexpected))):
        require_weights(name, folder, kind, [key for key in keys if not NOT_NEEDED.fullmatch(key)])
    return models


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The library's load report says in a table what is checked here; its progress bar disturbs ours."""
    log = transformers.utils.logging
    before, bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(before)
        if bar:
            log.enable_progress_bar()


def features(output: Any) -> torch.Tensor:
    """Versions of transformers return the vectors alone, or as a part of an output."""
    vectors: torch.Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    return vectors
