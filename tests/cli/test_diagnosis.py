"""Why recall isn't the published one: causes planted into real runs are named from stored vectors, others aren't."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from builders import call_cli
from PIL import Image

from kis_bench import datasets
from kis_bench.cli.diagnosis import list_untried, select_figures
from kis_bench.embed import images_entry, texts_entry
from kis_bench.measuring import measure_known_items, vector_attempts, write_run
from kis_bench.measuring.vector_attempts import search_texts
from kis_bench.metrics import recall_at_k
from kis_bench.results import read_run
from kis_bench.results.columns import PUBLISHED
from kis_bench.store import Store

TEST, TRAIN, TEXTS, DIM = 60, 600, 3, 12
N = TEST + TRAIN
BASE = np.random.default_rng(7).standard_normal((N, DIM))
HEADER = "dataset,label_set,model,metric,k,value,n,tolerance,published_as,source"


class Planted:
    """Vectors by the number in a colour or a text, which are near to one another."""

    name = key = "planted"
    dim, vectors_per_item, context_length = DIM, 1, None

    def encode_images(self, pictures):
        colours = (picture.getpixel((0, 0)) for picture in pictures)
        return self.scale([BASE[red + 256 * green] for red, green, _ in colours])

    def encode_texts(self, texts):
        numbers = [[*map(int, text.split())] for text in texts]
        rows = [
            BASE[i] + 1.1 * np.random.default_rng([i, n]).standard_normal(DIM) for i, n in numbers
        ]
        return self.scale(rows), np.zeros(len(texts), bool)

    def scale(self, rows):
        vectors = np.array(rows, np.float32)[:, None]
        return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as Karpathy's, and runs of it: all of its pictures, and the test split."""
    root = tmp_path_factory.mktemp("diagnosed")
    folder = root / "flickr30k"
    (folder / "images").mkdir(parents=True)
    images = []
    for i in range(N):
        Image.new("RGB", (1, 1), (i % 256, i // 256, 0)).save(folder / "images" / f"{i}.png")
        sentences = [{"raw": f"{i} {n}"} for n in range(TEXTS)]
        split = "test" if i < TEST else "train"
        images.append({"filename": f"{i}.png", "split": split, "sentences": sentences})
    (folder / "dataset_flickr30k.json").write_text(
        json.dumps({"images": images, "dataset": "flickr30k"})
    )
    store = Store(root / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIS_CACHE", str(root / "cache"))
        for name in ("flickr30k:all", "flickr30k"):
            dataset = datasets.load(name, folder)
            found = measure_known_items(Planted(), dataset, "captions", store)
            write_run(root / name.replace(":", "-"), found)
    return root


def find_recall(place, name, k):
    ranks = read_run(place / name / "latest").ranks
    return recall_at_k(ranks["rank_best"].to_numpy(), ranks["rank_worst"].to_numpy(), k)


def diagnose(place, name, figures, *more, code=0):
    """What the command says of a run, where a paper has these figures of recall@1 and recall@10."""
    file = place / "published.csv"
    rows = [
        f"flickr30k,captions,planted,recall,{k},{value},{TEST * TEXTS},0.0001,Planted,a paper"
        for k, value in zip((1, 10), figures, strict=True)
    ]
    file.write_text("\n".join([HEADER, *rows]))
    dataset = "flickr30k:all" if name.endswith("all") else "flickr30k"
    done = call_cli(
        *("diagnose", place / name / "latest", "--published", file),
        *("--dataset", f"{dataset}={place / 'flickr30k'}", "--store", place / "store", *more),
        cwd=place,
        KIS_CACHE=str(place / "cache"),
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_run_on_the_whole_set_is_told_the_figures_of_the_test_split(place):
    published = [round(find_recall(place, "flickr30k", k), 4) for k in (1, 10)]
    said = diagnose(place, "flickr30k-all", published)
    assert "1,980 queries, published of 180 (a paper)" in said
    assert "agrees with: flickr30k alone, 60 pictures." in said
    (row,) = [line for line in said.splitlines() if line.startswith("flickr30k alone")]
    assert [f"{100 * value:.1f}%" in row for value in published] == [True, True]
    assert "takes the model itself" not in said


def test_figures_of_pictures_that_look_for_texts_are_told(place):
    dataset, store = datasets.load("flickr30k", place / "flickr30k"), Store(place / "store")
    queries = dataset.queries("captions")
    items = images_entry(dataset.collection, "planted", store).read()
    texts = texts_entry(queries, "planted", store, "flickr30k-captions")[0].read()
    found = search_texts(dataset.collection, queries, items, texts)
    best, worst = found["rank_best"].to_numpy(), found["rank_worst"].to_numpy()
    said = diagnose(place, "flickr30k", [round(recall_at_k(best, worst, k), 4) for k in (1, 10)])
    assert "agrees with: pictures look for their texts." in said


def test_a_figure_within_the_interval_and_one_of_no_cause(place):
    own = [find_recall(place, "flickr30k", k) for k in (1, 10)]
    said = diagnose(place, "flickr30k", own)
    assert "All published figures are within the intervals of the measured ones." in said
    said = diagnose(place, "flickr30k", [0.05, 0.1])
    assert "None of this explains what was published." in said
    assert "--model planted --kis-prompt" in said


def test_what_cant_be_tried_without_vectors_is_said(place, tmp_path):
    shutil.copytree(place / "flickr30k" / "latest", tmp_path / "run")
    said = diagnose(place, "flickr30k", [0.05, 0.1], "--store", tmp_path / "empty")
    assert "Not tried on vectors:" in said
    assert "lacks vectors of planted under the key of the run" in said
    assert "the first text of each picture alone" in said


def test_what_would_take_long_is_left_out_and_said(place, monkeypatch):
    monkeypatch.setattr(vector_attempts, "MOST_SCORES", 1_000)
    said = diagnose(place, "flickr30k", [0.05, 0.1])
    assert (
        "Not tried on vectors: pictures that look for their texts would take 10,800 scores." in said
    )
    assert "\npictures look for their texts" not in said


def test_figures_of_the_other_direction_are_no_figures_of_this_one(place):
    own = [find_recall(place, "flickr30k", k) for k in (1, 10)]
    diagnose(place, "flickr30k", own)
    file = place / "published.csv"
    turned = f"flickr30k,captions,planted,recall,1,0.01,{TEST},0.0001,Planted,a paper,image-to-text"
    lines = [f"{HEADER},direction", *(f"{row}," for row in file.read_text().splitlines()[1:])]
    file.write_text("\n".join([*lines, turned]))
    folder = place / "flickr30k" / "latest"
    done = call_cli("diagnose", folder, "--published", file, cwd=place)
    assert "All published figures are within" in done.stdout
    assert done.stdout.count("planted on flickr30k") == 1


def test_a_figure_of_a_file_and_of_the_run_is_one():
    row = ("captions", "planted", "recall", 1, 0.5, 180, 0.0, "Planted", "a paper")
    rows = [(name, *row) for name in ("flickr30k", "flickr30k:test")]
    table = pd.DataFrame(rows, columns=PUBLISHED)
    found = select_figures(table, ("flickr30k:test", "captions", "planted"))
    assert {source: len(rows) for source, rows in found.items()} == {"a paper": 1}


def test_nothing_published_is_an_error(place):
    done = call_cli("diagnose", place / "flickr30k" / "latest", cwd=place)
    assert done.returncode == 2
    assert "nothing is published of what" in done.stderr


def test_other_routes_to_the_same_weights_are_named_as_commands():
    about = {"models": {"clip": {"source": "openclip:ViT-B-32/openai"}}}
    said = list_untried(("coco", "captions", "clip"), SimpleNamespace(provenance=about))
    assert "--model openclip:ViT-B-32-quickgelu/openai" in said
    assert "transformers:openai/clip-vit-base-patch32" in said
    assert "timm:" not in said
    assert "openclip:ViT-B-32/openai" not in said
