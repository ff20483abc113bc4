"""Captions of Flickr8k and Flickr30k: token files, and tables as Kaggle hands them out."""

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.errors import BadFile

TOKENS = """\
1.jpg#0\tA dog , "Rex" .
1.jpg#1\tA  dog runs .
2.jpg.1#0\tA cat .
2.jpg#1\tTwo # cats .
3.jpg#0\tNA
"""
PIPES = """\
image_name| comment_number| comment
1.jpg| 0| A dog | a cat .
1.jpg| 1| A dog runs .
2.jpg| 4   A dog runs across the grass .
"""
COMMAS = 'image,caption\n1.jpg,A dog .\n1.jpg,"A dog , and ""Rex"" ."\n3.jpg,None\n'


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Images").mkdir()  # as Kaggle's copy calls it
    for i in (1, 2, 3):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "Images" / f"{i}.jpg")
    return tmp_path


def load(folder, name="flickr"):
    found = datasets.load(name, folder)
    short = [(query.query_id.rpartition("/")[2], query.text) for query in found.all_queries]
    return found, short


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "results_20130124.token"])
def test_a_token_file_is_read_with_its_quotes_and_its_bad_name(folder, name):
    (folder / name).write_bytes(TOKENS.replace("\n", "\r\n").encode())
    (folder / "Flickr8k.lemma.token.txt").write_text("1.jpg#0\ta dog run .\n")
    found, asked = load(folder)
    assert asked == [
        ("1#0", 'A dog , "Rex" .'),
        ("1#1", "A  dog runs ."),
        ("2#0", "A cat ."),
        ("2#1", "Two # cats ."),
        ("3#0", "NA"),
    ]
    assert found.remarks[0] == f"{name}: 1 text of 2.jpg.1 taken for 2.jpg"
    assert found.collection.ids == ("Images/1", "Images/2", "Images/3")


def test_kaggles_results_are_read_though_a_separator_is_missing(folder):
    (folder / "results.csv").write_text(PIPES)
    found, asked = load(folder)
    assert asked == [
        ("1#0", "A dog | a cat ."),
        ("1#1", "A dog runs ."),
        ("2#0", "A dog runs across the grass ."),
    ]
    assert found.remarks[0] == "results.csv: the second | is missing on line 4, read without it"
    assert found.remarks[2] == "pictures without a text, searched all the same: 1"


def test_kaggles_captions_are_read(folder):
    (folder / "captions.txt").write_text(COMMAS)
    found, asked = load(folder)
    assert asked == [("1#0", "A dog ."), ("1#1", 'A dog , and "Rex" .'), ("3#0", "None")]
    assert (found.unread, len(found.collection)) == ((), 3)


def test_lists_of_flickr8k_tell_the_splits(folder):
    (folder / "Flickr8k.token.txt").write_text(TOKENS)
    (folder / "Flickr_8k.testImages.txt").write_text("1.jpg\n")
    (folder / "Flickr_8k.devImages.txt").write_text("2.jpg\n3.jpg\n")
    found, asked = load(folder)
    assert (found.collection.ids, len(asked)) == (("Images/1",), 2)
    said = "has the splits dev (2 pictures, 3 texts), test (1 pictures, 2 texts); read is test"
    assert f"Flickr8k.token.txt {said}" in found.remarks
    assert found.left_out == {}
    assert len(load(folder, "x:dev")[1]) == 3
    assert len(load(folder, "x:all")[1]) == 5
    with pytest.raises(BadFile, match="no list of the split 'val'.*NAME:dev, NAME:test, NAME:all"):
        load(folder, "x:val")
    (folder / "Flickr_8k.testImages.txt").write_text("1.jpg\n9.jpg\n")
    with pytest.raises(BadFile, match=r"9.jpg of Flickr_8k.testImages.txt has no text"):
        load(folder)


def test_lines_that_are_none_are_named(folder):
    (folder / "results.token").write_text(f"{TOKENS}no tabulator\n3.jpg\ttext\n")
    with pytest.raises(BadFile) as error:
        load(folder)
    assert [one.partition(":")[0] for one in error.value.problems] == ["line 6", "line 7"]
    (folder / "results.token").write_text(TOKENS)
    (folder / "captions.txt").write_text(COMMAS)
    with pytest.raises(BadFile, match="several files of captions: captions.txt, results.token; l"):
        load(folder)


def test_a_split_without_lists_is_an_error(folder):
    (folder / "captions.txt").write_text(COMMAS)
    with pytest.raises(BadFile, match="no list of the split 'test'"):
        load(folder, "x:test")
