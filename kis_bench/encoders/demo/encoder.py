"""The demo encoder: the trained network behind the two functions of an Encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.demo import DEMO_WEIGHTS
from kis_bench.encoders.demo.network import (
    CONTEXT_LENGTH,
    DIM,
    PICTURE_SIZE,
    DualEncoder,
    scale_levels,
    shrink,
    split_words,
)
from kis_bench.encoders.device import choose
from kis_bench.errors import KisBenchError
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint, Float32s


class DemoEncoder:
    dim, vectors_per_item = DIM, 1
    context_length: int | None = CONTEXT_LENGTH
    precision = "fp32"
    input_side = PICTURE_SIZE

    def __init__(self, checkpoint: Checkpoint, device: str, key: str) -> None:
        self.name, self.key = checkpoint.name, key
        self.device = choose(device)
        network = DualEncoder()
        try:
            network.load_state_dict(safetensors.torch.load_file(DEMO_WEIGHTS))
        except (OSError, RuntimeError, safetensors.SafetensorError) as error:
            raise KisBenchError(
                f"{DEMO_WEIGHTS} is not the demo model's: {error}; install kis-bench anew"
            ) from error
        # Texts stay on the CPU: a bag of hashed words is no work for a GPU.
        self.image, self.text = (
            network.image.float().eval().to(self.device),
            network.text.float().eval(),
        )

    def prepare_image(self, image: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> its pixels ``[64, 64, 3]``."""
        return shrink(image)

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encode_prepared([self.prepare_image(upright(image)) for image in images])

    @torch.inference_mode()
    def encode_prepared(self, prepared: Sequence[NDArray[np.uint8]]) -> Float32s:
        vectors = self.image(scale_levels(prepared).to(self.device))
        array: Float32s = vectors.cpu().numpy()[:, None, :]
        return array

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        read = [split_words(text) for text in texts]
        vectors: Float32s = self.text([found[:CONTEXT_LENGTH] for found in read]).numpy()[
            :, None, :
        ]
        return vectors, np.array([len(found) > CONTEXT_LENGTH for found in read], dtype=bool)
