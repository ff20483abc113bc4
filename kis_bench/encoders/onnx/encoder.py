"""ONNX networks as an Encoder. Imports onnxruntime and tokenizers; torch only with open_clip's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.decoding import find_largest_side
from kis_bench.encoders.onnx.description import OWN
from kis_bench.encoders.onnx.folder import OnnxFolder
from kis_bench.encoders.onnx.picture_form import COLOUR_CHANNELS
from kis_bench.encoders.onnx.preparing import (
    OpenClipReader,
    TextReader,
    open_reader,
    prepare_pixels,
)
from kis_bench.encoders.onnx.session import POOLED, Feeds, NetworkSide, OnnxNetwork
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint, Float32s

#: Outputs in the joint space, by the names that converters give them.
OUTPUTS = {
    "images": ("image_embeds", "image_embeddings", "image_features"),
    "texts": ("text_embeds", "text_embeddings", "text_features"),
}
POOLED_IS_JOINT = ("siglip", "siglip2")  #: families that have no projection behind the pooling
BATCH_PICTURES = 16  #: more gains nothing on a CPU
TRIED_TEXTS = ("a red apple", "two people under a tree in the rain")


class OnnxEncoder:
    """Pictures are prepared by Pillow and numpy; networks run on the CPU, in the precision of their files.

    Raises:
        KisBenchError: a file is of another model than those beside it, or ONNX Runtime refuses it.
    """

    vectors_per_item, device, batch_size = 1, "cpu", BATCH_PICTURES

    def __init__(self, checkpoint: Checkpoint, key: str, found: OnnxFolder) -> None:
        self.name, self.key, self.precision = checkpoint.name, key, found.precision
        self.found, self.form = found, found.pictures
        self.input_side = find_largest_side(self.form.size)
        self.image_only = found.texts is None
        self.reader: TextReader | OpenClipReader | None = None
        self.context_length: int | None = None
        networks = {file: OnnxNetwork.open(file) for file in found.networks.files}
        seeing = networks[found.networks.images]
        reading = None if found.networks.texts is None else networks[found.networks.texts]
        pixels = self.try_pictures(seeing)
        tokens: Feeds = {}
        if found.texts is not None and reading is not None:
            if not reading.tokens:
                raise BadFile(reading.file, [f"it takes no texts; {OWN} may name another file"])
            self.reader = open_reader(found.texts, reading.context_length)
            self.context_length = self.reader.context_length
            tokens = reading.feed_tokens(self.reader.read(TRIED_TEXTS)[0])
        shared = seeing is reading
        self.images = self.open_side(seeing, "images", pixels, tokens if shared else {})
        self.texts: NetworkSide | None = None
        if reading is not None:
            self.texts = self.open_side(reading, "texts", tokens, pixels if shared else {})
        self.dim = self.images.dim
        if self.texts is not None and self.texts.dim != self.dim:
            said = f"{seeing.file.name} gives {self.dim} numbers for a picture"
            also = f"{reading.file.name if reading else ''} {self.texts.dim} for a text"
            remedy = "they are of two models, or one lacks its projection into the joint space"
            raise KisBenchError(f"model {self.name}: {said} and {also}: {remedy}")
        sides = [self.images] if self.texts is None else [self.images, self.texts]
        self.batch_note = "; ".join(dict.fromkeys(side.note for side in sides if side.note))

    def try_pictures(self, network: OnnxNetwork) -> Feeds:
        """Two pictures of noise, as the network takes them.

        Raises:
            BadFile: it takes none, or others than the preprocessing makes.
        """
        if network.pixels is None:
            raise BadFile(network.file, [f"it takes no pictures; {OWN} may name another file"])
        noise = np.random.default_rng(0).integers(
            0, 256, (2, 64, 80, COLOUR_CHANNELS), dtype=np.uint8
        )
        made = np.stack([self.prepare_image(Image.fromarray(one)) for one in noise])
        wanted = [network.fixed(network.pixels, axis) for axis in (2, 3)]
        if any(one not in (None, side) for one, side in zip(wanted, made.shape[2:], strict=True)):
            said = f"it takes pictures of {wanted[0]} x {wanted[1]} pixels"
            prepared = f"the preprocessing beside it makes {made.shape[2]} x {made.shape[3]}"
            raise BadFile(network.file, [f"{said}, and {prepared}"])
        return network.feed_pixels(made)

    def open_side(self, network: OnnxNetwork, kind: str, two: Feeds, beside: Feeds) -> NetworkSide:
        """
        Args:
            two: inputs to try it with.
            beside: what the other side of the same network is fed with.
        """
        told = self.found.told.get({"images": "image_output", "texts": "text_output"}[kind])
        pooled = (POOLED,) if self.found.family in POOLED_IS_JOINT else ()
        output = network.choose_output((*OUTPUTS[kind], *pooled), told)
        graph = self.found.graphs[network.file]
        side = NetworkSide(network, output, beside, scales_by_batch=graph.scales_by_batch)
        side.find_batch(two)
        return side

    def prepare_image(self, image: Image.Image) -> Float32s:
        return prepare_pixels(image, self.form)

    def encode_prepared(self, prepared: Sequence[Float32s]) -> Float32s:
        return self.images.run(self.images.network.feed_pixels(np.stack(prepared)))

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encode_prepared([self.prepare_image(upright(image)) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        if self.reader is None or self.texts is None:
            raise KisBenchError(f"model {self.name} is image-only: it has no text side")
        tokens, cut = self.reader.read(texts)
        return self.texts.run(self.texts.network.feed_tokens(tokens)), cut
