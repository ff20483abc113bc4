from pathlib import Path

import pandas as pd
import pytest

from kis_bench.errors import BadFile
from kis_bench.measuring.run import count_rows, list_figures, select_published
from kis_bench.results.columns import ALL_PUBLISHED
from kis_bench.results.published import comparable, read_published, select_direction

FILE = Path(__file__).parents[2] / "fixtures" / "published" / "reset.csv"
HEAD = "dataset,label_set,model,metric,k,value,n,tolerance,published_as,source\n"


def test_the_files_of_this_repository_are_read_whole():
    table = read_published([FILE], {"reset"})
    assert list(table.columns) == ALL_PUBLISHED
    assert table.metric.value_counts()["consistency_published"] == 34
    best = table[(table.model == "W2VVExtractor") & (table.metric == "consistency_published")].iloc[
        0
    ]
    assert best.value * 14_047 == pytest.approx(10_793)
    assert table.source.str.len().min() > 0
    assert len(read_published([FILE], {"openmoji"})) == 0
    assert list(read_published([], {"reset"}).columns) == ALL_PUBLISHED


def test_a_name_that_means_nothing_elsewhere_is_a_name_here(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text(f"{HEAD}d,,NA,recall,10,0.5,,,,a paper\n")
    row = read_published([file], {"d"}).iloc[0]
    assert (row.model, row.k, row.value) == ("NA", 10, 0.5)
    assert pd.isna(row.n)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("d,,m,recall,,0.5,,,m,", "line 2: source is empty; fill it in"),
        ("d,,m,recall,,,,,m,here", "line 2: value is empty; fill it in"),
        ("d,,m,recall,,half,,,m,here", "line 2: value 'half' is not a number"),
        ("d,,m,recall,ten,0.5,,,m,here", "line 2: k 'ten' is not a whole number"),
        ("d,,m,recall,1.5,0.5,,,m,here", "line 2: k '1.5' is not a whole number"),
        ("d,,m,recall,,nan,,,m,here", "line 2: value 'nan' is not a number"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, said):
    file = tmp_path / "own.csv"
    file.write_text(f"{HEAD}{row}\n")
    with pytest.raises(BadFile) as error:
        read_published([file], {"d"})
    assert said in str(error.value)
    assert "own.csv" in str(error.value)


def test_another_header_says_what_was_expected(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("dataset,model,value\n")
    with pytest.raises(BadFile, match=f"expected {HEAD.strip()}"):
        read_published([file], {"d"})


def test_photos_of_somebody_else_have_no_published_figures():
    """The thesis searched 534 pictures; anybody's own may be called photos, and may have 100 queries as well."""
    file = FILE.with_name("photos.csv")
    theirs = read_published([file], {"photos": {"n_items": 534}})
    assert len(theirs) == len(file.read_text().splitlines()) - 1
    assert list(theirs.columns) == ALL_PUBLISHED
    assert len(read_published([file], {"photos": {"n_items": 535}})) == 0
    assert len(read_published([file], {"photos": {}})) == 0


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, True),
        ({"model": "theirs", "published_as": "m"}, True),
        ({"n": 99}, False),
        ({"n": None}, False),
        ({"model": "other"}, False),
        ({"k": 5}, False),
        ({"metric": "mrr", "k": None}, False),
        ({"dataset": "e"}, False),
        ({"label_set": "long"}, False),
    ],
)
def test_published_figures_are_kept_beside_one_of_the_same_set(change, kept):
    own = {
        "model": "m",
        "dataset": "d",
        "label_set": "s",
        "metric": "recall",
        "k": 10,
        "value": 0.5,
        "n": 100,
    }
    row = {**dict.fromkeys(ALL_PUBLISHED), **own, "published_as": "theirs", **change}
    published = pd.DataFrame([row], columns=ALL_PUBLISHED).astype({"k": "Int64", "n": "Int64"})
    obtained = pd.DataFrame([own]).astype({"k": "Int64"})
    assert len(comparable(published, obtained)) == kept
    assert len(comparable(published, obtained.astype({"k": "float64"}))) == kept
    judged = obtained.assign(label_set=float("nan"))  # of image similarity, as read from a file
    assert len(comparable(published.assign(label_set=""), judged)) == (
        kept or "label_set" in change
    )


def test_what_will_be_measured_of_queries_is_known_by_their_number():
    """Of the thesis' own photos all that was published of a model is kept."""
    file = FILE.with_name("photos.csv")
    published = read_published([file], {"photos": {"n_items": 534}})
    cell = {"model": "vit-so400m-14-siglip-384", "dataset": "photos", "label_set": "short"}
    for n, kept in ((100, 4), (99, 0)):
        sizes = pd.DataFrame([cell] * n).groupby(["model", "dataset", "label_set"]).size()
        figures = list_figures(sizes)
        assert len(comparable(published, figures)) == kept


@pytest.mark.parametrize(
    ("dataset", "n_items", "n"), [("flickr30k", 1000, 5000), ("coco", 5000, 25_010)]
)
def test_recall_of_the_usual_test_splits_is_known(dataset, n_items, n):
    """Of seven models at three cut-offs; another split, or five texts of each picture, is another set."""
    file = FILE.with_name("openclip.csv")
    published = read_published([file], {dataset: {"n_items": n_items}})
    assert len(published) == 3 * published.model.nunique() == 21
    assert len(read_published([file], {dataset: {"n_items": n_items + 1}})) == 0
    for model in published.model.unique():
        cell = {"model": model, "dataset": dataset, "label_set": "captions"}
        for queries, kept in ((n, 3), (n - 10, 0)):
            sizes = pd.DataFrame([cell] * queries).groupby(["model", "dataset", "label_set"]).size()
            assert len(comparable(published, list_figures(sizes))) == kept


@pytest.mark.parametrize(
    ("dataset", "n_items", "n_texts"), [("flickr30k", 1000, 5000), ("coco", 5000, 25_010)]
)
def test_recall_of_pictures_is_known_apart(dataset, n_items, n_texts):
    """Where all texts of the test split are searched, of which some may be the same one, and by pictures only."""
    file = FILE.with_name("openclip_texts.csv")
    about = {"n_items": n_items, "n_queries": {"captions": n_texts - 3}}
    assert len(read_published([file], {dataset: about})) == 0
    about["n_repeated"] = {"captions": 3}
    published = read_published([file], {dataset: about})
    assert len(published) == 3 * published.model.nunique() == 21
    assert {*published.direction} == {"image-to-text"}
    cell = {"model": "clip-vit-b-32", "dataset": dataset, "label_set": "captions"}
    figures = list_figures(count_rows(pd.DataFrame([cell] * n_items)))
    assert len(comparable(published, figures)) == 0
    assert len(comparable(published, figures.assign(direction="image-to-text"))) == 3
    assert len(select_direction(published)) == 0
    assert len(select_direction(published.drop(columns="direction"))) == 21


def test_a_direction_that_nobody_knows_is_named(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text(f"{HEAD.strip()},direction\nd,,m,recall,10,0.5,,,,a paper,text\n")
    with pytest.raises(BadFile, match="line 2: direction 'text' is not image-to-text, or empty"):
        read_published([file], {"d"})


@pytest.mark.parametrize(
    ("dataset", "n_items", "n", "more", "kept"),
    [
        ("coco:test:5", 5_000, 25_000, 0, True),
        ("flickr30k:all", 31_783, 158_915, 0, True),
        ("flickr30k:all", 31_783, 5_000, 0, False),  # the test split's texts among all pictures
        ("flickr30k", 1_000, 4_998, 2, True),
        ("photos", 534, 99, 0, False),
    ],
)
def test_a_run_keeps_what_papers_say_of_other_parts(dataset, n_items, n, more, kept):
    model = "vit-so400m-14-siglip-384" if dataset == "photos" else "clip-vit-b-32"
    label_set = "short" if dataset == "photos" else "captions"
    about = {"n_items": n_items, "n_queries": {label_set: n}, "n_repeated": {label_set: more}}
    files = [FILE.with_name(name) for name in ("openclip.csv", "photos.csv")]
    published = read_published(files, {dataset: about})
    cell = pd.DataFrame([{"model": model, "dataset": dataset, "label_set": label_set}] * n)
    sizes = cell.groupby(["model", "dataset", "label_set"]).size()
    provenance = {"datasets": {dataset: about}}
    found = select_published(published, list_figures(sizes), provenance)
    assert bool(len(found)) == kept
    assert {*found["dataset"]} <= {dataset}
