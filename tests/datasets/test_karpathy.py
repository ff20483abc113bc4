"""Karpathy's splits of Flickr8k, Flickr30k and COCO."""

import json

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.errors import BadFile

SPLITS = {"train": 2, "restval": 1, "val": 1, "test": 3}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def make_images(splits, texts=2, **more):
    """Records as the published files have them, with keys that nobody needs."""
    names = [split for split, n in splits.items() for _ in range(n)]
    return [
        {
            "sentids": [*range(i * texts, (i + 1) * texts)],
            "imgid": i,
            "sentences": [
                {"tokens": ["a", f"{name}{n}"], "raw": f"A {name.title()}-{i}, {n}. ", "imgid": i}
                for n in range(texts)
            ],
            "split": name,
            "filename": f"{i}.jpg",
            **more,
        }
        for i, name in enumerate(names)
    ]


@pytest.fixture
def folder(tmp_path):
    images = make_images(SPLITS)
    for i, image in enumerate(images):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "images" / image["filename"])
    write(tmp_path, images)
    return tmp_path


def write(folder, images, dataset="flickr8k"):
    content = json.dumps({"images": images, "dataset": dataset})
    (folder / "dataset_flickr8k.json").write_text(content)


def load(name, folder):
    found = datasets.load(name, folder)
    return found, [(query.query_id, query.text) for query in found.all_queries]


def test_the_test_split_alone_is_searched_and_the_counts_of_all_are_said(folder):
    found, asked = load("flickr8k", folder)
    assert found.collection.ids == ("4", "5", "6")
    assert asked[:3] == [("4#0", "A Test-4, 0."), ("4#1", "A Test-4, 1."), ("5#0", "A Test-5, 0.")]
    assert found.remarks == (
        "dataset_flickr8k.json has the splits train (2 pictures, 4 texts), restval (1 pictures, 2 texts), "
        "val (1 pictures, 2 texts), test (3 pictures, 6 texts); read is test",
        "dataset_flickr8k.json: 3 pictures, 6 texts (texts of a picture: 2 of 3)",
        "4 pictures of other parts of the dataset, which are not searched",
        "papers report on 1,000 pictures and 5,000 texts of flickr8k's test split, and here are 3 and 6; "
        "those are what the original dataset_flickr8k.json says",
    )
    assert (found.left_out, found.unread) == ({}, ())
    whole = datasets.load("flickr8k:all", folder)
    assert found.fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    ("name", "ids", "texts"),
    [
        ("x:val", "3", 2),
        ("x:train", "012", 6),  # as papers mean it
        ("x:restval", "2", 2),
        ("x:all", "0123456", 14),
        ("x:test:1", "456", 3),
        ("x:all:5", "0123456", 14),
    ],
)
def test_a_name_asks_for_a_split_and_for_the_first_texts(folder, name, ids, texts):
    found, asked = load(name, folder)
    assert (found.name, found.collection.ids, len(asked)) == (name, tuple(ids), texts)
    row = datasets.DatasetRow(name, folder)
    assert datasets.list_label_sets(row) == found.label_sets == ("captions",)
    limited = "texts read of each picture, as the name asks: the first 1"
    assert (limited in found.remarks) == name.endswith(":1")


def test_parts_are_asked_for_wherever_a_dataset_is_named(folder, monkeypatch):
    right_here = folder.parent
    row = datasets.parse_row(f"{folder}:val")
    assert (row.name, row.folder) == (f"{folder.name}:val", folder)
    assert datasets.parse_row(f"f:val={folder}") == datasets.DatasetRow("f:val", folder)
    declared = datasets.DatasetRow("f", folder, ("captions",))
    assert datasets.parse_row("f:val", [declared]).folder == folder
    assert datasets.parse_row("f:val", [declared]).label_sets == ("captions",)
    below = datasets.parse_row(f"{folder.name}:val", data=right_here)
    assert (below.name, below.folder) == (f"{folder.name}:val", folder)
    monkeypatch.chdir(right_here)
    assert datasets.parse_row(f"{folder.name}:val").folder.samefile(folder)
    wrong = datasets.parse_row(f"f:val:x={folder}")
    for read in (datasets.list_label_sets, lambda row: datasets.load(row.name, row.folder)):
        with pytest.raises(BadFile, match="'x' is no number of texts; f:val:5 takes the first"):
            read(wrong)


def test_a_split_that_the_file_lacks_is_an_error_with_those_it_has(folder):
    with pytest.raises(BadFile, match="no split 'dev'.*NAME:train, NAME:restval, NAME:val, NAME:t"):
        datasets.list_label_sets(datasets.DatasetRow("x:dev", folder))


def test_pictures_of_coco_are_found_with_and_without_their_folder(folder):
    write(folder, make_images({"test": 2}, filepath="val2014"), "coco")
    assert load("coco", folder)[0].collection.ids == ("0", "1")
    (folder / "images" / "val2014").mkdir()
    for i in (0, 1):
        picture = folder / "images" / f"{i}.jpg"
        picture.rename(folder / "images" / "val2014" / picture.name)
    assert load("coco", folder)[0].collection.ids == ("val2014/0", "val2014/1")


def test_a_copy_that_lost_sentences_is_an_error_that_names_the_split(folder):
    images = make_images(SPLITS)
    images[5] |= {"sentences": []}  # and sentids as before
    write(folder, images)
    with pytest.raises(BadFile, match=r"split test: 1 of 3 pictures .*images\[5\]; take the orig"):
        datasets.load("x", folder)
    assert len(datasets.load("x:val", folder).all_queries) == 2


def test_tokens_are_no_texts(folder):
    images = make_images(SPLITS)
    del images[4]["sentences"][1]["raw"]
    write(folder, images)
    with pytest.raises(BadFile, match=r"images\[4\].sentences: raw is missing, and tokens have l"):
        datasets.load("x", folder)


@pytest.mark.parametrize("key", ["filename", "split", "sentences"])
def test_records_that_lack_something_are_all_named(folder, key):
    images = make_images(SPLITS)
    del images[0][key], images[6][key]
    write(folder, images)
    with pytest.raises(BadFile) as error:
        datasets.load("x", folder)
    assert [one.partition(" ")[0] for one in error.value.problems] == ["images[0]", "images[6]"]


def test_label_files_have_no_parts_and_that_is_said(folder):
    header = "query_id,item_id,label_set,text\n"
    (folder / "labels.csv").write_text(f"{header}q,0,short,cat\n")
    found = datasets.load("x:val", folder)
    assert len(found.collection) == 7
    said = (
        "labels.csv has no parts, so that all of it is read, whatever the dataset's name asks for"
    )
    assert found.remarks == (said,)
