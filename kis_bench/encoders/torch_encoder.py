"""What all encoders on torch share: device, precision, batches of prepared images, unit vectors."""

from __future__ import annotations

import contextlib
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.device import choose
from kis_bench.encoders.hub import no_network
from kis_bench.errors import KisBenchError
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint, Float32s

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
BATCH_SIZES = {"cpu": 16}  #: where a search for the batch size starts; more gains nothing on a CPU
BATCH_SIZE_GPU = 128

#: What libraries raise over files that are damaged or another model's.
FOREIGN: tuple[type[Exception], ...] = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    EOFError,
    pickle.UnpicklingError,
)
with contextlib.suppress(ImportError):  # absent in LAVIS' environment
    from safetensors import SafetensorError

    FOREIGN = (*FOREIGN, SafetensorError)

#: One image, ready for the network: a tensor, or the named tensors of a library's image processor.
Prepared = Any


class TorchEncoder(ABC):
    """A network in evaluation mode behind the two functions of an Encoder.

    A back end gives ``prepare_image`` (runs in the decoding threads), ``image_vectors``, ``tokens`` and
    ``text_vectors``. Vectors leave as float32 of length 1, whatever precision they were computed in:
    ``fp32`` without TensorFloat-32, ``bf16`` and ``fp16`` by autocast on a GPU.
    """

    vectors_per_item: int = 1
    input_side: int | None = (
        None  #: pixels; a picture of which no side is shorter is only ever shrunk; None: not known
    )
    context_length: int | None
    image_only: ClassVar[bool] = False
    quick_gelu: bool | None = (
        None  #: the activation that the weights were trained with; None: not known
    )
    projected: bool = True  #: whether images and texts end in their common space

    def __init__(
        self,
        checkpoint: Checkpoint,
        key: str,
        device: str,
        precision: str,
        dim: int,
        *networks: torch.nn.Module,
    ) -> None:
        self.name, self.key, self.dim, self.precision = checkpoint.name, key, dim, precision
        self.device = choose(device)
        if precision != "fp32" and self.device.type == "cpu":
            raise KisBenchError(
                f"precision {precision} is meant for GPUs and slower on a CPU; use fp32 there"
            )
        self.networks = [
            network.float().eval().requires_grad_(False).to(self.device) for network in networks
        ]
        self.batch_size = BATCH_SIZES.get(self.device.type, BATCH_SIZE_GPU)

    @abstractmethod
    def prepare_image(self, image: Image.Image) -> Prepared:
        """An upright RGB picture of any size -> what the network takes, on the CPU."""

    @abstractmethod
    def image_vectors(self, images: Prepared) -> torch.Tensor:
        """A batch of prepared images -> ``[n, d]`` or ``[n, v, d]``, not yet of length 1."""

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> tuple[Prepared, NDArray[np.bool_]]:
        """Texts -> what the network takes, and which were cut at the context, bool ``[n]``."""

    @abstractmethod
    def text_vectors(self, tokens: Prepared) -> torch.Tensor:
        """A batch of tokens -> ``[n, d]``, not yet of length 1."""

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encode_prepared([self.prepare_image(upright(image)) for image in images])

    def encode_prepared(self, prepared: Sequence[Prepared]) -> Float32s:
        """What ``prepare_image`` returned -> unit vectors, float32 ``[n, v, d]``."""
        with self.computing():
            return unit(self.image_vectors(self.on_device(stack(prepared))))

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_]]:
        tokens, truncated = self.tokens(texts)
        with self.computing():
            return unit(self.text_vectors(self.on_device(tokens))), truncated

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self.precision in AUTOCAST:
                stack.enter_context(torch.autocast(self.device.type, AUTOCAST[self.precision]))
            elif self.device.type == "cuda":
                # Convolutions use TensorFloat-32 unless told otherwise; fp32 means fp32.
                stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
            yield

    def on_device(self, batch: Prepared) -> Prepared:
        if isinstance(batch, torch.Tensor):
            return batch.to(self.device)
        if isinstance(batch, list):  # texts, for a library that tokenizes itself
            return batch
        return {name: tensor.to(self.device) for name, tensor in batch.items()}


class ImageOnlyTorchEncoder(TorchEncoder):
    """Features of images, for image similarity."""

    image_only = True
    context_length = None

    def tokens(self, texts: Sequence[str]) -> tuple[Prepared, NDArray[np.bool_]]:
        raise KisBenchError(f"model {self.name} is image-only: it has no text side")

    def text_vectors(self, tokens: Prepared) -> torch.Tensor:
        raise KisBenchError(f"model {self.name} is image-only: it has no text side")


def stack(prepared: Sequence[Prepared]) -> Prepared:
    """Single images as one batch; named tensors carry a batch dimension already."""
    if isinstance(prepared[0], torch.Tensor):
        return torch.stack(list(prepared))
    return {name: torch.cat([one[name] for one in prepared]) for name in prepared[0]}


def unit(vectors: torch.Tensor) -> Float32s:
    vectors = vectors.detach().float().cpu()
    if vectors.ndim == 2:
        vectors = vectors[:, None, :]
    array: Float32s = torch.nn.functional.normalize(vectors, dim=-1).contiguous().numpy()
    return array


def find_cut_texts(
    at_context: torch.Tensor, one_more: torch.Tensor, empty: torch.Tensor
) -> NDArray[np.bool_]:
    """Which texts lost tokens, from the tokens at the context's length and at one more.

    A text that fits gets one more padding token and nothing else, behind it or, with some tokenizers, in front.
    That holds whether a tokenizer closes a cut text with an end mark or not.

    Args:
        at_context, one_more: ``[n, L]`` and ``[n, L + 1]``.
        empty: ``[L + 1]``, the tokens of a text with no words.
    """
    # Where it is padded in front, an empty text ends with a mark, which others may have lost.
    padding = empty[-1] if empty[-1] == empty[-2] else empty[0]
    behind = (one_more[:, :-1] == at_context).all(dim=1) & (one_more[:, -1] == padding)
    in_front = (one_more[:, 1:] == at_context).all(dim=1) & (one_more[:, 0] == padding)
    array: NDArray[np.bool_] = (~(behind | in_front)).numpy()
    return array


@contextlib.contextmanager
def loading(name: str, files: Path) -> Iterator[None]:
    """While a library reads foreign files: no network, and whatever it raises becomes one message.

    The libraries read checkpoints with safetensors or ``torch.load(weights_only=True)`` and refuse code in them.
    """
    try:
        with no_network():
            yield
    except FOREIGN as error:
        said = str(error).strip() or type(error).__name__
        shown = said if len(said) < 1500 else said[:1500] + " ..."
        if isinstance(error, pickle.UnpicklingError) or "weights_only" in said:
            shown = f"it holds more than tensors, or is damaged, and is not read: it could run code ({shown})"
        raise KisBenchError(f"model {name}: {files} can't be loaded: {shown}") from error


def require_weights(name: str, file: Path, kind: str, keys: Iterable[str]) -> None:
    """Names the weights that a file lacks or should not have; nothing, if there are none."""
    keys = list(keys)
    if keys:
        shown = ", ".join(sorted(keys)[:5]) + (
            f" and {len(keys) - 5} more" if len(keys) > 5 else ""
        )
        raise KisBenchError(f"model {name}: the checkpoint {file} {kind} weights: {shown}")
