"""BLIP-2 through LAVIS and without it, which no single environment can do: the store is the bridge.

``tox run -e lavis`` writes model files, pictures and vectors into the folder ``KIS_EXCHANGE``;
``tox run -e py -- tests/lavis_environment`` reads them there and computes them anew.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.embed import embed_collection, embed_texts
from kis_bench.encoders.hub import installed
from kis_bench.errors import NotReady
from kis_bench.files.images import read_image
from kis_bench.files.whole import digest_content
from kis_bench.records import Checkpoint, Collection
from kis_bench.store import Store

HAS_LAVIS = installed("salesforce-lavis")
TEXTS = ["red apple", "A Sailboat (at night) - on the sea!", "cat " * 31, "cat " * 60, ""]
COMMIT = "0" * 40


def exchange():
    return Path(os.environ["KIS_EXCHANGE"])


@pytest.fixture(autouse=True)
def caches(monkeypatch):
    """Before lavis and transformers are imported: they read these once."""
    monkeypatch.setenv("TORCH_HOME", str(exchange() / "torch"))
    monkeypatch.setenv("HF_HOME", str(exchange() / "hf"))


def collection():
    paths = tuple(sorted((exchange() / "images").glob("*.png")))
    return Collection(
        "exchanged", tuple(p.stem for p in paths), paths, tuple(digest_content(p) for p in paths)
    )


def write_files():
    import miniatures

    shutil.rmtree(exchange(), ignore_errors=True)
    (exchange() / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, size in enumerate([(40, 60), (224, 224), (300, 90)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(
            exchange() / "images" / f"{i}.png"
        )
    Image.new("RGB", (64, 48), "orange").save(exchange() / "images" / "orange.png")
    miniatures.lavis_files(
        exchange() / "torch", width=1024, layers=12
    )  # LAVIS builds the full size only
    cached = exchange() / "hf" / "hub" / "models--bert-base-uncased"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(COMMIT)
    (cached / "snapshots" / COMMIT).mkdir(parents=True)
    miniatures.bert(cached / "snapshots" / COMMIT, layers=12, weights=True)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_LAVIS, reason="needs salesforce-lavis: python -m tox run -e lavis")
@pytest.mark.filterwarnings("default")  # of packages from 2022
def test_lavis_writes_the_store():
    write_files()
    store = Store(exchange() / "store")
    for source in ("lavis:pretrain_vitL", "lavis:pretrain_vitL+unprojected"):
        checkpoint = Checkpoint(source.replace(":", "."), source)
        encoder = encoders.load(checkpoint, device="cpu")
        items = embed_collection(collection(), encoder, store)
        texts = embed_texts(TEXTS, encoder, store)
        assert texts.truncated.tolist() == [False, False, encoder.projected, True, False]
        pixels = [encoder.image_processor(read_image(path)) for path in collection().paths]
        check_against_documented_usage(encoder, items.vectors, texts.vectors, pixels)
        with pytest.raises(NotReady, match="needs"):
            encoders.load("clip-vit-b-32")  # what can't be had here says so


def check_against_documented_usage(encoder, images, texts, pixels):
    """model.extract_features(sample, mode=...) on texts that need no cutting."""
    import torch

    model, n = encoder.model, 2
    captions = [encoder.text_processor(text) for text in TEXTS[:n]]
    with torch.no_grad():
        seen = model.extract_features({"image": torch.stack(pixels)}, mode="image")
        read = model.extract_features({"text_input": captions}, mode="text")
    if encoder.projected:
        np.testing.assert_allclose(images, seen.image_embeds_proj.numpy(), atol=1e-6)
        np.testing.assert_allclose(texts[:n, 0], read.text_embeds_proj[:, 0].numpy(), atol=1e-6)
        assert (encoder.dim, encoder.vectors_per_item) == (256, 32)
    else:
        unit = torch.nn.functional.normalize
        np.testing.assert_allclose(
            images[:, 0], unit(seen.image_embeds[:, 0], dim=-1).numpy(), atol=1e-6
        )
        np.testing.assert_allclose(
            texts[:n, 0], unit(read.text_embeds[:, 0], dim=-1).numpy(), atol=1e-6
        )
        assert (encoder.dim, encoder.vectors_per_item) == (768, 1)


@pytest.mark.slow
@pytest.mark.skipif(
    HAS_LAVIS, reason="is for the environment without salesforce-lavis: python -m tox run -e py"
)
@pytest.mark.parametrize("name", ["blip2", "blip2-thesis"])
def test_the_main_environment_reads_it_and_computes_the_same(name, tmp_path):
    if not (exchange() / "store").is_dir():
        pytest.skip("nothing was exchanged yet: python -m tox run -e lavis")
    shutil.copytree(exchange() / "store", tmp_path / "store")
    lazy = encoders.LazyEncoder(encoders.find(name), device="cpu")
    stored = embed_collection(collection(), lazy, Store(tmp_path / "store"))
    texts = embed_texts(TEXTS, lazy, Store(tmp_path / "store"))
    assert not lazy.loaded  # all of it came from the other environment
    here = lazy.encode_images([read_image(path) for path in collection().paths])
    read, truncated = lazy.encode_texts(TEXTS)
    assert np.ptp(stored.vectors, axis=0).max() > 1e-2
    np.testing.assert_allclose(here, stored.vectors, atol=1e-5)
    np.testing.assert_allclose(read, texts.vectors, atol=1e-5)
    np.testing.assert_array_equal(truncated, texts.truncated)
