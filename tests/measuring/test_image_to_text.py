"""Pictures that look for their texts, measured from Python: figures, tables, run folders, several vectors a picture."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kis_bench import datasets, encoders
from kis_bench.analysis.runs import compare_runs
from kis_bench.errors import KisBenchError, NotReady, UnknownName
from kis_bench.gate.baselines import read_earlier
from kis_bench.measuring import measure_image_to_text, measure_known_items, write_run
from kis_bench.report.markdown import show_report
from kis_bench.report.view import make_view
from kis_bench.results import read_run
from kis_bench.results.columns import ALL_PUBLISHED, TEXT_FIGURES, TEXT_PLACES
from kis_bench.results.merging import merge
from kis_bench.store import Store

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200)}
LABELS = """query_id,item_id,label_set,text,annotator
a,red,short,red,Ada
b,red,short,a red field,Bo
c,green,short,red,Ada
d,green,short,green,Bo
e,grey,short,blue,Ada
"""


@pytest.fixture
def toy(tmp_path):
    """Pictures of one colour: red and green have two texts each of two annotators, grey a wrong one, blue none."""
    folder = tmp_path / "toy"
    (folder / "images").mkdir(parents=True)
    for name, colour in {**COLOURS, "grey": (128, 128, 128)}.items():
        Image.new("RGB", (32, 32), colour).save(folder / "images" / f"{name}.png")
    (folder / "labels.csv").write_text(LABELS)
    return datasets.load("toy", folder)


class WithVectors:
    """An encoder whose pictures and texts have the vectors that it is given, one after the other."""

    name, key, image_only, context_length = "given", "given-1", False, 9

    def __init__(self, images, texts):
        self.images, self.texts = images, texts
        self.vectors_per_item, self.dim = images.shape[1:]

    def encode_images(self, images):
        return self.images[: len(images)]

    def encode_texts(self, texts):
        return self.texts[: len(texts), None], np.zeros(len(texts), bool)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_places_and_figures(toy, store):
    found = measure_image_to_text(encoders.load("colour-words"), toy, "short", store)
    frame = found.to_frame()
    assert list(frame.columns) == TEXT_PLACES
    assert frame["item_id"].tolist() == [*found.item_ids] == ["green", "grey", "red"]
    assert frame["n_targets"].tolist() == [2, 1, 2]
    assert {*frame["n_texts"]} == {5}
    rows = frame.set_index("item_id")
    assert rows.loc["green", "rank"] == 1
    # The text of green that says the same is a rival, and the picture's own second one is none.
    assert rows.loc["red", ["rank_best", "rank_worst"]].tolist() == [1, 2]
    figures = found.metrics
    assert list(figures.columns) == TEXT_FIGURES
    assert {*figures["n"], *figures["n_texts"]} == {3, 5}
    recall = figures.query("metric == 'recall' and k == 1").iloc[0]
    assert 0 < recall.ci_low < recall.value < recall.ci_high < 1
    assert [row["step"] for row in found.timings] == ["embed images", "embed texts", "rank texts"]
    assert repr(found).startswith("ImageToText('colour-words', 'toy', 'short', 3 pictures, R@1 ")


def test_several_vectors_of_a_picture(toy, store):
    """The highest score over a picture's vectors counts, whichever side asks."""
    rng = np.random.default_rng(3)
    images, texts = rng.standard_normal((4, 3, 6)), rng.standard_normal((5, 6))
    images, texts = (
        (each / np.linalg.norm(each, axis=-1, keepdims=True)).astype(np.float32)
        for each in (images, texts)
    )
    found = measure_image_to_text(WithVectors(images, texts), toy, "short", store)
    scores = (images.astype(float) @ texts.T.astype(float)).max(axis=1)
    own = np.array([[i in query.item_ids for query in toy.all_queries] for i in toy.collection.ids])
    for item, rank in zip(found.item_ids, found.ranks.rank, strict=True):
        row = toy.collection.position[item]
        assert rank == 1 + (scores[row] > scores[row][own[row]].max()).sum()


def test_a_warm_store_needs_no_model(toy, store, monkeypatch):
    first = measure_image_to_text(encoders.load("colour-words"), toy, "short", store)

    def refuse(*_):
        raise AssertionError("something was encoded")

    encoder = encoders.load("colour-words")
    monkeypatch.setattr(type(encoder), "encode_images", refuse)
    monkeypatch.setattr(type(encoder), "encode_texts", refuse)
    again = measure_image_to_text(encoder, toy, "short", store)
    pd.testing.assert_frame_equal(first.to_frame(), again.to_frame())
    assert [row["cached"] for row in again.timings] == [True, True, False]
    measure_known_items(encoder, toy, "short", store)


def test_a_run_keeps_both_directions_apart(toy, store, tmp_path):
    encoder = encoders.load("colour-words")
    both = [
        measure_known_items(encoder, toy, "short", store),
        measure_image_to_text(encoder, toy, "short", store),
    ]
    folder = write_run(tmp_path / "runs", both)
    run, alone = read_run(folder), read_run(write_run(tmp_path / "runs", both[0]))
    pd.testing.assert_frame_equal(run.metrics, alone.metrics)
    pd.testing.assert_frame_equal(run.ranks, alone.ranks)
    assert not (alone.folder / "image_to_text.parquet").exists()
    pd.testing.assert_frame_equal(run.image_to_text, both[1].to_frame(), check_dtype=False)
    pd.testing.assert_frame_equal(run.text_figures, both[1].metrics)
    assert "image_to_text: 3" in repr(run)
    assert not any("image-to-text" in said for said in compare_runs(alone, run).remarks)
    (said,) = compare_runs(run, run).remarks
    assert said.startswith("image-to-text retrieval is not compared")
    turned = read_run(write_run(tmp_path / "runs", both[1]))
    with pytest.raises(KisBenchError, match="nothing|common"):
        compare_runs(turned, turned)
    with pytest.raises(KisBenchError, match="toy, short, image-to-text twice"):
        write_run(tmp_path / "runs", [both[1], both[1]])


def test_runs_are_merged_and_repaired(toy, store, tmp_path):
    found = measure_image_to_text(encoders.load("colour-words"), toy, "short", store)
    runs = [read_run(write_run(tmp_path / str(i), found)) for i in range(2)]
    merged = merge(runs)
    assert Counter(merged.tables["image_to_text"]["item_id"]) == {"red": 1, "green": 1, "grey": 1}
    assert "text_figures" not in merged.tables  # which are computed from that
    other = runs[1].image_to_text.assign(rank_best=2, rank_worst=2)
    changed = write_run(tmp_path / "other", found)
    other.to_parquet(changed / "image_to_text.parquet")
    with pytest.raises(KisBenchError, match="3 of 3 pictures differ"):
        merge([runs[0], read_run(changed)])
    (runs[0].folder / "image_to_text.csv").unlink()
    rest = read_run(runs[0].folder, whole=False)
    pd.testing.assert_frame_equal(rest.text_figures, found.metrics)
    assert rest.lacking == {
        "text_figures": "image_to_text.csv is missing: its figures were computed anew"
    }
    (runs[1].folder / "image_to_text.parquet").unlink()
    assert len(read_run(runs[1].folder, whole=False).text_figures) == len(found.metrics)


def test_what_compares_known_items_says_that_there_is_only_the_other_direction(
    toy, store, tmp_path
):
    found = measure_image_to_text(encoders.load("colour-words"), toy, "short", store)
    folder = write_run(tmp_path, found)
    run = read_run(folder)
    with pytest.raises(KisBenchError, match="only image-to-text retrieval, which is not compared"):
        compare_runs(run, run)
    with pytest.raises(KisBenchError, match="nothing in it but image-to-text retrieval"):
        read_earlier(folder)


def test_what_cannot_be_measured_is_named(toy, store):
    with pytest.raises(UnknownName, match="label set"):
        measure_image_to_text(encoders.load("colour-words"), toy, "long", store)
    with pytest.raises(NotReady, match="no text side"):
        measure_image_to_text(encoders.load("rgb-histogram-64"), toy, "short", store)


def test_published_figures_stand_in_their_own_direction(toy, store, tmp_path):
    encoder = encoders.load("colour-words")
    both = [
        measure_known_items(encoder, toy, "short", store),
        measure_image_to_text(encoder, toy, "short", store),
    ]
    run = read_run(write_run(tmp_path / "runs", both))
    row = (
        "toy",
        "short",
        "colour-words",
        "recall",
        1,
        0.01,
        3,
        0.0,
        "Colours",
        "a paper",
        "image-to-text",
    )
    texts = (*row[:5], 0.6, 5, *row[7:10], None)
    published = pd.DataFrame([row, texts], columns=ALL_PUBLISHED)
    text = show_report(make_view(replace(run, published=published), tmp_path))
    search, _, turned = text.partition("## Image-to-text retrieval")
    (line,) = [one for one in search.splitlines() if "Colours" in one]
    assert "60.0%" in line
    (line,) = [one for one in turned.splitlines() if "Colours" in one]
    assert "1.0%" in line
    said = "1 published figure of **colour-words** is outside the interval of what was obtained on as many pictures"
    assert said in turned


def test_a_private_view_names_no_picture(toy, store, tmp_path):
    encoder = encoders.load("colour-words")
    found = measure_image_to_text(encoder, toy, "short", store, privacy=True)
    run = read_run(write_run(tmp_path / "runs", found, privacy=True))
    assert make_view(run, tmp_path).run.image_to_text["item_id"].tolist() == ["0", "1", "2"]
