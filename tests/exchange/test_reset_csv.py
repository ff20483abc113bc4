"""The study's table of triplets with models' distances in it, as the study's notebook reads and counts them."""

import csv
import io
import math
import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reset_files import TRIPLET, judgment, person, triplet, write_study, write_table

from kis_bench import datasets, triplets
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange import reset_csv
from kis_bench.exchange.reset_csv import export_reset, extend_table, format_csv, read_cells
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import DISTANCES, JUDGMENTS, RANKS, TIMINGS, VERDICTS
from kis_bench.triplets.tables import distances_table, similarity_tables

N = 12
OURS = {
    "demo": "demo:",
    "dfn5b-vit-h-14-378": "hf-hub:apple/DFN5B-CLIP-ViT-H-14-378",
    "clip-vit-b-32": "hf-hub:timm/vit_base_patch32_clip_224.openai",
}
EXTRACTORS = {
    "W2VVExtractor": [[0.1, 0.25, 0.5]] * (N - 1) + [[None] * 3],
    "VLADExctractor_": [[0.5, 0.5, 0]] * N,
}
OF = ("query_candidate1", "query_candidate2", "candidates")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Kept for all tests, because the pictures of the embedded dataset are rendered into it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_folder_of_the_user(cache, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(cache))
    monkeypatch.delenv("KIS_DATA", raising=False)


def rows_of_study():
    """Triplet ids are not in order, and two rows have cells that need care."""
    rng = random.Random(3)
    names = [str(100 + i) for i in range(N)]
    rng.shuffle(names)
    rows = [triplet(name, i, i + 1, i + 2) for i, name in enumerate(names)]
    rows[2] |= {"model": 'says "near", or far', "class": "žluťoučký kůň\nsecond line"}
    rows[5] |= {"model": "a, b", "class": "scuba 1.50"}
    return rows


def judgments_of(rows):
    """Two people on every triplet, candidates shown on either side; one of three has no preference."""
    rng = random.Random(5)
    return [
        judgment(
            f"{user}{i}", row, user, rng.choice([-2, -1, 0, 1, 2, 1]), swapped=rng.random() < 0.5
        )
        for i, row in enumerate(rows)
        for user in ("ann", "ben")
    ]


def distances_of(model):
    """Distances [t, 3] with ties among them; the last two triplets lack an image."""
    own = np.random.default_rng(len(model)).uniform(0, 1, (N, 3))
    own[3, 1] = own[3, 0]
    own[-2:] = np.nan
    return own


@pytest.fixture
def study(tmp_path):
    rows = rows_of_study()
    return write_study(
        tmp_path / "study",
        rows,
        judgments_of(rows),
        [person("ann"), person("ben")],
        EXTRACTORS,
        pictures=range(N),
    )


def write_measured(base, measured):
    """A run with the distances of our models, and of the study's extractors; ``measured``: (dataset, models) each."""
    tables, models, about = [], {}, {}
    for dataset, ours in measured:
        own = {
            model: distances_of(model)
            if len(dataset.triplets) == N
            else np.full((len(dataset.triplets), 3), 0.1)
            for model in ours
        }
        every = {**own, **dataset.distances}
        tables.append(
            distances_table(dataset, {name: (d, d[:, 1] - d[:, 0]) for name, d in every.items()})
        )
        models |= {name: {"source": "study:distances"} for name in dataset.distances}
        models |= {name: {"source": OURS.get(name, "python:x:y")} for name in ours}
        about[dataset.name] = {"fingerprint": dataset.fingerprint}
    folder = write_run(
        base / "reports",
        ranks=pd.DataFrame(columns=RANKS),
        judgments=pd.DataFrame(columns=JUDGMENTS),
        timings=pd.DataFrame(columns=TIMINGS),
        verdicts=pd.DataFrame(columns=VERDICTS),
        tables={"distances": pd.concat(tables, ignore_index=True)} if tables else {},
        provenance={"models": models, "datasets": about},
    )
    return read_run(folder)


@pytest.fixture
def run(tmp_path, study):
    return write_measured(tmp_path, [(datasets.load("reset", study), OURS)])


def export(run, study, tmp_path, **options):
    """Exports and returns (file, remarks)."""
    remarks = export_reset(run, tmp_path / "out", datasets={"reset": study}, **options)
    return tmp_path / "out" / "reset" / "triplets_extended.csv", remarks


def cells(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


# What is written -----------------------------------------------------------------------------------------------------


def test_the_study_s_cells_stay_and_three_are_added_for_each_model(run, study, tmp_path):
    file, _ = export(run, study, tmp_path)
    before, after = cells(study / "triplets.csv"), cells(file)
    assert len(after) == len(before) == N + 1
    width = len(before[0])
    assert [row[:width] for row in after] == before
    assert after[0][width:] == [f"{model}_cosdist_{of}" for model in OURS for of in OF]
    for place, model in enumerate(OURS):
        start = width + 3 * place
        expected = [
            ["" if math.isnan(x) else repr(x) for x in row] for row in distances_of(model).tolist()
        ]
        assert [row[start : start + 3] for row in after[1:]] == expected


def test_odd_cells_survive(run, study, tmp_path):
    file, _ = export(run, study, tmp_path)
    table = pd.read_csv(file, index_col=0)
    assert table["class"].iloc[2] == "žluťoučký kůň\nsecond line"
    assert table["model"].iloc[2] == 'says "near", or far'
    assert table["model"].iloc[5] == "a, b"


def test_a_table_as_others_write_it(tmp_path):
    """A byte order mark, quotes that nobody needs and blanks around them, numbers in odd forms, Unix lines."""
    rows = [
        {column: row[column] for column in TRIPLET}
        for row in (triplet("1", 0, 1, 2), triplet(" 2 ", 1, 2, 3))
    ]
    rows[0] |= {"candidate1_bin": "1.0", "class": " ein Wort "}
    people, said = [person("ann")], [judgment("a", triplet("1", 0, 1, 2), "ann", 1)]
    study = write_study(tmp_path / "study", rows, said, people)
    lines = [
        ",".join(f' "{cell}"' if i else str(cell) for i, cell in enumerate(row))
        for row in (TRIPLET, *(row.values() for row in rows))
    ]
    (study / "triplets.csv").write_bytes(b"\xef\xbb\xbf" + "\n".join([*lines, "", ""]).encode())
    dataset = datasets.load("reset", study)
    assert [t.triplet_id for t in dataset.triplets] == ["1", "2"]
    distances = {"m": (np.array([[0.25, 0.5, 1], [0.1 + 0.2, 1e-17, -0.0]]), np.zeros(2))}
    about = {"datasets": {"reset": {"fingerprint": dataset.fingerprint}}}
    run = replace(
        write_measured(tmp_path, []),
        distances=distances_table(dataset, distances),
        provenance=about,
    )
    file, remarks = export(run, study, tmp_path)
    after = cells(file)
    assert [row[: len(TRIPLET)] for row in after] == [
        list(TRIPLET),
        ["1", *map(str, [*rows[0].values()][1:])],
        [" 2 ", *map(str, [*rows[1].values()][1:])],
    ]
    assert [row[len(TRIPLET) :] for row in after[1:]] == [
        ["0.25", "0.5", "1.0"],
        ["0.30000000000000004", "1e-17", "-0.0"],
    ]
    assert remarks == ["reset m: 2 rows, 0 of them without distance"]


def test_an_index_that_has_no_name_gets_one(run, study, tmp_path):
    """As pandas writes it; the notebook joins by the name."""
    file = study / "triplets.csv"
    before = cells(file)
    file.write_bytes(file.read_bytes().replace(b"triplet_id,", b",", 1))
    out, remarks = export(run, study, tmp_path)
    assert [row[: len(before[0])] for row in cells(out)] == before
    assert (
        pd.read_csv(out, index_col=0)["demo_cosdist_candidates"].tolist()[0]
        == distances_of("demo")[0, 2]
    )
    assert remarks[0] == "reset: the first column was called '' and is called triplet_id now"
    assert len(remarks) == 1 + len(OURS)


@pytest.mark.parametrize("place", [1, 4, len(TRIPLET) - 1])
def test_ids_go_first_wherever_they_stand(run, study, tmp_path, place):
    """The notebook would take another column for the ids."""
    there, (file, _) = study / "triplets.csv", export(run, study, tmp_path)
    expected, before = cells(file), cells(there)
    rows = [[*row[1 : place + 1], row[0], *row[place + 1 :]] for row in before]
    with there.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    assert rows[0][place] == "triplet_id"
    _, remarks = export(run, study, tmp_path)
    assert cells(file) == expected
    assert remarks[0] == (
        f"reset: triplet_id was column {place + 1} and is the first now, where the notebook looks for it"
    )
    assert consistencies(file, study, OURS)["demo"][1] > 0


def test_an_index_beside_the_ids_stays(run, study, tmp_path):
    there = study / "triplets.csv"
    rows = [[str(i - 1) if i else "", *row] for i, row in enumerate(cells(there))]
    with there.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    file, remarks = export(run, study, tmp_path)
    width = len(rows[0])
    assert [row[:width] for row in cells(file)] == [[row[1], row[0], *row[2:]] for row in rows]
    assert remarks[0].startswith("reset: triplet_id was column 2 and is the first now")


def test_the_extended_table_of_the_study_goes_first(run, study, tmp_path):
    (study / "triplets.csv").rename(study / "triplets_extended.csv")
    write_table(study / "triplets.csv", [], TRIPLET)
    file, _ = export(run, study, tmp_path)
    assert len(cells(file)) == N + 1
    assert "W2VVExtractor_cosdist_candidates" in cells(file)[0]


def test_missing_images_are_empty_cells_and_counted(run, study, tmp_path):
    file, remarks = export(run, study, tmp_path)
    table = pd.read_csv(file, index_col=0)
    for model in OURS:
        for of in OF:
            assert table[f"{model}_cosdist_{of}"].isna().tolist() == [False] * (N - 2) + [True] * 2
    assert remarks == [f"reset {model}: {N} rows, 2 of them without distance" for model in OURS]
    assert "1.11" not in {cell for row in cells(file) for cell in row}


def consistencies(file, study, names):
    """(agreeing, counted) by the study's notebook: joined on the index, right is better iff left is farther."""
    every = pd.read_csv(study / "triplet_judgements.csv", index_col=0)
    every = (
        every.reset_index()
        .set_index("triplet_id")
        .join(pd.read_csv(file, index_col=0), how="inner")
    )
    left_is_first = every.option_one_path == every.candidate1_path
    found = {}
    for name in names:
        first, second = (
            every[f"{name}_cosdist_query_candidate1"],
            every[f"{name}_cosdist_query_candidate2"],
        )
        left, right = first.where(left_is_first, second), second.where(left_is_first, first)
        better = np.where(left > right, 1, -1)
        chosen = (every.simplified_choice != 0) & first.notna()  # an empty cell is no distance
        found[name] = (int((better == every.simplified_choice)[chosen].sum()), int(chosen.sum()))
    return found


def test_the_notebook_counts_what_a_hand_counts(run, study, tmp_path):
    file, _ = export(run, study, tmp_path)
    rows = rows_of_study()
    expected = {}
    for model in OURS:
        agreeing = n = 0
        for said in judgments_of(rows):
            place = next(i for i, row in enumerate(rows) if row["triplet_id"] == said["triplet_id"])
            first, second, _ = distances_of(model)[place].tolist()
            if said["simplified_choice"] == 0 or math.isnan(first):
                continue
            if said["option_one_path"] == rows[place]["candidate1_path"]:
                right_is_nearer = second < first
            else:
                right_is_nearer = first < second
            n += 1
            agreeing += right_is_nearer == (said["simplified_choice"] == 1)
        expected[model] = (agreeing, n)
    assert consistencies(file, study, OURS) == expected
    assert len({agreeing for agreeing, _ in expected.values()}) > 1


def count_as_the_notebook(study, file, names):
    """Extractor -> (consistent, judgments), by the steps of overallJudgementConsistency.ipynb as it stands.

    It leaves out judgments on triplets where one of clip's three cells is 1.11, and nothing else: where a cell of
    another column is empty, the left option counts as chosen.
    """
    people, judged = (
        pd.read_csv(study / table, delimiter=",", index_col=0)
        for table in ("participants.csv", "triplet_judgements.csv")
    )
    every = people.join(judged.reset_index().set_index("user_id"), how="inner")
    every = every.reset_index().set_index("triplet_id")
    every = every.join(pd.read_csv(file, delimiter=",", index_col=0), how="inner")
    missing = [every[f"clip_cosdist_{of}"] == 1.11 for of in OF]
    every = every[~(missing[0] | missing[1] | missing[2])]
    every = every[every["simplified_choice"] != 0]
    left_is_first = every["option_one_path"] == every["candidate1_path"]
    found = {}
    for name in names:
        first, second = (every[f"{name}_cosdist_query_candidate{i}"] for i in (1, 2))
        left, right = np.where(left_is_first, (first, second), (second, first))
        better = (left > right).astype(int) * 2 - 1
        found[name] = (int((every["simplified_choice"] == better).sum()), len(every))
    return found


def test_the_notebook_s_own_rule_gives_our_figures(study, tmp_path):
    """Both ways of counting missing images agree to the digit, in all models and in each judgment that counts."""
    dataset = datasets.load("reset", study)
    distances = {model: distances_of(model) for model in OURS}
    measured = {model: (own, own[:, 1] - own[:, 0]) for model, own in distances.items()}
    run = write_measured(tmp_path, [(dataset, OURS)])
    file, remarks = export(run, study, tmp_path, names="study")
    assert all(said.endswith("2 of them without distance, marked by 1.11") for said in remarks)
    columns = {"demo": "demo", "dfn5b-vit-h-14-378": "ViT_H_14_dfn5b", "clip-vit-b-32": "clip"}
    theirs = count_as_the_notebook(study, file, columns.values())
    metrics = similarity_tables(dataset, measured)["metrics"]
    ours = metrics[metrics["metric"] == "consistency_published"].set_index("model")
    for model, column in columns.items():
        agreeing, n = theirs[column]
        assert (ours["value"][model], ours["n"][model]) == (agreeing / n, n)
    assert n < sum(j.choice != 0 for j in dataset.judgments)  # images are missing for some
    # The mark is read as missing again, and empty cells are what it was made for.
    (study / "triplets_extended.csv").write_bytes(file.read_bytes())
    again = datasets.load("reset", study)
    for model, column in columns.items():
        np.testing.assert_array_equal(again.distances[column], distances[model])
    emptied = tmp_path / "emptied.csv"
    emptied.write_text(file.read_text("utf-8").replace(",1.11", ","), "utf-8")
    assert count_as_the_notebook(study, emptied, ["clip"])["clip"][1] > n


def test_the_notebook_counts_what_the_run_says(run, study, tmp_path):
    """Under the study's protocol."""
    file, _ = export(run, study, tmp_path)
    dataset = datasets.load("reset", study)
    place = {t.triplet_id: i for i, t in enumerate(dataset.triplets)}
    asked = [place[j.triplet_id] for j in dataset.judgments]
    for model, (agreeing, n) in consistencies(file, study, OURS).items():
        own = distances_of(model)
        found = triplets.agreement(
            (own[:, 1] - own[:, 0])[asked],
            [j.choice for j in dataset.judgments],
            protocol="published",
            left=[j.left for j in dataset.judgments],
        )
        assert (agreeing, n) == (np.nansum(found), (~np.isnan(found)).sum())


def test_what_was_written_is_read_as_distances_of_the_study(run, study, tmp_path):
    file, _ = export(run, study, tmp_path)
    (study / "triplets_extended.csv").write_bytes(file.read_bytes())
    found = datasets.load("reset", study)
    for model in OURS:
        np.testing.assert_array_equal(found.distances[model], distances_of(model))


# Names ---------------------------------------------------------------------------------------------------------------


def test_columns_may_be_called_as_the_notebook_has_them(run, study, tmp_path):
    file, remarks = export(run, study, tmp_path, names="study")
    width = len(cells(study / "triplets.csv")[0])
    names = ("demo", "ViT_H_14_dfn5b", "clip")
    assert cells(file)[0][width:] == [f"{name}_cosdist_{of}" for name in names for of in OF]
    assert remarks[0].startswith("reset demo: ")
    assert (
        remarks[1]
        == f"reset dfn5b-vit-h-14-378 as ViT_H_14_dfn5b: {N} rows, 2 of them without distance, marked by 1.11"
    )


def test_two_models_of_one_name(tmp_path, study):
    run = write_measured(tmp_path, [(datasets.load("reset", study), ["blip2", "blip2-thesis"])])
    with pytest.raises(
        KisBenchError,
        match="blip2 and blip2-thesis are both called BLIP2 by the study; take --names",
    ):
        export(run, study, tmp_path, names="study")
    assert not (tmp_path / "out").exists()
    assert export(run, study, tmp_path)[0].is_file()


@pytest.mark.parametrize(("names", "taken"), [("study", "clip"), ("ours", "clip-vit-b-32")])
def test_columns_that_are_there_are_an_error_with_its_remedy(run, study, tmp_path, names, taken):
    rows = rows_of_study()
    write_study(
        study,
        rows,
        judgments_of(rows),
        [person("ann"), person("ben")],
        {taken: [[0.5, 0.25, 0.125]] * N},
    )
    before = (study / "triplets.csv").read_bytes()
    with pytest.raises(BadFile) as error:
        export(run, study, tmp_path, names=names)
    assert error.value.problems[0].startswith(
        f"line 1: the column '{taken}_cosdist_query_candidate1' is there already"
    )
    assert len(error.value.problems) == 3
    assert "name a copy of the folder without it (--dataset reset=FOLDER)" in str(error.value)
    assert ("take --names ours" in str(error.value)) == (names == "study")
    assert not (tmp_path / "out").exists()
    assert (study / "triplets.csv").read_bytes() == before
    # What it advises helps: distances of extractors are no part of what a run remembers of a dataset.
    copy = write_study(
        tmp_path / "copy",
        rows,
        judgments_of(rows),
        [person("ann"), person("ben")],
        pictures=range(N),
    )
    assert f"{taken}_cosdist_candidates" in cells(export(run, copy, tmp_path, names=names)[0])[0]


def test_names_that_nobody_knows(run, study, tmp_path):
    with pytest.raises(KisBenchError, match="unknown names 'theirs': known are ours, study"):
        export(run, study, tmp_path, names="theirs")


# Datasets ------------------------------------------------------------------------------------------------------------


def test_triplets_without_a_file_get_one(tmp_path):
    dataset = datasets.load("openmoji-triplets")
    run = write_measured(tmp_path, [(dataset, ["demo"])])
    remarks = export_reset(run, tmp_path / "out")
    header, *rows = cells(tmp_path / "out" / "openmoji-triplets" / "triplets_extended.csv")
    assert header == [
        "triplet_id",
        "target_path",
        "candidate1_path",
        "candidate2_path",
        "class",
        *(f"demo_cosdist_{of}" for of in OF),
    ]
    assert len(rows) == len(dataset.triplets)
    third = dataset.triplets[2]
    assert rows[2] == [
        third.triplet_id,
        f"{third.target}.png",
        f"{third.candidate1}.png",
        f"{third.candidate2}.png",
        third.category,
        "0.1",
        "0.1",
        "0.1",
    ]
    assert (
        dataset.collection.paths[dataset.collection.position[third.target]].name
        == f"{third.target}.png"
    )
    assert remarks == [f"openmoji-triplets demo: {len(rows):,} rows, 0 of them without distance"]


def test_each_dataset_has_its_folder_and_what_is_not_here_is_named(tmp_path, study):
    measured = [
        (datasets.load("reset", study), OURS),
        (datasets.load("openmoji-triplets"), ["demo"]),
    ]
    run = write_measured(tmp_path, measured)
    _, remarks = export(run, study, tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "openmoji-triplets",
        "reset",
    ]
    assert len(remarks) == len(OURS) + 1
    remarks = export_reset(run, tmp_path / "other")
    with pytest.raises(KisBenchError) as error:
        datasets.load("reset")
    assert remarks[0] == f"reset: not written; {' '.join(str(error.value).split())}"
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["openmoji-triplets"]


def test_the_folder_may_lie_below_kis_data(run, study, tmp_path, monkeypatch):
    study.rename(tmp_path / "reset")
    monkeypatch.setenv("KIS_DATA", str(tmp_path))
    export_reset(run, tmp_path / "out")
    assert len(cells(tmp_path / "out" / "reset" / "triplets_extended.csv")) == N + 1


def test_another_study_is_refused(run, study, tmp_path):
    file = study / "triplet_judgements.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8", newline="")
    with pytest.raises(
        KisBenchError,
        match="reset: not written; dataset reset here is not the one that was measured",
    ):
        export(run, study, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_run_of_the_study_s_own_extractors_has_nothing_to_add(tmp_path, study):
    run = write_measured(tmp_path, [(datasets.load("reset", study), ())])
    with pytest.raises(
        KisBenchError, match="reset: not written; its distances are all the study's own"
    ):
        export(run, study, tmp_path)


def test_a_run_without_distances_says_so(tmp_path, study):
    with pytest.raises(
        KisBenchError, match="has no distances, because nothing of image similarity was measured"
    ):
        export(write_measured(tmp_path, []), study, tmp_path)


def test_the_study_s_own_table_is_never_written_over(run, study, tmp_path):
    (tmp_path / "data").mkdir()
    study = study.rename(tmp_path / "data" / "reset")
    (study / "triplets.csv").rename(study / "triplets_extended.csv")
    before = (study / "triplets_extended.csv").read_bytes()
    with pytest.raises(
        KisBenchError, match="is the study's own table; choose another folder with --out"
    ):
        export_reset(run, tmp_path / "data", datasets={"reset": study})
    assert (study / "triplets_extended.csv").read_bytes() == before


def test_an_earlier_export_stays_if_the_disk_is_full(run, study, tmp_path, monkeypatch):
    file, _ = export(run, study, tmp_path)
    file.write_text("earlier")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kis_bench.files.whole.os.replace", full)
    with pytest.raises(KisBenchError, match="No space left on device"):
        export(run, study, tmp_path)
    assert [path.read_text() for path in file.parent.iterdir()] == ["earlier"]


# The table alone -----------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=5), st.floats(allow_nan=False))
def test_any_cells_come_back_from_the_file(rows, number):
    rows = [[f"t{i}", *row] for i, row in enumerate(rows)]
    table = extend_table(
        ["triplet_id", "a", "b", "c"], rows, {"m, 1": {"t0": (number, -number, math.nan)}}
    )
    assert list(csv.reader(io.StringIO(format_csv(table).decode(), newline=""))) == table
    assert [row[:4] for row in table[1:]] == rows
    if rows:
        assert [float(cell) for cell in table[1][4:6]] == [number, -number]
        assert table[1][6] == ""


def test_a_mark_stands_only_where_a_distance_to_the_target_is_missing():
    """What is missing between the candidates alone keeps no judgment from being counted."""
    found = {"a": (0.5, 0.25, math.nan), "b": (0.5, math.nan, 1.0), "c": (0.5, 0.25, 1.0)}
    table = extend_table(["triplet_id"], [[name] for name in "abcd"], {"m": found}, missing="1.11")
    assert [row[1:] for row in table[1:]] == [
        ["0.5", "0.25", ""],
        ["1.11"] * 3,
        ["0.5", "0.25", "1.0"],
        ["1.11"] * 3,
    ]


def test_the_table_must_not_have_the_columns():
    with pytest.raises(ValueError, match="m_cosdist_candidates already"):
        extend_table(["triplet_id", " m_cosdist_candidates"], [], {"m": {}})


def test_ids_are_found_wherever_they_stand():
    table = extend_table(
        ["", " triplet_id "], [["0", "x "], ["1", "y"]], {"m": {"x": (0, 1, 2), "1": (3, 4, 5)}}
    )
    assert table[0][:2] == ["triplet_id", ""]
    assert table[1:] == [["x ", "0", "0.0", "1.0", "2.0"], ["y", "1", "", "", ""]]


def test_tables_that_cannot_be_read(tmp_path):
    file = tmp_path / "triplets.csv"
    for content, problem in (
        (b"", "empty"),
        (b'a,"b\nc', "mend the quotes"),
        (b"a\n\xff", "line 2: byte 0xff"),
    ):
        file.write_bytes(content)
        with pytest.raises(BadFile, match=problem):
            read_cells(file)


def test_columns_are_those_of_a_run():
    assert set(reset_csv.MEASURED_COLUMNS) < set(DISTANCES)


# The command ---------------------------------------------------------------------------------------------------------


def command(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "kis_bench.cli", "export", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_the_command_writes_into_the_run(run, study, tmp_path):
    said = command("reset-csv", run.folder, "--dataset", f"reset={study}").splitlines()
    assert said == [
        *(f"reset {model}: {N} rows, 2 of them without distance" for model in OURS),
        f"written to {run.folder / 'export-reset-csv'}",
    ]
    first = run.folder / "export-reset-csv" / "reset" / "triplets_extended.csv"
    assert "dfn5b-vit-h-14-378_cosdist_candidates" in cells(first)[0]
    command(
        "reset-csv",
        run.folder,
        "--dataset",
        f"reset={study}",
        "--names",
        "study",
        "--out",
        tmp_path / "out",
    )
    assert "ViT_H_14_dfn5b_cosdist_candidates" in cells(tmp_path / "out" / "reset" / first.name)[0]


def test_options_of_other_forms_are_usage_errors(run, study, tmp_path):
    given = ("--dataset", f"reset={study}")
    assert "--depth has no meaning for reset-csv" in command(
        "reset-csv", run.folder, *given, "--depth", "5", code=2
    )
    assert "--store has no meaning" in command(
        "reset-csv", run.folder, *given, "--store", tmp_path, code=2
    )
    assert "--names has no meaning for trec" in command(
        "trec", run.folder, "--names", "ours", code=2
    )
    assert "invalid choice" in command("reset-csv", run.folder, "--names", "theirs", code=2)
    assert "there is no folder" in command(
        "reset-csv", run.folder, "--dataset", "reset=nowhere", code=2
    )
    assert "nothing in" in command("reset-csv", run.folder, code=2)
    assert not (run.folder / "export-reset-csv").exists()
