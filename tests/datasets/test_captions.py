"""Texts in Parquet tables of pictures: each is a query for its picture, where there are no label files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import encode_png as png

from kis_bench import datasets
from kis_bench.checks.datasets import check_dataset
from kis_bench.datasets.captions import find_caption_columns
from kis_bench.errors import BadFile, NotReady, UnknownName


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_table(file, pictures, **columns):
    """Rows of a picture each, which are of so many pixel values that there are names; two rows in a group."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cells = [
        {"bytes": None if name is None else png(ord(name)), "path": f"{name or 'gone'}.png"}
        for name in pictures
    ]
    image = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    pq.write_table(pa.table({"image": image, **columns}), file, row_group_size=2)


def load(folder):
    """What is asked: label set -> pairs of query id and text."""
    found = datasets.load("mine", folder)
    assert all(
        query.item_ids == (query.query_id.split("#")[0],)
        and query.item_ids[0] in found.collection.ids
        for query in found.all_queries
    )
    row = datasets.DatasetRow("mine", folder)
    assert set(datasets.list_label_sets(row)) == set(found.label_sets)
    return found, {
        name: [(query.query_id, query.text) for query in found.queries(name)]
        for name in found.label_sets
    }


def check(folder):
    return {one.name: (one.passed, one.finding) for one in check_dataset("mine", folder)}


def test_a_row_or_a_list_for_each_picture_is_the_same(tmp_path):
    write_table(tmp_path / "1" / "data" / "x.parquet", "abaa", caption=["A", "B", "A2", "A3"])
    lists = [["A", "A2", "A3"], ["B"]]
    write_table(tmp_path / "2" / "data" / "x.parquet", "ab", caption=lists)
    numbered = {"caption_0": ["A", "B"], "caption_1": ["A2", "B2"], "caption_10": ["A3", "B3"]}
    write_table(tmp_path / "3" / "data" / "x.parquet", "ab", **numbered)
    expected = [("a#0", "A"), ("a#1", "A2"), ("a#2", "A3"), ("b#0", "B")]
    for form in "12":
        found, asked = load(tmp_path / form)
        assert (asked, found.collection.ids) == ({"caption": expected}, ("a", "b"))
        assert found.unread == ()
    more = [*expected, ("b#1", "B2"), ("b#2", "B3")]
    assert load(tmp_path / "3")[1] == {"caption": more}


def test_captions_go_on_in_the_next_table_and_a_picture_may_have_none(tmp_path):
    write_table(tmp_path / "images" / "b.parquet", "abc", caption=["A2", "B", None])
    write_table(tmp_path / "images" / "a.parquet", "da", caption=["D", "A"])
    found, asked = load(tmp_path)
    assert asked == {"caption": [("a#0", "A"), ("a#1", "A2"), ("d#0", "D"), ("b#0", "B")]}
    assert sorted(found.collection.ids) == ["a", "b", "c", "d"]
    assert found.unread == ("texts in Parquet tables: 1 empty of caption",)


def test_karpathys_records_are_read_as_they_were_written(tmp_path):
    records = [[{"raw": "A man.", "tokens": ["a", "man"]}, {"raw": "A dog."}], []]
    turned = [{"raw": ["A man.", "A dog."], "sentid": [0, 1]}, {"raw": [], "sentid": []}]
    for form, cells in {"1": records, "2": turned}.items():
        write_table(tmp_path / form / "x.parquet", "ab", sentences=cells, sentids=[[0, 1], []])
        assert load(tmp_path / form)[1] == {"sentences": [("a#0", "A man."), ("a#1", "A dog.")]}


def test_each_column_of_texts_is_a_label_set_and_others_are_none(tmp_path):
    write_table(
        tmp_path / "x.parquet",
        "ab",
        TEXT=["t", "u"],
        caption=pa.array(["c", "c"]).dictionary_encode(),
        description=pa.array(["", None]),
        captions=[[1, 2], [3]],
        text=[1.5, None],
        sentids=[["1"], ["2"]],
        split=["test", "test"],
        label=["dog", "cat"],
    )
    found, asked = load(tmp_path)
    assert asked == {"TEXT": [("a#0", "t"), ("b#0", "u")], "caption": [("a#0", "c"), ("b#0", "c")]}
    assert found.unread == ("texts in Parquet tables: 2 empty of description",)
    kinds = [pa.large_string(), pa.large_list(pa.string()), pa.list_(pa.string(), 2), pa.null()]
    schema = pa.schema([(f"text_{i}", kind) for i, kind in enumerate(kinds)])
    assert [*find_caption_columns(schema)] == ["text_0", "text_1", "text_2"]


def test_texts_are_kept_but_for_lines_and_blanks_and_counted_where_they_are_none(tmp_path):
    texts = [["  None ", "", "two\n lines", "None", " \n"], ["None"]]
    write_table(tmp_path / "x.parquet", "ab", captions=texts)
    found, asked = load(tmp_path)
    assert asked == {"captions": [("a#0", "None"), ("a#2", "two lines"), ("b#0", "None")]}
    said = (
        "texts in Parquet tables: 2 empty of captions, 1 of captions that their picture has already"
    )
    assert found.unread == (said,)


def test_label_files_go_first_and_that_is_said(tmp_path):
    write_table(tmp_path / "images" / "x.parquet", "ab", caption=["A", "B"], text=["t", ""])
    (tmp_path / "labels.csv").write_text("query_id,item_id,label_set,text\nq,a,long,red\n")
    found = datasets.load("mine", tmp_path)
    assert [(query.query_id, query.text) for query in found.all_queries] == [("q", "red")]
    said = "texts of caption, text in Parquet tables, because there is labels.csv"
    assert found.unread == (said,)
    assert check(tmp_path)["texts that are no queries"] == (None, said)


def test_the_check_reads_them_too(tmp_path):
    write_table(tmp_path / "captions.parquet", "abc", caption=["red kite", "red kite", ""])
    found = check(tmp_path)
    assert found["labels"] == (True, "2 queries: 2 in caption")
    assert found["texts that are no queries"][1] == "texts in Parquet tables: 1 empty of caption"
    assert "captions.parquet line 1 'red kite', line 2" in found["same text"][1]
    assert "tables not read" not in found


def test_without_any_text_there_are_no_queries(tmp_path):
    write_table(tmp_path / "x.parquet", ["a", None], caption=["", "of a lost picture"])
    row = datasets.DatasetRow("mine", tmp_path, label_sets=("caption",))
    with pytest.raises(UnknownName):
        datasets.list_label_sets(row)
    assert load(tmp_path)[1] == {}
    assert isinstance(datasets.explain_no_queries(row), NotReady)
    assert check(tmp_path)["labels"][0] is None


def test_pictures_that_images_csv_lists_have_no_texts_of_tables(tmp_path):
    write_table(tmp_path / "images" / "x.parquet", "a", caption=["A"])
    (tmp_path / "images" / "b.png").write_bytes(png(1))
    (tmp_path / "images.csv").write_text("item_id,path\nb,images/b.png\n")
    assert load(tmp_path)[1] == {}


def test_texts_that_are_not_utf8_are_named(tmp_path):
    wrong = pa.StringArray.from_buffers(1, *pa.array([b"\xff\xfe"]).buffers()[1:])
    write_table(tmp_path / "x.parquet", "a", caption=wrong)
    row = datasets.DatasetRow("mine", tmp_path)
    for read in (lambda: datasets.load("mine", tmp_path), lambda: datasets.list_label_sets(row)):
        with pytest.raises(BadFile, match=r"(?s)x\.parquet.*utf-8"):
            read()


def test_texts_of_pictures_that_are_left_out_are_counted(tmp_path):
    paths = ["20190101_100000_000", "20190102_100000_000", "stray"]
    cells = [{"bytes": png(i), "path": f"{path}.png"} for i, path in enumerate(paths)]
    pq.write_table(pa.table({"image": cells, "text": ["A", "B", "C"]}), tmp_path / "x.parquet")
    found = datasets.load("mine", tmp_path, layout="lsc")
    assert [query.text for query in found.all_queries] == ["A", "B"]
    assert found.unread[1] == "texts in Parquet tables: 1 of pictures that are left out"
