"""What the file of an ONNX network says of itself, read without onnx or onnxruntime.

An .onnx file is a message of protobuf. Walking its fields and skipping the weights takes milliseconds, however large
they are; the numbers of the fields are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kis_bench.errors import BadFile
from kis_bench.files.states import remember_by_state

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  #: kinds of fields
GRAPH = 7  #: of a model
NODE, INITIALIZER = 1, 5  #: of a graph
OPERATOR, ATTRIBUTE = 4, 5  #: of a node
TENSOR_OF_ATTRIBUTE, GRAPH_OF_ATTRIBUTE = 5, 6
TYPE_OF_NUMBERS, EXTERNAL_DATA = 2, 13  #: of a tensor
ENTRY_NAME, ENTRY_VALUE = 1, 2
FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16  #: types of numbers
POINTER = b"version https://git-lfs"  #: how a file begins that Git LFS hasn't fetched
#: Operators that find a scale from the numbers that arrive, which are those of a whole batch.
SCALES_BY_BATCH = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
EIGHT_BITS = (*SCALES_BY_BATCH, "QLinear", "MatMulInteger", "ConvInteger", "QuantizeLinear")
FOUR_BITS = "MatMulNBits"


@dataclass(frozen=True)
class NetworkGraph:
    """The operators of a network, the types of its weights, and the files beside it that hold some of these."""

    operators: frozenset[str]
    types: frozenset[int]
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
        return "fp16" if {FLOAT16, BFLOAT16} & self.types and FLOAT not in self.types else "fp32"


class GraphReader:
    """Walks the parts of a message that matter here.

    Raises:
        ValueError, IndexError: the bytes are no such message.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.operators, self.types = set[str](), set[int]()
        self.external: dict[str, None] = {}

    def read_model(self) -> None:
        graphs = [span for field, *span in self.fields(0, len(self.data)) if field == GRAPH]
        if not graphs:
            raise ValueError("no graph")
        for start, stop in graphs:
            self.read_graph_in(start, stop)

    def read_graph_in(self, start: int, stop: int) -> None:
        for field, *span in self.fields(start, stop):
            if field == NODE:
                self.read_node(*span)
            elif field == INITIALIZER:
                self.read_tensor(*span)

    def read_node(self, start: int, stop: int) -> None:
        for field, first, last in self.fields(start, stop):
            if field == OPERATOR:
                self.operators.add(self.data[first:last].decode())
            elif field == ATTRIBUTE:
                for inner, *span in self.fields(first, last):
                    if inner == TENSOR_OF_ATTRIBUTE:
                        self.read_tensor(*span)
                    elif inner == GRAPH_OF_ATTRIBUTE:
                        self.read_graph_in(*span)

    def read_tensor(self, start: int, stop: int) -> None:
        for field, first, last in self.fields(start, stop):
            if field == TYPE_OF_NUMBERS:
                self.types.add(first)
            elif field == EXTERNAL_DATA:
                entry = {inner: self.data[a:b].decode() for inner, a, b in self.fields(first, last)}
                if entry.get(ENTRY_NAME) == "location":
                    self.external[entry[ENTRY_VALUE]] = None

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Number and place of each field of a message; of a varint its value in place of where it begins."""
        while start < stop:
            tag, start = self.read_varint(start)
            kind = tag & 7
            if kind == VARINT:
                value, start = self.read_varint(start)
                yield tag >> 3, value, start
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
    paths = [*map(PurePosixPath, reader.external)]
    if outside := [path for path in paths if path.is_absolute() or ".." in path.parts]:
        raise BadFile(file, [f"it has weights outside of its folder, in {outside[0].name!r}"])
    return NetworkGraph(
        frozenset(reader.operators), frozenset(reader.types), tuple(map(str, paths))
    )
