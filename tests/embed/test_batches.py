"""Batch sizes that fit into memory, and work that is made ready ahead of time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kis_bench.encoders.batching import Batches
from kis_bench.threads import map_ahead


class Small:
    """Holds seven inputs at once."""

    batch_size = 32

    def __init__(self, error):
        self.error, self.sizes = error, []

    def encode(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > 7:
            raise self.error
        return np.asarray(inputs) * 2


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_batches_are_halved_until_they_fit(error):
    model = Small(error)
    batches = Batches(model)
    results = np.concatenate(batches.run(model.encode, range(50)))
    np.testing.assert_array_equal(results, np.arange(50) * 2)
    assert model.sizes[:4] == [32, 16, 8, 4]
    assert set(model.sizes[4:]) <= {4, 2}
    assert batches.size == 4  # remembered for what comes next


def test_a_size_that_fits_is_kept_for_the_same_model_device_and_kind(monkeypatch):
    monkeypatch.setattr("kis_bench.encoders.batching.FITTING", {})
    model = Small(MemoryError())
    model.key, model.device = "small", "cuda:0"
    Batches(model, unit="image").run(model.encode, range(50))
    assert Batches(model, unit="image").size == 4
    assert Batches(model, 100, "image").size == 4
    assert Batches(model, 2, "image").size == 2
    assert Batches(model, unit="text").size == 32
    model.device = "cuda:1"
    assert Batches(model, unit="image").size == 32
    model.device, model.key = "cuda:0", "another"
    assert Batches(model, unit="image").size == 32


def test_a_few_inputs_that_do_not_fit_tell_nothing_of_whole_batches(monkeypatch):
    """Such as those of large pictures, or the last ones while another program takes memory."""
    monkeypatch.setattr("kis_bench.encoders.batching.FITTING", {})
    failed = []

    def encode(inputs):
        if len(inputs) == 2 and not failed:
            failed.append(True)
            raise MemoryError
        return np.asarray(inputs)

    model = Small(MemoryError())
    model.key = "small"
    batches = Batches(model, unit="image")
    assert len(np.concatenate(batches.run(encode, range(34)))) == 34
    assert batches.size == 1  # for the rest of this pass
    assert Batches(model, unit="image").size == 32


def test_other_errors_and_single_inputs_are_not_hidden():
    model = Small(RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        Batches(model).run(model.encode, range(50))
    assert model.sizes == [32]

    def never(inputs):
        raise MemoryError

    with pytest.raises(MemoryError):
        Batches(object(), 8).run(never, range(50))


def test_a_torch_error_counts_too():
    import torch

    model = Small(torch.OutOfMemoryError("CUDA out of memory"))
    assert len(np.concatenate(Batches(model, 9).run(model.encode, range(20)))) == 20


def test_work_ahead_is_in_order_and_bounded():
    started, lock = [], threading.Lock()

    def work(i):
        with lock:
            started.append(i)
        return i * i

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, work, range(100), 10)
        assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
        pool.submit(int).result()
        assert len(started) <= 5 + 10
        assert list(results) == [i * i for i in range(5, 100)]


def test_work_ahead_raises_where_the_input_stands():
    def work(i):
        if i == 3:
            raise ValueError("third")
        return i

    with ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, work, range(100), 10)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="third"):
            next(results)
