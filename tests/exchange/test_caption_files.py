"""Queries written in the forms in which others hand out captions, and read again."""

import csv
import json

import pandas as pd
import pytest
from builders import call_cli, draw_pictures

from kis_bench import datasets

LABELS = """\
query_id,item_id,label_set,text,annotator,stage
q1,a,short,"red, plain",anna,
q1,deep/b,short,"red, plain",anna,
q2,0001,short,NA,,
"""


@pytest.fixture
def folder(tmp_path):
    draw_pictures(tmp_path / "mine" / "images", "a.png", "deep/b.png", "0001.png", "c.png")
    (tmp_path / "mine" / "labels.csv").write_text(LABELS)
    return tmp_path / "mine"


def export(form, folder, file, *more):
    return call_cli("datasets", "export", form, folder, "--out", file, *more, cwd=folder)


@pytest.mark.parametrize(
    ("form", "name"), [("coco", "captions_mine.json"), ("imagefolder", "images/metadata.jsonl")]
)
def test_what_is_written_is_read_again(folder, form, name):
    done = export(form, folder, folder / name)
    assert (done.returncode, done.stderr) == (0, "")
    said = "2 texts for 4 pictures; query ids are not kept"
    assert done.stdout == f"{folder / name}: {said}\n"
    before = datasets.load("mine", folder)
    (folder / "labels.csv").unlink()
    found = datasets.load("mine", folder)
    asked = {(query.item_ids[0], query.text) for query in found.all_queries}
    assert asked == {("a", "red, plain"), ("deep/b", "red, plain"), ("0001", "NA")}
    assert found.collection.fingerprint == before.collection.fingerprint
    again = export(form, folder, folder / name)
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize("above", ["images", "frames"])
def test_ids_of_their_own_lead_to_the_same_pictures(tmp_path, above):
    """Each id is the name of another picture's file."""
    draw_pictures(tmp_path / above, "a.png", "b.png", "deep/a.png")
    rows = [f"b,{above}/a.png", f"a,{above}/b.png", f"x,./{above}/deep/a.png"]
    (tmp_path / "images.csv").write_text("\n".join(["item_id,path", *rows]))
    texts = [f"q{item},{item},short,of {item}" for item in "bax"]
    (tmp_path / "labels.csv").write_text("\n".join(["query_id,item_id,label_set,text", *texts]))
    assert export("coco", tmp_path, tmp_path / "captions_mine.json").returncode == 0
    (tmp_path / "labels.csv").unlink()
    found = datasets.load("mine", tmp_path)
    asked = {query.item_ids[0]: query.text for query in found.all_queries}
    assert asked == {"a": "of a", "b": "of b", "x": "of x"}


def test_a_label_file_keeps_everything(folder):
    done = export("csv", folder, folder / "written.csv")
    assert done.returncode == 0, done.stderr
    before = datasets.load("mine", folder)
    (folder / "written.csv").replace(folder / "labels.csv")
    assert datasets.load("mine", folder).fingerprint == before.fingerprint


def test_one_label_set_is_chosen(folder):
    (folder / "labels-long.csv").write_text(LABELS.replace("short", "long"))
    done = export("coco", folder, folder / "x.json")
    assert done.returncode == 2
    assert "there are short, long; choose one with --labels" in done.stderr
    done = export("coco", folder, folder / "x.json", "--labels", "long")
    assert done.returncode == 0, done.stderr
    assert len(json.loads((folder / "x.json").read_text())["annotations"]) == 3
    done = export("coco", folder, folder / "y.json", "--labels", "lnog")
    assert (done.returncode, "did you mean long?" in done.stderr) == (2, True)


def test_a_lone_carriage_return_in_a_text_comes_back(folder):
    texts = pd.DataFrame(
        {"query_id": ["q"], "item_id": ["a"], "label_set": ["s"], "text": ["a\rcat"]}
    )
    texts.to_csv(folder / "labels.csv", index=False, quoting=csv.QUOTE_ALL)
    before = datasets.load("mine", folder)
    assert before.all_queries[0].text == "a\rcat"
    assert export("csv", folder, folder / "written.csv").returncode == 0
    (folder / "written.csv").replace(folder / "labels.csv")
    assert datasets.load("mine", folder).all_queries == before.all_queries


def read_texts(folder):
    found = datasets.load("mine", folder)
    return {(query.item_ids[0], query.text) for query in found.all_queries}


def test_names_count_from_the_folder_of_the_pictures(tmp_path):
    """Not from the deepest folder that all share, without which ``x/a`` and ``x/y/a`` are the same."""
    draw_pictures(tmp_path / "images", "x/a.png", "x/y/a.png")
    header, *_ = LABELS.splitlines()
    (tmp_path / "labels.csv").write_text(f"{header}\n1,x/a,s,one,,\n2,x/y/a,s,two,,\n")
    assert export("coco", tmp_path, tmp_path / "captions.json").returncode == 0
    (tmp_path / "labels.csv").unlink()
    assert read_texts(tmp_path) == {("x/a", "one"), ("x/y/a", "two")}


def test_pictures_of_relative_and_of_absolute_paths_are_named_from_one_folder(tmp_path):
    folder = tmp_path / "mine"
    draw_pictures(folder / "images", "a.png", "deep/b.png")
    rows = f"item_id,path\na,images/a.png\nb,{folder / 'images/deep/b.png'}\n"
    (folder / "images.csv").write_text(rows)
    header, *_ = LABELS.splitlines()
    (folder / "labels.csv").write_text(f"{header}\n1,a,s,one,,\n2,b,s,two,,\n")
    form = ("datasets", "export", "coco", "./mine", "--out", folder / "captions.json")
    done = call_cli(*form, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    images = json.loads((folder / "captions.json").read_text())["images"]
    assert [one["file_name"] for one in images] == ["a.png", "deep/b.png"]
    (folder / "labels.csv").unlink()
    assert read_texts(folder) == {("a", "one"), ("b", "two")}


def test_pictures_that_are_links_keep_the_names_they_are_linked_by(tmp_path):
    folder, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    draw_pictures(elsewhere, "1234.png")
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").symlink_to(elsewhere / "1234.png")
    header, *_ = LABELS.splitlines()
    (folder / "labels.csv").write_text(f"{header}\n1,a,s,one,,\n")
    done = export("imagefolder", folder, folder / "images" / "metadata.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "labels.csv").unlink()
    assert read_texts(folder) == {("a", "one")}
