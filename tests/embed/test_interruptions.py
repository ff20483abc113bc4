"""What goes wrong in the middle of embedding and ranking: one clear line, exit code 2, and what was done is kept."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.cli import main
from kis_bench.embed import embed_collection, images_entry
from kis_bench.encoders import colour_words, passes
from kis_bench.ranking import target_ranks
from kis_bench.store import Store, arrays, entry

N, BATCH, LARGE = 12, 2, 8


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures and one label; one picture is larger than the others."""
    images = tmp_path / "colours" / "images"
    images.mkdir(parents=True)
    for i in range(N):
        side = 40 if i == LARGE else 8
        Image.new("RGB", (side, side), (20 * i, 255 - 20 * i, 9)).save(images / f"{i:02}.png")
    labels = "query_id,item_id,label_set,text\nq,03,short,green\n"
    (tmp_path / "colours" / "labels.csv").write_text(labels)
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "colours"


@pytest.fixture
def small_shards(monkeypatch):
    """Two pictures in a shard, as of a model that takes half a minute for each."""
    monkeypatch.setattr(passes, "TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(passes, "count_shard_items", lambda *_: BATCH)


def read_shards(store):
    return {file: file.stat().st_mtime_ns for file in store.rglob("*/images/*.arrow")}


def test_a_picture_over_the_limit_ends_it_and_the_rest_is_kept(
    folder, small_shards, monkeypatch, capsys
):
    store = folder.parent / "store"
    command = ["embed", f"colours={folder}", "--model", "colour-words", "--store", str(store)]
    command += ["--batch-size", str(BATCH)]
    monkeypatch.setenv("KIS_MAX_PIXELS", "1000")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"{LARGE:02}.png" in said
    assert "40 x 40 = 1,600 pixels, and the limit is 1,000; --max-pixels 1600 reads it" in said
    assert "Traceback" not in said
    kept = read_shards(store)
    assert len(kept) == LARGE / BATCH
    assert main([*command, "--max-pixels", "1600"]) == 0
    whole = read_shards(store)
    assert len(whole) == N / BATCH
    assert kept.items() <= whole.items()


@pytest.fixture
def collection(folder):
    return datasets.load("colours", folder).collection


class Vanishing(colour_words.ColourWords):
    """A model during whose third batch files of the store go away."""

    def __init__(self, vanish):
        super().__init__("vanishing", "vanishing-1")
        self.vanish, self.sizes = vanish, []

    def encode_prepared(self, prepared):
        self.sizes.append(len(prepared))
        if len(self.sizes) == 3:
            self.vanish()
        return super().encode_prepared(prepared)


@pytest.mark.parametrize("whole", [False, True], ids=["a shard", "the folder"])
def test_vectors_that_vanish_while_others_are_made(collection, tmp_path, whole):
    """The session has all vectors; the next one makes again what is missing, and nothing else."""
    store = Store(tmp_path / "store", shard_items=BATCH)
    place = images_entry(collection, "vanishing-1", store)
    first = place.folder / place.shards()[0].file_name
    model = Vanishing(lambda: shutil.rmtree(store.path) if whole else first.unlink())
    found = np.array(embed_collection(collection, model, store, batch_size=BATCH).vectors)
    expected = embed_collection(collection, model, Store(tmp_path / "other")).vectors
    np.testing.assert_array_equal(found, expected)
    lost = place.missing()
    assert lost == place.shards()[: 2 if whole else 1]
    model.sizes = []
    again = embed_collection(collection, model, store, batch_size=BATCH).vectors
    np.testing.assert_array_equal(again, expected)
    assert sum(model.sizes) == BATCH * len(lost)
    assert place.missing() == []


def test_vectors_that_vanish_before_they_are_read_again(
    folder, tmp_path, small_shards, monkeypatch, capsys
):
    """Another process clears the store between the writing of a shard and its use."""
    own, calls = entry.write_first, []

    def write_and_lose(file, content):
        written = own(file, content)
        if file.suffix == ".arrow":
            calls.append(file)
            if len(calls) == 3:
                file.unlink()
        return written

    monkeypatch.setattr(entry, "write_first", write_and_lose)
    store = tmp_path / "store"
    command = ["embed", f"colours={folder}", "--model", "colour-words", "--store", str(store)]
    assert main([*command, "--batch-size", str(BATCH)]) == 2
    said = capsys.readouterr().err
    assert f"{calls[2]} vanished or was damaged meanwhile; run again" in said
    assert "Traceback" not in said
    kept = read_shards(store)
    assert {*kept} == {*calls[:2]}
    assert main([*command, "--batch-size", str(BATCH)]) == 0
    assert kept.items() <= read_shards(store).items()


@pytest.mark.skipif(sys.platform == "win32", reason="files that are mapped stay there")
@pytest.mark.parametrize("at_once", [0, 64 * 2**20], ids=["in parts", "as one array"])
def test_vectors_that_vanish_while_they_are_ranked(collection, tmp_path, monkeypatch, at_once):
    """They are mapped, so the system keeps their bytes until the session ends; the next one embeds again."""
    monkeypatch.setattr(arrays, "READ_AT_ONCE", at_once)
    store, model = Store(tmp_path / "store", shard_items=BATCH), Vanishing(lambda: None)
    items = embed_collection(collection, model, store).vectors
    queries = np.array(items)[:, 0]
    targets = [[i] for i in range(N)]
    before = target_ranks(queries, items, targets, top_k=N)
    shutil.rmtree(store.path)
    after = target_ranks(queries, items, targets, top_k=N)
    for name in ("best", "worst", "top_items", "target_score"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    model.sizes = []
    embed_collection(collection, model, store)
    assert sum(model.sizes) == N
