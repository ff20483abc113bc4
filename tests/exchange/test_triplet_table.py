"""Tables of triplets as `kis-bench triplets` writes them and the reader of studies takes them."""

import csv
import os

import numpy as np
import pytest
from PIL import Image
from reset_files import judgment, person, write_table

from kis_bench import cli, datasets
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.reset import read_study
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.triplet_table import (
    TABLE_COLUMNS,
    make_rows,
    require_free_table,
    sample_triplets,
    spell_path,
    write_triplets,
)
from kis_bench.ranking.relevance import NearDuplicates
from kis_bench.records import Collection, Embeddings

MODEL = "extractor:rgb-histogram-64"
OTHER = "extractor:rgb-histogram-256"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Thirty pictures of different colours, and a copy of one of them."""
    monkeypatch.setenv("KIS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for i in range(30):
        file = tmp_path / "mine" / "images" / f"day {i % 3}" / f"photo.{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        colours = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((64, 64), Image.Resampling.NEAREST).save(file)
    (file.parent / "copy.png").write_bytes(file.read_bytes())
    return tmp_path / "mine"


@pytest.fixture
def draw(folder, capsys):
    def run(*arguments, code=0, where=folder):
        assert cli.main(["triplets", str(where), *map(str, arguments)]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return run


def read_table(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def judge_all(folder):
    rows = read_table(folder / "triplets.csv")
    judged = [judgment(f"j{i}", row, "ann", 1 if i % 3 else -2) for i, row in enumerate(rows)]
    write_table(folder / "triplet_judgements.csv", judged, tuple(judged[0]))
    write_table(folder / "participants.csv", [person("ann")], tuple(person("ann")))


def test_triplets_are_written_and_read_as_a_study(folder, draw):
    said = draw("--model", MODEL, "--number", 40)
    assert said.startswith("40 triplets of 30 target pictures; ")
    assert "1 picture left out, whose content another one has" in said
    assert "442" in said  # judgments of 20 people for ±5 points
    rows = read_table(folder / "triplets.csv")
    assert tuple(rows[0]) == TABLE_COLUMNS
    assert [row["triplet_id"] for row in rows] == [str(i) for i in range(1, 41)]
    assert {row["class"] for row in rows} == {"general"}
    assert {row["model"] for row in rows} == {"extractor.rgb-histogram-64"}
    judge_all(folder)
    study = read_study(folder)
    dataset = datasets.load("mine", folder)
    assert study.images <= dataset.collection.position.keys()
    assert len(study.triplets) == 40
    assert not any("missing" in remark for remark in dataset.remarks)
    assert min(min(t.bins) for t in study.triplets) == 1


def test_a_folder_whose_triplets_nobody_judged_is_a_collection_as_before(folder, draw, capsys):
    file = folder / "labels.csv"
    file.write_text("query_id,item_id,label_set,text\nq,day 0/photo.0,short,green\n")
    draw("--model", MODEL, "--number", 5)
    row = DatasetRow("mine", folder)
    assert (datasets.has_triplets(row), datasets.has_queries(row)) == (False, True)
    dataset = datasets.load("mine", folder)
    assert len(dataset.collection) == 31
    assert dataset.unread == (
        "triplets.csv is not read, because nobody has judged its triplets; kis-bench judge shows them to people",
    )
    judge_all(folder)
    assert datasets.has_triplets(row)


def test_models_that_disagree_and_their_distances(folder, draw):
    draw("--model", MODEL, "--number", 10)
    before = (folder / "triplets.csv").read_bytes()
    said = draw("--disagree", MODEL, OTHER, "--number", 12, "--append", "--distances")
    assert "choose differently on" in said
    assert "which of the two models people side with" in said
    rows = read_table(folder / "triplets.csv")
    assert [row["triplet_id"] for row in rows] == [str(i) for i in range(1, 23)]
    assert before.splitlines()[1] in (folder / "triplets.csv").read_bytes()
    kind = "disagree extractor.rgb-histogram-64 extractor.rgb-histogram-256"
    assert [row["class"] for row in rows] == ["general"] * 10 + [kind] * 12
    judge_all(folder)
    distances = read_study(folder).distances
    first, second = (d[10:, 1] - d[10:, 0] for d in distances.values())
    assert (first * second < 0).all()
    assert all(np.isnan(d[:10]).all() for d in distances.values())


def test_triplets_with_judgments_are_never_written_over(folder, draw, tmp_path):
    draw("--model", MODEL, "--number", 5)
    first = (folder / "triplets.csv").read_bytes()
    said = draw("--model", MODEL, "--number", 5, code=2)
    assert "--append adds triplets to it, --force writes over it" in said
    draw("--model", MODEL, "--number", 5, "--seed", 1, "--force")
    second = (folder / "triplets.csv").read_bytes()
    assert second != first
    judge_all(folder)
    said = draw("--model", MODEL, "--number", 5, "--force", code=2)
    assert "triplet_judgements.csv with judgments on its triplets; --append adds" in said
    assert (folder / "triplets.csv").read_bytes() == second
    draw("--model", MODEL, "--number", 5, "--out", tmp_path / "other")
    assert (tmp_path / "other" / "triplets.csv").read_bytes() == first
    os.rename(folder / "triplets.csv", folder / "triplets_extended.csv")
    assert "would be read in place of triplets.csv" in draw("--model", MODEL, code=2)


def test_a_database_of_judgments_is_respected_too(folder, draw):
    draw("--model", MODEL, "--number", 5)
    (folder / "judgments.sqlite").write_bytes(b"")
    with pytest.raises(KisBenchError, match=r"judgments\.sqlite with judgments"):
        require_free_table(folder, force=True)


def test_near_duplicates_are_not_compared(folder, draw):
    near = folder / "images" / "day 0" / "near.png"
    with Image.open(folder / "images" / "day 0" / "photo.0.png") as image:
        image.putpixel((0, 0), (1, 2, 3))
        image.save(near)
    draw("--model", MODEL, "--number", 62, "--near-duplicates", "phash:4", "--bins", "3,30")
    pair = {"day 0/photo.0.png", "day 0/near.png"}
    for row in read_table(folder / "triplets.csv"):
        shown = {row[column] for column in TABLE_COLUMNS[2:5]}
        assert not pair <= shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", MODEL, "--bins", "9,3"], "last rank of each bin in ascending order"),
        (["--disagree", MODEL, MODEL], "name two different models"),
        (["--model", MODEL, "--people", "3"], "3 people can't tell so exactly"),
        (["--model", "dmeo"], "did you mean demo?"),
        (["--model", MODEL, "--near-duplicates", "near"], "near-duplicates 'near': choose"),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, arguments, message):
    assert message in draw(*arguments, code=2)


@pytest.mark.parametrize("points", ["0", "80", "many"])
def test_an_interval_that_is_none(points, capsys):
    with pytest.raises(SystemExit):
        cli.main(["triplets", "mine", "--model", MODEL, "--interval", points])
    assert "is no number from 0.1 to 49" in capsys.readouterr().err


def test_folders_that_hold_no_collection(draw, tmp_path):
    assert "name its folder" in draw("--model", MODEL, code=2, where="openmoji")
    assert "there is no folder" in draw("--model", MODEL, code=2, where=tmp_path / "gone")
    few = tmp_path / "few"
    few.mkdir()
    for i in range(3):
        Image.new("RGB", (8, 8), (80 * i, 0, 0)).save(few / f"{i}.png")
    assert "3 different pictures are too few" in draw("--model", MODEL, code=2, where=few)


def make_collection(folder, *ids):
    return Collection("c", ids, [folder / f"{i}.jpg" for i in range(len(ids))], [*map(str, ids)])


@pytest.mark.parametrize("item", ["a", "a.b", "images/a", "keyframes/x/y", "ä b", " q, r "])
def test_paths_lead_back_to_their_items(tmp_path, item):
    from kis_bench.datasets.reset import parse_item_id

    assert parse_item_id(spell_path(make_collection(tmp_path, item), 0)) == item


def test_an_item_id_that_a_table_cannot_hold(tmp_path):
    with pytest.raises(KisBenchError, match="can't stand in a table of triplets"):
        spell_path(make_collection(tmp_path, "a\\b"), 0)


def test_models_that_never_disagree_are_told(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 1, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    collection = make_collection(tmp_path, *map(str, range(20)))
    same = {name: Embeddings(collection.ids, vectors, name) for name in ("a", "b")}
    with pytest.raises(KisBenchError, match="a and b choose alike wherever"):
        sample_triplets(
            collection, same, 5, bins="powers", seed=0, near_duplicates=NearDuplicates()
        )


def test_a_table_of_other_columns_is_not_added_to(tmp_path):
    (tmp_path / "triplets.csv").write_text("triplet_id,query\n1,a\n")
    with pytest.raises(BadFile, match="missing column 'target_path'"):
        write_triplets(tmp_path, [], append=True)


def test_formulas_and_commas_in_names_stay_as_they_are(tmp_path):
    ids = ["=1+1", "a,b", 'say "x"', "ümlaut"]
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4, 1, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    collection = make_collection(tmp_path, *ids)
    models = {"m": Embeddings(collection.ids, vectors, "m")}
    sampled = sample_triplets(
        collection, models, 8, bins="powers", seed=0, near_duplicates=NearDuplicates()
    )
    write_triplets(tmp_path, make_rows(sampled))
    judge_all(tmp_path)
    assert read_study(tmp_path).images == {*ids}
