"""Reads pickles of plain values and torch tensors without running anything in them.

A pickle is a program, and a list of allowed names alone does not tame it: attributes of what is allowed can be set,
names that other packages registered come in by number, and the reader written in C reserves whatever memory a file
claims to need. So Python's reader written in Python is used, with its table of instructions cut down to those that
make lists, tuples, texts, numbers and torch's tensors. No name is looked up, torch is not needed, nothing is imported.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from kis_bench.errors import BadFile
from kis_bench.records import Float32s

PLAIN_INSTRUCTIONS = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINUNICODE BINUNICODE"
    " BINUNICODE8 EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE EMPTY_LIST APPEND APPENDS BINGET LONG_BINGET BINPUT"
    " LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL"  # any name is asked for, so that an error can tell which was refused
)
TENSOR_INSTRUCTIONS = f"{PLAIN_INSTRUCTIONS} REDUCE SHORT_BINBYTES BINBYTES BINBYTES8"
STORAGE_INSTRUCTIONS = f"{PLAIN_INSTRUCTIONS} EMPTY_DICT SETITEM SETITEMS BINPERSID"
MOST_STEPS = 10_000_000  #: instructions in a pickle: three million images, or at worst a gigabyte of empty lists

BYTES_PER_NUMBER = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "bytes": 1}
#: How far from 1 lengths may be. Normalising in a coarse type rounds the length and each number by up to half a step.
LENGTH_TOLERANCE_BY_TYPE = {
    "float64": 1e-3,
    "float32": 1e-3,
    "float16": 2 * 2**-10,
    "bfloat16": 2 * 2**-7,
}
TORCH_TYPES = {f"torch {kind}": kind for kind in LENGTH_TOLERANCE_BY_TYPE}
STORAGES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch UntypedStorage": "bytes",
    "torch.storage UntypedStorage": "bytes",
}
MAGIC, PROTOCOL = (
    0x1950A86A20F9469CFC6C,
    1001,
)  #: what torch's files began with before they were zip archives

REMEDY = "nothing in it was run; if the file is yours, write it again with M3RT"
DAMAGE = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    EOFError,
    MemoryError,
    struct.error,
    pickle.UnpicklingError,
)


class Refused(Exception):
    """A pickle holds something that M3RT's never do."""


class Instructions(dict[int, Callable[[Any], None]]):
    """A dispatch table with only some of the pickle instructions."""

    def __init__(
        self, names: str, own: Mapping[int, Callable[[Any], None]] = MappingProxyType({})
    ) -> None:
        known = {ord(one.code) for one in pickletools.opcodes if one.name in names.split()}
        steps: Mapping[int, Callable[[Any], None]] = {**pickle._Unpickler.dispatch, **own}
        super().__init__({code: limit_steps(steps[code]) for code in known})

    def __missing__(self, code: int) -> Callable[[Any], None]:
        names = [one.name for one in pickletools.opcodes if ord(one.code) == code]
        if not names:
            raise ValueError(f"there is no instruction {code}")
        raise Refused(f"the pickle instruction {names[0]}")


def limit_steps(step: Callable[[Any], None]) -> Callable[[Any], None]:
    def count(reader: Reader) -> None:
        reader.steps += 1
        if reader.steps > MOST_STEPS:
            raise Refused(f"more than {MOST_STEPS:,} instructions")
        step(reader)

    return count


class Reader(pickle._Unpickler):
    """Reads pickles of lists, tuples, texts and numbers.

    Raises:
        Refused: there is anything else. One of DAMAGE: it is no pickle, or not whole.
    """

    dispatch = Instructions(PLAIN_INSTRUCTIONS)
    names: Mapping[str, Any] = {}  #: "module name" -> what stands for it

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, fix_imports=False)
        self.steps = 0

    def find_class(self, module: str, name: str) -> Any:
        if f"{module} {name}" not in self.names:
            raise Refused(f"the name {describe_value(f'{module}.{name}')}")
        return self.names[f"{module} {name}"]


@dataclass(frozen=True)
class Storage:
    """The numbers of a tensor as they lie in the file."""

    kind: str  # one of WIDTHS
    key: str
    count: int
    content: memoryview | None = None


@dataclass(frozen=True)
class Tensor:
    """A matrix of images x numbers, a view that lies inside its storage."""

    kind: str
    content: memoryview
    offset: int
    size: tuple[int, int]
    stride: tuple[int, int]

    def numbers(self) -> Float32s:
        stored = np.dtype("u2" if self.kind == "bfloat16" else self.kind).newbyteorder("<")
        flat = np.frombuffer(self.content, stored)[self.offset :]
        steps = [step * stored.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(flat, self.size, steps, writeable=False)
        if self.kind == "bfloat16":  # the upper half of a float32
            return (view.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(
            all="ignore"
        ):  # what becomes infinite is found by whoever needs finite numbers
            return view.astype(np.float32)


class PlainDict(dict[str, Any]):
    """A dict with text keys only: another key could be nested so deeply that hashing it ends the process."""

    def __setitem__(self, key: str, value: Any) -> None:
        if type(key) is not str:
            raise ValueError("a key that is not a text")
        super().__setitem__(key, value)


class StorageReader(Reader):
    """Reads the pickles at the beginning of what torch wrote for a storage."""

    dispatch = Instructions(
        STORAGE_INSTRUCTIONS, {pickle.EMPTY_DICT[0]: lambda reader: reader.append(PlainDict())}
    )
    names = STORAGES

    def persistent_load(self, pid: Any) -> Storage:
        if type(pid) is not tuple or len(pid) != 6 or pid[0] != "storage":
            raise Refused(
                f"the persistent id {describe_value(pid[0] if type(pid) is tuple and pid else pid)}"
            )
        _, kind, key, location, count, view = pid
        if view is not None:
            raise Refused("a view of a storage, as torch wrote before 1.0")
        # The location (cpu, cuda:0, ...) tells where the numbers were; now they are here.
        if (
            any(type(text) is not str for text in (kind, key, location))
            or type(count) is not int
            or kind not in BYTES_PER_NUMBER
        ):
            raise ValueError("a storage that is not torch's")
        return Storage(kind, key, count)


def load_storage(content: Any) -> Storage:
    """Reads a storage in the old format of ``torch.save``: five pickles, then the count and the numbers."""
    stream = io.BytesIO(content)
    magic, protocol, system, found, keys = (StorageReader(stream).load() for _ in range(5))
    if magic != MAGIC or protocol != PROTOCOL or type(found) is not Storage or keys != [found.key]:
        raise ValueError("the tensor's numbers don't begin as torch's do")
    if type(system) is not PlainDict or system.get("little_endian") is not True:
        raise Refused("numbers of a big-endian machine")
    (count,) = struct.unpack("<q", stream.read(8))
    numbers = memoryview(content)[stream.tell() :]
    if count != found.count or len(numbers) != count * BYTES_PER_NUMBER[found.kind]:
        raise ValueError(
            f"{len(numbers)} bytes where the tensor's numbers are {found.count} of {found.kind}"
        )
    return Storage(found.kind, found.key, count, numbers)


def make_typed_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, more: Any = None
) -> Tensor:
    """Makes the tensor of torch's arguments. Raises Refused unless all of it lies inside its storage."""
    if (
        type(storage) is not Storage
        or storage.content is None
        or storage.kind == "bytes"
        or more is not None
    ):
        raise ValueError("a tensor without numbers, or with more than torch's arguments")
    if type(size) is not tuple or type(stride) is not tuple or not len(size) == len(stride) == 2:
        raise ValueError("a tensor that is not images x numbers")
    if any(type(x) is not int or x < 0 for x in (offset, *size, *stride)):
        raise ValueError("a tensor of negative or fractional size")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # One number may not stand for many: a small file would ask for all memory.
    if size[0] * size[1] > storage.count or (0 not in size and last >= storage.count):
        raise Refused(
            f"a tensor of {size[0]} x {size[1]} that reaches beyond the {storage.count} saved numbers"
        )
    return Tensor(storage.kind, storage.content, offset, size, stride)


def make_untyped_tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    grad: Any,
    hooks: Any,
    kind: Any,
    more: Any = None,
) -> Tensor:
    """As `make_typed_tensor`, in torch's newer form: a storage of bytes, with the type beside it."""
    if type(storage) is not Storage or storage.content is None or storage.kind != "bytes":
        raise ValueError("a tensor without bytes")
    if type(kind) is not str or kind not in LENGTH_TOLERANCE_BY_TYPE:
        raise ValueError("a tensor of no known type")
    count = storage.count // BYTES_PER_NUMBER[kind]
    typed = Storage(kind, storage.key, count, storage.content[: count * BYTES_PER_NUMBER[kind]])
    return make_typed_tensor(typed, offset, size, stride, grad, hooks, more)


def make_no_hooks() -> None:
    """Stands in for the empty OrderedDict that torch writes for a tensor's hooks."""


class TensorReader(Reader):
    """Reads plain values and one tensor, as torch writes it into a pickle."""

    dispatch = Instructions(TENSOR_INSTRUCTIONS)

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.loaded = False
        self.names = {
            **TORCH_TYPES,
            "torch.storage _load_from_bytes": self.load_once,
            "torch._utils _rebuild_tensor_v2": make_typed_tensor,
            "torch._utils _rebuild_tensor_v3": make_untyped_tensor,
            "collections OrderedDict": make_no_hooks,
        }

    def load_once(self, content: Any) -> Storage:
        if self.loaded:
            raise Refused(
                "more than one tensor"
            )  # else one could be unpacked as often as the file has bytes
        self.loaded = True
        return load_storage(content)


def describe_value(value: object) -> str:
    text = value[:200] if isinstance(value, str) else f"of type {type(value).__name__}"
    return text if text.isprintable() else ascii(text)


def read_pickle(file: Path, kind: type[Reader]) -> Any:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    stream = io.BytesIO(content)
    try:
        value = kind(stream).load()
        if stream.tell() < len(content):
            raise ValueError("bytes after its end")
    except Refused as error:
        raise BadFile(
            file, [f"near byte {stream.tell()}: {error}, for which M3RT has no use; {REMEDY}"]
        ) from error
    except DAMAGE as error:
        why = f"near byte {stream.tell()}: {str(error) or 'it ends'}" if content else "it is empty"
        raise BadFile(
            file, [f"no pickle of M3RT's, or damaged or cut off ({why}); {REMEDY}"]
        ) from error
    return value
