"""Texts in the shards of WebDataset and img2dataset."""

import io
import json
import tarfile

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.datasets.label_formats import find_labels, tar_texts
from kis_bench.errors import BadFile


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def pack(file, **members):
    """A shard of these members in this order; a picture is its red."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            if isinstance(content, int):
                stream = io.BytesIO()
                Image.new("RGB", (8, 8), (content, 0, 0)).save(stream, "PNG")
                content = stream.getvalue()
            elif isinstance(content, dict | list):
                content = json.dumps(content).encode()
            elif isinstance(content, str):
                content = content.encode()
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))


def ask(found):
    return [(query.query_id, query.label_set, query.text) for query in found.all_queries]


def test_texts_belong_to_the_picture_of_their_key_anywhere_in_the_shard(tmp_path):
    pack(
        tmp_path / "shards" / "00000.tar",
        **{
            "b.txt": " two\nlines ",
            "0001.jpg": 1,
            "IMG.2019.05.JPG": 2,
            "b.jpg": 3,
            "IMG.2019.06.jpg": 4,
            "IMG.2019.06.txt": "June",
            "0001.json": {"caption": "of JSON", "status": "success"},
            "IMG.2019.05.txt": "May",
            "c.webp": 5,
            "c.txt": "",
            "lonely.txt": "of no picture",
            "d.png": 6,
            "d.txt": "D",
            "d.json": {"caption": "D", "text": "not read"},
            "e.png": 7,
            "e.txt": "E",
            "e.json": {"caption": "another"},
            "f.png": 8,
            "f.json": {"text": ["F", "F2", "F"], "key": "00008"},
        },
    )
    found = datasets.load("mine", tmp_path)
    assert ask(found) == [
        ("shards/0001#0", "captions", "of JSON"),
        ("shards/IMG.2019.05#0", "captions", "May"),
        ("shards/IMG.2019.06#0", "captions", "June"),
        ("shards/b#0", "captions", "two lines"),
        ("shards/d#0", "captions", "D"),
        ("shards/e#0", "captions", "E"),
        ("shards/f#0", "captions", "F"),
        ("shards/f#1", "captions", "F2"),
    ]
    assert len(found.collection) == 8
    assert datasets.list_label_sets(datasets.DatasetRow("mine", tmp_path)) == ("captions",)
    said = "1 empty of captions, 1 of captions that their picture has already"
    assert found.unread == (f"texts in archives: {said}",)
    assert found.left_out == {".txt": 1}
    assert found.remarks == (
        "pictures without a text, searched all the same: 1",
        "1 picture of which .txt and .json say different things: .txt is read",
        "2 pictures in archives with a dot in the name: webdataset would take what follows it for a suffix",
    )


def test_a_text_of_two_pictures_is_of_none(tmp_path):
    members = {"a.jpg": 1, "a.png": 2, "a.txt": "which?", "b.png": 3, "b.txt": "B"}
    pack(tmp_path / "images" / "0.tar", **members)
    found = datasets.load("mine", tmp_path)
    assert ask(found) == [("b#0", "captions", "B")]
    assert found.left_out == {".txt": 1}
    assert found.collection.ids == ("a.jpg", "a.png", "b")


def test_members_that_cannot_be_read_are_all_named(tmp_path):
    members = {"a.jpg": 1, "a.txt": "A", "b.png": 2, "b.txt": b"\xff", "c.png": 3, "c.json": "{"}
    pack(tmp_path / "0.tar", **members)
    with pytest.raises(BadFile) as error:
        datasets.load("mine", tmp_path)
    assert [one.partition(" ")[0] for one in error.value.problems] == ["b.txt", "c.json"]
    assert str(error.value).startswith(f"{tmp_path / '0.tar'}:")


def test_labels_go_first_and_json_of_other_things_is_no_text(tmp_path):
    notes = {"a.jpg": 1, "a.json": {"width": 8}, "b.jpg": 2, "b.json": [1]}
    pack(tmp_path / "images" / "0.tar", **notes)
    assert datasets.list_label_sets(datasets.DatasetRow("mine", tmp_path)) == ()
    assert datasets.load("mine", tmp_path).left_out == {".json": 2}
    header = "query_id,item_id,label_set,text\n"
    (tmp_path / "labels.csv").write_text(f"{header}q,a,short,cat\n")
    pack(tmp_path / "images" / "0.tar", **notes, **{"b.txt": "B"})
    assert datasets.load("mine", tmp_path).label_sets == ("short",)


def test_a_member_that_cannot_be_read_is_no_problem_beside_one_with_a_text(tmp_path):
    members = {"a.jpg": 1, "a.txt": "A", "a.json": "{", "b.jpg": 2, "b.txt": "", "b.json": "{"}
    pack(tmp_path / "0.tar", **members)
    with pytest.raises(BadFile) as error:
        datasets.load("mine", tmp_path)
    assert [one.partition(" ")[0] for one in error.value.problems] == ["b.json"]
    pack(tmp_path / "0.tar", **{**members, "b.json": {"caption": "B"}})
    found = datasets.load("mine", tmp_path)
    assert [text for _, _, text in ask(found)] == ["A", "B"]
    said = "1 text in archives that can't be read, beside others with texts: a.json"
    assert said in found.remarks


def test_a_shard_is_opened_again_only_if_it_has_changed(tmp_path, monkeypatch):
    pack(tmp_path / "0.tar", **{"a.jpg": 1, "a.json": {"width": 8}})
    opened = []
    take = tar_texts.open_shard
    monkeypatch.setattr(tar_texts, "open_shard", lambda file: opened.append(file) or take(file))
    for _ in range(3):
        assert find_labels(tmp_path).form is None or not find_labels(tmp_path).files
    assert len(opened) == 1
    pack(tmp_path / "0.tar", **{"a.jpg": 1, "a.txt": "now it has one"})
    assert [file.name for file in find_labels(tmp_path).files] == ["0.tar"]
    assert len(opened) == 2
