"""What lies in a dataset folder and is not read is counted, and tables of nearly the right name are named."""

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.datasets.left_out import UNLISTED, count_by_kind, describe_left_out
from kis_bench.datasets.nearly import find_unread_tables

LABELS = "query_id,item_id,label_set,text\nq1,a,short,red\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels.csv").write_text(LABELS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Labels.csv", "call it labels.csv"),
        ("LABELS.CSV", "call it labels.csv"),
        ("label.csv", "call it labels.csv"),
        ("lables.csv", "call it labels.csv"),
        ("labels.csv.txt", "call it labels.csv"),
        ("labels .csv", "call it labels.csv"),
        ("labels.tsv", "save it as labels.csv, with commas, in UTF-8"),
        ("labels.ods", "save it as labels.csv, with commas, in UTF-8"),
        ("labels.csv.gz", "unpack it as labels.csv"),
        ("labels.json", "only CSV is; write labels.csv"),
        ("labels_long.csv", "call it labels-long.csv"),
        ("labels (1).csv", "call it labels-1.csv"),
        ("Labels/short.csv", "call it labels/short.csv"),
        ("labels/short.tsv", "save it as labels/short.csv, with commas, in UTF-8"),
        ("queries.csv", "call it labels.csv"),
        ("captions.csv", "call it labels.csv"),
        ("captions_train.txt", "only CSV is; write labels.csv"),
        ("metadata.csv", "call it labels.csv"),
        ("metadata.jsonl", "only CSV is; write labels.csv"),
        ("images/labels.csv", "call it labels.csv"),
        ("images.tsv", "save it as images.csv, with commas, in UTF-8"),
        ("Triplets.csv", "call it triplets.csv"),
    ],
)
def test_a_table_of_nearly_the_right_name_is_named_where_there_are_no_labels(folder, name, said):
    (folder / "labels.csv").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(LABELS)
    assert find_unread_tables(folder) == [f"{name} is not read; {said}"]
    error = str(datasets.explain_no_queries(datasets.DatasetRow("mine", folder)))
    assert error == f"dataset mine: no queries. {name} is not read; {said}"


def test_beside_labels_only_what_begins_like_them_is_meant(folder):
    for name in (
        "metadata.csv",
        "captions.csv",
        "readings.csv",
        "notes.txt",
        "labels-long.csv",
        "labels_wide.csv",
    ):
        (folder / name).write_text(LABELS.replace("short", name[:-4]))
    (folder / "labels-long.csv").write_text(LABELS.replace("short", "long"))
    loaded = datasets.load("mine", folder)
    assert loaded.unread == ("labels_wide.csv is not read; call it labels-wide.csv",)
    assert loaded.label_sets == ("short", "long")


def test_two_names_of_one_file_are_read(folder):
    """As where small and capital letters are the same."""
    (folder / "Labels.csv").hardlink_to(folder / "labels.csv")
    assert find_unread_tables(folder, labelled=True) == []


def test_what_is_not_read_is_counted_by_kind(folder):
    for name in (
        "x.nef",
        "deep/y.NEF",
        "z.zip",
        "w.xyz",
        "v. of my aunt",
        "no-suffix",
        ".hidden.nef",
        "t.json",
    ):
        (folder / "images" / name).write_bytes(b"")
    loaded = datasets.load("mine", folder)
    assert loaded.left_out == {".nef": 2, "others": 2, ".zip": 1, "without suffix": 1, ".json": 1}
    said = describe_left_out(loaded.left_out)
    assert said.startswith("2 .nef, 2 others, ")
    assert said.endswith("convert .nef to JPEG; unpack .zip, or pack pictures as .tar")
    bare = datasets.load("mine", folder)
    assert bare.fingerprint == loaded.fingerprint


def test_pictures_that_a_list_leaves_out_are_counted(folder):
    (folder / "images.csv").write_text("item_id,path\na,images/a.png\nb,./images/../images/b.png\n")
    (folder / "images" / "x.nef").write_bytes(b"")
    assert datasets.load("mine", folder).left_out == {UNLISTED: 1, ".nef": 1}


def test_tables_among_the_pictures_are_not_left_out(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for name in ("labels.csv", "labels-more.csv", "notes.csv"):
        (tmp_path / name).write_text(LABELS.replace("short", name))
    (tmp_path / "images.csv").write_text("item_id,path\na,a.png\n")
    assert datasets.load("mine", tmp_path).left_out == {".csv": 1}


def test_the_drawings_that_come_with_the_package_leave_nothing_out():
    assert datasets.load("openmoji").left_out == {}


def test_counts_that_are_none_are_left_out():
    assert count_by_kind({".csv": 0, ".nef": -1, ".txt": 2}) == {".txt": 2}
