"""The files of the study RESET."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reset_files import (
    JUDGMENT,
    PERSON,
    TRIPLET,
    judgment,
    keyframe,
    person,
    triplet,
    write_study,
    write_table,
)

from kis_bench import datasets
from kis_bench.checks.datasets import check_dataset
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.reset import parse_item_id, read_extractor_names, read_study
from kis_bench.errors import KisBenchError
from kis_bench.records import Judgment, Participant
from kis_bench.triplets import positions

T1, T2 = triplet("17", 0, 1, 2, **{"class": "scuba"}), triplet("18", 3, 1, 0, candidate1_bin=4)
PEOPLE = [person("u1", "25-34", "PhD", "yes"), person("u2", "", "", "")]
JUDGMENTS = [
    judgment("100", T1, "u1", -2),
    judgment("101", T1, "u2", -1, swapped=True),
    judgment("102", T2, "u1", 0),
    judgment("103", T2, "u2", 2),
]
DISTANCES = {
    "W2VVExtractor": [[0.25, 0.5, 0.125], [0.1, 0.1, 0]],
    "VLADExctractor_": [[0.1, 0.2, 0.3], [None] * 3],
}


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "study", [T1, T2], JUDGMENTS, PEOPLE, DISTANCES)


def problems(
    folder, triplets=(T1, T2), judgments=JUDGMENTS, people=PEOPLE, distances=DISTANCES, **others
):
    write_study(folder, list(triplets), list(judgments), list(people), distances, **others)
    with pytest.raises(KisBenchError) as error:
        read_study(folder)
    return str(error.value)


def test_choices_are_about_candidates_whichever_side_they_were_on(study):
    found = read_study(study)
    assert found.judgments == (
        Judgment("100", "17", "u1", -1, -2, 1),
        Judgment("101", "17", "u2", 1, 1, 2),  # the left option, which is candidate 2
        Judgment("102", "18", "u1", 0, 0, 1),
        Judgment("103", "18", "u2", 1, 2, 1),
    )
    assert found.participants == (Participant("u1", "25-34", "PhD", "yes"), Participant("u2"))


def test_triplets_name_items(study):
    first, second = read_study(study).triplets
    assert (first.target, first.candidate1, first.candidate2) == (
        "06900/shot06900_1_RKF",
        "06901/shot06901_2_RKF",
        "06902/shot06902_3_RKF",
    )
    assert (first.category, first.bins, second.category, second.bins) == (
        "scuba",
        (1, 2),
        "general",
        (4, 2),
    )


def test_distances_are_read_as_they_are(study):
    found = read_study(study).distances
    assert list(found) == ["W2VVExtractor", "VLADExctractor_"]
    assert found["W2VVExtractor"].tolist() == [[0.25, 0.5, 0.125], [0.1, 0.1, 0]]
    assert np.isnan(found["VLADExctractor_"][1]).all()
    assert read_extractor_names(study / "triplets.csv") == ("W2VVExtractor", "VLADExctractor_")
    assert datasets.list_extractors(DatasetRow("reset", study)) == (
        "W2VVExtractor",
        "VLADExctractor_",
    )


def test_what_was_read_is_counted(study):
    assert read_study(study).remarks == (
        "4 judgments by 2 participants on 2 triplets; distances of 2 extractors",
        "1 judgment without preference",
        "distances that are missing, by extractor: VLADExctractor_ 1",
    )


def test_odd_things_are_counted(tmp_path):
    judgments = [*JUDGMENTS[:2], judgment("104", T1, "u1", 1)]
    found = read_study(write_study(tmp_path, [T1, T2], judgments, [*PEOPLE, person("u3")]))
    assert found.remarks[1:] == (
        "1 judgment of a person who had judged the triplet before; each counts",
        "1 triplet that nobody judged",
        "1 participant who judged nothing",
    )
    assert [j.choice for j in found.judgments] == [-1, 1, 1]
    judgments += [judgment("105", T1, "u1", 0), judgment("106", T1, "u2", 0)]
    said = read_study(write_study(tmp_path, [T1, T2], judgments, PEOPLE)).remarks
    assert "2 judgments without preference" in said
    assert "3 judgments of a person who had judged the triplet before; each counts" in said


def test_missing_distances_are_counted_per_extractor(tmp_path):
    """Any case of nan; the candidates' own distance is needed by nobody."""
    distances = {f"e{i}": [["NaN", 0.5, 0.5], ["nan", "NAN", ""]] for i in range(7)} | {
        "f": [[0, 2, ""], [0, 2, ""]]
    }
    found = read_study(write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, distances))
    shown = "e0 2, e1 2, e2 2, e3 2, e4 2 and 2 more"
    assert found.remarks[-1] == f"distances that are missing, by extractor: {shown}"
    assert np.isnan(found.distances["e3"]).tolist() == [[True, False, False], [True, True, True]]
    assert found.distances["f"][:, :2].tolist() == [[0, 2], [0, 2]]


def test_the_number_that_m3rt_writes_for_missing_images(tmp_path):
    """All three cells of an extractor say so; a single distance of 1.11 is one."""
    distances = {"clip": [[1.11, 1.11, 1.11], [1.11, 0.5, 0.25]]}
    found = read_study(write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, distances))
    assert np.isnan(found.distances["clip"][0]).all()
    assert found.distances["clip"][1].tolist() == [1.11, 0.5, 0.25]
    assert "images marked as missing by 1.11, over all triplets and extractors: 1" in found.remarks


def test_the_extended_table_goes_first(study):
    write_study(
        study,
        [T1, T2],
        JUDGMENTS,
        PEOPLE,
        {"clip": [[0.1, 0.2, 0.3]] * 2},
        name="triplets_extended.csv",
    )
    found = read_study(study)
    assert list(found.distances) == ["clip"]
    assert "triplets_extended.csv was read; triplets.csv is there too and was not" in found.remarks


def test_tables_as_pandas_writes_them(study):
    """With an index whose column has no name: it is the id's, or is not needed."""
    for name, index, written in (
        ("participants.csv", "user_id", ""),
        ("triplets.csv", "triplet_id", "Unnamed: 0"),  # read and written again, as M3RT does
        ("triplet_judgements.csv", None, ""),
    ):
        text = (study / name).read_text()
        if index:
            (study / name).write_text(text.replace(index, written, 1))
        else:
            lines = text.splitlines()
            (study / name).write_text(
                "\n".join([f",{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))])
            )
    found = read_study(study)
    assert [p.user_id for p in found.participants] == ["u1", "u2"]
    assert [j.judgement_id for j in found.judgments] == ["100", "101", "102", "103"]


def test_columns_may_stand_in_any_order_and_cells_in_quotes(study):
    expected = read_study(study)
    for name in ("participants.csv", "triplet_judgements.csv", "triplets.csv"):
        with (study / name).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        with (study / name).open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(row[::-1] for row in rows)
    found = read_study(study)
    assert (found.triplets, found.judgments, found.participants) == (
        expected.triplets,
        expected.judgments,
        expected.participants,
    )
    assert {name: np.nan_to_num(own).tolist() for name, own in found.distances.items()} == {
        name: np.nan_to_num(own).tolist() for name, own in expected.distances.items()
    }
    assert set(read_extractor_names(study / "triplets.csv")) == {"W2VVExtractor", "VLADExctractor_"}


def test_names_of_extractors_need_a_table_that_can_be_read(tmp_path):
    assert read_extractor_names(tmp_path / "triplets.csv") == ()
    assert read_extractor_names(tmp_path) == ()
    columns = [
        "triplet_id",
        "b_cosdist_query_candidate2",
        "a_cosdist_query_candidate1",
        "a_cosdist_query_candidate2",
    ]
    for header, names in (
        ([*columns, "b_cosdist_query_candidate1"], ("b", "a")),
        (columns, ("a",)),
        (["a_eucldist_query_candidate1", "a_eucldist_query_candidate2"], ()),
        (["triplet_id;a_cosdist_query_candidate1;a_cosdist_query_candidate2"], ("a",)),
        ([], ()),
    ):
        (tmp_path / "triplets.csv").write_text(",".join(header))
        assert read_extractor_names(tmp_path / "triplets.csv") == names


def test_one_of_both_choices_is_enough(study):
    rows = [{k: v for k, v in j.items() if k != "choice"} for j in JUDGMENTS]
    write_table(study / "triplet_judgements.csv", rows, [c for c in JUDGMENT if c != "choice"])
    assert [(j.choice, j.degree) for j in read_study(study).judgments] == [
        (-1, None),
        (1, None),
        (0, None),
        (1, None),
    ]
    rows = [{k: v for k, v in j.items() if k != "simplified_choice"} for j in JUDGMENTS]
    write_table(
        study / "triplet_judgements.csv", rows, [c for c in JUDGMENT if c != "simplified_choice"]
    )
    assert [(j.choice, j.degree) for j in read_study(study).judgments] == [
        (-1, -2),
        (1, 1),
        (0, 0),
        (1, 2),
    ]


def test_euclidean_columns_are_counted_not_read(study):
    text = (
        (study / "triplets.csv")
        .read_text()
        .replace("W2VVExtractor_cosdist", "W2VVExtractor_eucldist")
    )
    (study / "triplets.csv").write_text(text)
    found = read_study(study)
    assert list(found.distances) == ["VLADExctractor_"]
    assert "columns of Euclidean distances, which are not used: 3" in found.remarks


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("06925/shot06925_31_RKF.jpg", "06925/shot06925_31_RKF"),
        ("./keyframes/06925/shot06925_31_RKF.png", "06925/shot06925_31_RKF"),
        ("images\\a.b.jpg", "a.b"),
        (" plain ", "plain"),
    ],
)
def test_items_of_paths(path, item):
    assert parse_item_id(path) == item


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": "u9"}, "line 2: user 'u9' is not in participants.csv; add the person"),
        (
            {"triplet_id": "99"},
            "line 2: triplet '99' is not in the table of triplets; add the triplet",
        ),
        (
            {"option_two_path": keyframe(7)},
            "are not 06901/shot06901_2_RKF and 06902/shot06902_3_RKF, the candidates",
        ),
        ({"choice": "3"}, "line 2: choice '3' is not a whole number from -2 to 2"),
        ({"choice": "often"}, "line 2: choice 'often' is not a whole number"),
        (
            {"simplified_choice": "0.5"},
            "line 2: simplified_choice '0.5' is not a whole number from -1 to 1",
        ),
        (
            {"simplified_choice": "1"},
            "line 2: choice -2 and simplified_choice 1 contradict each other",
        ),
        (
            {"simplified_choice": "0"},
            "line 2: choice -2 and simplified_choice 0 contradict each other",
        ),
        ({"choice": "", "simplified_choice": "2"}, "line 2: choice '' is not a whole number"),
        (
            {"choice": "", "simplified_choice": "2"},
            "line 2: simplified_choice '2' is not a whole number",
        ),
        ({"choice": "nan"}, "line 2: choice 'nan' is not a whole number"),
        ({"choice": "inf"}, "line 2: choice 'inf' is not a whole number"),
        (
            {"option_one_path": T1["candidate2_path"]},
            "line 2: options 06902/shot06902_3_RKF and 06902/shot06902_3_RKF",
        ),
        ({"option_one_path": ""}, "the candidates of '17'; correct the paths or triplet_id"),
        ({"judgement_id": ""}, "line 2: judgement_id is empty"),
        ({"judgement_id": "103"}, "line 5: judgement_id '103' twice, first on line 2"),
    ],
)
def test_a_judgment_that_does_not_fit_is_named_with_its_line(tmp_path, change, said):
    text = problems(tmp_path, judgments=[{**JUDGMENTS[0], **change}, *JUDGMENTS[1:]])
    assert "triplet_judgements.csv" in text
    assert said in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"triplet_id": "18"}, "line 3: triplet_id '18' twice, first on line 2"),
        (
            {"candidate2_path": T1["candidate1_path"]},
            "line 2: triplet '17' has the same image twice",
        ),
        (
            {"target_path": T1["candidate1_path"].replace("jpg", "png")},
            "line 2: triplet '17' has the same image twice",
        ),
        ({"triplet_id": ""}, "line 2: triplet_id is empty"),
        ({"target_path": " "}, "line 2: target_path is empty"),
        (
            {"candidate2_bin": "far"},
            "line 2: candidate1_bin and candidate2_bin are '1' and 'far', not whole numbers",
        ),
        ({"candidate2_bin": ""}, "not whole numbers"),
    ],
)
def test_a_triplet_that_is_none_is_named_with_its_line(tmp_path, change, said):
    text = problems(tmp_path, triplets=[{**T1, **change}, T2])
    assert "triplets.csv" in text
    assert said in text


@pytest.mark.parametrize("cell", ["far", "2.5", "-0.2", "inf", "1e400"])
def test_a_distance_that_is_none_is_named(tmp_path, cell):
    said = problems(tmp_path, distances={"W2VVExtractor": [[0.1, 0.2, 0.3], [0.1, cell, 0.3]]})
    assert f"line 3: W2VVExtractor_cosdist_query_candidate2 {cell!r} is no cosine distance" in said


def test_a_distance_without_its_other_half(study):
    text = (
        (study / "triplets.csv")
        .read_text()
        .replace("W2VVExtractor_cosdist_query_candidate1", "something")
    )
    (study / "triplets.csv").write_text(text)
    with pytest.raises(
        KisBenchError, match="line 1: missing column 'W2VVExtractor_cosdist_query_candidate1'"
    ):
        read_study(study)
    (study / "triplets.csv").write_text(
        text.replace("W2VVExtractor_cosdist_query_candidate2", "other")
    )
    with pytest.raises(KisBenchError) as error:
        read_study(study)
    for number in (1, 2):
        assert f"missing column 'W2VVExtractor_cosdist_query_candidate{number}', only W2VV" in str(
            error.value
        )


def test_the_distance_of_the_candidates_may_be_absent(study):
    text = (
        (study / "triplets.csv")
        .read_text()
        .replace("W2VVExtractor_cosdist_candidates", "something")
    )
    (study / "triplets.csv").write_text(text)
    found = read_study(study)
    assert found.distances["W2VVExtractor"][:, :2].tolist() == [[0.25, 0.5], [0.1, 0.1]]
    assert np.isnan(found.distances["W2VVExtractor"][:, 2]).all()
    assert "distances that are missing, by extractor: VLADExctractor_ 1" in found.remarks


@pytest.mark.parametrize(
    ("name", "columns", "column", "said"),
    [
        (
            "triplets.csv",
            TRIPLET,
            "target_path",
            "looked for triplet_id, target_path, candidate1_path, candidate2_path",
        ),
        (
            "triplet_judgements.csv",
            JUDGMENT,
            "option_one_path",
            "looked for judgement_id, triplet_id, user_id",
        ),
        (
            "participants.csv",
            PERSON,
            "age_group",
            "looked for user_id, age_group, education, ml_expert",
        ),
        ("triplets.csv", TRIPLET, "candidate1_bin", "missing column 'candidate1_bin'"),
    ],
)
def test_files_of_another_version_say_which_columns_were_looked_for(
    study, name, columns, column, said
):
    text = (study / name).read_text()
    (study / name).write_text(text.replace(column, "renamed", 1))
    with pytest.raises(KisBenchError) as error:
        read_study(study)
    assert f"line 1: missing column {column!r}" in str(error.value)
    assert said in str(error.value)


def test_no_choice_at_all(study):
    text = (study / "triplet_judgements.csv").read_text().replace("choice,simplified_choice", "x,y")
    (study / "triplet_judgements.csv").write_text(text)
    with pytest.raises(KisBenchError, match="missing column 'choice or simplified_choice'"):
        read_study(study)


def test_all_problems_of_all_files_come_at_once(tmp_path):
    said = problems(
        tmp_path,
        triplets=[T1, {**T2, "target_path": ""}],
        judgments=[*JUDGMENTS, JUDGMENTS[0]],
        people=[*PEOPLE, person("")],
    )
    for name, problem in (
        ("triplets.csv", "line 3: target_path is empty"),
        ("triplet_judgements.csv", "line 6: judgement_id '100' twice"),
        ("participants.csv", "line 4: user_id is empty"),
    ):
        assert name in said
        assert problem in said


@pytest.mark.parametrize("name", ["participants.csv", "triplet_judgements.csv", "triplets.csv"])
def test_a_missing_file_says_what_must_be_in_it(study, name):
    (study / name).unlink()
    with pytest.raises(KisBenchError) as error:
        datasets.load("reset", study)
    assert name in str(error.value)
    assert ("user_id" if name != "triplets.csv" else "candidate1_path") in str(error.value)


def test_a_reset_folder_without_tables_says_which_are_needed(tmp_path):
    (tmp_path / "images").mkdir()
    for name, layout in (("reset", None), ("other", "reset")):
        with pytest.raises(KisBenchError) as error:
            datasets.load(name, tmp_path, layout=layout)
        for file in (
            "participants.csv",
            "triplet_judgements.csv",
            "triplets.csv",
            "triplets_extended.csv",
        ):
            assert file in str(error.value)
        assert "choice or simplified_choice" in str(error.value)


@pytest.mark.parametrize("gone", ["participants.csv", "triplets.csv"])
def test_a_missing_file_hides_no_problems_of_another(tmp_path, gone):
    """And what would have to be looked up in it is not called unknown."""
    judgments = [{**JUDGMENTS[0], "choice": "7"}, *JUDGMENTS[1:]]
    write_study(tmp_path, [T1, T2], judgments, PEOPLE)
    (tmp_path / gone).unlink()
    with pytest.raises(KisBenchError) as error:
        read_study(tmp_path)
    assert "line 2: choice '7' is not a whole number" in str(error.value)
    assert f"{gone}:" in str(error.value)
    assert " is not in " not in str(error.value)


def test_no_rows(tmp_path):
    assert "no triplets" in problems(tmp_path, triplets=[], judgments=[], distances={})
    assert "no judgments" in problems(tmp_path / "other", judgments=[])


def test_only_tables_make_a_dataset_without_images(study):
    dataset = datasets.load("reset", study)
    assert len(dataset.collection) == 0
    assert len(dataset.judgments) == 4
    assert "none of the 4 images that the triplets name is there" in dataset.remarks[-1]


def test_the_collection_holds_what_triplets_name(tmp_path):
    folder = write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, pictures=[0, 1, 2, 8, 9])
    dataset = datasets.load("reset", folder)
    assert dataset.collection.ids == (
        "06900/shot06900_1_RKF",
        "06901/shot06901_2_RKF",
        "06902/shot06902_3_RKF",
    )
    assert dataset.collection.groups == ("06900", "06901", "06902")
    assert (
        dataset.remarks[-1]
        == "1 of 4 images that the triplets name are missing, such as 06903/shot06903_4_RKF"
    )
    (folder / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq,06908/shot06908_9_RKF,short,a diver\n"
    )
    dataset = datasets.load("reset", folder)
    assert len(dataset.collection) == 5  # queries search everything
    assert dataset.label_sets == ("short",)


def test_other_pictures_need_no_names_of_shots_and_no_boundaries(tmp_path):
    """In V3C's layout too, whose names are checked and whose videos' tables are read."""
    folder = write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, pictures=[0, 1, 2, 3, 8])
    (folder / "keyframes" / keyframe(8)).rename(folder / "keyframes" / "cover.jpg")
    (folder / "msb").mkdir()
    (folder / "msb" / "06900.tsv").write_text(
        "startframe\tstarttime\tendframe\tendtime\n0\t0\t50\t2\n"
    )
    (folder / "msb" / "06908.tsv").write_text("this is no table")
    for layout in ("v3c", "reset"):
        collection = datasets.load("study", folder, layout=layout).collection
        assert collection.groups == ("06900", "06901", "06902", "06903")
        assert collection.times_s is not None
        assert collection.times_s[0] == 1.0
        assert all(np.isnan(collection.times_s[1:]))


@pytest.mark.parametrize("place", ["images", "data", "."])
def test_pictures_may_lie_where_those_of_other_datasets_do(tmp_path, place):
    folder = write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, pictures=[0, 1, 2, 3, 8])
    if place == ".":
        for video in (folder / "keyframes").iterdir():
            video.rename(folder / video.name)
        (folder / "keyframes").rmdir()
    else:
        (folder / "keyframes").rename(folder / place)
    dataset = datasets.load("reset", folder)
    assert len(dataset.collection) == 4
    assert not any("images that the triplets name" in remark for remark in dataset.remarks)


def lay_flat(folder, place="data"):
    """Moves the keyframes out of the folders of their videos, as M3RT wants them."""
    (folder / place).mkdir(exist_ok=True)
    for file in [*(folder / "keyframes").rglob("*.jpg")]:
        file.rename(folder / place / file.name)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    (folder / "keyframes").rmdir()


@pytest.mark.parametrize("place", ["data", "."])
def test_pictures_that_lie_flat_are_those_of_the_triplets(tmp_path, place):
    folder = write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, pictures=[0, 1, 2, 3, 8])
    nested = datasets.load("reset", folder)
    lay_flat(folder, place)
    flat = datasets.load("reset", folder)
    assert flat.collection.ids == tuple(f"shot0690{i}_{i + 1}_RKF" for i in range(4))
    assert [path.name for path in flat.collection.paths] == [
        path.name for path in nested.collection.paths
    ]
    assert positions(flat.triplets, flat.collection).tolist() == (
        positions(nested.triplets, nested.collection).tolist()
    )
    assert flat.judgments == nested.judgments
    assert flat.remarks[-1] == (
        "images that lie without their folders, found by the rest of their names: 4"
    )
    assert nested.collection.groups == flat.collection.groups
    (folder / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq,shot06908_9_RKF,short,a diver\n"
    )
    searched = datasets.load("reset", folder)
    assert len(searched.collection) == 5
    assert (positions(searched.triplets, searched.collection) >= 0).all()
    found = [check.finding for check in check_dataset("reset", folder)]
    assert not any("images that the triplets name" in said for said in found)


def test_of_pictures_in_two_places_the_one_that_is_named_is_taken(tmp_path):
    """And a name that two images of the study share says nothing."""
    twins = triplet("19", "a/1.jpg", "b/1.jpg", 1)
    folder = write_study(tmp_path, [T1, twins], JUDGMENTS[:2], PEOPLE, pictures=[0, 1])
    for name in ("1", "shot06900_1_RKF", "shot06902_3_RKF"):
        Image.new("RGB", (8, 8)).save(folder / "keyframes" / f"{name}.jpg")
    dataset = datasets.load("reset", folder)
    first, second = positions(dataset.triplets, dataset.collection).tolist()
    assert [dataset.collection.ids[i] for i in first] == [
        "06900/shot06900_1_RKF",
        "06901/shot06901_2_RKF",
        "shot06902_3_RKF",
    ]
    assert second[:2] == [-1, -1]
    assert "1" not in dataset.collection.ids
    assert dataset.remarks[-2].endswith("found by the rest of their names: 1")
    assert "2 of 5 images that the triplets name are missing" in dataset.remarks[-1]


def test_of_a_table_of_images_those_of_triplets_are_kept(tmp_path):
    folder = write_study(tmp_path, [T1, T2], JUDGMENTS, PEOPLE, pictures=[0, 1, 2, 3, 8])
    rows = [
        (f"0690{i}/shot0690{i}_{i + 1}_RKF", f"keyframes/{keyframe(i)}", f"g{i}", i)
        for i in (8, 3, 2, 1)
    ]
    lines = [",".join(map(str, row)) for row in (("item_id", "path", "group", "time_s"), *rows)]
    (folder / "images.csv").write_text("\n".join(lines))
    dataset = datasets.load("reset", folder)
    assert dataset.collection.ids == tuple(item for item, *_ in rows[1:])
    assert (dataset.collection.groups, dataset.collection.times_s) == (
        ("g3", "g2", "g1"),
        (3, 2, 1),
    )
    assert [path.read_bytes() for path in dataset.collection.paths] == [
        (folder / "keyframes" / keyframe(i)).read_bytes() for i in (3, 2, 1)
    ]
    assert (
        dataset.remarks[-1]
        == "1 of 4 images that the triplets name are missing, such as 06900/shot06900_1_RKF"
    )


def test_the_fingerprint_covers_judgments_and_people(tmp_path):
    def fingerprint(name, judgments, people):
        return datasets.load(
            "reset", write_study(tmp_path / name, [T1, T2], judgments, people)
        ).fingerprint

    first = fingerprint("a", JUDGMENTS, PEOPLE)
    assert fingerprint("b", JUDGMENTS, PEOPLE) == first
    assert fingerprint("c", JUDGMENTS[:3], PEOPLE) != first
    assert fingerprint("d", JUDGMENTS, [PEOPLE[0], person("u2", "15-24")]) != first


def test_which_datasets_are_about_what(study, tmp_path):
    (tmp_path / "plain" / "images").mkdir(parents=True)
    rows = {
        "openmoji": DatasetRow("openmoji"),
        "openmoji-triplets": DatasetRow("openmoji-triplets"),
        "reset": DatasetRow("reset"),
        "mine": DatasetRow("mine", study),
        "mvk": DatasetRow("mvk"),
        "plain": DatasetRow("plain", tmp_path / "plain"),
        "laid out": DatasetRow("x", tmp_path / "nowhere", layout="reset"),
    }
    about = {
        name: (datasets.has_triplets(row), datasets.has_queries(row)) for name, row in rows.items()
    }
    assert about == {
        "openmoji": (False, True),
        "openmoji-triplets": (True, False),
        "reset": (True, False),
        "mine": (True, False),
        "plain": (False, True),
        "mvk": (False, True),
        "laid out": (True, False),
    }
    (study / "labels.csv").write_text("query_id,item_id,label_set,text\n")
    assert datasets.has_queries(DatasetRow("mine", study))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-2, 2), st.booleans(), st.integers(0, 1)), min_size=1, max_size=12
    )
)
def test_reading_gives_back_what_was_judged(tmp_path_factory, choices):
    """``choice`` is about candidates here; the left side is drawn."""
    rows = [
        judgment(str(i), (T1, T2)[t], "u1", -c if swapped else c, swapped=swapped)
        for i, (c, swapped, t) in enumerate(choices)
    ]
    found = read_study(
        write_study(tmp_path_factory.mktemp("study"), [T1, T2], rows, PEOPLE)
    ).judgments
    assert [j.degree for j in found] == [c for c, _, _ in choices]
    assert [j.choice for j in found] == [int(np.sign(c)) for c, _, _ in choices]
    assert [j.left for j in found] == [2 if swapped else 1 for _, swapped, _ in choices]
    assert [j.triplet_id for j in found] == [("17", "18")[t] for _, _, t in choices]


CELLS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", " ", "nan", "inf", "-1", "1e999", "9" * 5000, "1.5", '"', ",", "\0", "\ufeff", "17", "u1"]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 19), CELLS),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_stands_in_a_cell_it_is_read_or_is_a_problem(tmp_path_factory, changes):
    folder = write_study(tmp_path_factory.mktemp("study"), [T1, T2], JUDGMENTS, PEOPLE, DISTANCES)
    for which, row, column, cell in changes:
        file = folder / ("participants.csv", "triplet_judgements.csv", "triplets.csv")[which]
        rows = [line.split(",") for line in file.read_text(encoding="utf-8").split("\n")]
        cells = rows[row % len(rows)]
        cells[column % len(cells)] = cell
        file.write_text("\n".join(map(",".join, rows)), encoding="utf-8", newline="")
    try:
        study = read_study(folder)
    except KisBenchError as error:
        said = str(error)
        study = None
    if study is None:
        assert any(
            name in said for name in ("participants.csv", "triplet_judgements.csv", "triplets.csv")
        )
    else:
        assert all(own.shape == (len(study.triplets), 3) for own in study.distances.values())
        assert {j.triplet_id for j in study.judgments} <= {t.triplet_id for t in study.triplets}
        assert {j.user_id for j in study.judgments} <= {p.user_id for p in study.participants}
