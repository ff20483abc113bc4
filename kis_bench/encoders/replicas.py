"""One model on several devices of a machine, which encode the parts of a batch at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.batching import DEFAULT
from kis_bench.encoders.protocol import Encoder, PreparingEncoder
from kis_bench.errors import KisBenchError
from kis_bench.records import Float32s

OfCopy = TypeVar("OfCopy")


class Replicas:
    """Copies of an encoder, each on a device of its own; a batch is as large as theirs together.

    What else is known of the encoder, such as its name and key, is that of the first copy. Copies have a thread each:
    while a device computes, torch leaves the interpreter to the others.
    """

    def __init__(self, copies: Sequence[Any]) -> None:
        self.copies = copies
        first = copies[0]
        self.name, self.key, self.dim = first.name, first.key, first.dim
        self.vectors_per_item, self.context_length = first.vectors_per_item, first.context_length
        self.batch_size = sum(int(getattr(one, "batch_size", DEFAULT)) for one in copies)
        self.device = " and ".join(str(getattr(one, "device", None)) for one in copies)
        self.pool = ThreadPoolExecutor(len(copies), "replica")

    def __getattr__(self, name: str) -> Any:
        if name == "copies":  # of an object that was never made
            raise AttributeError(name)
        return getattr(self.copies[0], name)

    def share_out(
        self, encode: Callable[[Any], Callable[[Sequence[Any]], OfCopy]], inputs: Sequence[Any]
    ) -> list[OfCopy]:
        """What each copy makes of its part of the inputs, in their order.

        Raises:
            Exception: the first that a copy raised, once all are done.
        """
        size = -(-len(inputs) // len(self.copies))
        parts = [inputs[i : i + size] for i in range(0, len(inputs), size)]
        # Whether cuDNN may round is set for the whole process: copies find it set, and leave it so for each other.
        with getattr(self.copies[0], "computing", nullcontext)():
            futures = [
                self.pool.submit(encode(copy), part)
                for copy, part in zip(self.copies, parts, strict=False)
            ]
            wait(futures)
        return [future.result() for future in futures]

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        joined: Float32s = np.concatenate(self.share_out(lambda copy: copy.encode_images, images))
        return joined

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        vectors, cut = zip(*self.share_out(lambda copy: copy.encode_texts, texts), strict=True)
        return np.concatenate(vectors), np.concatenate(cut)


class PreparingReplicas(Replicas):
    """Copies of an encoder that prepares pictures in the decoding threads."""

    def prepare_image(self, image: Image.Image) -> Any:
        return self.copies[0].prepare_image(image)

    def encode_prepared(self, prepared: Sequence[Any]) -> Float32s:
        parts = self.share_out(lambda copy: copy.encode_prepared, prepared)
        joined: Float32s = np.concatenate(parts)
        return joined


def split_devices(device: str) -> list[str]:
    """The devices in a list with commas.

    Raises:
        KisBenchError: one is empty, stands there twice, or has to be alone.

    >>> split_devices("cuda:0,cuda:1")
    ['cuda:0', 'cuda:1']
    """
    devices = [one.strip() for one in device.split(",")]
    if len(devices) == 1:
        return devices
    wrong = [one for one in devices if not one.startswith("cuda:")]
    if wrong or len({*devices}) < len(devices):
        raise KisBenchError(
            f"device {device!r}: of several devices each is a GPU of its own, as in cuda:0,cuda:1"
        )
    return devices


def join_replicas(copies: Sequence[Encoder]) -> Encoder:
    """One encoder of all copies; a single one is returned as it is."""
    if len(copies) == 1:
        return copies[0]
    prepare = isinstance(copies[0], PreparingEncoder)
    return PreparingReplicas(copies) if prepare else Replicas(copies)
