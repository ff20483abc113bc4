"""Pictures that can't be read are left out where somebody asks for it: by name, with the queries for them."""

import os

import pytest
from builders import call_cli
from PIL import Image

from kis_bench import datasets, encoders
from kis_bench.datasets import unreadable
from kis_bench.datasets.left_out import UNREADABLE_PICTURES
from kis_bench.embed import embed_collection
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.measuring.provenance import describe_dataset
from kis_bench.store import Store

LABELS = """query_id,item_id,label_set,text
q1,a,short,a red picture
q2,b,short,a broken picture
q3,b,both,one of two
q3,c,both,one of two
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    for name, colour in {"a": "red", "c": "blue", "d": "white"}.items():
        Image.new("RGB", (8, 8), colour).save(images / f"{name}.png")
    (images / "b.png").write_bytes(b"no picture")
    (tmp_path / "mine" / "labels.csv").write_text(LABELS)
    return tmp_path / "mine"


def test_nothing_is_left_out_unasked(folder):
    dataset = datasets.load("mine", folder)
    assert len(dataset.collection) == 4
    with pytest.raises(BadFile, match=r"b\.png"):
        embed_collection(dataset.collection, encoders.load("colour-words"), Store(folder / "store"))


def test_a_picture_is_left_out_with_the_queries_for_it_and_both_are_named(folder):
    dataset = datasets.load("mine", folder, skip_unreadable=True)
    assert dataset.collection.ids == ("a", "c", "d")
    assert list(dataset.unreadable) == ["b"]
    assert dataset.unreadable["b"].startswith("empty, or none of JPEG")
    assert dataset.unasked == ("short/q2",)
    assert dataset.left_out == {UNREADABLE_PICTURES: 1}
    assert [query.query_id for query in dataset.queries("short")] == ["q1"]
    assert dataset.queries("both")[0].item_ids == ("c",)
    about = describe_dataset(dataset, privacy=True)
    assert about["unreadable"] == dataset.unreadable
    assert about["queries_left_out"] == ["short/q2"]
    assert dataset.fingerprint != datasets.load("mine", folder).fingerprint
    embedded = embed_collection(
        dataset.collection, encoders.load("colour-words"), Store(folder / "store")
    )
    assert embedded.ids == ("a", "c", "d")


def test_where_all_can_be_read_it_is_the_same_collection(folder):
    (folder / "images" / "b.png").write_bytes((folder / "images" / "d.png").read_bytes())
    before, after = (datasets.load("mine", folder, skip_unreadable=skip) for skip in (False, True))
    assert after.fingerprint == before.fingerprint
    assert (after.unreadable, after.unasked, after.left_out) == ({}, (), {})
    assert "unreadable" not in describe_dataset(after, privacy=False)


def test_groups_and_times_stay_with_their_items(folder):
    rows = "".join(f"{name},images/{name}.png,{name}-group,{i}\n" for i, name in enumerate("abcd"))
    (folder / "images.csv").write_text("item_id,path,group,time_s\n" + rows)
    collection = datasets.load("mine", folder, skip_unreadable=True).collection
    assert collection.groups == ("a-group", "c-group", "d-group")
    assert collection.times_s == (0.0, 2.0, 3.0)


def test_each_content_is_decoded_once_and_remembered(folder, monkeypatch):
    old = 1_700_000_000
    for file in (folder / "images").iterdir():
        os.utime(file, (old, old))
    (folder / "images" / "e.png").write_bytes((folder / "images" / "d.png").read_bytes())
    decoded = []
    whole = unreadable.find_fault
    monkeypatch.setattr(
        unreadable, "find_fault", lambda picture: (decoded.append(picture.stem), whole(picture))[1]
    )
    first = datasets.load("mine", folder, skip_unreadable=True)
    assert decoded == ["a", "b", "c", "d"]
    decoded.clear()
    again = datasets.load("mine", folder, skip_unreadable=True)
    assert again.fingerprint == first.fingerprint
    assert decoded == ["b"]  # which may be mended
    decoded.clear()
    monkeypatch.setenv("KIS_MAX_PIXELS", "63")
    with pytest.raises(KisBenchError, match=r"none of 5 pictures can be read, .*limit is 63"):
        datasets.load("mine", folder, skip_unreadable=True)


def test_a_label_set_without_any_picture_is_an_error(folder):
    (folder / "labels.csv").write_text(LABELS + "q9,b,lost,nothing\n")
    with pytest.raises(KisBenchError, match="label set lost: no target of any query can be read"):
        datasets.load("mine", folder, skip_unreadable=True)


def test_a_dangling_link_is_left_out_as_well(folder):
    (folder / "images" / "e.png").symlink_to(folder / "nowhere.png")
    dataset = datasets.load("mine", folder, skip_unreadable=True)
    assert dataset.unreadable["e"] == "No such file or directory"


def test_commands_take_the_options(folder, tmp_path):
    store = tmp_path / "store"
    embedding = ("embed", f"mine={folder}", "--model", "colour-words", "--store", store)
    refused = call_cli(*embedding, cwd=tmp_path)
    assert refused.returncode == 2
    assert "b.png" in refused.stderr
    done = call_cli(*embedding, "--skip-unreadable", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "left out of mine: 1 (unreadable pictures); what they show can't be found; replace"
        in done.stdout
    )
    assert "left out of mine: 1 picture can't be read: b (empty, or none of" in done.stdout
    assert "left out of mine: 1 query of which no target can be read: short/q2" in done.stdout
    small = call_cli(*embedding, "--skip-unreadable", "--max-pixels", "10", cwd=tmp_path)
    assert small.returncode == 2
    assert "8 x 8 = 64 pixels, and the limit is 10; --max-pixels 64 reads it" in small.stderr


def test_the_check_takes_them_too(folder, tmp_path):
    refused = call_cli("datasets", "check", folder, cwd=tmp_path)
    assert refused.returncode == 1
    assert "unless --skip-unreadable leaves them out" in refused.stdout
    done = call_cli("datasets", "check", folder, "--skip-unreadable", cwd=tmp_path)
    assert "note  pictures: 1 picture can't be read: b (empty" in done.stdout
    assert "1 query of which no target can be read: short/q2" in done.stdout
    assert "identical files:" in done.stdout
    small = call_cli("datasets", "check", folder, "--max-pixels", "63", cwd=tmp_path)
    assert "--max-pixels 64 reads it" in small.stdout
