"""Models of sentence-transformers as Encoders. Imports torch and sentence_transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.sentence_transformers import read_modules
from kis_bench.encoders.torch_encoder import Prepared, TorchEncoder, loading, unit
from kis_bench.encoders.transformers.encoder import load_whole, quiet
from kis_bench.errors import KisBenchError
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint

UNLIMITED = 10**9  #: what tokenizers say that have no limit is beyond it


class SentenceTransformersEncoder(TorchEncoder):
    """Texts are encoded as queries, pictures as documents, with the prompts that the model brings for them.

    The library takes a path for a picture only if there is such a file, else for a text, and does not turn pictures
    that are handed over; so it is given upright pictures, never paths.
    """

    def __init__(
        self, checkpoint: Checkpoint, key: str, device: str, precision: str, folder: Path
    ) -> None:
        with loading(checkpoint.name, folder), quiet():
            model = sentence_transformers.SentenceTransformer(
                str(folder),
                device="cpu",
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"dtype": torch.float32},
            )
        check_kinds(checkpoint.name, model)
        if model.transformers_model is not None:
            # The library says nowhere which weights were missing and are random now.
            place = folder / read_modules(folder)[0][0]
            network = model.transformers_model
            load_whole(checkpoint.name, place, [type(network)], network.config)
        super().__init__(checkpoint, key, device, precision, 0, model)
        self.model = model
        limit = getattr(model[0], "query_length", None) or model.max_seq_length
        self.context_length: int | None = limit if limit and limit < UNLIMITED else None
        prompts = {name: text for name, text in model.prompts.items() if text}
        self.prompt: str = prompts.get("query", prompts.get(model.default_prompt_name or "", ""))
        self.dim = self.encode_texts([""])[0].shape[2]

    def prepare_image(self, image: Image.Image) -> Image.Image:
        return upright(image)

    def encode_prepared(self, prepared: Sequence[Image.Image]) -> NDArray[np.float32]:
        with self.computing():
            return unit(self.image_vectors(list(prepared)))

    def image_vectors(self, images: Prepared) -> torch.Tensor:
        return self.run(self.model.encode_document, images)

    def tokens(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        """The texts themselves, which the library tokenizes, and which of them it will cut."""
        texts, limit = list(texts), self.context_length
        if limit is None:
            return texts, np.zeros(len(texts), dtype=bool)
        whole_texts = self.model.tokenizer(
            [self.prompt + text for text in texts], truncation=False, verbose=False
        )
        return texts, np.array([len(ids) > limit for ids in whole_texts["input_ids"]], dtype=bool)

    def text_vectors(self, tokens: Prepared) -> torch.Tensor:
        return self.run(self.model.encode_query, tokens)

    def run(self, encode: Callable[..., torch.Tensor], inputs: Prepared) -> torch.Tensor:
        """All inputs at once, ``[n, d]``, as the model gives them, which is not of length 1."""
        return encode(
            inputs,
            batch_size=len(inputs),
            convert_to_tensor=True,
            normalize_embeddings=False,
            show_progress_bar=False,
        )


def check_kinds(name: str, model: sentence_transformers.SentenceTransformer) -> None:
    """
    Raises:
        KisBenchError: the model doesn't embed both pictures and texts as they are.
    """
    kinds = [str(kind) for kind in model.modalities]
    problem = ""
    if "image" not in kinds:
        problem = f"embeds no pictures ({', '.join(kinds)} only); one that embeds both is needed"
    elif "text" not in kinds:
        problem = f"embeds no texts ({', '.join(kinds)} only); for image features alone, timm: may have it"
    elif "message" in kinds:
        problem = (
            "puts texts into messages of a chat, and can't say which of them it cuts; "
            "write a function that returns an encoder"
        )
    if problem:
        raise KisBenchError(f"model {name}: it {problem}")
