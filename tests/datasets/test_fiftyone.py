"""Datasets as FiftyOne exports them."""

import json

import pytest
from builders import draw_pictures

from kis_bench import datasets
from kis_bench.errors import BadFile


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))
    draw_pictures(tmp_path / "data", "x.png", "x-2.png", "deep/x.png")
    return tmp_path


def write(folder, *samples):
    (folder / "metadata.json").write_text('{"name": "mine"}')
    (folder / "samples.json").write_text(json.dumps({"samples": samples}))


def test_fields_of_texts_are_label_sets_and_classes_are_none(folder):
    label = {"_cls": "Classification", "label": "A dog runs"}
    write(
        folder,
        {"filepath": "data/x-2.png", "caption": "A cat", "description": ["a", "b"]},
        {"filepath": "data/deep/x.png", "caption": label, "ground_truth": {"label": "dog"}},
        {"filepath": "/elsewhere/export/data/x.png", "caption": None},
    )
    found = datasets.load("mine", folder)
    assert [(q.query_id, q.label_set, q.text) for q in found.all_queries] == [
        ("deep/x#0", "caption", "A dog runs"),
        ("x-2#0", "caption", "A cat"),
        ("x-2#0", "description", "a"),
        ("x-2#1", "description", "b"),
    ]
    assert found.unread == ("fields of classes in samples.json: ground_truth",)


def test_classes_alone_are_no_texts(folder):
    write(folder, {"filepath": "data/x.png", "ground_truth": {"label": "dog"}}, {"tags": []})
    with pytest.raises(BadFile, match=r"samples\[1\]: filepath is missing"):
        datasets.load("mine", folder)
    write(folder, {"filepath": "data/x.png", "ground_truth": {"label": "dog"}})
    with pytest.raises(BadFile, match="classes are no texts: ground_truth"):
        datasets.load("mine", folder)


def test_pictures_of_other_folders_are_not_one(folder):
    write(
        folder,
        {"filepath": "/home/u/a/x-2.png", "caption": "A"},
        {"filepath": "/home/u/b/x-2.png", "caption": "B"},
    )
    with pytest.raises(BadFile, match="x-2.png' and .*b/x-2.png' both lead to item 'x-2'"):
        datasets.load("mine", folder)


def test_label_sets_without_a_text_are_not_listed(folder):
    write(folder, {"filepath": "data/x.png", "caption": "A cat", "description": ""})
    row = datasets.DatasetRow("mine", folder)
    assert datasets.list_label_sets(row) == ("caption",)
    assert datasets.load("mine", folder).label_sets == ("caption",)
