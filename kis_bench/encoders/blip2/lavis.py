"""BLIP-2 through salesforce-lavis, by the usage that it documents. Imports torch and lavis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers.utils.hub
from lavis.models import load_model_and_preprocess
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.blip2 import BLIP2_SIDE, Files, clean_caption, find_context
from kis_bench.encoders.blip2.state import UNUSED_WEIGHTS, read_weights, require_names
from kis_bench.encoders.torch_encoder import TorchEncoder, loading
from kis_bench.records import Checkpoint


class LavisBlip2(TorchEncoder):
    """``extract_features`` of LAVIS' feature extractor, projected or not; texts are cut where training cut them."""

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
        # LAVIS ignores what is missing or too much, so the files are looked at before and after.
        found = read_weights(checkpoint.name, files.vision, files.model)
        transformers.utils.hub._is_offline_mode = True  # this version has a switch of its own
        with loading(checkpoint.name, files.model):
            model, images, texts = load_model_and_preprocess(
                "blip2_feature_extractor", "pretrain_vitL", is_eval=True, device=torch.device("cpu")
            )
        needed = [name for name in model.state_dict() if not UNUSED_WEIGHTS.fullmatch(name)]
        require_names(checkpoint.name, files.model, needed, found)
        super().__init__(checkpoint, key, device, precision, 0, model)
        self.model, self.projected = model, projected
        self.image_processor, self.text_processor = images["eval"], texts["eval"]
        self.context_length: int = find_context(projected)
        self.tokenizer: Any = model.tokenizer
        # extract_features cuts no tokens: beyond 32 none was trained, and beyond 512 it fails.
        model.tokenizer = partial(self.tokenizer, truncation=True, max_length=self.context_length)
        _, queries, hidden = model.query_tokens.shape
        self.vectors_per_item = queries if projected else 1
        self.dim = model.vision_proj.out_features if projected else hidden

    def prepare_image(self, image: Image.Image) -> torch.Tensor:
        pixels: torch.Tensor = self.image_processor(image)
        return pixels

    def image_vectors(self, images: torch.Tensor) -> torch.Tensor:
        found = self.model.extract_features({"image": images}, mode="image")
        vectors: torch.Tensor = (
            found.image_embeds_proj if self.projected else found.image_embeds[:, 0]
        )
        return vectors

    def tokens(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        """The cleaned texts themselves: LAVIS tokenizes and computes in one step."""
        captions = [self.text_processor(text) for text in texts]
        lengths = [len(ids) for ids in self.tokenizer(captions).input_ids]
        cut_words = [clean_caption(text)[1] for text in texts]
        return captions, (np.array(lengths) > self.context_length) | np.array(cut_words)

    def text_vectors(self, tokens: list[str]) -> torch.Tensor:
        found = self.model.extract_features({"text_input": tokens}, mode="text")
        vectors: torch.Tensor = (found.text_embeds_proj if self.projected else found.text_embeds)[
            :, 0
        ]
        return vectors
