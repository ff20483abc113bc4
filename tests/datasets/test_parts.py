"""Parts of datasets in their names, and names that merely have colons."""

from dataclasses import replace
from pathlib import Path

import pytest
from builders import draw_pictures

from kis_bench import datasets
from kis_bench.checks.datasets import check_dataset
from kis_bench.datasets.layouts import choose_layout
from kis_bench.datasets.parts import DatasetPart
from kis_bench.embed import images_entry
from kis_bench.errors import KisBenchError
from kis_bench.store import Store

LABELS = "query_id,item_id,label_set,text\nq1,a,short,red\n"


@pytest.fixture
def here(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_labelled(folder):
    draw_pictures(folder / "images", "a.png")
    (folder / "labels.csv").write_text(LABELS)
    return folder


@pytest.mark.parametrize("name", ["trip 12:30:00", "a:b:c", "a:b", "a:b:"])
def test_colons_in_the_name_of_a_folder_ask_for_nothing(here, name):
    folder = make_labelled(here / name)
    rows = [
        datasets.parse_row(name),
        datasets.parse_row(name, data=here),
        datasets.parse_row(f"./{name}"),
        datasets.parse_row(str(folder)),
        datasets.parse_row(f"{name}={folder}"),
    ]
    for row in rows:
        assert row.name == name
        assert datasets.find_readiness(row).ready
        assert datasets.list_label_sets(row) == ("short",)
        found = datasets.load(row.name, row.folder)
        assert (found.name, found.remarks, len(found.all_queries)) == (name, (), 1)
    assert all("parts" not in check.finding for check in check_dataset(name, folder))


def test_a_part_of_the_folder_right_here_is_called_as_the_folder(here, monkeypatch):
    monkeypatch.chdir(make_labelled(here / "mine"))
    row = datasets.parse_row(".:val:5")
    assert (row.name, row.folder) == ("mine:val:5", Path())
    for nameless in (":val", ":val=.", "=."):
        with pytest.raises(KisBenchError, match="write NAME, NAME=FOLDER, or a folder"):
            datasets.parse_row(nameless)


def test_parts_of_the_same_pictures_share_their_vectors(here):
    collection = datasets.load("mine", make_labelled(here / "mine")).collection
    names = ("mine", "mine:test", "mine:test:5")
    places = {
        images_entry(replace(collection, name=name), "key-1", Store(here)).folder for name in names
    }
    assert len(places) == 1
    other = replace(collection, name="other:test")
    assert images_entry(other, "key-1", Store(here)).folder not in places


def test_colons_ask_for_nothing_where_labels_have_no_parts(here):
    folder = make_labelled(here / "mine")
    row = datasets.parse_row(f"a:b:c={folder}")
    assert datasets.list_label_sets(row) == ("short",)
    found = datasets.load(row.name, row.folder)
    assert len(found.all_queries) == 1
    assert found.remarks[0].startswith("labels.csv has no parts")


def test_digits_that_are_no_number_of_texts_are_told():
    for texts in ("0", "x", "", "²", "9" * 5000):
        assert "is no number of texts" in DatasetPart.parse(f"a:b:{texts}").wrong
    assert DatasetPart.parse("a:b:12") == ("a", "b", 12, "")


def test_the_layout_is_that_of_the_name_without_its_part(here):
    assert choose_layout("mvk:all").name == "mvk"
    assert choose_layout("mvk:all", "folders").name == "folders"
    assert choose_layout("photos:summer", None, here / "photos:summer").name == "folder"
    draw_pictures(here / "mvk" / "images", "0001/a.png", "0002/b.png")
    (here / "mvk" / "captions.json").write_text(
        '{"images": [{"id": 1, "file_name": "0001/a.png"}],'
        ' "annotations": [{"image_id": 1, "caption": "A"}]}'
    )
    for name in ("mvk", "mvk:all"):
        assert datasets.load(name, here / "mvk").collection.groups == ("0001", "0002")
