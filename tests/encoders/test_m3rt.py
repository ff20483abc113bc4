"""Image features that another program saved, measured with the texts of the model that they are of."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from kis_bench import datasets, encoders
from kis_bench.checks.installation import check_named_model
from kis_bench.encoders import LazyEncoder, find
from kis_bench.encoders.m3rt import find_saved_model
from kis_bench.errors import KisBenchError, NotReady, UnknownName
from kis_bench.exchange.m3rt.importing import import_saves
from kis_bench.measuring import measure_image_similarity, measure_known_items
from kis_bench.store import Store

COLOURS = ["red", "green", "blue", "yellow", "white", "black"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A dataset of six pictures, and what the model `demo` makes of them as M3RT would have saved it."""
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    pictures = [Image.new("RGB", (40, 30), colour) for colour in COLOURS]
    for number, picture in enumerate(pictures):
        picture.save(images / f"{number:05d}.png")
    rows = [f"{n:05d},{colour},a {colour} square" for n, colour in enumerate(COLOURS)]
    labels = "\n".join(["ID,short_label,long_label", *rows, ""])
    (tmp_path / "mine" / "labels.csv").write_text(labels)
    vectors = encoders.load("demo", device="cpu").encode_images(pictures)[:, 0]
    save(tmp_path, "openclip-mine-photos", vectors)
    return datasets.load("photos", tmp_path / "mine")


def save(tmp_path, name, vectors):
    folder = tmp_path / "M3RT" / "saves" / "image_features"
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"{number:05d}" for number in range(len(vectors))]
    (folder / f"{name}.pkl").write_bytes(pickle.dumps((ids, torch.from_numpy(vectors.copy()))))


def take(tmp_path, **models):
    return import_saves(
        tmp_path / "M3RT",
        reports=tmp_path / "reports",
        store=Store(tmp_path / "store"),
        datasets={"photos": tmp_path / "mine"},
        models={name.replace("_", "-"): ours for name, ours in models.items()},
    )


def test_imported_features_are_measured_like_the_model_itself(mine, tmp_path):
    (folder,) = take(tmp_path, openclip_mine="demo").store_folders
    assert folder.parent.name == "m3rt-demo"
    own = measure_known_items(
        encoders.load("demo", device="cpu"), mine, "short", Store(tmp_path / "own")
    )
    before = sorted(folder.iterdir())
    for name in ("m3rt:demo", "m3rt-demo"):  # the source, and the store's key
        encoder = LazyEncoder(find(name), device="cpu")
        found = measure_known_items(encoder, mine, "short", Store(tmp_path / "store"))
        np.testing.assert_array_equal(found.ranks.rank, own.ranks.rank)
        about = found.provenance["models"]["m3rt.demo"]
        assert (about["source"], about["key"]) == ("m3rt:demo", "m3rt-demo")
        assert len(about["features"]) == 16  # of the file that they are from
    assert sorted(folder.iterdir()) == before


def test_pictures_that_were_not_imported(mine, tmp_path):
    encoder = LazyEncoder(find("m3rt:demo"), device="cpu")
    with pytest.raises(KisBenchError, match="kis-bench import m3rt FOLDER --dataset NAME=DIR"):
        measure_known_items(encoder, mine, "short", Store(tmp_path / "store"))


def test_a_name_that_is_no_model_serves_pictures_only(mine, tmp_path):
    take(tmp_path, openclip_mine="of-my-own")
    encoder = LazyEncoder(find("m3rt:of-my-own"), device="cpu")
    with pytest.raises(NotReady, match="no text side.*--model THEIRS=NAME"):
        measure_known_items(encoder, mine, "short", Store(tmp_path / "store"))
    alike = datasets.load("openmoji-triplets")
    with pytest.raises(NotReady, match="no text side"):  # none of these pictures is there
        measure_image_similarity(encoder, alike, Store(tmp_path / "store"))


def test_features_of_another_size_than_the_texts(mine, tmp_path):
    save(tmp_path, "openclip-mine-photos", np.eye(6, 8, dtype=np.float32))
    take(tmp_path, openclip_mine="demo")
    encoder = LazyEncoder(find("m3rt:demo"), device="cpu")
    with pytest.raises(KisBenchError, match="pictures have vectors of 8 components, texts of 128"):
        measure_known_items(encoder, mine, "short", Store(tmp_path / "store"))


def test_other_features_never_take_the_place_of_stored_ones(mine, tmp_path):
    take(tmp_path, openclip_mine="demo")
    assert take(tmp_path, openclip_mine="demo").store_folders  # the same again is fine
    save(tmp_path, "openclip-mine-photos", np.eye(6, 128, dtype=np.float32))
    with pytest.raises(KisBenchError, match="other features of demo .*--model openclip-mine=NAME"):
        take(tmp_path, openclip_mine="demo")
    (folder,) = take(tmp_path, openclip_mine="demo-later").store_folders
    assert folder.parent.name == "m3rt-demo-later"


def test_models_that_no_file_is_of(mine, tmp_path):
    with pytest.raises(UnknownName, match="openclip-mine"):
        take(tmp_path, openclip_mine="demo", siglip2="demo")


@pytest.mark.parametrize(
    ("name", "ours", "reads_texts"),
    [
        ("clip", "clip-vit-b-32", True),
        ("CLIP", "clip-vit-b-32", True),
        ("openclip-ViT_L_16_webli", "vit-l-16-siglip-384", True),
        ("ViT_L_16_webli", "vit-l-16-siglip-384", True),
        ("blip2", "blip2-thesis", True),
        (
            "transformers:google/siglip2-base-patch16-224",
            "transformers.google.siglip2-base-patch16-224",
            True,
        ),
        ("rgb-histogram-64", "rgb-histogram-64", False),
        ("of-my-own", "of-my-own", False),
        ("m3rt:clip", "m3rt.clip", False),
    ],
)
def test_names_of_models(name, ours, reads_texts):
    found, texts = find_saved_model(name)
    assert (found, texts is not None) == (ours, reads_texts)
    assert encoders.readiness(find(f"m3rt:{name}")).ready == (
        reads_texts and encoders.readiness(texts).ready
    )


def test_the_doctor_has_nothing_to_check(mine, tmp_path):
    take(tmp_path, openclip_mine="demo")
    with pytest.raises(KisBenchError, match="nothing to check; kis-bench doctor demo checks"):
        [*check_named_model("m3rt:demo", "cpu")]
