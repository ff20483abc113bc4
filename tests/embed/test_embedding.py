"""From images to stored vectors: resuming, damage, races, bad input."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from kis_bench.embed import embed_collection, embed_texts, images_entry
from kis_bench.encoders import load
from kis_bench.errors import BadFile, BadVector, KisBenchError
from kis_bench.files.images import read_image
from kis_bench.records import Collection
from kis_bench.store import Store
from kis_bench.store.shards import SHARD_DIGESTS


class Colour:
    """Vectors from mean colours; counts what it was asked."""

    name, dim, vectors_per_item, context_length, key = "colour", 4, 1, None, "colour-1"

    def __init__(self):
        self.seen = 0

    def encode_images(self, images):
        self.seen += len(images)
        colours = np.array(
            [[*np.asarray(image).mean((0, 1)), 255.0] for image in images], np.float32
        )
        return (colours / np.linalg.norm(colours, axis=1, keepdims=True))[:, None]

    def encode_texts(self, texts):
        return np.full((len(texts), 1, 4), 0.5, np.float32), np.array(
            [len(text) > 5 for text in texts]
        )


@pytest.fixture
def collection(tmp_path):
    paths = []
    for i in range(20):
        paths.append(tmp_path / f"{i}.png")
        Image.new("RGB", (6, 6), (i * 10, 255 - i * 10, 7)).save(paths[-1])
    ids = tuple(str(i) for i in range(20))
    return Collection("colours", ids, tuple(paths), ids)


def shard_bytes(entry):
    return {file.name: file.read_bytes() for file in entry.folder.glob("*.arrow")}


def test_vectors_come_back_as_they_were_made(collection, tmp_path):
    store, encoder = Store(tmp_path / "store", shard_items=7), Colour()
    embeddings = embed_collection(collection, encoder, store, batch_size=3)
    expected = encoder.encode_images([read_image(path) for path in collection.paths])
    assert embeddings.ids == collection.ids
    assert embeddings.vectors.dtype == np.float32
    np.testing.assert_array_equal(embeddings.vectors, expected)
    encoder.seen = 0
    np.testing.assert_array_equal(embed_collection(collection, encoder, store).vectors, expected)
    assert encoder.seen == 0


def test_a_damaged_shard_is_found_and_made_again(collection, tmp_path):
    store, encoder = Store(tmp_path / "store", shard_items=7), Colour()
    embed_collection(collection, encoder, store)
    entry = images_entry(collection, encoder.key, store)
    before = shard_bytes(entry)
    victim = sorted(entry.folder.glob("*.arrow"))[1]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    encoder.seen = 0
    embed_collection(collection, encoder, store)
    assert encoder.seen == 7
    assert shard_bytes(entry) == before


def test_what_was_finished_stays_when_an_image_is_broken(collection, tmp_path):
    store, encoder = Store(tmp_path / "store", shard_items=5), Colour()
    good = collection.paths[12].read_bytes()
    collection.paths[12].write_bytes(good[:40])
    with pytest.raises(BadFile, match=r"12\.png"):
        embed_collection(collection, encoder, store)
    entry = images_entry(collection, encoder.key, store)
    assert len(entry.missing()) == 2
    collection.paths[12].write_bytes(good)
    encoder.seen = 0
    embed_collection(collection, encoder, store)
    assert encoder.seen == 10


@pytest.mark.parametrize(
    ("value", "said"),
    [(np.nan, "NaN"), (np.inf, "infinity"), (0.0, "length zero"), (3.0, "length other")],
)
def test_a_bad_vector_names_its_item(collection, tmp_path, value, said):
    encoder = Colour()
    right = encoder.encode_images
    encoder.encode_images = lambda images: (
        right(images)
        if len(images) < 20
        else np.concatenate([right(images)[:-1], np.full((1, 1, 4), value, np.float32)])
    )
    with pytest.raises(BadVector, match=f"'19'.*{said}"):
        embed_collection(collection, encoder, Store(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.arrow"))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(collection, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KisBenchError, match="No space left on device"):
        embed_collection(collection, Colour(), Store(tmp_path / "store"))
    assert not [file for file in (tmp_path / "store").rglob("*") if file.is_file()]


def test_texts_say_which_were_cut(tmp_path):
    texts = embed_texts(["short", "longer than five"], Colour(), Store(tmp_path / "store"))
    assert texts.truncated.tolist() == [False, True]


def test_several_large_shards_read_as_one_array(collection, tmp_path, monkeypatch):
    store, encoder = Store(tmp_path / "store", shard_items=6), Colour()
    expected = np.asarray(embed_collection(collection, encoder, store).vectors)
    monkeypatch.setattr("kis_bench.store.arrays.READ_AT_ONCE", 0)
    mapped = embed_collection(collection, encoder, store).vectors
    assert mapped.shape == expected.shape
    np.testing.assert_array_equal(np.asarray(mapped), expected)
    for index in (
        slice(4, 15),
        slice(None),
        7,
        -1,
        [3, 19, 0],
        (slice(2, 9), 0),
        slice(5, 5),
        slice(1, 18, 4),
    ):
        np.testing.assert_array_equal(mapped[index], expected[index])
    np.testing.assert_array_equal(
        mapped @ np.ones(4, np.float32), expected @ np.ones(4, np.float32)
    )


def test_transparency_is_white_and_exif_turns_the_picture(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    turned = Image.new("RGB", (8, 4), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (4, 8)


SLOW = """
import sys, time
from pathlib import Path
from tests_colour import Colour, collection_of
from kis_bench.embed import embed_collection
from kis_bench.store import Store
class Slow(Colour):
    def encode_images(self, images):
        time.sleep(0.15)
        return super().encode_images(images)
embed_collection(collection_of(sys.argv[1]), Slow(), Store(sys.argv[2], shard_items=2))
"""


def test_a_killed_run_resumes_with_the_same_bytes(collection, tmp_path):
    from pathlib import Path

    source = Path(__file__).read_text(encoding="utf-8")
    helper = (
        "import numpy as np\nfrom pathlib import Path\nfrom kis_bench.records import Collection\n"
        + source[source.index("class Colour") : source.index("@pytest.fixture")]
        + "def collection_of(folder):\n    ids = tuple(str(i) for i in range(20))\n"
        "    return Collection('colours', ids, tuple(Path(folder) / f'{i}.png' for i in ids), ids)\n"
    )
    (tmp_path / "tests_colour.py").write_text(helper, encoding="utf-8")
    command = [sys.executable, "-c", SLOW, str(tmp_path), str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=tmp_path)
    while len(list((tmp_path / "killed").rglob("*.arrow"))) < 3 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    encoder = Colour()
    killed, whole = (Store(tmp_path / name, shard_items=2) for name in ("killed", "whole"))
    left = len(images_entry(collection, encoder.key, killed).missing())
    assert 0 < left < 10
    embed_collection(collection, encoder, killed)
    assert encoder.seen == 2 * left
    embed_collection(collection, encoder, whole)
    assert shard_bytes(images_entry(collection, encoder.key, killed)) == shard_bytes(
        images_entry(collection, encoder.key, whole)
    )


def test_the_demo_encoder_does_not_depend_on_batches():
    encoder = load("demo", device="cpu")
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(5)]
    together = encoder.encode_images(images)
    assert together.shape == (5, 1, 128)
    np.testing.assert_allclose(
        np.concatenate([encoder.encode_images([i]) for i in images]), together, atol=1e-6
    )
    _, truncated = encoder.encode_texts(["word " * 64, "word " * 65])
    assert truncated.tolist() == [False, True]


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from PIL import Image
from kis_bench import encoders
from kis_bench.embed import embed_collection
from kis_bench.records import Collection
from kis_bench.store import Store
folder, n = Path(sys.argv[1]), int(sys.argv[2])
ids = tuple(map(str, range(n)))
paths = tuple(folder / f"{i % 20}.jpg" for i in range(n))
embed_collection(Collection("many", ids, paths, ids), encoders.load("demo", device="cpu"), Store(folder / f"store{n}"))
# ru_maxrss would begin at the size of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):  # 2 MiB each once decoded; how many of 128 are held ahead varies by chance
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).resize((870, 630)).save(
            tmp_path / f"{i}.jpg"
        )

    def peak(n):
        command = [sys.executable, "-c", PEAK, str(tmp_path), str(n)]
        return (
            int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024
        )

    few, many = peak(300), peak(900)
    assert many - few < 300, (few, many)  # MiB; 600 images more would be 1,250


def test_what_made_the_vectors_comes_back_with_them(collection, tmp_path):
    store, encoder = Store(tmp_path / "store", shard_items=7), Colour()
    encoder.device, encoder.precision = "cuda:1", "bf16"
    made = embed_collection(collection, encoder, store).made
    assert (made["device"], made["precision"]) == ("cuda:1", "bf16")
    assert int(made["threads"]) >= 1
    sorted(images_entry(collection, encoder.key, store).folder.glob("*.arrow"))[1].unlink()
    encoder.device = "cpu"
    assert embed_collection(collection, encoder, store).made["device"] == "cuda:1 and cpu"
    assert "device" not in embed_collection(collection, Colour(), Store(tmp_path / "other")).made


def test_a_shard_that_is_there_is_not_written_over(collection, tmp_path):
    entry = Store(tmp_path / "store").entry(
        "colours", "0" * 64, "random-1", "images", collection.ids
    )
    for row in ([1, 0], [0, 1]):
        entry.write_shard(entry.shards()[0], np.tile(np.float32([[row]]), (20, 1, 1)))
    assert entry.read().vectors[0, 0].tolist() == [1, 0]


def test_shards_of_older_versions_are_read(collection, tmp_path):
    store, encoder = Store(tmp_path / "store"), Colour()
    expected = np.array(embed_collection(collection, encoder, store).vectors)
    folder = images_entry(collection, encoder.key, store).folder
    (digest,) = [file for file in folder.iterdir() if ".arrow." in file.name]
    digest.rename(folder / "000000-000020.arrow.sha256").write_text(digest.name.rpartition(".")[2])
    encoder.seen = 0
    np.testing.assert_array_equal(embed_collection(collection, encoder, store).vectors, expected)
    assert encoder.seen == 0


def test_the_digest_of_each_shard_is_computed_once(collection, tmp_path, monkeypatch):
    import hashlib

    from kis_bench.store import entry as filling
    from kis_bench.store import shards as module

    sizes = []

    class Counting:
        @staticmethod
        def sha256(content):
            sizes.append(len(content))
            return hashlib.sha256(content)

    for place in (module, filling):
        monkeypatch.setattr(place, "hashlib", Counting)
    monkeypatch.setattr(module, "SETTLED_S", -3600.0)  # files of the test are new
    store, encoder = Store(tmp_path / "store", shard_items=7), Colour()
    embed_collection(collection, encoder, store)
    entry = images_entry(collection, encoder.key, store)
    sizes.clear()
    shards = sorted(entry.folder.glob("*.arrow"))
    lengths = [file.stat().st_size for file in shards]
    manifest = json.loads((entry.folder / "manifest.json").read_text(encoding="utf-8"))
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in shards]
    assert [one["sha256"] for one in manifest["shards"]] == digests
    embed_collection(collection, encoder, store)  # all are there
    assert sizes == lengths
    sizes.clear()
    shards[1].unlink()
    embed_collection(collection, encoder, store)
    assert sizes == [lengths[1]]  # what is written; the others are known
    assert encoder.seen == 20 + 7
    sizes.clear()
    for _ in range(3):  # as each model and label set of a session asks
        assert entry.missing() == []
        assert entry.read() is not None
        embed_collection(collection, encoder, store)
    assert sizes == [lengths[1]]
    entry.remove_damaged(entry.shards()[0])  # never trusts what is remembered
    assert sizes == [lengths[1], lengths[0]]
    assert shards[0].exists()
    sizes.clear()
    module.SETTLED_S = 3600.0
    module.SHARD_DIGESTS.clear()
    for _ in range(2):  # files so new that a change may leave their times as they are
        entry.read()
    assert sizes == 2 * lengths


def flip_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    changed_ns = file.stat().st_mtime_ns + 10**9  # clocks of file systems may tick slowly
    file.write_bytes(content)
    os.utime(file, ns=(changed_ns, changed_ns))


def flip_in_a_copy(file):
    """Another file of the same size and time of change takes its place."""
    copy, times = file.with_suffix(".copy"), file.stat()
    copy.write_bytes(file.read_bytes())
    flip_byte(copy)
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    copy.replace(file)


@pytest.mark.parametrize(
    "change",
    [
        flip_byte,
        flip_in_a_copy,
        lambda file: file.write_bytes(file.read_bytes()[:-8]),
        lambda file: file.write_bytes(b""),
        lambda file: file.unlink(),
    ],
    ids=["a bit", "another file", "shorter", "empty", "gone"],
)
def test_a_shard_that_changes_between_two_reads_is_seen(collection, tmp_path, monkeypatch, change):
    """Both in one process, in which its digest was known."""
    monkeypatch.setattr("kis_bench.store.shards.SETTLED_S", -3600.0)
    store, encoder = Store(tmp_path / "store", shard_items=7), Colour()
    whole = np.array(embed_collection(collection, encoder, store).vectors)
    entry = images_entry(collection, encoder.key, store)
    assert entry.missing() == []
    assert {entry.folder / shard.file_name for shard in entry.shards()} <= {*SHARD_DIGESTS}
    second = entry.shards()[1]
    change(entry.folder / second.file_name)
    assert entry.missing() == [second]
    assert entry.read() is None
    encoder.seen = 0
    np.testing.assert_array_equal(embed_collection(collection, encoder, store).vectors, whole)
    assert encoder.seen == 7
    assert entry.missing() == []


def test_a_known_digest_of_a_damaged_shard_does_not_count_for_a_new_one(
    collection, tmp_path, monkeypatch
):
    monkeypatch.setattr("kis_bench.store.shards.SETTLED_S", -3600.0)
    store, encoder = Store(tmp_path / "store", shard_items=7), Colour()
    embed_collection(collection, encoder, store)
    entry = images_entry(collection, encoder.key, store)
    for _ in range(3):
        flip_in_a_copy(entry.folder / entry.shards()[0].file_name)
        assert len(entry.missing()) == 1
        embed_collection(collection, encoder, store)
        assert entry.missing() == []
