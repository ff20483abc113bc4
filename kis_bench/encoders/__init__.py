"""Pretrained models: images and texts -> unit vectors of one joint space.

Each package in here is a back end: a `kis_bench.encoders.protocol.BackEnd` for sources of one kind.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.choices import DECODINGS, FULL, PRECISIONS, SCALED
from kis_bench.encoders.back_ends import back_ends, find_back_end, list_packages
from kis_bench.encoders.batching import free
from kis_bench.encoders.catalogue import catalogue, find, nameless, read_models
from kis_bench.encoders.decoding import name_scaled, scale_decoding
from kis_bench.encoders.prompts import name_prompted, use_prompts
from kis_bench.encoders.protocol import Encoder, SavedEncoder
from kis_bench.encoders.replicas import join_replicas, split_devices
from kis_bench.errors import KisBenchError, NotReady
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint, Float32s, Readiness

__all__ = [
    "Encoder",
    "LazyEncoder",
    "back_ends",
    "catalogue",
    "fetch",
    "find",
    "list_packages",
    "load",
    "nameless",
    "read_models",
    "readiness",
    "require",
    "unused",
    "upright",
    "weights",
]


def readiness(checkpoint: Checkpoint) -> Readiness:
    """Whether the model could be loaded now; nothing is loaded to find out."""
    return find_back_end(checkpoint).readiness(checkpoint)


def require(checkpoint: Checkpoint) -> None:
    """Returns if the model could be loaded now; of a function of one's own the module is imported to find out.

    Raises:
        NotReady: it can't be had here, and why. KisBenchError: the module can't be imported or has no such function.
    """
    state = readiness(checkpoint)
    if not state.ready:
        raise NotReady(f"model {checkpoint.name}", state.state, state.remedy)
    if (check := find_back_end(checkpoint).require) is not None:
        check(checkpoint)


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """What the vectors are made with: commits of repositories, digests of files; empty where nobody can know."""
    return find_back_end(checkpoint).weights(checkpoint)


def fetch(checkpoint: Checkpoint) -> bool:
    """Downloads what the model lacks, and says whether it lacked anything.

    Raises:
        KisBenchError: the network, the server or the disk refuse; what came is kept for the next attempt.
    """
    get = find_back_end(checkpoint).fetch
    if get is None or not readiness(checkpoint).downloadable:
        return False
    try:
        get(checkpoint)
    except KisBenchError as error:
        raise NotReady(f"model {checkpoint.name}", "not downloaded", str(error)) from error
    return True


def unused(checkpoint: Checkpoint, device: str, precision: str) -> str:
    """Which of device and precision is asked for and not used by a model; empty: all is, or its function will tell."""
    used, asked = find_back_end(checkpoint), device.partition("@")[0]
    wrong = []
    if used.fp32_only and precision != "fp32":
        wrong.append(f"precision {precision} was asked for, but it computes in fp32")
    if used.cpu_only and asked not in ("auto", "cpu"):
        wrong.append(f"device {asked} was asked for, but it runs on the CPU")
    return "; ".join(wrong)


def load(
    name: str | Checkpoint,
    *,
    device: str = "auto",
    precision: str = "fp32",
    decode: str = FULL,
    download: bool = False,
) -> Encoder:
    """The encoder of a name, ready to encode.

    Args:
        device: ``auto`` (the first GPU, else the CPU), ``cpu``, ``cuda``, ``cuda:N``, or several GPUs that share each
            batch out among them, as in ``cuda:0,cuda:1``.
        precision: ``fp32``; on a GPU also ``bf16`` or ``fp16``.
        decode: ``full``, or ``scaled``: `kis_bench.embed.embed_collection` decodes large JPEGs at a part of their size,
            and stores their vectors apart. It does so for models that tell how large pictures have to be.
        download: fetch what is missing.

    Raises:
        UnknownName: no such model. NotReady: it is known, but can't be had here, and why.
        KisBenchError: its files are damaged or of another model, or the device isn't there.
    """
    checkpoint = find(name) if isinstance(name, str) else name
    if precision not in PRECISIONS:
        raise KisBenchError(
            f"precision {precision!r} is not offered; choose one of {', '.join(PRECISIONS)}"
        )
    if decode not in DECODINGS:
        raise KisBenchError(f"decode {decode!r} is not offered; choose {' or '.join(DECODINGS)}")
    if problem := unused(checkpoint, device, precision):
        raise KisBenchError(f"model {checkpoint.name}: {problem}")
    if download:
        fetch(checkpoint)
    require(checkpoint)
    back_end = find_back_end(checkpoint)
    encoder = join_replicas(
        [back_end.load(checkpoint, one, precision) for one in split_devices(device)]
    )
    if decode == SCALED:
        encoder = scale_decoding(encoder, back_end)
    return use_prompts(encoder, checkpoint)


class LazyEncoder:
    """An encoder that is loaded when it first has to encode; its key is known before where possible.

    With every vector in the store already, no deep-learning library is ever imported.

    Raises:
        KisBenchError: a device or precision is asked for that the model doesn't use.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        precision: str = "fp32",
        decode: str = FULL,
    ) -> None:
        if problem := unused(checkpoint, device, precision):
            raise KisBenchError(f"model {checkpoint.name}: {problem}")
        self.checkpoint, self.device, self.precision = checkpoint, device, precision
        self.decode = decode
        self.name = checkpoint.name  # a function's object may have one of its own
        self.own_key = ""  # and a key, which is a part of ours
        self._image_only = checkpoint.image_only
        self._encoder: Encoder | None = None
        back_end = find_back_end(checkpoint)
        self._key: str | None = back_end.key(checkpoint, precision)
        if self._key is not None and decode == SCALED and back_end.tells_side:
            self._key = name_scaled(self._key)
        if self._key is not None and not checkpoint.image_only:
            self._key = name_prompted(self._key, checkpoint.prompts)

    @property
    def encoder(self) -> Encoder:
        if self._encoder is None:
            self._encoder = load(
                self.checkpoint,
                device=self.device,
                precision=self.precision,
                decode=self.decode,
            )
            self._key = self._encoder.key
            self.name = self._encoder.name
            self.own_key = getattr(self._encoder, "own_key", "")
            self._image_only |= bool(getattr(self._encoder, "image_only", False))
        return self._encoder

    @property
    def loaded(self) -> bool:
        return self._encoder is not None

    def unload(self) -> None:
        """Gives the memory back; a later call loads it again."""
        if self._encoder is not None:
            self._encoder = None
            gc.collect()
            free()

    @property
    def saved(self) -> SavedEncoder | None:
        """The same where its vectors lie on disk under ids; None: it encodes."""
        if not find_back_end(self.checkpoint).saved:
            return None
        assert isinstance(self.encoder, SavedEncoder)
        return self.encoder

    @property
    def is_function(self) -> bool:
        """Whether it is a user's object, which has to be built before anything of it is known."""
        return self.checkpoint.origin.kind == "python"

    @property
    def image_only(self) -> bool:
        """Whether it has no text side."""
        if self.is_function and self._key is None:
            return bool(getattr(self.encoder, "image_only", False))
        return self._image_only

    @property
    def checkable(self) -> bool:
        """Whether stored vectors can be compared with new ones without loading torch where it isn't loaded."""
        if find_back_end(self.checkpoint).saved:  # they are what is measured
            return False
        if self.loaded or self.is_function:
            return True
        light = find_back_end(self.checkpoint).cpu_only
        return (light or "torch" in sys.modules) and readiness(self.checkpoint).ready

    @property
    def key_known(self) -> bool:
        """Whether stored vectors can be found without loading the model."""
        return self._key is not None

    @property
    def key(self) -> str:
        return self.encoder.key if self._key is None else self._key

    @property
    def dim(self) -> int:
        return self.checkpoint.dim if self.checkpoint.dim and not self.loaded else self.encoder.dim

    @property
    def vectors_per_item(self) -> int:
        known = self.checkpoint.dim and not self.loaded
        return self.checkpoint.vectors_per_item if known else self.encoder.vectors_per_item

    @property
    def context_length(self) -> int | None:
        known = self.checkpoint.dim and not self.loaded
        return self.checkpoint.context_length if known else self.encoder.context_length

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encoder.encode_images(images)

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_] | None]:
        return self.encoder.encode_texts(texts)
