"""Which GPU a process takes; there is none here, so torch is told that there are."""

from types import SimpleNamespace

import pytest

from kis_bench.errors import KisBenchError
from kis_bench.plugin.session import choose_device

torch = pytest.importorskip("torch")


@pytest.fixture
def gpus(monkeypatch):
    def there_are(n):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n)

    return there_are


@pytest.mark.parametrize(
    ("asked", "n", "chosen"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda"),
        ("auto@0", 2, "cuda:0"),
        ("auto@1", 2, "cuda:1"),
        ("auto@2", 2, "cuda:0"),
        ("auto@5", 4, "cuda:1"),
        ("auto@3", 0, "cpu"),
        ("cuda@3", 2, "cuda:1"),
        ("cuda:1", 2, "cuda:1"),
        ("cpu", 2, "cpu"),
    ],
)
def test_processes_take_gpus_in_turn(gpus, asked, n, chosen):
    from kis_bench.encoders.device import choose

    gpus(n)
    assert str(choose(asked)) == chosen


@pytest.mark.parametrize("asked", ["cuda", "cuda@1", "cuda:0"])
def test_a_gpu_that_is_asked_for_has_to_be_there(gpus, asked):
    from kis_bench.encoders.device import choose

    gpus(0)
    with pytest.raises(KisBenchError, match="torch finds 0 GPUs"):
        choose(asked)


@pytest.mark.parametrize(
    ("worker", "asked", "given"),
    [
        ("gw0", "auto", "auto@0"),
        ("gw13", "cuda", "cuda@13"),
        ("gw1", "cuda:1", "cuda:1"),
        ("gw1", "cpu", "cpu"),
        ("", "auto", "auto"),
    ],
)
def test_the_number_of_the_process_is_that_of_pytest_xdist(worker, asked, given):
    config = SimpleNamespace(option=SimpleNamespace(kis_device=asked))
    if worker:
        config.workerinput = {"workerid": worker}
    assert choose_device(config) == given
