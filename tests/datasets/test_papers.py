"""The collections on which papers report, known by their names."""

import json
from pathlib import Path

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.checks.datasets import check_dataset
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.catalogue import read_datasets
from kis_bench.datasets.papers import (
    PAPER_COLLECTIONS,
    PaperCollection,
    compare_counts,
    refuse_other_collection,
)
from kis_bench.datasets.parts import DatasetPart
from kis_bench.errors import BadFile, KisBenchError, NotReady


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("KIS_DATA", raising=False)


def make_folder(folder, pictures=3, about=None):
    """Pictures, with texts of the collection ``about``."""
    (folder / "images").mkdir(parents=True)
    for i in range(pictures):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / "images" / f"{i}.jpg")
    if about is not None:
        images = [
            {"filename": f"{i}.jpg", "split": "test", "sentences": [{"raw": f"Text {i}."}]}
            for i in range(3)
        ]
        content = json.dumps({"images": images, "dataset": about})
        (folder / f"dataset_{about}.json").write_text(content)
    return folder


@pytest.mark.parametrize("name", ["flickr30k", "flickr8k", "coco", "coco:val", "coco:test:5"])
def test_who_lacks_one_is_told_where_it_is_to_be_had(name):
    assert DatasetPart.parse(name).whole in datasets.BUILT_IN
    row = datasets.parse_row(name)
    state = datasets.find_readiness(row)
    assert state.state == "no data"
    assert "docs/datasets/captions.md" in state.remedy
    assert f"--kis-dataset {name}=FOLDER" in state.remedy


@pytest.mark.parametrize("name", ["coco", "coco:val"])
def test_a_folder_of_that_name_right_here_is_the_dataset(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "coco")
    assert datasets.parse_row(name) == DatasetRow(name, Path("coco"))
    monkeypatch.setenv("KIS_DATA", str(tmp_path / "data"))
    assert datasets.parse_row(name).folder == Path("coco")
    make_folder(tmp_path / "data" / "coco")
    assert datasets.parse_row(name).folder == tmp_path / "data" / "coco"


def test_a_suite_asks_for_none_of_them_unasked():
    declared = read_datasets(Path(__file__).parents[2] / "fixtures" / "datasets.toml")
    assert not {row.name for row in declared} & PAPER_COLLECTIONS.keys()
    assert PAPER_COLLECTIONS.keys() < {*datasets.BUILT_IN}  # and all are listed


def test_all_three_are_told_in_the_same_words():
    assert len({one.get for one in PAPER_COLLECTIONS.values()}) == 1


def test_pictures_alone_lack_a_file_of_a_name(tmp_path):
    row = DatasetRow("coco:val", make_folder(tmp_path))
    error = datasets.explain_no_queries(row)
    assert isinstance(error, NotReady)
    assert "dataset_coco.json is missing" in str(error)
    assert "5,000 pictures and 25,010 texts" in str(error)
    other = str(datasets.explain_no_queries(DatasetRow("mine", tmp_path)))
    assert "dataset_coco" not in other


def test_texts_alone_lack_so_many_pictures(tmp_path):
    folder = make_folder(tmp_path, 0, "flickr30k")
    with pytest.raises(KisBenchError, match="no images in .* papers search the 1,000"):
        datasets.load("flickr30k", folder)


@pytest.mark.parametrize("name", ["flickr30k", "flickr30k:all"])
def test_the_file_of_another_collection_is_refused(tmp_path, name):
    folder = make_folder(tmp_path, 1, "flickr8k")  # nor are all of its pictures there
    with pytest.raises(BadFile, match="it is about flickr8k, and the dataset is called flickr30k"):
        datasets.load(name, folder)


def test_a_dataset_of_another_name_may_have_any_file(tmp_path):
    found = datasets.load("mine", make_folder(tmp_path, 3, "coco"))
    assert found.remarks[-1].startswith("papers report on 5,000 pictures and 25,010 texts of coco")


@pytest.mark.parametrize(
    ("name", "pictures", "texts", "said"),
    [
        ("flickr30k", 1_000, 5_000, None),
        ("flickr30k:test", 1_000, 5_000, None),
        ("coco", 5_000, 25_010, None),
        ("coco:test:5", 5_000, 25_000, "coco alone asks for"),
        ("coco:all", 123_287, 616_767, "coco alone asks for"),
        ("flickr30k", 31_783, 158_915, "the original dataset_flickr30k.json says"),
        ("mine", 3, 3, None),
    ],
)
def test_other_counts_than_those_of_papers_are_a_remark(name, pictures, texts, said):
    part = DatasetPart.parse(name)
    remarks = [*compare_counts(part.whole, part, pictures, texts)]
    assert len(remarks) == (said is not None)
    for remark in remarks:
        assert f"here are {pictures:,} and {texts:,}; those are what {said}" in remark


def test_the_check_of_a_folder_says_it_too(tmp_path):
    folder = make_folder(tmp_path, 3, "coco")
    (found,) = [check for check in check_dataset("coco", folder) if check.name == "captions"]
    assert "papers report on 5,000 pictures and 25,010 texts" in found.finding


def test_labels_that_claim_nothing_of_papers_are_not_compared(tmp_path):
    folder = make_folder(tmp_path, 1)
    assert datasets.load("coco", folder).remarks == ()
    (folder / "labels.csv").write_text("query_id,item_id,label_set,text\nq,0,short,red\n")
    assert datasets.load("coco", folder).remarks == ()


def test_pictures_that_cant_be_read_are_no_fault_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setitem(PAPER_COLLECTIONS, "coco", PaperCollection("coco", 3, 3))
    folder = make_folder(tmp_path, 3, "coco")
    (folder / "images" / "0.jpg").write_bytes(b"broken")
    found = datasets.load("coco", folder, skip_unreadable=True)
    assert len(found.collection) == 2
    assert not any("papers report" in remark for remark in found.remarks)


def test_captions_of_another_form_are_told_what_to_get(tmp_path):
    folder = make_folder(tmp_path, 3)
    (folder / "captions.txt").write_text("image,caption\n0.jpg,Red.\n1.jpg,Redder.\n")
    (remark,) = [one for one in datasets.load("flickr8k", folder).remarks if "papers" in one]
    assert "those are what dataset_flickr8k.json says, while these are of" in remark


def test_a_file_of_the_right_name_and_the_wrong_content_is_to_be_got_anew():
    said = refuse_other_collection("flickr8k", "flickr30k", "dataset_flickr30k.json")
    assert "; put the original dataset_flickr30k.json there, or call the dataset flickr8k" in said


def test_texts_that_repeat_one_count_as_papers_count_them(tmp_path, monkeypatch):
    folder = make_folder(tmp_path, 3, "coco")
    file = folder / "dataset_coco.json"
    content = json.loads(file.read_text())
    content["images"][0]["sentences"] *= 2
    file.write_text(json.dumps(content))
    found = datasets.load("coco", folder)
    assert len(found.all_queries) == 3
    assert "and here are 3 and 4;" in found.remarks[-1]
