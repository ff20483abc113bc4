"""Encoders that lie or break: an error at once with both numbers, or with the picture or text; nothing is kept."""

import numpy as np
import pytest
from PIL import Image

from kis_bench.embed import embed_collection, embed_texts, images_entry
from kis_bench.errors import BadVector, KisBenchError
from kis_bench.records import Collection
from kis_bench.store import Store

TEXTS = [f"number {i}" for i in range(20)]


class Numbers:
    """A vector for each of twenty pictures, and of twenty texts."""

    name, dim, vectors_per_item, context_length, key, batch_size = (
        "numbers",
        4,
        1,
        None,
        "numbers-1",
        8,
    )

    def vectors(self, numbers):
        rows = np.array([[i, 20 - i, 3, 1] for i in numbers], np.float32)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:, None]

    def encode_images(self, images):
        return self.vectors([image.getpixel((0, 0))[0] for image in images])

    def encode_texts(self, texts):
        return self.vectors([int(text.split()[-1]) for text in texts]), np.zeros(len(texts), bool)


@pytest.fixture
def collection(tmp_path):
    paths = tuple(tmp_path / f"{i}.png" for i in range(20))
    for i, path in enumerate(paths):
        Image.new("RGB", (6, 6), (i, 0, 0)).save(path)
    ids = tuple(f"item-{i}" for i in range(20))
    return Collection("numbers", ids, paths, ids)


def lying(images=None, texts=None, **about):
    """The encoder with its answers changed by a function of (vectors, inputs), or (vectors, flags)."""

    class Lying(Numbers):
        def encode_images(self, inputs):
            found = super().encode_images(inputs)
            return found if images is None else images(found, inputs)

        def encode_texts(self, inputs):
            found = super().encode_texts(inputs)
            return found if texts is None else texts(*found)

    made = Lying()
    for name, value in about.items():
        setattr(made, name, value)
    return made


def at(number, change):
    """Only the batch in which a picture is."""
    return lambda v, x: change(v) if number in [image.getpixel((0, 0))[0] for image in x] else v


IMAGES = {
    "one too few": (
        lambda v, x: v[:-1],
        "numbers: returned 7 vectors for 8 pictures .'item-0' to 'item-7'.",
    ),
    "none": (lambda v, x: v[:0], "0 vectors for 8 pictures"),
    "one too many": (lambda v, x: np.concatenate([v, v[:1]]), "9 vectors for 8 pictures"),
    "one for all": (lambda v, x: v[:1], "1 vectors for 8"),
    "too few in the last batch": (
        at(19, lambda v: v[:-1]),
        "3 vectors for 4 pictures .'item-16' to 'item-19'.",
    ),
    "another shape later": (
        at(9, lambda v: np.repeat(v, 2, axis=1) / np.float32(2**0.5)),
        r"float32 \[8, 2, 4\] for 8 pictures; float32 \[8, 1, 4\]",
    ),
    "another dim": (
        lambda v, x: v[:, :, :3],
        r"\[8, 1, 3\] for 8 pictures; float32 \[8, 1, 4\] is needed",
    ),
    "no axis of vectors": (lambda v, x: v[:, 0], r"\[8, 4\]"),
    "a number": (lambda v, x: v[0, 0, 0], "returned float32 for 8 pictures"),
    "float64": (lambda v, x: v.astype(np.float64), "float64"),
    "a generator": (lambda v, x: (each for each in v), "returned generator for 8 pictures"),
    "a list": (lambda v, x: list(v), "returned list"),
    "nothing": (lambda v, x: None, "returned NoneType"),
    "masked": (lambda v, x: np.ma.array(v, mask=v > 0.5), "returned a masked array for 8 pictures"),
    "NaN": (
        at(13, lambda v: np.where(np.arange(8)[:, None, None] == 5, np.nan, v).astype(np.float32)),
        "picture 'item-13' has NaN",
    ),
    "not unit": (lambda v, x: v * np.float32(2), "'item-0' has a length other than 1"),
}


@pytest.mark.parametrize("fault", IMAGES)
@pytest.mark.parametrize("prepares", [False, True], ids=["pictures", "prepared"])
def test_images(collection, tmp_path, fault, prepares):
    change, said = IMAGES[fault]
    encoder = lying(change)
    if prepares:
        encoder.prepare_image, encoder.encode_prepared = (
            (lambda image: image),
            encoder.encode_images,
        )
    store = Store(tmp_path / "store", shard_items=8)
    with pytest.raises((KisBenchError, BadVector), match=said):
        embed_collection(collection, encoder, store)
    entry = images_entry(collection, encoder.key, store)
    kept = [shard.start for shard in entry.shards() if shard not in entry.missing()]
    before = {"another shape later": 1, "NaN": 1, "too few in the last batch": 2}.get(fault, 0)
    assert kept == [0, 8, 16][:before]  # batches without the fault
    mended = embed_collection(collection, Numbers(), store)
    np.testing.assert_array_equal(mended.vectors, Numbers().vectors(range(20)))


FLAGS = {
    "too few vectors": (lambda v, f: (v[:-1], f), "returned 7 vectors for 8 texts .'0' to '7'."),
    "too many vectors": (lambda v, f: (np.concatenate([v, v[:1]]), f), "9 vectors for 8 texts"),
    "too few flags": (
        lambda v, f: (v, f[:-1]),
        r"which of 8 texts were cut is bool \[7\]; bool \[8\]",
    ),
    "too many flags": (lambda v, f: (v, np.append(f, True)), r"is bool \[9\]"),
    "flags of numbers": (lambda v, f: (v, f.astype(int)), "is int64"),
    "masked flags": (lambda v, f: (v, np.ma.array(f, mask=True)), "is MaskedArray"),
    "a list of flags": (lambda v, f: (v, list(f)), "is list"),
    "no flags": (lambda v, f: v, "encode_texts returned ndarray; a pair"),
    "three": (lambda v, f: (v, f, f), "encode_texts returned tuple"),
    "several vectors a text": (lambda v, f: (np.repeat(v, 2, axis=1), f), r"\[8, 2, 4\]"),
    "another dim than images": (
        lambda v, f: (v[:, :, :2], f),
        r"\[8, 1, 2\] for 8 texts; float32 \[8, 1, 4\]",
    ),
}


@pytest.mark.parametrize("fault", FLAGS)
def test_texts(tmp_path, fault):
    change, said = FLAGS[fault]
    with pytest.raises(KisBenchError, match=said):
        embed_texts(TEXTS, lying(texts=change), Store(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.arrow"))


@pytest.mark.parametrize("size", [0, -1, 1.5, "8", None, True])
def test_batch_sizes_that_cannot_be(collection, tmp_path, size):
    with pytest.raises(KisBenchError, match=f"model numbers: batch_size is {size!r}"):
        embed_collection(collection, lying(batch_size=size), Store(tmp_path / "store"))
    if size is not None:
        with pytest.raises(KisBenchError, match="whole number of at least 1"):
            embed_texts(TEXTS, Numbers(), Store(tmp_path / "store"), batch_size=size)


def test_an_empty_key(collection, tmp_path):
    with pytest.raises(KisBenchError, match="key of a model is ''"):
        embed_collection(collection, lying(key=""), Store(tmp_path / "store"))


def test_a_model_that_fills_one_buffer_again_and_again(collection, tmp_path):
    vectors, flags = np.zeros((8, 1, 4), np.float32), np.zeros(8, bool)

    def images(found, inputs):
        vectors[: len(found)] = found
        return vectors[: len(found)]

    def texts(found, cut):
        flags[: len(cut)] = found[:, 0, 0] < 0.5
        return images(found, None), flags[: len(cut)]

    store, right = Store(tmp_path), Numbers()
    stored = embed_collection(collection, lying(images, key="buffer-1"), store)
    np.testing.assert_array_equal(stored.vectors, right.vectors(range(20)))
    stored = embed_texts(TEXTS, lying(texts=texts, key="buffer-1"), store)
    np.testing.assert_array_equal(stored.vectors, right.vectors(range(20)))
    np.testing.assert_array_equal(stored.truncated, right.vectors(range(20))[:, 0, 0] < 0.5)


def test_a_model_that_ends_the_process_is_named(collection, tmp_path):
    def ends(vectors, images):
        raise SystemExit(3)

    with pytest.raises(KisBenchError, match="numbers fails on picture 'item-0': SystemExit: 3"):
        embed_collection(collection, lying(ends), Store(tmp_path))


def breaks(vectors, images):
    if 11 in [image.getpixel((0, 0))[0] for image in images]:
        raise ZeroDivisionError("a share of nothing")
    return vectors


def test_the_picture_on_which_a_model_fails_is_named(collection, tmp_path):
    store = Store(tmp_path / "store", shard_items=5)
    said = r"model numbers fails on picture 'item-11': ZeroDivisionError: a share of nothing \(.*test_encoding.py, line"
    with pytest.raises(KisBenchError, match=said):
        embed_collection(collection, lying(breaks), store)
    assert len(images_entry(collection, "numbers-1", store).missing()) == 2
    encoder = lying()
    encoder.prepare_image = lambda image: breaks(image, [image])
    encoder.encode_prepared = encoder.encode_images
    with pytest.raises(KisBenchError, match=said):
        embed_collection(collection, encoder, Store(tmp_path / "other"))


def test_the_text_on_which_a_model_fails_is_named(tmp_path):
    texts = [*TEXTS[:5], "a text without number", *TEXTS[6:]]
    with pytest.raises(
        KisBenchError, match="model numbers fails on text '5': ValueError: .*'number'"
    ):
        embed_texts(texts, Numbers(), Store(tmp_path / "store"))


def test_a_batch_that_fails_only_as_a_whole(collection, tmp_path):
    def together(vectors, images):
        if len(images) > 1:
            raise RuntimeError("shapes differ")
        return vectors

    said = "fails on 8 pictures at once .'item-0' to 'item-7'., and on none of them alone: RuntimeError: shapes differ"
    with pytest.raises(KisBenchError, match=said):
        embed_collection(collection, lying(together), Store(tmp_path / "store"))


def test_one_picture_that_memory_does_not_hold(collection, tmp_path):
    def hungry(vectors, images):
        raise MemoryError

    with pytest.raises(KisBenchError, match="fails on picture 'item-0': MemoryError"):
        embed_collection(collection, lying(hungry), Store(tmp_path / "store"))
