"""A network in ONNX Runtime, with the batch that it really takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kis_bench.encoders.batching import out_of_memory
from kis_bench.encoders.encoding import threads
from kis_bench.encoders.onnx.picture_form import COLOUR_CHANNELS
from kis_bench.errors import BadFile
from kis_bench.ranking.unit_vectors import make_unit
from kis_bench.records import Float32s

ONNX_PROVIDERS = ["CPUExecutionProvider"]
FATAL = 4  #: level of the library's log; its errors are raised as well
MOST_DRIFT = (
    1e-3  #: of a unit vector between batches of one and two; other kernels make 1e-6, int8 1e-2
)
NUMBER_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
TOKEN_TYPES = ("tensor(int64)", "tensor(int32)")
OF_PIXELS = 4  #: dimensions of a batch of pictures
#: Outputs that a network has before its projection into the joint space; of SigLIP the former is in it.
POOLED, NOT_JOINT = "pooler_output", ("pooler_output", "last_hidden_state")
TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
Feeds = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class OnnxNetwork:
    """A network, and which of its inputs take pictures and tokens."""

    file: Path
    session: Any
    pixels: Any | None  # input of the library, with name, type and shape
    tokens: Mapping[str, Any]  # one of `TOKEN_INPUTS` -> likewise

    @classmethod
    def open(cls, file: Path) -> OnnxNetwork:
        """
        Raises:
            BadFile: ONNX Runtime refuses it, or it asks for something else.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = FATAL
        try:
            session = onnxruntime.InferenceSession(str(file), options, providers=ONNX_PROVIDERS)
        except Exception as error:  # its own have no other class in common
            raise BadFile(file, [f"ONNX Runtime refuses it: {say_briefly(error)}"]) from error
        pixels = None
        tokens, unclear = dict[str, Any](), list[Any]()
        for each in session.get_inputs():
            if each.type not in NUMBER_TYPES:
                unclear.append(each)
            elif len(each.shape) == OF_PIXELS and pixels is None:
                pixels = each
            elif each.name in TOKEN_INPUTS:
                tokens[each.name] = each
            else:
                unclear.append(each)
        if len(unclear) == 1 and unclear[0].type in TOKEN_TYPES and not tokens:
            tokens[TOKEN_INPUTS[0]] = unclear.pop()
        if unclear or (tokens and TOKEN_INPUTS[0] not in tokens):
            names = ", ".join(
                f"{each.name} {each.type} {each.shape}" for each in session.get_inputs()
            )
            said = f"it takes {names}; known are pictures [n, 3, height, width]"
            raise BadFile(file, [f"{said} and {', '.join(TOKEN_INPUTS)}"])
        found = cls(file, session, pixels, tokens)
        if pixels is not None and found.fixed(pixels, 1) not in (None, COLOUR_CHANNELS):
            said = f"it takes pictures as {pixels.shape}; [n, 3, height, width] is needed"
            raise BadFile(file, [said])
        return found

    def fixed(self, each: Any, axis: int) -> int | None:
        """The length of an input's axis; None: any."""
        return each.shape[axis] if isinstance(each.shape[axis], int) else None

    @property
    def context_length(self) -> int | None:
        """Tokens of a text, where it takes just so many."""
        return self.fixed(self.tokens[TOKEN_INPUTS[0]], 1) if self.tokens else None

    def declare_batch(self, feeds: Feeds) -> int | None:
        """How many inputs at a time it says that it takes; None: any."""
        fed = [each for each in self.session.get_inputs() if each.name in feeds]
        return max((size for each in fed if (size := self.fixed(each, 0))), default=None)

    def feed_pixels(self, pixels: NDArray[Any]) -> Feeds:
        """
        Args:
            pixels: ``[n, 3, height, width]``.
        """
        assert self.pixels is not None
        return {self.pixels.name: pixels.astype(NUMBER_TYPES[self.pixels.type], copy=False)}

    def feed_tokens(self, tokens: Feeds) -> Feeds:
        """
        Args:
            tokens: each of `TOKEN_INPUTS` that it may ask for, ``[n, context]``.
        """
        return {
            each.name: tokens[name].astype(NUMBER_TYPES[each.type], copy=False)
            for name, each in self.tokens.items()
        }

    def choose_output(self, wanted: Sequence[str], told: str | None) -> str:
        """The output with the vectors: the one that is told, else the first of those wanted, else the only one.

        Raises:
            BadFile: it has none of them.
        """
        names = [each.name for each in self.session.get_outputs()]
        found = [name for name in ((told,) if told else wanted) if name in names]
        if not found and not told and len(names) == 1 and names[0] not in NOT_JOINT:
            found = names
        if not found:
            said = f"it gives {', '.join(names)}, and no {told or wanted[0]}"
            remedy = "export it with its projection into the joint space, or name the output in onnx.toml"
            raise BadFile(self.file, [f"{said}; {remedy}"])
        return found[0]


def say_briefly(error: Exception) -> str:
    """What ONNX Runtime says, in one line."""
    return " ".join(str(error).split())[:400]


class NetworkSide:
    """One side of a model: the output of a network, in batches that it takes.

    Args:
        output: the name of what has the vectors, ``[n, d]``.
        beside: inputs of the network that are the other side's, of which any will do.
        scales_by_batch: vectors depend on what else is in their batch, so that each input gets its own.
    """

    def __init__(
        self, network: OnnxNetwork, output: str, beside: Feeds, *, scales_by_batch: bool
    ) -> None:
        self.network, self.output, self.alone = network, output, scales_by_batch
        rows = np.resize([0], network.declare_batch(beside) or 1)
        self.beside = {name: array[rows] for name, array in beside.items()}
        self.batch: int | None = None  # the only size that runs; None: any
        self.note = ""  # what is to be known of its batches
        self.dim = 0
        self.options = onnxruntime.RunOptions()
        self.options.only_execute_path_to_fetches = True
        self.options.log_severity_level = FATAL

    def run(self, feeds: Feeds) -> Float32s:
        """Unit vectors, float32 ``[n, 1, d]``, of ``n`` inputs in batches that the network takes."""
        n = len(next(iter(feeds.values())))
        size = 1 if self.alone else self.batch or n
        parts = []
        for start in range(0, n, size):
            rows = np.arange(start, min(start + size, n))
            if self.batch is not None:
                rows = np.resize(rows, self.batch)  # the same again, where there are fewer
            found = self.run_batch({name: array[rows] for name, array in feeds.items()})
            parts.append(found[: min(size, n - start)])
        return make_unit(np.concatenate(parts).astype(np.float64))[:, None]

    def run_batch(self, feeds: Feeds) -> NDArray[Any]:
        try:
            (found,) = self.network.session.run(
                [self.output], {**feeds, **self.beside}, self.options
            )
        except Exception as error:
            if "ailed to allocate" in str(error) or out_of_memory(error):
                raise MemoryError(say_briefly(error)) from error
            raise RuntimeError(say_briefly(error)) from error
        array: NDArray[Any] = np.asarray(found)
        array = array[:, 0] if array.ndim == 3 and array.shape[1] == 1 else array
        n = len(next(iter(feeds.values())))
        if array.ndim != 2 or len(array) != n:
            said = f"{self.output} is {list(array.shape)} for {n} inputs; [{n}, numbers] is needed"
            raise BadFile(self.network.file, [said])
        return array

    def find_batch(self, two: Feeds) -> None:
        """Tries which batches run, on two inputs, and whether vectors depend on their neighbours.

        Raises:
            BadFile: none runs, or what comes back are no vectors.
        """
        declared = self.network.declare_batch(two)
        name, self.batch = self.network.file.name, declared
        try:
            first, second = (
                self.run({key: array[row : row + 1] for key, array in two.items()})
                for row in (0, 1)
            )
        except RuntimeError as error:
            raise BadFile(self.network.file, [f"it doesn't run: {error}"]) from error
        self.dim = first.shape[2]
        if self.alone:
            self.note = f"{name} is quantized by what is in a batch"
            return
        self.note = "" if declared is None else f"{name} takes {declared} at a time"
        if declared == 1:
            return
        try:
            drift = float(np.abs(self.run(two) - np.concatenate([first, second])).max())
        except (RuntimeError, BadFile) as error:
            if declared is not None:
                raise BadFile(self.network.file, [f"it doesn't run: {error}"]) from error
            self.batch = 1
            self.note = f"{name} declares batches of any size, and takes 1 at a time"
            return
        if not drift <= MOST_DRIFT:
            self.alone = True
            said = f"vectors of {name} depend on what else is in a batch, by {drift:.0e}"
            self.note = f"{self.note}, and {said}" if self.note else said
