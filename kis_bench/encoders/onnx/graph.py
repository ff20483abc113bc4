"""What the file of an ONNX network says of itself, read without onnx or onnxruntime.

An .onnx file is a message of protobuf. Walking its fields and skipping the weights takes milliseconds, however large
they are; the numbers of the fields are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import mmap
import reprlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from kis_bench.encoders.onnx.networks import names_inner_file
from kis_bench.errors import BadFile
from kis_bench.files.states import remember_by_state

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  #: kinds of fields
NO_END = -1  #: in place of where a field ends, of one that is a number itself
GRAPH = 7  #: of a model
#: Message -> the field in which it holds another that matters here -> which one that is.
HOLDS = {
    "model": {GRAPH: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
OPERATOR = 4  #: of a node
DIMS, TYPE_OF_NUMBERS, EXTERNAL_DATA = 1, 2, 13  #: of a tensor
ENTRY_NAME, ENTRY_VALUE = 1, 2
FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16  #: types of numbers
BYTES_OF_TYPE = {FLOAT: 4, FLOAT16: 2, BFLOAT16: 2}
POINTER = b"version https://git-lfs"  #: how a file begins that Git LFS hasn't fetched
#: Operators that find a scale from the numbers that arrive, which are those of a whole batch.
SCALES_BY_BATCH = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
EIGHT_BITS = (*SCALES_BY_BATCH, "QLinear", "MatMulInteger", "ConvInteger", "QuantizeLinear")
FOUR_BITS = "MatMulNBits"


@dataclass(frozen=True)
class NetworkGraph:
    """The operators of a network, the types of its weights, and the files beside it that hold some of these."""

    operators: frozenset[str]
    halves: bool  # most bytes of its weights are of float16 or bfloat16, and not of float32
    external: tuple[str, ...]  # paths below the folder of the network's file

    @property
    def scales_by_batch(self) -> bool:
        """Whether a vector depends on what else is in its batch."""
        return not self.operators.isdisjoint(SCALES_BY_BATCH)

    @property
    def precision(self) -> str:
        """What its weights are kept in: int4, int8, fp16 or fp32."""
        if FOUR_BITS in self.operators:
            return "int4"
        if any(name.startswith(EIGHT_BITS) for name in self.operators):
            return "int8"
        return "fp16" if self.halves else "fp32"


class GraphReader:
    """Walks the parts of a message that matter here.

    Raises:
        ValueError, IndexError: the bytes are no such message.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.operators = set[str]()
        self.sizes = Counter[int]()  # type of numbers -> bytes
        self.external: dict[str, None] = {}

    def read_model(self) -> None:
        if all(field != GRAPH for field, *_ in self.fields(0, len(self.data))):
            raise ValueError("no graph")
        self.read_message("model", 0, len(self.data))

    def read_message(self, kind: str, start: int, stop: int) -> None:
        if kind == "tensor":
            self.read_tensor(start, stop)
            return
        for field, first, last in self.fields(start, stop):
            if kind == "node" and field == OPERATOR:
                self.operators.add(self.read_string(first, last))
            elif (inner := HOLDS[kind].get(field)) is not None:
                self.read_message(inner, first, last)

    def read_tensor(self, start: int, stop: int) -> None:
        numbers, type_of_numbers = 1, 0
        for field, first, last in self.fields(start, stop):
            if field == DIMS:
                for length in self.read_numbers(first, last):
                    numbers *= length
                    if numbers >= 1 << 63:
                        raise ValueError("more numbers than there can be")
            elif field == TYPE_OF_NUMBERS:
                type_of_numbers = first
            elif field == EXTERNAL_DATA:
                entry = {
                    inner: self.read_string(*span) for inner, *span in self.fields(first, last)
                }
                if entry.get(ENTRY_NAME) == "location":
                    self.external[entry[ENTRY_VALUE]] = None
        self.sizes[type_of_numbers] += numbers * BYTES_OF_TYPE.get(type_of_numbers, 0)

    def read_string(self, first: int, last: int) -> str:
        if last == NO_END:
            raise ValueError("a number in place of a name")
        return self.data[first:last].decode()

    def read_numbers(self, first: int, last: int) -> Iterator[int]:
        """The whole numbers of a field that may repeat: the one that it is, or those packed in it."""
        if last == NO_END:
            yield first
        while first < last:
            value, first = self.read_varint(first)
            yield value

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Number and place of each field of a message; of a varint its value and `NO_END`."""
        while start < stop:
            tag, start = self.read_varint(start)
            kind = tag & 7
            if kind == VARINT:
                value, start = self.read_varint(start)
                yield tag >> 3, value, NO_END
                continue
            length = {FIXED_64: 8, FIXED_32: 4}.get(kind)
            if kind == BYTES:
                length, start = self.read_varint(start)
            if length is None or start + length > stop:
                raise ValueError("no message of protobuf")
            yield tag >> 3, start, start + length
            start += length

    def read_varint(self, start: int) -> tuple[int, int]:
        """A whole number of seven bits a byte, and where it ends."""
        value = shift = 0
        while True:
            byte = self.data[start]
            value |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if byte < 0x80:
                return value, start
            if shift > 63:
                raise ValueError("no message of protobuf")


@remember_by_state
def read_graph(file: Path) -> NetworkGraph:
    """
    Raises:
        BadFile: it can't be read, is no network, or has weights outside of its folder.
    """
    try:
        with (
            file.open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            if data[: len(POINTER)] == POINTER:
                raise BadFile(
                    file, ["it is a pointer of Git LFS; fetch the file with git lfs pull"]
                )
            reader = GraphReader(data)
            reader.read_model()
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    except (ValueError, IndexError, KeyError, RecursionError) as error:  # also of an empty file
        raise BadFile(file, ["it is no ONNX network, or is damaged; export it anew"]) from error
    if outside := [path for path in reader.external if not names_inner_file(path)]:
        name = PureWindowsPath(outside[0]).name
        raise BadFile(file, [f"it has weights outside of its folder, in {reprlib.repr(name)}"])
    halves = reader.sizes[FLOAT16] + reader.sizes[BFLOAT16] > reader.sizes[FLOAT]
    return NetworkGraph(frozenset(reader.operators), halves, tuple(reader.external))
