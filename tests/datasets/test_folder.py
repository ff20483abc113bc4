"""Dataset folders as users hand them over, right and wrong."""

from pathlib import Path

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.plugin.options import place_folder

HEADER = "query_id,item_id,label_set,text\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b/c"):
        file = tmp_path / "images" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(file)
    (tmp_path / "labels.csv").write_text(
        HEADER + 'q1,a,short,"a red, plain square"\nq2,b/c,short,another\n'
    )
    return tmp_path


def test_a_folder_is_read_whole(folder):
    dataset = datasets.load("mine", folder)
    assert dataset.collection.ids == ("a", "b/c")
    assert dataset.label_sets == ("short",)
    assert [q.text for q in dataset.queries("short")] == ["a red, plain square", "another"]


def test_a_file_in_place_of_a_folder_is_called_a_file(folder):
    row = datasets.DatasetRow("mine", folder / "labels.csv")
    state = datasets.find_readiness(row)
    assert state.state == "no data"
    assert state.remedy.startswith(f"{folder / 'labels.csv'} is a file, not a folder; ")
    with pytest.raises(KisBenchError, match="is a file, not a folder"):
        datasets.load("mine", folder / "labels.csv")


def test_where_a_folder_lies_does_not_count_but_content_does(folder, tmp_path_factory):
    before = datasets.load("mine", folder).fingerprint
    moved = folder.rename(tmp_path_factory.mktemp("elsewhere") / "moved")
    assert datasets.load("mine", moved).fingerprint == before
    Image.new("RGB", (8, 8), "blue").save(moved / "images" / "a.png")
    assert datasets.load("mine", moved).fingerprint != before


def test_two_rows_of_one_query_are_two_targets(folder):
    (folder / "labels.csv").write_text(HEADER + "q1,a,short,square\nq1,b/c,short,square\n")
    assert datasets.load("mine", folder).queries("short")[0].item_ids == ("a", "b/c")


def test_m3rt_labels_match_by_number(folder):
    (folder / "images" / "a.png").rename(folder / "images" / "0042.png")
    (folder / "labels.csv").write_text("ID,short_label,long_label\n42,red,a red square\n")
    dataset = datasets.load("mine", folder)
    assert dataset.label_sets == ("short", "long")
    assert dataset.queries("long")[0].item_ids == ("0042",)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            b"query_id,item_id,label_set,text\nq1,nowhere,short,x\n",
            "line 2: item 'nowhere' is not in the collection",
        ),
        (b"query_id,item_id,label_set,text\nq1,a,short,\n", "line 2: text is empty"),
        (
            b"query_id,item_id,label_set,text\nq1,a,short,x,y\n",
            "line 2: 5 cells where the header has 4",
        ),
        (
            b"query_id,item_id,label_set,text\nq1,a,short,x\nq1,a,short,x\n",
            "line 3: query 'q1' names item 'a' twice",
        ),
        (
            b"query_id,item_id,label_set,text\nq1,a,short,x\nq1,a,short,y\n",
            "line 3: query 'q1' of label set",
        ),
        (b"query_id,item_id,label_set,text\nq1,a,short,\xff\n", "line 2: byte"),
        (b"id,words\na,x\n", "line 1: missing column 'query_id'"),
        (b"query_id,item_id,label_set,text\n", "no queries"),
        (b"", "line 1"),
    ],
)
def test_a_bad_label_file_is_named_with_its_row(folder, labels, said):
    (folder / "labels.csv").write_bytes(labels)
    with pytest.raises(BadFile) as caught:
        datasets.load("mine", folder)
    assert str(folder / "labels.csv") in str(caught.value)
    assert said in str(caught.value)


def test_all_problems_of_a_file_come_at_once(folder):
    (folder / "labels.csv").write_text(HEADER + "q1,x,short,t\nq2,y,short,\n")
    with pytest.raises(BadFile) as caught:
        datasets.load("mine", folder)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (
            "item_id,path\na,images/a.png\na,images/b/c.png\n",
            "line 3: item 'a' twice, first on line 2",
        ),
        ("item_id,path\na,images/none.png\n", "line 2: there is no file"),
        (
            "item_id,path\na,../secret.png\n",
            "line 2: path '../secret.png' leaves the dataset folder",
        ),
        ("item_id,path,time_s\na,images/a.png,soon\n", "line 2: time_s 'soon' is not a number"),
        ("item,path\na,images/a.png\n", "missing column 'item_id'"),
    ],
)
def test_a_bad_image_listing_is_named_with_its_row(folder, listing, said):
    (folder / "images.csv").write_text(listing)
    with pytest.raises(BadFile, match="images.csv") as caught:
        datasets.load("mine", folder)
    assert said in str(caught.value)


def test_pictures_of_one_stem_have_their_suffix_in_the_id(folder):
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.jpg")
    with pytest.raises(BadFile, match=r"item 'a' .* \(did you mean 'a\.jpg' or 'a\.png'\?\)"):
        datasets.load("mine", folder)
    (folder / "labels.csv").write_text(HEADER + "q1,a.jpg,short,a black square\n")
    mine = datasets.load("mine", folder)
    assert mine.collection.ids == ("a.jpg", "a.png", "b/c")
    assert [path.name for path in mine.collection.paths] == ["a.jpg", "a.png", "c.png"]
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.jpg.png")  # whose stem is a.jpg
    with pytest.raises(BadFile, match="item 'a' is there twice"):
        datasets.load("mine", folder)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(KisBenchError, match="no folder"):
        datasets.load("mine", tmp_path / "none")
    with pytest.raises(KisBenchError, match="images/"):
        datasets.load("mine", tmp_path)


def test_an_unknown_name_gets_close_matches(monkeypatch):
    monkeypatch.delenv("KIS_DATA", raising=False)
    with pytest.raises(UnknownName, match="did you mean openmoji"):
        datasets.load("openmojj")


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("photos=2024", "photos=2024", "photos=2024"),
        ("mine=photos=2024", "mine", "photos=2024"),
        ("./photos=2024", "photos=2024", "photos=2024"),
        ("mine=other", "mine", "other"),  # NAME=FOLDER goes before a folder of that whole name
        ("mine=nowhere", "mine", "nowhere"),
    ],
)
def test_folders_with_an_equals_sign(tmp_path, monkeypatch, text, name, place):
    for folder in ("photos=2024", "other", "mine=other"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    row = datasets.parse_row(text)
    assert (row.name, row.folder) == (name, Path(place))
    placed = datasets.parse_row(place_folder(text, tmp_path))
    assert (placed.name, placed.folder) == (name, tmp_path / place)


def test_label_files_without_rows_are_told_of(folder):
    (folder / "labels.csv").write_text(HEADER)
    row = datasets.DatasetRow("mine", folder)
    assert "labels.csv has no rows; add one per query" in str(datasets.explain_no_queries(row))
