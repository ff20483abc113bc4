"""Measuring from Python, without pytest: results, run folders, and what wrong input gets."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kis_bench import datasets, encoders
from kis_bench.cli import main
from kis_bench.errors import BadVector, KisBenchError, NotReady, UnknownName
from kis_bench.measuring import (
    measure_image_similarity,
    measure_known_items,
    rank,
    write_run,
)
from kis_bench.ranking import target_ranks
from kis_bench.results import read_run
from kis_bench.results.columns import ALL_RANKS, JUDGMENTS, METRICS, TIMINGS
from kis_bench.store import Store

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200)}


@pytest.fixture
def toy(tmp_path, picture_file):
    """Three pictures of one colour each, and a text for each."""
    root = tmp_path / "toy"
    for name, colour in COLOURS.items():
        picture_file(root / "images" / f"{name}.png", colour)
    rows = [f"q-{name},{name},short,{name}" for name in COLOURS]
    (root / "labels.csv").write_text("\n".join(["query_id,item_id,label_set,text", *rows]))
    return datasets.load("toy", root)


@pytest.fixture
def picture_file():
    from PIL import Image

    def write(file, colour):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), colour).save(file)

    return write


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def encoder():
    return encoders.load("colour-words")


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_known_items(toy, store, encoder):
    found = measure_known_items(encoder, toy, "short", store)
    frame = found.to_frame()
    assert list(frame.columns) == ALL_RANKS
    assert frame["query_id"].tolist() == ["q-red", "q-green", "q-blue"]
    assert frame["rank"].tolist() == found.ranks.rank.tolist() == [1.0, 1.0, 1.0]
    assert [top[0] for top in frame["top_item_ids"]] == frame["item_id"].tolist()
    assert list(found.metrics.columns) == METRICS
    recall = found.metrics.query("metric == 'recall' and k == 1").iloc[0]
    assert recall.value == 1.0
    assert 0 < recall.ci_low < 1
    assert [row["step"] for row in found.timings] == [
        "embed images",
        "embed texts",
        "relevance",
        "rank",
    ]


def test_timings_say_what_embedding_waited_for(toy, tmp_path, encoder):
    """The stages are told by a clock in tests of passes; here any of them may be the slowest."""
    first = measure_known_items(encoder, toy, "short", Store(tmp_path / "new"))
    again = measure_known_items(encoder, toy, "short", Store(tmp_path / "new"))
    folder = write_run(tmp_path / "runs", [first])
    made, stored = ([row["limit"] for row in found.timings] for found in (first, again))
    assert {*made[:2]} <= {"decode", "forward", "disk"}
    assert made[2:] == [None, None]
    assert stored == [None] * 4
    assert [row["cached"] for row in first.timings] == [False] * 4
    assert [row["cached"] for row in again.timings] == [True, True, False, False]
    assert read_run(folder).timings["limit"].tolist()[:2] == made[:2]

    table = pd.read_csv(folder / "timings.csv")
    assert table.columns[-1] == "limit"
    table.drop(columns="limit").to_csv(folder / "timings.csv", index=False)  # as it was before
    older = read_run(folder).timings
    assert list(older.columns) == TIMINGS
    assert older["limit"].isna().all()


def test_an_engine_gives_the_same_ranks_and_is_recorded(toy, store, encoder, tmp_path):
    pytest.importorskip("torch")
    plain = measure_known_items(encoder, toy, "short", store)
    found = measure_known_items(encoder, toy, "short", store, engine="torch", privacy=True)
    assert found.to_frame()["rank_best"].equals(plain.to_frame()["rank_best"])
    assert plain.provenance["models"]["colour-words"]["ranking"] == {
        "engine": "numpy",
        "device": "cpu",
    }
    run = read_run(write_run(tmp_path / "runs", [found], privacy=True))
    assert run.provenance["models"]["colour-words"]["ranking"]["engine"] == "torch"
    vectors = np.eye(4, dtype=np.float32)
    ranked = rank(vectors, vectors, range(4), engine="torch")
    assert ranked.provenance["models"]["model"]["ranking"]["engine"] == "torch"
    with pytest.raises(KisBenchError, match="unknown engine 'numby': did you mean numpy"):
        rank(vectors, vectors, range(4), engine="numby")


def test_a_part_of_the_queries_and_privacy(toy, store, encoder):
    some = toy.queries("short")[1:2]
    found = measure_known_items(encoder, toy, "short", store, queries=some, privacy=True)
    assert found.to_frame()["query_id"].tolist() == ["q-green"]
    assert found.to_frame()["text"].tolist() == [""]


def test_a_run_folder_from_python_is_drawn_by_the_command(toy, store, encoder, tmp_path, capsys):
    known = measure_known_items(encoder, toy, "short", store)
    judged = measure_image_similarity(encoder, datasets.load("openmoji-triplets"), store)
    folder = write_run(tmp_path / "runs", [known, judged])
    run = read_run(folder)
    assert run.ranks["rank"].tolist() == known.to_frame()["rank"].tolist()
    assert len(run.judgments) == len(judged.to_frame())
    both = pd.concat([known.metrics, judged.metrics], ignore_index=True)
    assert run.metrics["value"].round(12).tolist() == both["value"].round(12).tolist()
    assert run.metrics["ci_low"].round(12).tolist() == both["ci_low"].round(12).tolist()
    assert run.timings["step"].tolist()[-1] == "compare"
    assert main(["report", str(folder)]) == 0
    assert (folder / "report.html").is_file()
    assert "q-green" in (folder / "report.html").read_text(encoding="utf-8")


def test_image_similarity(store, encoder):
    found = measure_image_similarity(encoder, datasets.load("openmoji-triplets"), store)
    assert list(found.to_frame().columns) == JUDGMENTS
    assert 0 <= found.consistency <= 1
    value = found.metrics.query("metric == 'consistency'")["value"].item()
    assert value == pytest.approx(found.consistency)


@pytest.mark.parametrize("v", [1, 3])
def test_ranks_of_vectors_from_elsewhere(v):
    rng = np.random.default_rng(0)
    images, texts = unit(rng.standard_normal((20, v, 8))), unit(rng.standard_normal((5, 8)))
    ids = [f"i{i}" for i in range(20)]
    found = rank(images, texts, ["i3", 4, ["i5", "i6"], 7, 8], item_ids=ids)
    own = target_ranks(texts, images, [[3], [4], [5, 6], [7], [8]], top_k=10)
    assert found.ranks.rank.tolist() == own.rank.tolist()
    assert found.to_frame()["item_id"].tolist() == ["i3", "i4", "i5|i6", "i7", "i8"]
    assert found.to_frame()["top_item_ids"][0] == [ids[i] for i in own.top_items[0]]
    mrr = found.metrics.query("metric == 'mrr'")["value"].item()
    assert mrr == pytest.approx(np.mean(1 / own.rank))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_vectors_of_any_length_are_made_unit_vectors(kind, tmp_path):
    rng = np.random.default_rng(0)
    images, texts = (7 * rng.standard_normal((n, 2, 16)).astype(kind) for n in (40, 9))
    texts = texts[:, 0]
    found = rank(images, texts, range(9), normalise=True)
    unit = [
        each.astype(np.float32) / np.linalg.norm(each.astype(np.float32), axis=-1, keepdims=True)
        for each in (images, texts)
    ]
    scores = np.einsum("nvd,qd->qnv", *(each.astype(np.float64) for each in unit)).max(axis=2)
    own = scores[np.arange(9), np.arange(9)]
    assert found.ranks.rank.tolist() == (1 + (scores > own[:, None]).sum(axis=1)).tolist()
    np.testing.assert_allclose(found.ranks.target_score, own, atol=1e-6)
    said = found.provenance["models"]["model"]["read"]
    assert said[0].startswith(f"image_vectors: 40 vectors of 16 numbers, {kind}, all made length 1")
    run = read_run(write_run(tmp_path, found))
    assert run.provenance["models"]["model"]["read"] == said
    again = rank(*unit, range(9), normalise=True)
    assert "taken as they are" in again.provenance["models"]["model"]["read"][0]
    images[3] = 0
    with pytest.raises(BadVector, match="image '3' has length zero; normalise=True divides"):
        rank(images, texts, range(9), normalise=True)


def test_a_run_of_vectors_from_elsewhere(tmp_path):
    vectors = unit(np.random.default_rng(0).standard_normal((6, 4)))
    names = ("one", "two")
    found = [rank(vectors, vectors, range(6), model=name, groups=list("aabbcc")) for name in names]
    run = read_run(write_run(tmp_path, found))
    assert run.ranks.groupby("model")["group_rank"].sum().tolist() == [6.0, 6.0]
    assert main(["report", str(run.folder)]) == 0


EYE = np.eye(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("arguments", "choices", "error", "message"),
    [
        ((EYE, EYE[:, :3], [0] * 4), {}, KisBenchError, r"\[4, 4\].*\[4, 3\].*same d"),
        ((EYE[0], EYE, [0] * 4), {}, KisBenchError, r"shape \[4\]"),
        ((EYE, "words", [0]), {}, KisBenchError, "text_vectors is 'words'.*no array of numbers"),
        ((EYE, EYE[:0], []), {}, KisBenchError, "4 images and 0 texts"),
        ((EYE * np.nan, EYE, [0] * 4), {}, BadVector, "image '0' has NaN"),
        (
            (EYE, EYE * 2, [0] * 4),
            {},
            BadVector,
            "text '0' has a length other than 1.*normalise=True",
        ),
        ((EYE, EYE, [0]), {}, KisBenchError, "1 targets for 4 texts"),
        ((EYE, EYE, [0, 1, 2, 4]), {}, KisBenchError, r"query '3': target 4 \(int\).*0 to 3"),
        ((EYE, EYE, [0, 1, 2, []]), {}, KisBenchError, "query '3' has no target"),
        ((EYE, EYE, [*"abcx"]), {"item_ids": "abcd"}, KisBenchError, "'x'.*one of item_ids.*'a'"),
        ((EYE, EYE, [0] * 4), {"item_ids": "abca"}, KisBenchError, "item_ids has 'a' twice"),
        ((EYE, EYE, [0] * 4), {"query_ids": "ab"}, KisBenchError, "2 query_ids for 4 vectors"),
        ((EYE, EYE, [0] * 4), {"groups": "ab"}, KisBenchError, "2 groups for 4 images"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(arguments, choices, error, message):
    with pytest.raises(error, match=message):
        rank(*arguments, **choices)


def test_wrong_arguments_say_what_was_got_and_where_to_get_the_right_one(toy, store, encoder):
    with pytest.raises(KisBenchError, match=r"'demo' \(str\).*encoders\.load"):
        measure_known_items("demo", toy, "short", store)
    with pytest.raises(KisBenchError, match=r"'toy' \(str\).*datasets\.load"):
        measure_known_items(encoder, "toy", "short", store)
    with pytest.raises(KisBenchError, match=r"'/store' \(str\).*Store"):
        measure_known_items(encoder, toy, "short", "/store")
    with pytest.raises(UnknownName, match="unknown label set 'shrot': did you mean short"):
        measure_known_items(encoder, toy, "shrot", store)
    with pytest.raises(KisBenchError, match="no queries"):
        measure_known_items(encoder, toy, "short", store, queries=[])
    with pytest.raises(KisBenchError, match="near-duplicates 'same'"):
        measure_known_items(encoder, toy, "short", store, near_duplicates="same")
    with pytest.raises(KisBenchError, match="0 triplets and 0 judgments"):
        measure_image_similarity(encoder, toy, store)
    with pytest.raises(KisBenchError, match="vector_rule 'sum'"):
        measure_image_similarity(
            encoder, datasets.load("openmoji-triplets"), store, vector_rule="sum"
        )


def test_queries_of_another_collection_are_refused(toy, store, encoder):
    other = datasets.load("openmoji").queries("short")[:1]
    with pytest.raises(KisBenchError, match="not among the 3 items.*'blue', 'green', 'red'"):
        measure_known_items(encoder, toy, "short", store, queries=other)


def test_an_encoder_without_a_text_side_is_refused(toy, store):
    extractor = encoders.load("rgb-histogram-64")
    with pytest.raises(NotReady, match="no text side.*image similarity only"):
        measure_known_items(extractor, toy, "short", store)


def test_a_store_that_can_not_be_written_is_named(toy, encoder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KisBenchError, match="file"):
        measure_known_items(encoder, toy, "short", Store(tmp_path / "file"))


def test_vectors_of_an_encoder_with_nan_are_refused(toy, store, encoder):
    class Broken:
        name, key, dim, vectors_per_item, context_length = "broken", "broken-1", 4, 1, None

        def encode_images(self, images):
            return np.full((len(images), 1, 4), np.nan, np.float32)

        def encode_texts(self, texts):
            return np.full((len(texts), 1, 4), np.nan, np.float32), np.zeros(len(texts), bool)

    with pytest.raises(BadVector, match="broken.*'blue' has NaN"):
        measure_known_items(Broken(), toy, "short", store)


def test_results_that_are_not_one_run_are_refused(toy, store, encoder, tmp_path):
    known = measure_known_items(encoder, toy, "short", store)
    for results, message in (
        ([], "at least one result"),
        ([known.to_frame()], "DataFrame"),
        ([known, known], "colour-words, toy, short twice"),
    ):
        with pytest.raises(KisBenchError, match=message):
            write_run(tmp_path / "runs", results)
    with pytest.raises(KisBenchError, match="privacy=True"):
        write_run(tmp_path / "runs", known, privacy=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(KisBenchError, match="could not be written"):
        write_run(tmp_path / "file", known)
    assert not (tmp_path / "runs").exists()


def test_a_whole_measurement_leaves_pytest_out(toy, tmp_path):
    code = f"""
import sys
from kis_bench import datasets, encoders
from kis_bench.measuring import measure_known_items, write_run
from kis_bench.store import Store

toy = datasets.load("toy", {str(tmp_path / "toy")!r})
found = measure_known_items(encoders.load("colour-words"), toy, "short", Store({str(tmp_path / "s")!r}))
write_run({str(tmp_path / "runs")!r}, found)
print(len(found.metrics), sorted({{"pytest", "_pytest", "torch"}} & {{*sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    n, modules = done.stdout.strip().split(" ", 1)
    assert int(n) > 5
    assert modules == "[]"
