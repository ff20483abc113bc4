"""Scaled JPEGs: whose vectors they make, under which keys, and what stays as it is without them."""

from textwrap import dedent

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.embed import embed_collection
from kis_bench.encoders import LazyEncoder, find
from kis_bench.encoders.decoding import find_largest_side
from kis_bench.errors import KisBenchError
from kis_bench.files.images import read_image
from kis_bench.measuring.provenance import describe_model
from kis_bench.measuring.verification import verify_collection
from kis_bench.records import Collection
from kis_bench.store import Store

SIDE = 128  #: that scaled pictures keep for ``demo``, which shrinks them to 64


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three JPEGs with fine detail, large, large and turned, and small."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, size, more in (
        ("large", (1200, 900), {}),
        ("turned", (1024, 1100), {"exif": exif}),
        ("small", (200, 150), {}),
    ):
        coarse = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{name}.jpg", **more)
    ids = ("large", "turned", "small")
    return Collection("photos", ids, tuple(folder / f"{name}.jpg" for name in ids), ids)


def test_keys_tell_scaled_from_full():
    pytest.importorskip("torch")
    for name in ("demo", "colour-words"):
        back_end = encoders.back_ends()[find(name).origin.kind]
        full, scaled = (LazyEncoder(find(name), decode=decode) for decode in ("full", "scaled"))
        assert full.key == LazyEncoder(find(name)).key == encoders.load(name, device="cpu").key
        assert (full.key != scaled.key) == back_end.tells_side == (name == "demo")
        assert scaled.key == scaled.encoder.key == encoders.load(name, decode="scaled").key
    with pytest.raises(KisBenchError, match="decode 'half' is not offered; choose full or scaled"):
        encoders.load("demo", decode="half")


def test_vectors_are_those_of_scaled_pictures_and_are_stored_apart(photos, tmp_path):
    pytest.importorskip("torch")
    store, plain = Store(tmp_path), encoders.load("demo", device="cpu")
    full, scaled = (
        embed_collection(photos, LazyEncoder(find("demo"), device="cpu", decode=decode), store)
        for decode in ("full", "scaled")
    )
    assert full.key == plain.key != scaled.key
    for found, least_side in ((full, None), (scaled, SIDE)):
        pictures = [read_image(path, least_side=least_side) for path in photos.paths]
        np.testing.assert_array_equal(found.vectors, plain.encode_images(pictures))
    assert [min(picture.size) for picture in pictures] == [225, 128, 150]
    assert (full.vectors[:2] != scaled.vectors[:2]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(full.vectors[2], scaled.vectors[2])
    assert (full.vectors * scaled.vectors).sum(axis=2).min() > 0.999
    again = LazyEncoder(find("demo"), device="cpu", decode="scaled")
    assert embed_collection(photos, again, store).key == scaled.key
    assert not again.loaded
    assert verify_collection(photos, scaled, again, 3) == 3
    about = describe_model(again, scaled, privacy=False)
    assert about["decode"] == "scaled to 128 pixels a side or more"
    assert "decode" not in describe_model(LazyEncoder(find("demo")), full, privacy=False)


def test_a_model_that_does_not_tell_its_size_sees_all_pixels(photos, tmp_path):
    store = Store(tmp_path)
    full = embed_collection(photos, encoders.load("colour-words"), store)
    asked = LazyEncoder(find("colour-words"), decode="scaled")
    found = embed_collection(photos, asked, store)
    assert found.key == full.key
    assert describe_model(asked, found, privacy=False)["decode"] == "full"


MODULE = """
    import numpy as np

    class Sizes:
        name, dim, vectors_per_item, image_only = "sizes", 2, 1, True
        {line}

        def encode_images(self, images):
            sizes = np.array([image.size for image in images], np.float32)[:, None]
            return sizes / np.linalg.norm(sizes, axis=2, keepdims=True)

    class Seen(Sizes):
        sizes = []

        def encode_images(self, images):
            self.sizes += [image.size for image in images]
            return super().encode_images(images)

    def load():
        return Seen()
"""


@pytest.mark.parametrize("line", ["input_side = 50", "pass"])
def test_an_object_of_the_users_tells_its_size_or_sees_all_pixels(
    photos, tmp_path, monkeypatch, line
):
    tells = line != "pass"
    module = f"sizes_{tells}".lower()
    (tmp_path / f"{module}.py").write_text(dedent(MODULE).format(line=line))
    monkeypatch.syspath_prepend(tmp_path)
    full = encoders.load(f"{module}:load")
    scaled = encoders.load(f"{module}:load", decode="scaled")
    assert (scaled.key == f"{full.key}-scaled") == tells
    assert (scaled.key == full.key) == (not tells)
    found = embed_collection(photos, scaled, Store(tmp_path / "store"))
    widths = [150, 138, 200] if tells else [1200, 1100, 200]
    assert [size[0] for size in scaled.own.sizes] == widths
    assert found.made["decode"] == ("scaled to 100 pixels a side or more" if tells else "full")


def test_the_largest_length_counts():
    """Of what libraries call the size: numbers, pairs, and mappings with edges, some of them None."""
    assert find_largest_side(224) == find_largest_side({"shortest_edge": 224}) == 224
    assert find_largest_side({"height": 224, "width": 448, "longest_edge": None}) == 448
    assert find_largest_side({}) is find_largest_side(None) is None
