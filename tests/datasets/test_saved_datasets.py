"""Datasets that the library ``datasets`` saved to disk: tables, their order, splits, and what is refused."""

import io
import json
import shutil
import tarfile
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import encode_png as png

from kis_bench import datasets
from kis_bench.checks.datasets import check_dataset
from kis_bench.datasets.arrow_files import STREAM_END
from kis_bench.datasets.saved_datasets import find_saved_tables
from kis_bench.errors import BadFile, KisBenchError

#: By the library itself: six pictures of two texts, in two files; selected in another order; and two splits of them.
WRITTEN = Path(__file__).parents[1] / "data" / "written" / "saved"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def load(folder):
    """The dataset, and what is asked: label set -> pairs of query id and text."""
    found = datasets.load("mine", folder)
    named = {s: [(q.query_id, q.text) for q in found.queries(s)] for s in found.label_sets}
    assert all(query.item_ids[0] in found.collection.ids for query in found.all_queries)
    assert {*datasets.list_label_sets(datasets.DatasetRow("mine", folder))} == {*named}
    return found, named


def save(folder, *files, form=pa.ipc.new_stream, **state):
    """A saved dataset of files, each of which is a sequence of pairs of a picture's name and its text."""
    folder.mkdir(parents=True, exist_ok=True)
    names = state.pop("names", [f"data-{i:05}-of-{len(files):05}.arrow" for i in range(len(files))])
    for name, rows in zip(names, files, strict=True):
        cells = [{"bytes": one and png(ord(one)), "path": f"{one}.png"} for one, _ in rows]
        image = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        table = pa.table({"image": image, "caption": [text for _, text in rows]})
        with form(folder / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    listed = [{"filename": name} for name in names]
    (folder / "state.json").write_text(json.dumps({"_data_files": listed, "_split": None, **state}))
    (folder / "dataset_info.json").write_text("{}")


@pytest.mark.parametrize("form", ["whole", "in-order"])
def test_what_the_library_wrote_is_read_as_its_pictures_and_texts(form):
    found, asked = load(WRITTEN / form)
    assert found.collection.ids == tuple("abcdef")
    assert asked == {"caption": [(f"{x}#{n}", f"{x} {n}") for x in "abcdef" for n in (0, 1)]}
    assert [p.read_bytes() for p in found.collection.paths] == [png(ord(x)) for x in "abcdef"]
    assert (found.left_out, found.unread, found.remarks) == ({}, (), ())


@pytest.mark.parametrize(
    ("name", "ids", "texts"),
    [
        ("mine", ["test/e", "test/f"], 4),
        ("mine:train", ["train/a", "train/b", "train/c", "train/d"], 8),
        ("mine:test:1", ["test/e", "test/f"], 2),
        ("mine:all", [f"test/{x}" for x in "ef"] + [f"train/{x}" for x in "abcd"], 12),
    ],
)
def test_splits_are_chosen_by_the_name(name, ids, texts):
    found = datasets.load(name, WRITTEN / "splits")
    assert ([*found.collection.ids], len(found.queries("caption"))) == (ids, texts)
    read = name.split(":")[1] if ":" in name else "test"
    assert found.remarks[0] == (
        "dataset_dict.json has the splits test (2 pictures, 4 texts), "
        f"train (4 pictures, 8 texts); read is {read}"
    )
    assert datasets.list_label_sets(datasets.DatasetRow(name, WRITTEN / "splits")) == ("caption",)


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(BadFile, match=r"no split 'val'; .*NAME:train, NAME:test, NAME:all"):
        datasets.load("mine:val", WRITTEN / "splits")
    shutil.copytree(WRITTEN / "splits" / "train", tmp_path / "only" / "train")
    (tmp_path / "only" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert len(datasets.load("mine", tmp_path / "only").collection) == 4
    found = datasets.load("mine:train", WRITTEN / "whole")
    assert found.remarks == (
        "these tables have no splits, so that all of them are read, not 'train' alone",
    )
    assert datasets.load("mine:train:1", WRITTEN / "whole").remarks == (
        *found.remarks,
        "texts read of each picture, as the name asks: the first 1",
    )


def test_texts_go_on_in_the_order_of_the_listed_files_and_others_are_counted(tmp_path):
    names = ["z.arrow", "a.arrow"]
    save(tmp_path, [("a", "A"), ("b", "B"), ("c", "C")], [("a", "A2")], names=names)
    shutil.copy(tmp_path / "z.arrow", tmp_path / "cache-0123456789abcdef.arrow")  # as map leaves it
    found, asked = load(tmp_path)
    assert asked == {"caption": [("a#0", "A"), ("a#1", "A2"), ("b#0", "B"), ("c#0", "C")]}
    assert found.left_out == {".arrow": 1}


def test_both_forms_of_arrow_are_read_and_rows_without_a_picture_counted(tmp_path):
    rows = [("a", "A"), (None, "of a lost picture"), ("b", "B")]
    for folder, form in (("stream", pa.ipc.new_stream), ("file", pa.ipc.new_file)):
        save(tmp_path / folder, rows, form=form)
        found, asked = load(tmp_path / folder)
        assert asked == {"caption": [("a#0", "A"), ("b#0", "B")]}
        assert found.left_out == {"(rows without an image)": 1}


def test_a_table_of_mere_paths_is_refused_with_the_remedy(tmp_path):
    save(tmp_path, [(None, "A"), (None, "B")])
    with pytest.raises(BadFile, match=r"paths, such as 'None.png', but no bytes"):
        datasets.load("mine", tmp_path)


@pytest.mark.parametrize("kept", [0, 7, 300, -1, -len(STREAM_END), -400])
def test_a_table_that_is_cut_off_is_no_smaller_one(tmp_path, kept):
    save(tmp_path, [("a", "A"), ("b", "B"), ("c", "C")])
    [table] = tmp_path.glob("*.arrow")
    table.write_bytes(table.read_bytes()[:kept])
    with pytest.raises(BadFile, match="not a readable Arrow file: it has no end mark"):
        datasets.load("mine", tmp_path)


def test_offsets_that_lead_out_of_a_damaged_table_are_not_followed(tmp_path):
    save(tmp_path, [("a", "A"), ("b", "B")])
    [table] = tmp_path.glob("*.arrow")
    content = table.read_bytes()
    ends = b"".join(n.to_bytes(4, "little") for n in (0, 1, 2))  # of the texts
    assert content.count(ends) == 1
    table.write_bytes(content.replace(ends, ends[:4] + (2**30).to_bytes(4, "little") + ends[8:]))
    with pytest.raises(BadFile, match="not a readable Arrow file"):
        datasets.load("mine", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ["gone.arrow"]}, "gone.arrow isn't beside it; copy the whole folder"),
        ({"_data_files": [{"filename": "../x.arrow"}]}, "none of an .arrow file beside it"),
        ({"_data_files": ["x.arrow"]}, "none of an .arrow file beside it"),
        ({"_indices_data_files": [{"filename": "indices.arrow"}]}, "it has an indices file"),
    ],
)
def test_a_dataset_that_would_be_read_wrongly_is_refused(tmp_path, change, said):
    save(tmp_path, [("a", "A")], **change)
    (tmp_path / "gone.arrow").unlink(missing_ok=True)
    with pytest.raises(BadFile, match=said):
        datasets.load("mine", tmp_path)


def test_arrow_files_without_their_list_are_counted_and_not_read(tmp_path):
    save(tmp_path, [("a", "A")])
    for content in ("{}", "no JSON", '{"_data_files": 1}'):
        (tmp_path / "state.json").write_text(content)
        with pytest.raises(
            KisBenchError,
            match=r"and \.arrow with state\.json and dataset_info\.json, there are: .*arrow",
        ):
            datasets.load("mine", tmp_path)
    (tmp_path / "photo.png").write_bytes(png(9))
    (tmp_path / "labels.csv").write_text("query_id,item_id,label_set,text\nq,photo,short,x\n")
    assert datasets.load("mine", tmp_path).left_out == {".json": 2, ".arrow": 1}


def test_a_label_file_goes_before_the_texts_of_the_tables(tmp_path):
    save(tmp_path / "images", [("a", "A"), ("b", "B")])
    (tmp_path / "labels.csv").write_text("query_id,item_id,label_set,text\nq,b,short,x\n")
    found, asked = load(tmp_path)
    assert (asked, len(found.collection)) == ({"short": [("q", "x")]}, 2)
    assert found.unread == ("texts of caption in Arrow tables, because there is labels.csv",)


def write_labelled_photo(folder):
    (folder / "a.png").write_bytes(png(9))
    (folder / "labels.csv").write_text("query_id,item_id,label_set,text\nq,a,short,x\n")


@pytest.mark.parametrize("kind", ["whole", "incomplete", "paths", "no-pictures", "cut-off"])
def test_a_saved_dataset_among_labelled_photos_is_counted_and_named_and_never_read(tmp_path, kind):
    write_labelled_photo(tmp_path)
    save(tmp_path / "hf", [(None if kind == "paths" else "a", "A")])
    [table] = tmp_path.glob("hf/*.arrow")
    if kind == "no-pictures":
        named = pa.table({"image": ["a.png"], "caption": ["A"]})
        with pa.ipc.new_stream(table, named.schema) as writer:
            writer.write_table(named)
    elif kind == "cut-off":
        table.write_bytes(b"")
    elif kind == "incomplete":
        table.unlink()
    found, asked = load(tmp_path)
    assert (found.collection.ids, asked) == (("a",), {"short": [("q", "x")]})
    assert found.left_out == {".json": 2} | ({} if kind == "incomplete" else {".arrow": 1})
    assert found.remarks == (
        "hf/ holds a dataset that the library datasets saved, which is not read, because there are labels "
        "and other pictures; move these away to search it",
    )
    checks = {one.name: one.finding for one in check_dataset("mine", tmp_path)}
    assert checks["saved datasets"] == found.remarks[0]


def test_a_saved_dataset_beside_shards_with_texts_is_not_read_either(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, content in (("a.png", png(9)), ("a.txt", b"x")):
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    save(tmp_path / "hf", [("a", "A")], names=["gone.arrow"])
    (tmp_path / "hf" / "gone.arrow").unlink()
    found, asked = load(tmp_path)
    assert (found.collection.ids, [*asked.values()]) == (("a",), [[("a#0", "x")]])
    assert sum(line.startswith("hf/ holds a dataset") for line in found.remarks) == 1


def test_a_state_file_of_another_program_is_none_of_a_saved_dataset(tmp_path):
    (tmp_path / "a.png").write_bytes(png(9))
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "model.bin"}]}')
    found, _ = load(tmp_path)
    assert (found.collection.ids, found.remarks) == (("a",), ())


@pytest.mark.parametrize(
    ("name", "ids", "done"),
    [
        ("mine", ["splits/test/e", "splits/test/f"], "not read; NAME:all reads them"),
        ("mine:all", [f"splits/train/{x}" for x in "abcd"] + ["loose", "p"], "read, too"),
    ],
)
def test_pictures_beside_the_splits_are_counted(tmp_path, name, ids, done):
    shutil.copytree(WRITTEN / "splits", tmp_path / "splits")
    (tmp_path / "loose.png").write_bytes(png(9))
    table = pa.table({"item_id": ["p"], "image": [png(1)], "caption": ["text of p"]})
    pq.write_table(table, tmp_path / "x.parquet")
    found = datasets.load(name, tmp_path)
    assert {*ids} <= {*found.collection.ids}
    assert ("loose" in found.collection.ids) == (name == "mine:all")
    assert found.remarks[1] == f"in no split, but beside them: 2 pictures, 1 text, which are {done}"


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_columns_of_one_name_are_refused(tmp_path, form):
    columns = [pa.array(["a"]), pa.array([png(1)]), pa.array(["A"]), pa.array(["B"])]
    table = pa.table(columns, names=["item_id", "image", "caption", "caption"])
    if form == "parquet":
        pq.write_table(table, tmp_path / "x.parquet")
    else:
        save(tmp_path, [("a", "A")])
        [file] = tmp_path.glob("*.arrow")
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    for read in (datasets.load, lambda *row: datasets.list_label_sets(datasets.DatasetRow(*row))):
        with pytest.raises(BadFile, match="several columns are called caption; give each"):
            read("mine", tmp_path)


def test_only_files_that_may_be_of_a_saved_dataset_are_sorted_out():
    class Plain(PurePosixPath):
        def __hash__(self):
            raise AssertionError(f"{self} is none of a saved dataset")

    files = [Plain("1.txt"), *map(Path, ["x/cache.arrow", "x/state.json"]), Plain("x/2.txt")]
    assert find_saved_tables(files) == ([], [])
