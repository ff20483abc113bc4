"""An image model of timm as an Encoder: the pooled features before its classifier. Imports torch and timm."""

from __future__ import annotations

import math
from pathlib import Path

import timm
import timm.data
import torch
from PIL import Image

from kis_bench.encoders.torch_encoder import ImageOnlyTorchEncoder, loading
from kis_bench.records import Checkpoint


class TimmEncoder(ImageOnlyTorchEncoder):
    """Size, crop and normalisation are those that the weights were evaluated with."""

    def __init__(
        self, checkpoint: Checkpoint, key: str, device: str, precision: str, folder: Path
    ) -> None:
        with loading(checkpoint.name, folder):
            model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
            config = timm.data.resolve_model_data_config(model)
            self.preprocess = timm.data.create_transform(**config, is_training=False)
        dim = int(getattr(model, "head_hidden_size", None) or model.num_features)
        super().__init__(checkpoint, key, device, precision, dim, model)
        self.model = model
        self.input_side = math.ceil(max(config["input_size"][1:]) / config["crop_pct"])

    def prepare_image(self, image: Image.Image) -> torch.Tensor:
        pixels: torch.Tensor = self.preprocess(image)
        return pixels

    def image_vectors(self, images: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model(images)
        return vectors
