"""Pictures ahead of a model: batches bounded by bytes, whatever the encoder prepares."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.embed import embed_collection
from kis_bench.encoders import feeding
from kis_bench.encoders.encoding import CheckedModel
from kis_bench.encoders.feeding import feed_pictures, measure_bytes
from kis_bench.errors import BadFile
from kis_bench.files.images import read_image, upright
from kis_bench.records import Collection
from kis_bench.store import Store

SIDE = 10
PICTURE_BYTES = 4 * SIDE * SIDE


class Mean:
    """Mean colours of whole pictures; notes the sizes of its batches."""

    name, dim, vectors_per_item, context_length, key, batch_size = "mean", 3, 1, None, "mean-1", 8

    def __init__(self):
        self.batches = []

    def encode_images(self, images):
        self.batches.append([image.width for image in images])
        means = np.array([np.asarray(image).mean((0, 1)) + 1 for image in images], np.float32)
        return (means / np.linalg.norm(means, axis=1, keepdims=True))[:, None]


def write_pictures(folder, widths):
    rng = np.random.default_rng(0)
    for i, width in enumerate(widths):
        pixels = rng.integers(0, 256, (SIDE, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    ids = tuple(map(str, range(len(widths))))
    return Collection("pictures", ids, tuple(folder / f"{i}.png" for i in ids), ids)


def list_batches(collection, most_bytes, batch_size):
    pairs = zip(collection.ids, collection.paths, strict=True)
    found = []
    with feed_pictures(
        CheckedModel(Mean()), pairs, batch_size=batch_size, most_bytes=most_bytes
    ) as feed:
        while batch := feed.take(batch_size):
            found.append([one.id for one in batch])
    return found


@pytest.mark.parametrize(
    ("most_pictures", "batch_size", "expected"),
    [(100, 3, [3, 3, 3, 1]), (2, 8, [2, 2, 2, 2, 2]), (0.5, 8, [1] * 10), (3.9, 4, [3, 3, 3, 1])],
)
def test_a_batch_is_cut_where_its_pictures_take_too_much(
    tmp_path, most_pictures, batch_size, expected
):
    collection = write_pictures(tmp_path, [SIDE] * 10)
    found = list_batches(collection, int(most_pictures * PICTURE_BYTES), batch_size)
    assert [len(batch) for batch in found] == expected
    assert [item for batch in found for item in batch] == [*collection.ids]


def test_a_picture_larger_than_the_bound_is_a_batch_of_its_own(tmp_path, monkeypatch):
    collection = write_pictures(tmp_path, [SIDE, SIDE, 40 * SIDE, SIDE, SIDE])
    whole = embed_collection(collection, Mean(), Store(tmp_path / "whole")).vectors
    monkeypatch.setattr(feeding, "HELD_BYTES", 2 * PICTURE_BYTES)
    encoder = Mean()
    found = embed_collection(collection, encoder, Store(tmp_path / "bounded")).vectors
    assert encoder.batches == [[SIDE, SIDE], [40 * SIDE], [SIDE, SIDE]]
    np.testing.assert_array_equal(np.asarray(found), np.asarray(whole))


def test_an_unreadable_picture_among_waiting_ones_ends_it(tmp_path):
    collection = write_pictures(tmp_path, [SIDE] * 30)
    collection.paths[7].write_bytes(b"no picture")
    with pytest.raises(BadFile, match=r"7\.png"):
        list_batches(collection, PICTURE_BYTES, 4)


def test_a_picture_that_memory_does_not_hold_is_named(tmp_path, monkeypatch):
    collection = write_pictures(tmp_path, [SIDE])

    def fail(image):
        raise MemoryError

    monkeypatch.setattr("kis_bench.files.images.load_pixels", fail)
    with pytest.raises(BadFile, match=r"(?s)0\.png.*memory doesn't hold its pixels"):
        embed_collection(collection, Mean(), Store(tmp_path / "store"))


def test_bytes_of_what_encoders_prepare():
    torch = pytest.importorskip("torch")
    image = Image.new("RGB", (6, 5))
    assert measure_bytes(image.resize((3, 2)), image) == 24
    assert measure_bytes(np.zeros((2, 3), np.float32), image) == 24
    assert measure_bytes({"a": torch.zeros(2, 3), "b": torch.zeros(4)}, image) == 40
    assert measure_bytes(object(), image) == 4 * 30  # nobody can tell: as the picture


def test_a_picture_that_is_shown_as_it_is_is_not_copied(tmp_path):
    collection = write_pictures(tmp_path, [SIDE])
    read = read_image(collection.paths[0])
    assert upright(read) is read


def test_the_demo_prepares_pictures_without_changing_a_bit():
    encoder = encoders.load("demo", device="cpu")
    rng = np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(0, 256, (30 + i, 90 - i, 3), dtype=np.uint8)) for i in range(5)
    ]
    prepared = [encoder.prepare_image(image) for image in images]
    assert {one.nbytes for one in prepared} == {64 * 64 * 3}
    np.testing.assert_array_equal(encoder.encode_prepared(prepared), encoder.encode_images(images))


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from PIL import Image
from kis_bench import encoders
from kis_bench.embed import embed_collection
from kis_bench.records import Collection
from kis_bench.store import Store

class Whole:
    name, dim, vectors_per_item, context_length, key = "whole", 3, 1, None, "whole-1"
    def encode_images(self, images):
        means = np.array([np.asarray(im.resize((8, 8))).mean((0, 1)) + 1 for im in images], np.float32)
        return (means / np.linalg.norm(means, axis=1, keepdims=True))[:, None]

def peak():  # ru_maxrss would begin at the size of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

folder, n = Path(sys.argv[1]), 40
encoder = Whole() if sys.argv[2] == "whole" else encoders.load("demo", device="cpu")
encoder.encode_images([Image.new("RGB", (64, 64), "red")])
before = peak()
ids = tuple(map(str, range(n)))
paths = tuple(folder / f"{i % 4}.jpg" for i in range(n))
embed_collection(Collection("photos", ids, paths, ids), encoder, Store(folder / sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize("kind", ["demo", "whole"])
def test_photos_take_a_bounded_memory_beyond_the_model(tmp_path, kind):
    rng = np.random.default_rng(0)
    for i in range(4):  # 12 megapixels, 46 MiB each once they are decoded: all 40 take 1,830
        small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        small.resize((4000, 3000)).save(tmp_path / f"{i}.jpg")
    command = [sys.executable, "-c", PEAK, str(tmp_path), kind]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(said) < 700, said
