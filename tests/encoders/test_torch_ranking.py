"""The engine on torch gives the ranks of numpy, bit for bit, whatever the session allows torch."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kis_bench.encoders.torch_ranking import compute_float32, make_engine  # noqa: E402
from kis_bench.errors import KisBenchError  # noqa: E402
from kis_bench.ranking import target_ranks  # noqa: E402
from kis_bench.ranking.engines import find_engine  # noqa: E402


def make_case(kind, v):
    """Queries, items ``[n, v, d]`` and targets with near-ties, copies, zeros and subnormal numbers."""
    rng = np.random.default_rng(v)
    n, d, q = 300, 24, 17
    items = rng.standard_normal((n, v, d)).astype(np.float32)
    items /= np.linalg.norm(items, axis=2, keepdims=True)
    if kind == "copies":
        items = items[rng.integers(0, 7, n)]
    if kind == "near ties":
        items[:] = items[0]
        row = np.arange(1, n)
        items[row, rng.integers(0, v, n - 1), rng.integers(0, d, n - 1)] *= np.float32(1 + 2**-23)
    queries = items[rng.integers(0, n, q), 0] + 0.3 * rng.standard_normal((q, d)).astype(np.float32)
    queries = queries.astype(np.float32)
    if kind == "zeros":
        queries[0], queries[1, ::2], items[5], items[6, :, 1:] = 0, 0, 0, -0.0
        items[7] *= np.float32(2.0**-130)
    targets = [sorted(set(rng.integers(0, n, 1 + i % 3).tolist())) for i in range(q)]
    return queries, items, targets


def require_equal(first, second):
    for column in dataclasses.fields(first):
        np.testing.assert_array_equal(
            getattr(first, column.name), getattr(second, column.name), err_msg=column.name
        )


@pytest.mark.parametrize("kind", ["plain", "copies", "near ties", "zeros"])
@pytest.mark.parametrize("v", [1, 5, 32])
@pytest.mark.parametrize("blocks", [(None, None), (5, 37), (1, 1000)])
def test_ranks_are_those_of_numpy(kind, v, blocks):
    queries, items, targets = make_case(kind, v)
    wider = [sorted({*some, 3, 9}) if i % 2 else [] for i, some in enumerate(targets)]
    options = {
        "groups": [i % 40 for i in range(len(items))],
        "relevant": [wider],
        "top_k": 12,
        "block_queries": blocks[0],
        "block_items": blocks[1],
    }
    plain = target_ranks(queries, items, targets, **options)
    found = target_ranks(queries, items, targets, engine=make_engine("cpu"), **options)
    require_equal(found, plain)


def test_read_only_vectors():
    queries, items, targets = make_case("plain", 1)
    items.setflags(write=False)
    queries.setflags(write=False)
    found = target_ranks(queries, items, targets, engine=make_engine("cpu"))
    require_equal(found, target_ranks(queries, items, targets))


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="older torch has one setting"
)
def test_narrow_formats_are_not_taken_and_settings_stay():
    queries, items, targets = make_case("near ties", 1)
    plain = target_ranks(queries, items, targets)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = target_ranks(queries, items, targets, engine=make_engine("cpu"))
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == torch.bfloat16  # as it was set
        assert torch.get_float32_matmul_precision() == "medium"
        settings = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
        with compute_float32(torch.device("cpu")):
            assert {each.fp32_precision for each in settings} == {"ieee"}
        assert [each.fp32_precision for each in settings] == ["tf32", "bf16"]
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)
    require_equal(found, plain)


def test_it_is_found_by_its_name():
    queries, items, targets = make_case("plain", 5)
    found = target_ranks(queries, items, targets, engine="torch")
    require_equal(found, target_ranks(queries, items, targets, engine="numpy"))
    made = find_engine("torch", "cpu")
    assert (made.name, made.device) == ("torch", "cpu")


def test_a_gpu_that_is_not_there():
    with pytest.raises(KisBenchError, match="'cuda:99' was asked for, but torch finds"):
        make_engine("cuda:99")


def test_a_device_that_rounds_is_refused(monkeypatch):
    """As one would that computes in bfloat16 whatever it is told."""
    eye = torch.eye
    monkeypatch.setattr(torch, "eye", lambda n, device: Rounding(eye(n)))
    with pytest.raises(KisBenchError, match="'cpu' multiplies float32 in a narrower format"):
        make_engine("cpu")


class Rounding:
    def __init__(self, matrix):
        self.matrix = matrix

    def __rmatmul__(self, other):
        return (other.bfloat16() @ self.matrix.bfloat16()).float()
