"""Metadata of the hub's image folders, beside pictures and below."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import draw_pictures

from kis_bench import datasets
from kis_bench.datasets.label_formats import find_labels, imagefolder
from kis_bench.errors import BadFile

ROWS = [
    {"file_name": "0001.png", "text": "A cat"},
    {"file_name": "train-station.png", "text": " None "},
    {"file_name": "0001.png", "text": "1e3"},
    {"file_name": "deep/0001.png", "text": None},
]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(file, rows):
    """As the documentation of the library ``datasets`` has them, with its own writer of Parquet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".jsonl":
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        cells = [",".join(row[c] or "" for c in rows[0]) for row in rows]
        file.write_text("\n".join([",".join(rows[0]), *cells]))


def ask(found):
    return [(query.query_id, query.label_set, query.text) for query in found.all_queries]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("folder", ["", "images"])
def test_all_pictures_are_searched_and_ids_stay_words(tmp_path, suffix, folder):
    draw_pictures(tmp_path / folder, "0001.png", "train-station.png", "deep/0001.png", "e.png")
    write(tmp_path / folder / f"metadata.{suffix}", ROWS)
    found = datasets.load("mine", tmp_path)
    assert ask(found) == [
        ("0001#0", "text", "A cat"),
        ("0001#1", "text", "1e3"),
        ("train-station#0", "text", "None"),
    ]
    assert found.collection.ids == ("0001", "deep/0001", "e", "train-station")
    assert found.unread == (f"texts in metadata.{suffix}: 1 empty of text",)
    assert found.left_out == {}
    assert "pictures without a text, searched all the same: 2" in found.remarks


def test_lists_are_several_captions_and_each_column_is_a_label_set(tmp_path):
    draw_pictures(tmp_path / "images", "a.png", "b.png")
    rows = [{"image_file_name": "images/a.png", "captions": ["A", "B"], "text": "T", "label": 3}]
    write(tmp_path / "metadata.jsonl", rows)
    found = datasets.load("mine", tmp_path)
    expected = [("a#0", "captions", "A"), ("a#1", "captions", "B"), ("a#0", "text", "T")]
    assert ask(found) == expected
    assert set(datasets.list_label_sets(datasets.DatasetRow("mine", tmp_path))) == {
        "captions",
        "text",
    }


def test_the_nearest_file_goes_first_and_a_folder_may_be_asked_for(tmp_path):
    draw_pictures(tmp_path / "images", "train/a.png", "val/a.png", "val/b.png")
    outer = [{"file_name": f"{name}.png", "text": f"outer {name}"} for name in ("train/a", "val/a")]
    write(tmp_path / "images" / "metadata.csv", outer)
    write(tmp_path / "images/val/metadata.jsonl", [{"file_name": "a.png", "text": "inner"}])
    found = datasets.load("mine", tmp_path)
    assert ask(found) == [("train/a#0", "text", "outer train/a"), ("val/a#0", "text", "inner")]
    assert found.remarks[0].startswith("1 picture named by metadata of outer folders, too")
    val = datasets.load("mine:val", tmp_path)
    assert val.collection.ids == ("val/a", "val/b")
    assert ask(val) == [("val/a#0", "text", "inner")]
    with pytest.raises(BadFile, match="no folder of its pictures is called 'test'"):
        datasets.load("mine:test", tmp_path)


def test_a_path_is_no_name(tmp_path):
    """A picture of another folder isn't the one that is meant."""
    draw_pictures(tmp_path / "images", "val/a.png")
    write(tmp_path / "images" / "metadata.csv", [{"file_name": "train/a.png", "text": "A"}])
    with pytest.raises(BadFile) as error:
        datasets.load("mine", tmp_path)
    assert error.value.problems[1] == (
        "line 2: picture 'train/a.png' is not in the collection (did you mean 'val/a'?)"
    )


def test_a_file_further_out_may_not_mean_the_same_picture(tmp_path):
    draw_pictures(tmp_path / "images", "a.png")
    for folder in (tmp_path, tmp_path / "images"):
        write(folder / "metadata.csv", [{"file_name": "a.png", "text": folder.name}])
    with pytest.raises(BadFile, match="line 2: 'a.png' and 'images/a.png' both lead to item 'a'"):
        datasets.load("mine", tmp_path)


def test_folders_above_the_dataset_are_no_parts_of_it(tmp_path):
    draw_pictures(tmp_path / "val" / "mine" / "images", "val/a.png", "other/b.png")
    rows = [{"file_name": "val/a.png", "text": "a"}, {"file_name": "other/b.png", "caption": "b"}]
    write(tmp_path / "val" / "mine" / "images" / "metadata.jsonl", rows)
    row = datasets.parse_row("mine:val", data=tmp_path / "val")
    assert datasets.list_label_sets(row) == ("text",)
    assert ask(datasets.load(row.name, row.folder)) == [("val/a#0", "text", "a")]


@pytest.mark.parametrize("folder", ["", "images", "images/val"])
def test_a_part_needs_its_own_pictures_alone(tmp_path, folder):
    draw_pictures(tmp_path / "images", "val/a.png", "val/deep/b.png", "other/c.png")
    below = "" if folder.endswith("val") else "val/"
    names = [f"{below}a.png", f"{below}deep/b.png"]
    absent = ["train/a.png", "d.png"] if below else []
    rows = [{"file_name": name, "text": name} for name in names]
    rows += [{"file_name": name, "text": None, "caption": name} for name in absent]
    write(tmp_path / folder / "metadata.jsonl", rows)
    found = datasets.load("mine:val", tmp_path)
    assert ask(found) == [("val/a#0", "text", names[0]), ("val/deep/b#0", "text", names[1])]
    assert datasets.list_label_sets(datasets.DatasetRow("mine:val", tmp_path)) == ("text",)


def test_the_first_texts_are_those_of_each_label_set(tmp_path):
    draw_pictures(tmp_path / "images", "a.png", "b.png")
    rows = [
        {"file_name": "a.png", "captions": ["A", "B"], "text": "T"},
        {"file_name": "b.png", "captions": ["C"], "text": None},
    ]
    write(tmp_path / "images" / "metadata.jsonl", rows)
    found = datasets.load("mine:all:1", tmp_path)
    expected = [("a#0", "captions", "A"), ("a#0", "text", "T"), ("b#0", "captions", "C")]
    assert sorted(ask(found)) == expected
    said = "metadata.jsonl: 2 pictures, 4 texts (texts of a picture: "
    remarks = datasets.load("mine", tmp_path).remarks
    assert f"{said}captions: 2 of 1, 1 of 1; text: 1 of 1)" in remarks


def test_a_picture_is_not_one_with_a_suffix_more(tmp_path):
    draw_pictures(tmp_path / "images", "photo.jpg", "photo.jpg.webp")
    rows = [{"file_name": name, "text": name} for name in ("photo.jpg", "photo.jpg.webp")]
    for folder in (tmp_path / "images", tmp_path):
        write(folder / "metadata.jsonl", rows)
        found = datasets.load("mine", tmp_path)
        assert [(q.item_ids[0], q.text) for q in found.all_queries] == [
            ("photo", "photo.jpg"),
            ("photo.jpg", "photo.jpg.webp"),
        ]
        (folder / "metadata.jsonl").unlink()


def test_pictures_left_out_are_named_without_folders_of_the_machine(tmp_path):
    names = [f"{i}.png" for i in range(100)]
    draw_pictures(tmp_path / "images", *names[1:])
    rows = [{"file_name": name, "text": name} for name in names]
    write(tmp_path / "images" / "metadata.jsonl", rows)
    found = datasets.load("mine", tmp_path, skip_unreadable=True)
    assert found.remarks[0] == "metadata.jsonl names pictures that aren't there: 0.png"


def test_two_files_of_one_folder_are_an_error(tmp_path):
    draw_pictures(tmp_path, "0001.png", "train-station.png", "deep/0001.png")
    write(tmp_path / "metadata.csv", ROWS)
    write(tmp_path / "metadata.jsonl", ROWS)
    with pytest.raises(BadFile, match="metadata.csv and metadata.jsonl lie beside each other"):
        datasets.load("mine", tmp_path)


def test_lines_that_are_no_objects_are_named(tmp_path):
    draw_pictures(tmp_path, "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "A"}\n[1]\n\n{\n')
    with pytest.raises(BadFile) as error:
        datasets.load("mine", tmp_path)
    assert [one.partition(":")[0] for one in error.value.problems] == ["line 2", "line 4"]
    rows = [{"file_name": 1, "text": "A"}, {"file_name": "a.png", "text": {"en": "A"}}]
    write(tmp_path / "metadata.jsonl", rows)
    with pytest.raises(BadFile) as error:
        datasets.load("mine", tmp_path)
    assert error.value.problems == [
        "line 1: file_name is empty or no text; name the picture's file",
        "line 2: text is neither a text nor a list of texts",
    ]


def test_metadata_without_texts_are_no_labels(tmp_path):
    draw_pictures(tmp_path / "images", "a.png")
    write(tmp_path / "images" / "metadata.csv", [{"file_name": "a.png", "label": "cat"}])
    assert find_labels(tmp_path).form is None


UNRELATED = {
    "metadata.csv": b"camera,camera\n1,2\n",
    "metadata.jsonl": '{"town": "M\u00fcnchen", "text": "x"}\n'.encode("latin-1"),
    "metadata.parquet": b"PAR1 cut off",
}


@pytest.mark.parametrize("name", UNRELATED)
def test_a_file_of_other_things_that_cannot_be_read_is_no_metadata(tmp_path, name):
    draw_pictures(tmp_path / "images", "a.png")
    (tmp_path / name).write_bytes(UNRELATED[name])
    assert datasets.load("mine", tmp_path).all_queries == ()
    write(tmp_path / "images" / "metadata.csv", [{"file_name": "a.png", "text": "A"}])
    found = datasets.load("mine", tmp_path)
    assert ask(found) == [("a#0", "text", "A")]
    assert f"{name} has no texts of single pictures" in found.unread
    (tmp_path / "participants.csv").write_text("x\n")
    (tmp_path / "triplets.csv").write_text("x\n")
    assert datasets.has_queries(datasets.DatasetRow("mine", tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metadata.csv", b"file_name,text,text\na.png,A,B\n", "names a column twice"),
        ("metadata.jsonl", b'{"file_name": "a.png", "text": "\xfc"}', "is not UTF-8"),
        ("metadata.parquet", b"PAR1 file_name text", "not a readable Parquet file"),
    ],
    ids=["csv", "jsonl", "parquet"],
)
def test_one_that_names_files_and_cannot_be_read_is_an_error_when_it_is_read(
    tmp_path, name, content, said
):
    draw_pictures(tmp_path / "images", "a.png")
    (tmp_path / name).write_bytes(content)
    row = datasets.DatasetRow("mine", tmp_path)
    assert datasets.has_queries(row)
    for read in (datasets.list_label_sets, lambda row: datasets.load(row.name, row.folder)):
        with pytest.raises(BadFile, match=said):
            read(row)
    for study in ("participants.csv", "triplets.csv"):
        (tmp_path / study).write_text("x\n")
    assert datasets.has_queries(row)


@pytest.mark.parametrize("index", ["", "Unnamed: 0"])
def test_an_index_of_pandas_is_no_column(tmp_path, index):
    draw_pictures(tmp_path, "a.png", "b.png")
    rows = f"{index},file_name,text\n0,a.png,A\n1,b.png,B\n"
    (tmp_path / "metadata.csv").write_text(rows)
    assert [text for _, _, text in ask(datasets.load("mine", tmp_path))] == ["A", "B"]
    (tmp_path / "metadata.csv").write_text(f"{index},id,camera\n0,1,2\n")
    assert find_labels(tmp_path).form is None


def test_metadata_are_looked_into_again_only_if_they_have_changed(tmp_path, monkeypatch):
    draw_pictures(tmp_path / "images", "a.png")
    write(tmp_path / "metadata.jsonl", [{"town": "here"}] * 9)
    looked = []
    look = imagefolder.read_json_lines
    monkeypatch.setattr(
        imagefolder, "read_json_lines", lambda *given: looked.append(1) or look(*given)
    )
    for _ in range(3):
        assert find_labels(tmp_path).form is None
    assert len(looked) == 1
    write(tmp_path / "metadata.jsonl", [{"file_name": "images/a.png", "text": "A"}])
    assert find_labels(tmp_path).form is not None
