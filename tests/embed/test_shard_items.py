"""How many vectors lie in a shard: chosen once from the speed of the model, recorded, and kept by all who write."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kis_bench.embed import embed_collection, embed_texts, images_entry
from kis_bench.encoders import passes, shard_sizes
from kis_bench.encoders.shard_sizes import count_shard_items
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.progress import watch
from kis_bench.files.whole import digest_content
from kis_bench.records import Collection
from kis_bench.store import Entry, Store
from kis_bench.store.manifest import MANIFEST
from kis_bench.store.shards import SHARD_ITEMS, Shard

N, BATCH = 40, 2


class Clock:
    """A time that passes only when somebody says so; takes the place of the module `time`."""

    now_s = 0.0

    def perf_counter(self):
        return self.now_s


class Paced:
    """Vectors from mean colours, so many seconds an item by its own clock; can end its process as `kill -9` does."""

    name, dim, vectors_per_item, context_length, key = "paced", 4, 1, None, "paced-1"

    def __init__(self, clock, pace_s, *, log=None, store=None, killed_after=None):
        self.clock, self.pace_s, self.log = clock, pace_s, log
        self.store, self.killed_after = store, killed_after
        self.sizes = []

    def encode_images(self, images):
        self.sizes.append(len(images))
        self.clock.now_s += self.pace_s * len(images)
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{len(images)}\n")
        if self.killed_after is not None and len(find_shards(self.store)) >= 2:
            self.killed_after -= 1
            if not self.killed_after:
                os.kill(os.getpid(), signal.SIGKILL)
        colours = np.array([[*np.asarray(one).mean((0, 1)), 255.0] for one in images], np.float32)
        return (colours / np.linalg.norm(colours, axis=1, keepdims=True))[:, None]

    def encode_texts(self, texts):
        self.sizes.append(len(texts))
        self.clock.now_s += self.pace_s * len(texts)
        return np.full((len(texts), 1, 4), 0.5, np.float32), np.zeros(len(texts), bool)


def find_shards(folder):
    return sorted(folder.rglob("*.arrow"))


def read_collection(folder, n=N):
    ids = tuple(map(str, range(n)))
    paths = tuple(folder / f"{i}.png" for i in ids)
    return Collection("colours", ids, paths, tuple(map(digest_content, paths)))


def read_recorded(entry):
    return json.loads((entry.folder / MANIFEST).read_bytes())["shard_items"]


def embed_until_killed(folder, store, log, killed_after):
    """What the subprocess of a test does."""
    clock = Clock()
    passes.time = clock
    model = Paced(clock, 5.0, log=log, store=store, killed_after=killed_after)
    embed_collection(read_collection(folder), model, Store(store), batch_size=BATCH)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(passes, "time", clock)
    return clock


@pytest.fixture
def collection(tmp_path):
    for i in range(N):
        Image.new("RGB", (6, 6), (i * 6, 255 - i * 6, 7)).save(tmp_path / f"{i}.png")
    return read_collection(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_killed_run_loses_at_most_the_shard_under_way(collection, tmp_path, killed_after):
    log, store = tmp_path / "log", tmp_path / "store"
    command = [sys.executable, __file__, tmp_path, store, log, str(killed_after)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    items = 8  # of 5 s each, in batches of 2: half a minute to a minute
    entry = images_entry(collection, Paced.key, Store(store))
    assert entry.shard_items == read_recorded(entry) == items
    encoded = sum(map(int, log.read_text().split()))
    kept = items * len(find_shards(store))
    assert kept == 2 * items
    assert encoded - kept == killed_after * BATCH <= items

    model = Paced(Clock(), 0.0)  # were it chosen anew, all were one shard
    embed_collection(collection, model, Store(store), batch_size=BATCH)
    assert sum(model.sizes) == N - kept
    assert images_entry(collection, Paced.key, Store(store)).shard_items == items
    whole = tmp_path / "whole"
    embed_collection(collection, model, Store(whole, shard_items=items), batch_size=BATCH)
    assert [file.read_bytes() for file in find_shards(store)] == [
        file.read_bytes() for file in find_shards(whole)
    ]


@pytest.mark.parametrize("pace_s", [1e-9, 0.001, 0.03, 0.4, 5, 70, 1e5])
@pytest.mark.parametrize("n", [1, 100, 10**6])
@pytest.mark.parametrize("batch_size", [1, 16, 48])
def test_a_shard_is_half_a_minute_to_a_minute(pace_s, n, batch_size):
    item_bytes = 2048
    items = count_shard_items(n, pace_s, batch_size, item_bytes)
    in_memory = items * item_bytes <= max(
        shard_sizes.MOST_SHARD_BYTES, batch_size * item_bytes, 2 * n / shard_sizes.MOST_SHARDS
    )
    assert in_memory
    assert n <= items * shard_sizes.MOST_SHARDS
    least = max(1, 2 * n / shard_sizes.MOST_SHARDS)
    assert items * pace_s <= shard_sizes.SHARD_SECONDS or items <= least
    full = 2 * items * item_bytes > shard_sizes.MOST_SHARD_BYTES
    assert 2 * items * pace_s >= shard_sizes.SHARD_SECONDS or full or items >= n
    assert items < 2 * n or items in (1, batch_size)
    assert items % batch_size == 0 or batch_size * pace_s > shard_sizes.SHARD_SECONDS


def test_the_first_batch_does_not_count_for_the_speed(collection, tmp_path, clock):
    class Cold(Paced):
        def encode_images(self, images):
            self.clock.now_s += 40 * (not self.sizes)  # as compiling takes
            return super().encode_images(images)

    store = Store(tmp_path / "store")
    model = Cold(clock, 5.0)
    embed_collection(collection, model, store, batch_size=BATCH)
    assert images_entry(collection, model.key, store).shard_items == 8
    assert sum(model.sizes) == N  # what was tried is kept


def test_a_model_whose_speed_changes_keeps_to_the_number(collection, tmp_path, clock):
    store, model = Store(tmp_path / "store"), Paced(clock, 5.0)
    embed_collection(collection, model, store, batch_size=BATCH)
    shards = find_shards(tmp_path / "store")
    assert len(shards) == N / 8
    shards[1].unlink()
    for pace_s in (0.0, 1000.0):
        model.pace_s, model.sizes = pace_s, []
        embed_collection(collection, model, store, batch_size=BATCH)
        assert sum(model.sizes) == (0 if pace_s else 8)
    assert find_shards(tmp_path / "store") == shards
    assert read_recorded(images_entry(collection, model.key, store)) == 8


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (1, 64), (3, 64), (3, 3)])
def test_few_pictures_are_one_shard(collection, tmp_path, clock, n, batch_size):
    some, store = read_collection(tmp_path, n), Store(tmp_path / "store")
    model = Paced(clock, 0.01)
    found = embed_collection(some, model, store, batch_size=batch_size)
    assert found.vectors.shape == (n, 1, 4)
    assert sum(model.sizes) == n
    assert [file.name for file in find_shards(tmp_path / "store")] == [Shard(0, n).file_name]


def test_no_pictures_and_no_texts_are_said(tmp_path):
    store, model = Store(tmp_path / "store"), Paced(Clock(), 1.0)
    with pytest.raises(KisBenchError, match="colours: there are no pictures to embed"):
        embed_collection(read_collection(tmp_path, 0), model, store)
    with pytest.raises(KisBenchError, match="there are no texts to embed"):
        embed_texts([], model, store)
    assert not (tmp_path / "store").exists()


def test_where_a_batch_takes_longer_than_a_shard_may_it_is_cut(collection, tmp_path, clock):
    store, model = Store(tmp_path / "store"), Paced(clock, 20.0)
    found = embed_collection(collection, model, store, batch_size=16)
    assert images_entry(collection, model.key, store).shard_items == 2
    assert sum(model.sizes) == N
    assert model.sizes == [16] + [2] * 12
    np.testing.assert_array_equal(
        found.vectors,
        embed_collection(collection, model, Store(tmp_path / "other", shard_items=40)).vectors,
    )


def test_texts_have_a_number_of_their_own(tmp_path, clock):
    store, model = Store(tmp_path / "store"), Paced(clock, 5.0)
    embed_texts([f"text {i}" for i in range(N)], model, store, batch_size=BATCH)
    assert len(find_shards(tmp_path / "store")) == N / 8
    assert sum(model.sizes) == N


def test_two_writers_of_an_entry_agree(collection, tmp_path, clock):
    """Both found it new; the second is ten times as fast, but the first chose."""
    store = Store(tmp_path / "store")
    slow, fast = Paced(clock, 5.0), Paced(clock, 0.5)
    work = {model: passes.ImagePass(collection, model, BATCH) for model in (slow, fast)}
    entries = {model: images_entry(collection, model.key, store) for model in (slow, fast)}
    assert {entry.shard_items for entry in entries.values()} == {None}
    with work[slow], work[fast]:
        chosen = {model: work[model].choose_shard_items() for model in (slow, fast)}
        assert chosen == {slow: 8, fast: 64}
        settled = [entries[model].settle(chosen[model]) for model in (slow, fast)]
    assert [entry.shard_items for entry in settled] == [8, 8]
    embed_collection(collection, fast, store)
    assert len(find_shards(tmp_path / "store")) == N / 8
    # Whoever has an entry from before that was settled fills it as it is now, and finds all.
    found = entries[fast].fill(lambda *_: pytest.fail("all are there"), dict)
    assert found.vectors.shape == (N, 1, 4)


def make_older(folder, manifest):
    """As it was before numbers were recorded, or as a run left it that was killed and had no manifest yet."""
    about = json.loads((folder / MANIFEST).read_bytes())
    about.pop("shard_items", None)
    (folder / MANIFEST).unlink()
    if manifest:
        (folder / MANIFEST).write_text(json.dumps(about))


@pytest.mark.parametrize("manifest", [True, False])
def test_entries_of_before_are_read_and_filled_on(tmp_path, clock, manifest):
    """They have 512 in a shard, and record no number."""
    texts = [f"text {i}" for i in range(3 * SHARD_ITEMS - 5)]
    model, store = Paced(clock, 0.1), Store(tmp_path / "store")
    embed_texts(texts, model, Store(tmp_path / "store", shard_items=SHARD_ITEMS))
    shards = find_shards(tmp_path / "store")
    assert len(shards) == 3
    folder = shards[0].parent
    for lost in (shards[:0], shards[1:], shards[2:], shards[:1]):
        make_older(folder, manifest)
        for file in lost:
            file.unlink()
        model.sizes = []
        assert embed_texts(texts, model, store).vectors.shape == (len(texts), 1, 4)
        places = [[*map(int, file.stem.split("-"))] for file in lost]
        assert sum(model.sizes) == sum(stop - start for start, stop in places)
        assert find_shards(tmp_path / "store") == shards
        assert json.loads((folder / MANIFEST).read_bytes()).get("shard_items") == (
            SHARD_ITEMS if lost or not manifest else None
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"shard_items": 0}', "shard_items is 0"),
        ('{"shard_items": -8}', "shard_items is -8"),
        ('{"shard_items": 8.5}', "shard_items is 8.5"),
        ('{"shard_items": "8"}', "shard_items is '8'"),
        ('{"shard_items": true}', "shard_items is True"),
        ('{"shard_items": [8]}', "shard_items is [8]"),
        ('{"shard_items": 100000000000000}', "the shards beside it hold 8"),
        ('{"shard_items": 4}', "the shards beside it hold 8"),
        ('{"shard_items": 8', "can't be read"),
        ("", "can't be read"),
        ("\udcff", "can't be read"),
        ("[]", "is no JSON object"),
    ],
)
def test_a_damaged_number_is_said_with_file_and_remedy(collection, tmp_path, clock, content, said):
    store, model = Store(tmp_path / "store"), Paced(clock, 5.0)
    whole = embed_collection(collection, model, store, batch_size=BATCH)
    manifest = images_entry(collection, model.key, store).folder / MANIFEST
    manifest.write_bytes(content.encode("utf-8", "surrogateescape"))
    model.sizes = []
    with pytest.raises(BadFile) as error:
        embed_collection(collection, model, store)
    assert str(manifest) in str(error.value)
    assert said in str(error.value)
    assert "delete manifest.json" in str(error.value)
    manifest.unlink()
    again = embed_collection(collection, model, store)
    np.testing.assert_array_equal(again.vectors, whole.vectors)
    assert model.sizes == []
    assert read_recorded(images_entry(collection, model.key, store)) == 8


class Counts:
    """Watches how far steps say they are."""

    def __init__(self):
        self.seen, self.limits = [], []

    def begin(self, step):
        self.update(step)

    def update(self, step):
        if step.unit:
            self.seen.append((step.done, step.total))
            self.limits.append(step.limit)

    end = update


def test_copies_of_pictures_are_counted_once(collection, tmp_path, clock):
    """They are passed when speed is found, and again when shards are made of them."""
    for i in range(N):
        (tmp_path / f"{N + i}.png").write_bytes(collection.paths[i].read_bytes())
    double = read_collection(tmp_path, 2 * N)
    model, counts = Paced(clock, 0.01), Counts()
    with watch(counts):
        found = embed_collection(double, model, Store(tmp_path / "store"), batch_size=BATCH)
    assert sum(model.sizes) == N
    assert counts.seen[-1] == (2 * N, 2 * N)
    assert max(done for done, _ in counts.seen) == 2 * N
    np.testing.assert_array_equal(found.vectors[:N], found.vectors[N:])


def test_a_shard_of_copies_alone_is_made_again(collection, tmp_path, clock):
    for i in range(4):
        (tmp_path / f"{N + i}.png").write_bytes(collection.paths[i].read_bytes())
    longer, store = read_collection(tmp_path, N + 4), Store(tmp_path / "store", shard_items=4)
    model = Paced(clock, 0.01)
    before = np.array(embed_collection(longer, model, store).vectors)
    find_shards(tmp_path / "store")[-1].unlink()
    model.sizes = []
    np.testing.assert_array_equal(embed_collection(longer, model, store).vectors, before)
    assert model.sizes == []


def test_texts_wait_for_the_model(tmp_path, clock, monkeypatch):
    def take_long(self, texts):
        clock.now_s += 7.0
        return np.full((len(texts), 1, 4), 0.5, np.float32), np.zeros(len(texts), bool)

    model = Paced(clock, 0.01)
    monkeypatch.setattr(Paced, "encode_texts", take_long)
    assert embed_texts(["a", "b", "c"], model, Store(tmp_path)).limit == "forward"


@pytest.mark.parametrize("slow", ["decode", "forward", "disk"])
def test_the_stage_that_is_waited_for_is_told(collection, tmp_path, clock, monkeypatch, slow):
    def slow_down(owner, name):
        own = getattr(owner, name)

        def take_long(*arguments):
            clock.now_s += 7.0
            return own(*arguments)

        monkeypatch.setattr(owner, name, take_long)

    slow_down(
        *{"decode": (passes.ImagePass, "take"), "disk": (Entry, "write_shard")}.get(
            slow, (Paced, "encode_images")
        )
    )
    store, model, counts = Store(tmp_path / "store", shard_items=4), Paced(clock, 0.5), Counts()
    with watch(counts):
        assert embed_collection(collection, model, store, batch_size=4).limit == slow
    assert counts.limits[-1] == slow
    assert embed_collection(collection, model, store).limit is None


if __name__ == "__main__":
    embed_until_killed(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
