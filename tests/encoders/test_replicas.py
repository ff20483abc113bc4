"""One model on several devices; there is no GPU here, so copies compute on the CPU and torch is told of GPUs."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from kis_bench import embed, encoders
from kis_bench.encoders.feeding import DECODERS, count_decoders
from kis_bench.encoders.protocol import PreparingEncoder
from kis_bench.encoders.replicas import join_replicas, split_devices
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint, Collection
from kis_bench.store import Store

torch = pytest.importorskip("torch")

OWN = """
import numpy as np

MADE = []


class Greys:
    name, key, dim, vectors_per_item, context_length = "greys", "greys", 3, 1, None
    batch_size = 4

    def __init__(self, device):
        self.device, self.seen = device, []
        MADE.append(self)

    def encode_images(self, images):
        self.seen.append(len(images))
        rows = np.array([image.resize((1, 1)).getpixel((0, 0)) for image in images], np.float32) + 1
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:, None]

    def encode_texts(self, texts):
        self.seen.append(len(texts))
        rows = np.array([[len(text), 1, 2] for text in texts], np.float32)
        unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:, None]
        return unit, np.array(["long" in text for text in texts])


def load(device="auto"):
    return Greys(device)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A model of a user's own, which is told its device, and a machine with three GPUs, as far as torch says."""
    (tmp_path / "own_greys.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    yield Checkpoint(name="greys", source="python:own_greys:load")
    import sys

    sys.modules.pop("own_greys", None)


def make_pictures(n):
    rng = np.random.default_rng(n)
    return [Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
def test_parts_of_a_batch_come_back_in_their_order(own, n):
    shared = encoders.load(own, device="cuda:0,cuda:2")
    single = encoders.load(own, device="cuda:1")
    pictures, texts = make_pictures(n), [f"{'long ' * (i % 2)}{'a' * i}" for i in range(n)]
    np.testing.assert_array_equal(shared.encode_images(pictures), single.encode_images(pictures))
    for ours, wanted in zip(shared.encode_texts(texts), single.encode_texts(texts), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_each_copy_has_a_device_and_a_part_of_the_batch(own):
    shared = encoders.load(own, device="cuda:0,cuda:2")
    import own_greys

    assert [one.device for one in own_greys.MADE] == ["cuda:0", "cuda:2"]
    assert (shared.batch_size, shared.device, shared.dim) == (8, "cuda:0 and cuda:2", 3)
    assert shared.key == encoders.load(own, device="cuda:1").key
    shared.encode_images(make_pictures(8))
    assert [one.seen for one in own_greys.MADE[:2]] == [[4], [4]]


def test_a_prepared_model_is_shared_out_too(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(150)]
    for i, path in enumerate(paths):
        Image.new("RGB", (9, 9), (i, 255 - i, 7)).save(path)
    ids = tuple(path.stem for path in paths)
    collection = Collection("colours", ids, tuple(paths), ids)
    demo = [encoders.load("demo"), encoders.load("demo")]
    shared = join_replicas(demo)
    assert isinstance(shared, PreparingEncoder)
    assert not isinstance(join_replicas([NoPreparing(), NoPreparing()]), PreparingEncoder)
    assert join_replicas(demo[:1]) is demo[0]
    alone = embed.embed_collection(collection, demo[0], Store(tmp_path / "alone"))
    both = embed.embed_collection(collection, shared, Store(tmp_path / "both"))
    np.testing.assert_allclose(both.vectors, alone.vectors, atol=1e-6)
    assert both.key == alone.key
    assert both.made["device"] == "cpu and cpu"
    assert int(both.made["batch_size"]) == 2 * int(alone.made["batch_size"])


class NoPreparing:
    name, key, dim, vectors_per_item, context_length, device = "plain", "plain", 2, 1, None, "cpu"

    def __init__(self, fails=None):
        self.fails, self.done = fails, threading.Event()

    def encode_images(self, images):
        if self.fails:
            raise self.fails
        self.done.set()
        return np.tile(np.float32([[[1, 0]]]), (len(images), 1, 1))

    def encode_texts(self, texts):
        return self.encode_images(texts), np.zeros(len(texts), bool)


def test_copies_share_what_is_set_for_the_whole_process():
    """As cuDNN's rounding: a copy that is done first must not set it back while the other computes."""
    state, seen = {"exact": False}, []
    first_is_done = threading.Event()

    class Exact(NoPreparing):
        def __init__(self, quick):
            super().__init__()
            self.quick = quick

        @contextmanager
        def computing(self):
            before, state["exact"] = state["exact"], True
            yield
            state["exact"] = before

        def encode_images(self, images):
            with self.computing():
                if not self.quick:
                    assert first_is_done.wait(60)
                seen.append(state["exact"])
            if self.quick:
                first_is_done.set()
            return super().encode_images(images)

    join_replicas([Exact(True), Exact(False)]).encode_images(make_pictures(4))
    assert seen == [True, True]
    assert not state["exact"]


def test_what_a_copy_raises_comes_once_the_others_are_done():
    good = NoPreparing()
    shared = join_replicas([NoPreparing(MemoryError("CUDA out of memory")), good])
    with pytest.raises(MemoryError):
        shared.encode_images(make_pictures(4))
    assert good.done.is_set()


@pytest.mark.parametrize(
    "asked", ["cuda:0,cuda:0", "cuda,cuda", "cpu,cuda:0", "auto,cpu", "cuda:0,", ",", "cuda:0;,"]
)
def test_a_list_of_devices_that_are_not_gpus_of_their_own_is_refused(asked):
    with pytest.raises(KisBenchError, match="each is a GPU of its own"):
        split_devices(asked)


def test_a_gpu_of_a_list_has_to_be_there(own):
    with pytest.raises(KisBenchError, match="'cuda:7' was asked for, but torch finds 3 GPUs"):
        encoders.load(own, device="cuda:0,cuda:7")


def test_beside_a_gpu_all_cores_but_one_decode(monkeypatch):
    monkeypatch.setattr("kis_bench.encoders.feeding.threads", lambda: 16)
    found = {}
    for device in ("cpu", "cuda:0", "cuda:0 and cuda:1", None):
        model = NoPreparing()
        model.device = device
        found[device] = count_decoders(model)
    assert found == {"cpu": DECODERS, "cuda:0": 15, "cuda:0 and cuda:1": 15, None: DECODERS}
    monkeypatch.setattr("kis_bench.encoders.feeding.threads", lambda: 1)
    model.device = "cuda"
    assert count_decoders(model) == DECODERS
