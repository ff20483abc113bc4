"""Pickles as torch and M3RT write them, and pickles that try to be more than data."""

import builtins
import copyreg
import functools
import importlib
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.m3rt import pickles
from kis_bench.exchange.m3rt.pickles import Refused, Storage, make_typed_tensor
from kis_bench.exchange.m3rt.saves import read_cumulation, read_features, read_ranks

READERS = (read_features, read_ranks, read_cumulation)
IDS = [f"{i:05d}" for i in range(6)]
REBUILD, LOAD = torch._utils._rebuild_tensor_v2, torch.storage._load_from_bytes


class Call:
    """Pickles as a call: whoever unpickles it carelessly makes it."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def units(n=6, d=4, dtype=torch.float32):
    return normalize(
        torch.randn(n, d, generator=torch.Generator().manual_seed(n)).to(dtype), dim=-1
    )


def blob(tensor):
    """What torch puts into a pickle for the numbers of a tensor."""
    return tensor._typed_storage().__reduce__()[1][0]


def rebuilt(content, offset=0, size=(6, 4), stride=(4, 1), more=()):
    return Call(REBUILD, Call(LOAD, content), offset, size, stride, False, OrderedDict(), *more)


def newer(kind, content=None):
    content = units().untyped_storage().__reduce__()[1][0] if content is None else content
    return Call(
        torch._utils._rebuild_tensor_v3,
        Call(LOAD, content),
        0,
        (6, 4),
        (4, 1),
        False,
        OrderedDict(),
        kind,
    )


#: As M3RT writes them.
WHOLE = {
    read_features: pickle.dumps((IDS, units())),
    read_ranks: pickle.dumps([("a label", 3), ("another, with comma", 4000), ("third", -1)]),
    read_cumulation: pickle.dumps([0, 1, 1, 300, 70000]),
}


@pytest.fixture
def write(tmp_path):
    def write(value):
        file = tmp_path / "clip-photos.pkl"
        file.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value))
        return file

    return write


@pytest.fixture
def alert(tmp_path, monkeypatch):
    """In an empty folder, where ``ran`` is written by whatever runs; importing anything is an error."""
    monkeypatch.chdir(tmp_path)
    imported, real = [], builtins.__import__

    def note(name, *rest, **more):
        if Path(sys._getframe(1).f_code.co_filename).name in (
            "pickle.py",
            "pickles.py",
            "m3rt_saves.py",
        ):
            imported.append(name)  # others may be importing in threads or while memory is collected
        return real(name, *rest, **more)

    def check():
        assert not (tmp_path / "ran").exists()
        assert not imported

    monkeypatch.setattr(builtins, "__import__", note)
    return check


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_features_as_torch_writes_them(dtype, protocol, write):
    vectors = units(50, 32, dtype)
    ids, found = read_features(
        write(pickle.dumps(([f"{i:05d}" for i in range(50)], vectors), protocol=protocol))
    )
    assert ids == tuple(f"{i:05d}" for i in range(50))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors.float().numpy())


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[2:8],
        lambda x: x[::2][:6],
        lambda x: torch.cat([x, x], dim=1)[3:9, 4:],
        lambda x: x[:6].t().contiguous().t(),
        lambda x: x[:6].clone().requires_grad_(),
    ],
)
def test_views(view, write):
    vectors = view(units(20, 4))
    np.testing.assert_array_equal(read_features(write((IDS, vectors)))[1], vectors.detach().numpy())


def test_numbers_from_a_graphics_card(write):
    """The bytes are the same; only a place is named that may not be here."""
    there = blob(units()).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    np.testing.assert_array_equal(read_features(write((IDS, rebuilt(there))))[1], units().numpy())


def test_bytes_with_their_type_beside_them(write):
    """How torch writes its newest types, and may come to write all."""
    half = units(dtype=torch.float16)
    told = newer(torch.float16, half.untyped_storage().__reduce__()[1][0])
    np.testing.assert_array_equal(read_features(write((IDS, told)))[1], half.float().numpy())


def test_half_precision_may_be_a_little_off(write):
    coarse = units(200, 1152, torch.float16)
    ids = [str(i) for i in range(200)]
    assert len(read_features(write((ids, coarse * 1.001)))[0]) == 200
    for wrong in (coarse * 1.01, units(200, 1152) * 1.0015):
        with pytest.raises(
            BadFile, match="200 vectors are not finite or not of length 1, first that of image '0'"
        ):
            read_features(write((ids, wrong)))


def test_ranks_and_cumulations(write):
    ranks = [("a, with comma", 0), ("ü\nand a line", 8000), ("zebra", -1)]
    assert read_ranks(write(ranks)) == ranks
    assert read_cumulation(write([0, 0, 3, 3, 70000])) == [0, 0, 3, 3, 70000]


@pytest.mark.parametrize(
    ("reader", "value", "said"),
    [
        (read_features, (IDS, units(5)), r"6 image ids and a tensor of \[5, 4\]"),
        (read_features, ([], units()), "0 image ids"),
        (read_features, ([*IDS[:5], IDS[0]], units()), "image '00000' is there twice"),
        (read_features, ([*IDS[:5], 6], units()), "image ids are not all texts"),
        (read_features, (IDS, units() * float("nan")), "6 vectors are not finite"),
        (
            read_features,
            (IDS, torch.full((6, 4), 1e300, dtype=torch.float64)),
            "6 vectors are not finite",
        ),
        (read_features, (IDS, torch.ones(6, 4, dtype=torch.int64)), "the name torch.LongStorage"),
        (read_features, (IDS, units().flatten()), "not images x numbers"),
        (
            read_features,
            (IDS, units(1).expand(6, 4)),
            "6 x 4 that reaches beyond the 4 saved numbers",
        ),
        (read_features, [IDS, units()], "not a pair"),
        (read_features, IDS, "not a pair"),
        (read_ranks, [], "not a list of labels"),
        (read_ranks, [("a", 0), ("b", -2)], "entry 2 is not a label and a rank"),
        (read_ranks, [("a", 0.5)], "entry 1"),
        (read_ranks, [("a", True)], "entry 1"),
        (read_ranks, [["a", 1]], "entry 1"),
        (read_ranks, [(b"a", 1)], "BINBYTES"),
        (
            read_ranks,
            b"\x80\x02]X\x03\x00\x00\x00\xed\xa0\x80K\x00\x86a.",
            "entry 1",
        ),  # half a character
        (read_cumulation, [1, 0], "entry 2 is 0, less than 1"),
        (read_cumulation, [-1, 0], "entry 1 is -1"),
        (read_cumulation, [0, 10**30], "more than 1,000,000 targets"),
        (read_cumulation, [0.0], "not a list of whole numbers"),
        (read_cumulation, {"a": 1}, "EMPTY_DICT"),
    ],
)
def test_values_that_are_none_of_these(reader, value, said, write):
    file = write(value)
    with pytest.raises(BadFile, match=said) as caught:
        reader(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"hello, I am a text\n",
        b"\0" * 100,
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04" + bytes(50),
        b".",
        b"]",
        b"\x80\x04N.x",
    ],
)
def test_files_that_are_no_pickles(reader, content, write):
    with pytest.raises(BadFile, match="clip-photos.pkl"):
        reader(write(content))


def test_files_that_end_too_early(write):
    for reader, value in (
        (read_features, (IDS, units())),
        (read_ranks, [("a", 1), ("b", 2)]),
        (read_cumulation, [0, 1]),
    ):
        whole = pickle.dumps(value)
        for length in range(len(whole)):
            with pytest.raises(BadFile, match="damaged or cut off"):
                reader(write(whole[:length]))
    with pytest.raises(BadFile, match="can't be read"):
        read_ranks(write(b"").with_name("other.pkl"))


SYSTEM = f"{os.system.__module__}.system"
INNER = blob(units())
BYTES = units().untyped_storage().__reduce__()[1][0]
HEAD = b"".join(pickle.dumps(x, 2) for x in (pickles.MAGIC, 1001, {"little_endian": True}))
STORED = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x001X\x03\x00\x00\x00cpuK\x18NtQ"
)
KEYS = pickle.dumps(["1"], 2)
#: Tuples in tuples, so many that to hash them ends the process.
DEEP = b")" + b"\x85" * 200_000


def around(inner):
    """Features whose numbers are those bytes."""
    return pickle.dumps((IDS, rebuilt(inner)))


def named(function):
    return f"{function.__module__}.{function.__qualname__}"


HOSTILE = {
    "a command": (pickle.dumps(Call(os.system, "touch ran")), SYSTEM),
    "a command among ranks": (pickle.dumps([("a", Call(os.system, "touch ran"))]), SYSTEM),
    "a command in old letters": (b"cos\nsystem\n(S'touch ran'\ntR.", "os.system"),
    "a command instead of a tensor": (pickle.dumps((IDS, Call(os.system, "touch ran"))), SYSTEM),
    "a process": (pickle.dumps(Call(subprocess.Popen, ["touch", "ran"])), "subprocess.Popen"),
    "eval": (pickle.dumps(Call(eval, "open('ran', 'w')")), "builtins.eval"),
    "exec": (pickle.dumps(Call(exec, "open('ran', 'w')")), "builtins.exec"),
    "getattr": (pickle.dumps(Call(getattr, "x", "upper")), "builtins.getattr"),
    "open": (pickle.dumps(Call(open, "ran", "w")), named(open)),
    "partial": (pickle.dumps(functools.partial(os.system, "touch ran")), "functools.partial"),
    "an import": (
        pickle.dumps(Call(importlib.import_module, "antigravity")),
        "importlib.import_module",
    ),
    "torch.load": (pickle.dumps(Call(torch.load, "ran")), "torch.serialization.load"),
    "a name with dots": (
        b"\x80\x04\x8c\x0dtorch.storage\x8c\x0bos.system.x\x93.",
        "torch.storage.os.system.x",
    ),
    "a name that hides": (b"cos\nsys\x1b[2Jtem\n.", "os.sys\\x1b[2Jtem"),
    "an object of a class": (
        pickle.dumps(Call(copyreg._reconstructor, dict, dict, {})),
        "copyreg._reconstructor",
    ),
    "numpy": (pickle.dumps((IDS, np.eye(6, 4))), "multiarray._reconstruct"),
    "a number of numpy's": (pickle.dumps([("a", np.int64(3))]), "multiarray.scalar"),
    "a dict": (pickle.dumps({"a": 1}), "EMPTY_DICT"),
    "a set": (pickle.dumps({1}), "EMPTY_SET"),
    "a module of torch's": (pickle.dumps(torch.nn.Linear(2, 2)), "torch.nn.modules.linear.Linear"),
    "a sparse tensor": (
        pickle.dumps((IDS, torch.eye(6).to_sparse())),
        "torch._utils._rebuild_sparse_tensor",
    ),
    "a persistent id": (b"\x80\x02X\x03\x00\x00\x00ranQ.", "BINPERSID"),
    "a persistent id in letters": (b"Pran\n.", "PERSID"),
    "hooks": (pickle.dumps(Call(OrderedDict, [("a", 1)])), ""),
    "a state for a function": (b"ctorch._utils\n_rebuild_tensor_v2\nNb.", "BUILD"),
    "an instance": (b"(S'touch ran'\nios\nsystem\n.", "STRING"),
    "an instance of what is allowed": (b"(itorch._utils\n_rebuild_tensor_v2\n.", "INST"),
    "an object of what is allowed": (b"(ctorch._utils\n_rebuild_tensor_v2\no.", "OBJ"),
    "a class of what is allowed": (b"ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
    "an extension": (b"\x80\x02\x82\xf0.", "EXT1"),
    "another extension": (b"\x80\x02\x84\xf0\x00\x00\x00.", "EXT4"),
    "a buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    "numbers that are a command": (around(pickle.dumps(Call(os.system, "touch ran"))), SYSTEM),
    "a command before numbers": (
        around(HEAD + pickle.dumps(Call(os.system, "touch ran"), 2)),
        SYSTEM,
    ),
    "a command in what says the system": (
        around(HEAD[:21] + pickle.dumps({"a": Call(os.system, "x")}, 2)),
        SYSTEM,
    ),
    "a command as a storage": (around(HEAD + b"cos\nsystem\n."), "os.system"),
    "a command as a key": (
        around(HEAD + STORED.replace(b"ctorch\nFloatStorage", b"cos\nsystem") + b"."),
        "os.system",
    ),
    "a module among the numbers": (
        around(HEAD + b"(X\x06\x00\x00\x00moduleNNNtQ."),
        "persistent id module",
    ),
    "numbers within numbers": (
        around(HEAD + b"ctorch.storage\n_load_from_bytes\n."),
        "torch.storage._load_from_bytes",
    ),
    "a call among the numbers": (around(HEAD + b"ctorch\nFloatStorage\n)R."), "REDUCE"),
    "a key too deep to be hashed": (around(HEAD[:21] + b"}" + DEEP + b"K\x00s."), "not a text"),
    "a type too deep to be hashed": (
        pickle.dumps((IDS, newer(()))).replace(b")t", DEEP + b"t"),
        "no known type",
    ),
    "a type that is none": (pickle.dumps((IDS, newer("bytes"))), "no known type"),
    "bytes for numbers": (pickle.dumps((IDS, rebuilt(BYTES))), "a tensor without numbers"),
    "numbers for bytes": (
        pickle.dumps((IDS, newer(torch.float32, INNER))),
        "a tensor without bytes",
    ),
    "half a number": (
        pickle.dumps((IDS, newer(torch.float64, BYTES))),
        "beyond the 12 saved numbers",
    ),
    "a view": (
        around(HEAD + STORED.replace(b"NtQ", b"(K\x00K\x00K\x00ttQ") + b"."),
        "a view of a storage",
    ),
    "big-endian numbers": (
        around(INNER.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89")),
        "big-endian",
    ),
    "a step too wide": (pickle.dumps((IDS, rebuilt(INNER, stride=(400, 1)))), "reaches beyond"),
    "a start too late": (pickle.dumps((IDS, rebuilt(INNER, offset=1))), "reaches beyond"),
    "a start before the beginning": (pickle.dumps((IDS, rebuilt(INNER, offset=-1))), "negative"),
    "a step backwards": (
        pickle.dumps((IDS, rebuilt(INNER, offset=23, stride=(-4, -1)))),
        "negative",
    ),
    "a giant": (
        pickle.dumps((IDS, rebuilt(INNER, size=(2**62, 2**62), stride=(0, 0)))),
        "reaches beyond",
    ),
    "a giant step": (pickle.dumps((IDS, rebuilt(INNER, stride=(2**62, 2**62)))), "reaches beyond"),
    "a size that is a text": (pickle.dumps((IDS, rebuilt(INNER, size=("6", "4")))), "fractional"),
    "a size that is true": (pickle.dumps((IDS, rebuilt(INNER, size=(True, 4)))), "fractional"),
    "more arguments": (pickle.dumps((IDS, rebuilt(INNER, more=(1, 2)))), ""),
    "a tensor of texts": (pickle.dumps((IDS, Call(REBUILD, *"abcdef"))), ""),
    "two tensors": (pickle.dumps((IDS, [rebuilt(INNER), rebuilt(INNER)])), "more than one tensor"),
    "an impossible count": (
        around(INNER.replace(b"cpuq\x03K\x18", b"cpuq\x03K\x17")),
        "numbers are 23",
    ),
    "a negative count": (
        around(HEAD + STORED.replace(b"K\x18", b"J\xff\xff\xff\xff") + b"." + KEYS + b"\xff" * 8),
        "numbers are -1",
    ),
    "a text longer than the file": (b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a.", "it ends"),
    "bytes longer than the file": (b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"a.", ""),
    "a frame longer than the file": (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.", ""),
    "a far place in the memo": (b"\x80\x02]r\xff\xff\xff\xff.", "clip-photos.pkl"),
    "a place in the memo that is empty": (b"\x80\x02h\x07.", "cut off"),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", "clip-photos.pkl"),
    "ids that hold themselves": (b"\x80\x02]q\x00h\x00ah\x00\x86.", "clip-photos.pkl"),
    "lists without end": (b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".", "clip-photos.pkl"),
    "tuples without end": (b"\x80\x02)" + b"\x85" * 300_000 + b".", "clip-photos.pkl"),
    "lists that double": (
        b"\x80\x02]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(200)) + b".",
        "",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_runs(case, write, alert):
    content, name = HOSTILE[case]
    file = write(content)
    said = []
    for reader in READERS:
        with pytest.raises(BadFile) as caught:
            reader(file)
        said.append(str(caught.value))
    alert()
    assert any(name in message for message in said)
    assert all(str(file) in message and len(message) < 1000 for message in said)


def test_names_that_somebody_registered_stay_out(write, alert):
    """Python keeps registered names at hand once they were used, without asking for them again."""
    copyreg.add_extension("os", "getcwd", 0xF0)
    copyreg._extension_cache[0xF0] = os.getcwd
    try:
        with pytest.raises(BadFile, match="EXT1"):
            read_ranks(write(b"\x80\x02\x82\xf0)R."))
    finally:
        del copyreg._extension_cache[0xF0]
        copyreg.remove_extension("os", "getcwd", 0xF0)
    alert()


def test_a_pickle_of_instructions_only_comes_to_an_end(write, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 1000)
    with pytest.raises(BadFile, match="more than 1,000 instructions"):
        read_ranks(write(b"\x80\x02" + b"]" * 2000))


def test_what_torch_accepts_is_read_alike_and_nothing_else():
    """Random views of 24 numbers: torch is the reference for what lies inside them."""
    rng = np.random.default_rng(5)
    base = torch.arange(24, dtype=torch.float32)
    storage = Storage("float32", "1", 24, memoryview(base.numpy().tobytes()))
    accepted = 0
    for _ in range(3000):
        offset, *rest = (int(x) for x in rng.integers(0, 9, 5))
        size, stride = tuple(rest[:2]), tuple(rest[2:])
        try:
            expected = base.as_strided(size, stride, offset).numpy()
        except RuntimeError:
            expected = None
        if expected is None or expected.size > 24:
            with pytest.raises(Refused):
                make_typed_tensor(storage, offset, size, stride, False, None)
        else:
            np.testing.assert_array_equal(
                make_typed_tensor(storage, offset, size, stride, False, None).numbers(), expected
            )
            accepted += expected.size > 1
    assert accepted > 200


def mutated(content, rng):
    """The bytes with one to four changes: bits, bytes, cuts, repeats."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at, other = sorted(int(x) for x in rng.integers(0, len(changed) + 1, 2))
        kind = int(rng.integers(0, 6))
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1 and at < len(changed):
            changed[at] = int(rng.integers(0, 256))
        elif kind == 2:
            changed[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 3:
            del changed[at : at + int(rng.integers(1, 9))]
        elif kind == 4:
            changed[at:at] = changed[at : min(other, at + 40)]
        elif rng.random() < 0.1:
            del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("reader", READERS)
def test_random_damage_gives_a_value_of_the_right_kind_or_one_error(reader, write, alert):
    rng, whole = np.random.default_rng(11), WHOLE[reader]
    read = refused = 0
    for _ in range(2000):
        file = write(mutated(whole, rng))
        try:
            found = reader(file)
        except KisBenchError as error:
            refused += str(file) in str(error)
            continue
        read += 1
        if reader is read_features:
            ids, vectors = found
            assert all(type(item) is str for item in ids)
            assert vectors.dtype == np.float32
            assert vectors.shape[0] == len(ids)
        elif reader is read_ranks:
            assert all(
                type(text) is str and type(rank) is int and rank >= -1 for text, rank in found
            )
        else:
            assert all(type(count) is int for count in found)
    alert()
    assert read > 20
    assert read + refused == 2000
