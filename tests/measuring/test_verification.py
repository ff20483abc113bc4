"""Stored vectors of another model, and models with chance in them, are found by encoding a sample anew."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from kis_bench.embed import embed_collection, embed_texts
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.catalogue import find
from kis_bench.errors import KisBenchError
from kis_bench.measuring.verification import SAMPLE, sample_size, verify_collection, verify_texts
from kis_bench.records import Checkpoint, Collection, Query
from kis_bench.store import Store

N = 40
QUERIES = tuple(Query(f"q{i}", (str(i),), "short", f"number {i}") for i in range(N))
MODULE = """
import numpy as np

def unit(rows):
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)[:, None]

class Numbers:
    name, dim, vectors_per_item, context_length, batch_size = "numbers", 4, 1, None, 16
    noise, batch_noise, turn = 0.0, 0.0, 0.0
    def __init__(self):
        self.chance, self.seen = np.random.default_rng(), 0
    def rows(self, numbers):
        self.seen += len(numbers)
        rows = np.array([[i, N - i, 3 + self.turn, 1] for i in numbers], np.float64) / N
        rows += self.noise * self.chance.standard_normal(rows.shape)
        return unit(rows + self.batch_noise * np.sin(len(numbers)))
    def encode_images(self, images):
        return self.rows([image.getpixel((0, 0))[0] for image in images])
    def encode_texts(self, texts):
        return self.rows([int(text.split()[-1]) for text in texts]), np.zeros(len(texts), bool)

def load():
    return Numbers()
""".replace("N - i", f"{N} - i").replace("/ N", f"/ {N}")


@pytest.fixture
def collection(tmp_path):
    paths = tuple(tmp_path / f"{i}.png" for i in range(N))
    for i, path in enumerate(paths):
        Image.new("RGB", (6, 6), (i, 0, 0)).save(path)
    ids = tuple(map(str, range(N)))
    return Collection("numbers", ids, paths, ids)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An encoder under one key, with what differs between this start and another."""
    (tmp_path / "verified_numbers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(**different):
        encoder = LazyEncoder(find("verified_numbers:load"))
        for name, value in different.items():
            setattr(encoder.encoder.own, name, value)
        return encoder

    return make


def verify(collection, encoder, store, n=SAMPLE):
    items = embed_collection(collection, encoder, store)
    texts = embed_texts(QUERIES, encoder, store)
    return verify_collection(collection, items, encoder, n), verify_texts(
        QUERIES, texts, encoder, n
    )


def test_the_same_model_passes_and_encodes_the_sample_only(collection, made, tmp_path):
    store = Store(tmp_path / "store")
    assert verify(collection, made(), store) == (4, 4)
    warm = made()
    assert verify(collection, warm, store) == (4, 4)
    assert warm.encoder.own.seen == 8
    assert verify(collection, made(), store, n=1000) == (N, N)
    untouched = made()
    assert verify(collection, untouched, store, n=0) == (0, 0)
    assert untouched.encoder.own.seen == 0


@pytest.mark.parametrize("turn", [0.02, -1.0, 5.0])
def test_vectors_of_another_model_are_refused(collection, made, tmp_path, turn):
    store = Store(tmp_path / "store")
    verify(collection, made(), store)
    said = r"model numbers: stored vectors are not this model's: that of picture '\d+' differs by .*list the files"
    with pytest.raises(KisBenchError, match=said):
        verify(collection, made(turn=turn), store)


def test_texts_are_looked_at_too(collection, made, tmp_path):
    store = Store(tmp_path / "store")
    encoder = made()
    items, texts = (
        embed_collection(collection, encoder, store),
        embed_texts(QUERIES, encoder, store),
    )
    other = made(turn=1.0)
    with pytest.raises(KisBenchError, match=r"not this model's: that of text 'q\d+' differs"):
        verify_texts(QUERIES, texts, other, 4)
    assert len(items.ids) == N


def test_another_number_of_components(collection, made, tmp_path):
    store = Store(tmp_path / "store")
    items = embed_collection(collection, made(), store)
    wider = made()
    wider.encoder.dim = wider.encoder.own.dim = 5
    wider.encoder.encode_images = lambda images: np.tile(
        np.float32([[[1, 0, 0, 0, 0]]]), (len(images), 1, 1)
    )
    with pytest.raises(
        KisBenchError, match=r"stored vectors are not this model's: .* has \[1, 4\] numbers"
    ):
        verify_collection(collection, items, wider, 4)


@pytest.mark.parametrize("noise", [1e-3, 0.1])
def test_chance_is_found_in_the_run_that_stores_and_in_later_ones(
    collection, made, tmp_path, noise
):
    store = Store(tmp_path / "store")
    for _ in range(2):
        with pytest.raises(
            KisBenchError, match="model numbers isn't deterministic: picture .* encoded twice"
        ):
            verify(collection, made(noise=noise), store)


def test_a_model_that_depends_on_its_batch_is_found(collection, made, tmp_path):
    with pytest.raises(
        KisBenchError, match="isn't deterministic: picture .* encoded alone and among others"
    ):
        verify(collection, made(batch_noise=1.0), Store(tmp_path / "store"))


def test_batches_may_make_a_little_difference_as_in_low_precision(collection, made, tmp_path):
    """Of the size that bfloat16 has; the same model with another turn is another one all the same."""
    store = Store(tmp_path / "store")
    assert verify(collection, made(batch_noise=0.002), store) == (4, 4)
    with pytest.raises(KisBenchError, match="stored vectors are not this model's"):
        verify(collection, made(batch_noise=0.002, turn=1.0), store)


def test_how_many_are_compared(made, monkeypatch):
    function = made()
    assert [sample_size(function, asked, judged=False) for asked in (None, 0, 9)] == [4, 0, 9]
    words = LazyEncoder(find("colour-words"))
    assert [sample_size(words, asked, judged=False) for asked in (None, 0, 9)] == [0, 0, 9]
    assert [sample_size(words, asked, judged=True) for asked in (None, 0, 9)] == [4, 0, 9]
    demo = LazyEncoder(find("demo"))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert [sample_size(demo, asked, judged=True) for asked in (None, 9)] == [
        0,
        0,
    ]  # torch isn't loaded for it
    assert not demo.loaded
    absent = LazyEncoder(Checkpoint("gone", "hf-hub:nobody/nothing"))
    loaded = ModuleType("torch")
    loaded.__spec__ = ModuleSpec("torch", None)
    monkeypatch.setitem(sys.modules, "torch", loaded)
    assert sample_size(absent, 9, judged=True) == 0
    assert sample_size(demo, 9, judged=False) == 9
