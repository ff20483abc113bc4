"""Texts in files beside their pictures, and what img2dataset writes: files, shards and tables."""

import json
from pathlib import Path

import pytest
from builders import encode_png

from kis_bench import datasets
from kis_bench.datasets.label_formats.loose_texts import (
    MOST_OPENED,
    holds_words,
    pair_loose_texts,
)
from kis_bench.errors import BadFile, NotReady

#: By img2dataset, of six rows: a text, a missing picture, a text, a broken picture, no text, a text of two lines.
WRITTEN = Path(__file__).parents[1] / "data" / "written"
FAILED = (
    "img2dataset: 2 of 6 rows have no picture (1 HTTP Error 404: File not found, "
    "1 Image decoding error)"
)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def lay(folder, **files):
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def ask(found):
    return [(query.query_id, query.label_set, query.text) for query in found.all_queries]


@pytest.mark.parametrize(
    ("form", "label_set", "left_out"),
    [
        ("files", "captions", {}),
        ("webdataset", "captions", {}),
        ("parquet", "caption", {"(rows without an image)": 2}),
    ],
)
def test_what_img2dataset_wrote_is_joined_by_key_and_its_failures_are_told(
    form, label_set, left_out
):
    found = datasets.load("mine", WRITTEN / f"img2dataset-{form}")
    below = ("00000/", "00001/") if form == "files" else ("", "")
    keys = [below[0] + "000000", below[0] + "000002", below[1] + "000010", below[1] + "000011"]
    assert [*found.collection.ids] == keys
    assert ask(found) == [
        (f"{keys[0]}#0", label_set, "a 0"),
        (f"{keys[1]}#0", label_set, "b 0"),
        (f"{keys[3]}#0", label_set, "d: 0, 'quoted' and on"),
    ]
    assert found.remarks[-1] == FAILED
    assert found.left_out == left_out
    row = datasets.DatasetRow("mine", WRITTEN / f"img2dataset-{form}")
    assert datasets.list_label_sets(row) == (label_set,)


def test_what_webdataset_wrote_keeps_names_with_dots_apart():
    found = datasets.load("mine", WRITTEN / "shard")
    assert ask(found) == [
        ("IMG.2019.05#0", "captions", "d 0"),
        ("IMG.2019.06#0", "captions", "e 0"),
        ("a#0", "captions", "a 0"),
        ("sub/b#0", "captions", "b 0"),
        ("sub/b#1", "captions", "b 1"),
    ]


def test_a_text_belongs_to_the_one_picture_of_its_key(tmp_path):
    lay(
        tmp_path / "images",
        **{
            "sub/a.PNG": encode_png(1),
            "sub/a.TXT": " two\nlines ",
            "sub/a.json": json.dumps({"caption": "another"}),
            "a.png": encode_png(2),
            "a.jpg": encode_png(3),
            "a.txt": "of which of both",
            "b.png": encode_png(4),
            "b.json": json.dumps({"text": ["B", "B2"]}),
            "c.png": encode_png(5),
            "c.txt": "",
            "d.png": encode_png(6),
            "d.png.json": json.dumps({"caption": "not of this key"}),
            "notes.txt": "of no picture",
        },
    )
    found = datasets.load("mine", tmp_path)
    assert ask(found) == [
        ("b#0", "captions", "B"),
        ("b#1", "captions", "B2"),
        ("sub/a#0", "captions", "two lines"),
    ]
    assert found.remarks == (
        "3 texts in files that are called as their pictures",
        "pictures without a text, searched all the same: 4",
        "1 picture of which .txt and .json say different things: .txt is read",
    )
    assert found.unread == ("texts in files: 1 empty of captions",)
    assert found.left_out == {".txt": 2, ".json": 1}


def test_lines_of_numbers_are_no_texts(tmp_path):
    boxes = {
        f"{i}.txt": f"{kind} 0.5 0.5 1e-05 0.125\n" for i, kind in enumerate(("0", "0", "car"))
    }
    lay(tmp_path, **boxes, **{f"{i}.png": encode_png(i) for i in range(3)})
    with pytest.raises(NotReady):
        raise datasets.explain_no_queries(datasets.DatasetRow("mine", tmp_path))
    found = datasets.load("mine", tmp_path)
    assert (found.all_queries, found.left_out) == ((), {".txt": 3})


@pytest.mark.parametrize("listed", ["labels.csv", "images.csv"])
def test_tables_of_ours_go_first(tmp_path, listed):
    lay(tmp_path, **{"images/a.png": encode_png(1), "images/a.txt": "of the file"})
    rows = {
        "labels.csv": "query_id,item_id,label_set,text\nq,a,short,ours\n",
        "images.csv": "item_id,path\nx,images/a.png\n",
    }
    (tmp_path / listed).write_text(rows[listed])
    found = datasets.load("mine", tmp_path)
    assert ask(found) == ([("q", "short", "ours")] if listed == "labels.csv" else [])
    assert found.left_out == {".txt": 1}


def test_a_text_that_cannot_be_read_is_named_unless_another_is_there(tmp_path):
    lay(
        tmp_path,
        **{
            "a.png": encode_png(1),
            "a.txt": "A",
            "a.json": '{"caption"',
            "b.png": encode_png(2),
            "b.txt": "B",
        },
    )
    found = datasets.load("mine", tmp_path)
    assert (
        found.remarks[-1] == "1 text in files that can't be read, beside others with texts: a.json"
    )
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadFile, match=r"b\.txt can't be read .*mend it, or take it away"):
        datasets.load("mine", tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"count": "3"}', '{"count": 3}', b"\xff", None])
def test_notes_without_counts_are_named_and_pictures_are_searched(tmp_path, content):
    lay(
        tmp_path,
        **{
            "00000/000000000.png": encode_png(1),
            "00000/000000000.txt": "a text",
            "00000_stats.json": content or "",
            "00001_stats.json": json.dumps({"count": 3, "successes": 1, "status_dict": {}}),
        },
    )
    if content is None:  # a file that nothing reads: its target is gone
        (tmp_path / "00000_stats.json").unlink()
        (tmp_path / "00000_stats.json").symlink_to(tmp_path / "gone")
    found = datasets.load("mine", tmp_path)
    assert len(found.all_queries) == 1
    assert found.remarks[-1] == (
        "img2dataset: 1 of 2 notes on downloads can't be read: 00000_stats.json"
    )
    assert "img2dataset: 2 of 3 rows have no picture" in found.remarks


def test_texts_among_many_files_of_numbers_are_found(tmp_path):
    """Only some are opened, but from the whole folder: here the second half has words."""
    n = 3 * MOST_OPENED
    texts = {f"{i:04}.txt": "0 0.5 0.5" if i < n // 2 else f"a word {i}" for i in range(n)}
    names = [*texts, *(f"{i:04}.png" for i in range(n))]
    lay(tmp_path, **texts)
    assert holds_words(pair_loose_texts(tmp_path, names))
    assert not holds_words(pair_loose_texts(tmp_path, []))
