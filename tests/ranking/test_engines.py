"""What float32 scores say of a block of items, against plain comparisons; how much memory a pass takes."""

import subprocess
import sys

import numpy as np
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.ranking import engines
from kis_bench.ranking.engines import NumpyEngine, find_engine, find_true


@pytest.mark.parametrize(
    ("b", "v", "q"),
    [(1, 1, 1), (520, 1, 1), (600, 1, 3), (513, 1, 100), (600, 1, 1030), (40, 32, 9)],
)
@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_compared_as_plainly(b, v, q, share):
    rng = np.random.default_rng(b + q)
    queries, block = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((q, 4), (b, v, 4))
    )
    engine, weights = NumpyEngine(queries), rng.integers(1, 90, b)
    for _ in range(6):  # the later ones with queries that were turned
        scores = engine.multiply(slice(0, q), np.split(block, [b // 3]) if b > 1 else [block])
    best = scores.read().copy()
    np.testing.assert_allclose(
        best, np.einsum("qd,bvd->bvq", queries, block).max(axis=1), rtol=1e-5, atol=1e-5
    )
    low = np.quantile(best, 1 - share, axis=0).astype(np.float32) - np.float32(share == 1)
    high = (low + np.float32(0.02)).astype(np.float32)
    for alike, keep in ((None, True), (weights, False)):
        found = scores.compare(low, high, alike, keep=keep)
        above = best > high
        assert (found.counts == (np.ones(b, int) if alike is None else alike) @ above).all()
        assert (found.above == above[: b if keep else 0]).all()
        every = scores.every.reshape(b, v, q)
        left = (every >= low) & (best <= high)[:, None]
        pairs = zip(*np.nonzero(left.reshape(b * v, q)), strict=True)
        assert sorted(zip(found.vectors, found.rows, strict=True)) == sorted(pairs)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64, 1001])
def test_flags_are_found(size):
    flags = np.random.default_rng(size).random(size) < 0.3
    assert find_true(flags).tolist() == np.flatnonzero(flags).tolist()


def test_another_library_is_imported_when_it_is_asked_for(monkeypatch):
    """As where torch isn't installed, or doesn't fit the machine."""
    assert find_engine("numpy") is NumpyEngine
    with pytest.raises(ValueError, match="unknown engine 'touch': did you mean torch"):
        find_engine("touch")
    monkeypatch.delitem(sys.modules, "kis_bench.encoders.torch_ranking", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(KisBenchError, match="torch is not installed; .*pip install .*demo"):
        find_engine("torch")

    def refuse(name):
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(engines.importlib, "import_module", refuse)
    with pytest.raises(KisBenchError, match=r"torch can't be imported: libgomp\.so"):
        find_engine("torch")


PASS = """
import os, re, sys
import numpy as np
from kis_bench.ranking import target_ranks

class File:
    def __init__(self, path, n):
        self.file, self.shape = os.open(path, os.O_RDONLY), (n, 256)
    def __len__(self):
        return self.shape[0]
    def __getitem__(self, part):
        size = part.stop - part.start
        return np.frombuffer(os.pread(self.file, size * 1024, part.start % 8192 * 1024), np.float32).reshape(-1, 256)

n = int(sys.argv[2])
queries = np.random.default_rng(1).standard_normal((300, 256)).astype(np.float32)
ranks = target_ranks(queries, File(sys.argv[1], n), [[i] for i in range(300)], top_k=10)
assert (ranks.worst - ranks.best >= n // 8192 - 1).all()
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_items(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((8192, 256)).astype(np.float32)
    (tmp_path / "vectors").write_bytes(vectors.tobytes())
    peaks = []
    for n in (8192 * 2, 8192 * 16):
        command = [sys.executable, "-c", PASS, str(tmp_path / "vectors"), str(n)]
        peaks.append(
            int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        )
    assert peaks[1] - peaks[0] < 12 * 1024  # kB, of 112 MB more to read
