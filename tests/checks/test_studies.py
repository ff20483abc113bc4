"""What the check says of a study: counts by hand, every count once more by another way, and the real command."""

import subprocess
import sys
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reset_files import judgment, keyframe, person, triplet, write_study

from kis_bench.checks.datasets import check_dataset
from kis_bench.checks.studies import check_missing_pictures, check_study
from kis_bench.datasets.folder import read_study_in
from kis_bench.datasets.layouts import choose_layout
from kis_bench.datasets.reset import Study, read_study
from kis_bench.errors import KisBenchError
from kis_bench.records import Collection, Judgment, Triplet

PEOPLE = ("ann", "ben", "eve")
ROWS = [triplet(str(i), i, i + 1, i + 2) for i in range(4)]
#: (triplet, person, choice from -2, left, to 2, right): all of one mind, as often left as right
AGREED = [(i, user, (-1) ** i) for i in range(4) for user in ("ann", "ben")]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def made(*choices, n=4):
    """A study of (triplet, person, choice: -1 candidate 1, 1 candidate 2, which candidate was left)."""
    triplets = tuple(Triplet(str(i), f"t{i}", f"a{i}", f"b{i}", "") for i in range(n))
    judgments = tuple(
        Judgment(str(i), str(about), user, choice, None, left)
        for i, (about, user, choice, left) in enumerate(choices)
    )
    return Study(triplets, judgments, remarks=("counts", "first oddity", "second oddity"))


def said_of(study):
    """Topic -> (passed, finding), without what was read."""
    return {
        check.name: (check.passed, check.finding)
        for check in check_study(study)
        if check.name != "judgments"
    }


def folder_of(tmp_path, choices=AGREED, **options):
    said = [
        judgment(str(i), ROWS[about], user, choice)
        for i, (about, user, choice) in enumerate(choices)
    ]
    return write_study(tmp_path / "study", ROWS, said, [person(user) for user in PEOPLE], **options)


# Findings ------------------------------------------------------------------------------------------------------------


def test_what_was_read_passes_and_what_was_odd_is_noted():
    found = [check for check in check_study(made((0, "ann", 1, 1))) if check.name == "judgments"]
    assert [(check.passed, check.finding) for check in found] == [
        (True, "counts"),
        (None, "first oddity"),
        (None, "second oddity"),
    ]


def test_all_remarks_of_the_reader_are_shown(tmp_path):
    root = folder_of(tmp_path, [*AGREED[:5], (0, "ann", 0), (0, "ann", 1)], pictures=range(6))
    expected = read_study(root).remarks
    assert len(expected) > 3
    assert (
        tuple(check.finding for check in check_dataset("mine", root) if check.name == "judgments")
        == expected
    )


def test_how_many_judgments_have_a_preference():
    found = said_of(made((0, "ann", 1, 1), (1, "ann", 0, 1), (2, "ann", -1, 2)))
    assert found["decided judgments"] == (
        True,
        "2 of 3 judgments (66.7%) have a preference and count",
    )


def test_without_any_preference_nothing_can_be_measured():
    found = said_of(made((0, "ann", 0, 1), (0, "ben", 0, 2)))
    assert found.keys() == {"decided judgments"}
    assert found["decided judgments"][0] is False


def pictured(*triplets):
    """What is said of the pictures of judged triplets (target, candidate, candidate); a last one nobody judged."""
    those = [Triplet(str(i), *images, "") for i, images in enumerate([*triplets, ("x", "y", "z")])]
    judgments = tuple(Judgment(str(i), str(i), "ann", 1) for i in range(len(triplets)))
    return said_of(Study(tuple(those), judgments, remarks=("counts",)))["shared pictures"]


def test_pictures_that_triplets_share():
    many = [(f"t{i}", f"a{i}", f"b{i}") for i in range(15)]
    said = "15 judged triplets have 15 target pictures, 1.0 triplets each; a candidate is in 1.0 triplets on average"
    assert pictured(*many) == (True, said)
    passed, said = pictured(*many, *[("t0", f"c{i}", f"d{i}") for i in range(15)])
    assert (passed, said[:65]) == (
        True,
        "30 judged triplets have 15 target pictures, 2.0 triplets each; a ",
    )
    assert pictured(*many[:4])[0] is True
    passed, said = pictured(*many[:14], ("t0", "c", "d"))
    assert passed is None
    assert said.endswith(
        "; with so few targets for all triplets intervals are too narrow; add triplets of others"
    )
    passed, said = pictured(*[("t", f"c{i}", f"d{i}") for i in range(15)])
    assert passed is None
    assert said.endswith(
        "; figures speak of this target only, and intervals say nothing about others; add triplets of others"
    )
    passed, said = pictured(*[(f"t{i}", f"a{i % 3}", f"b{i % 3}") for i in range(15)])
    assert passed is None
    assert (
        "a candidate is in 5.0 triplets on average; intervals don't count that triplets share candidates"
        in said
    )


def test_judges_of_different_triplets_tell_nothing_of_agreement():
    passed, said = said_of(made((0, "ann", 1, 1), (1, "ben", 1, 2)))["human agreement"]
    assert passed is None
    assert said.startswith(
        "0 of 4 triplets have two or more judgments, 0 of them decided ones of different people; "
    )
    assert "how far people agree can't be told" in said


def test_two_judgments_are_needed_by_different_people_with_a_preference():
    found = said_of(
        made(
            (0, "ann", 1, 1),
            (0, "ben", 1, 1),
            (1, "ann", 1, 2),
            (1, "ben", 0, 2),
            (2, "eve", 1, 1),
            (2, "eve", -1, 1),
        )
    )
    assert found["human agreement"] == (
        True,
        "3 of 4 triplets have two or more judgments, 1 of them decided ones of different people",
    )
    assert found["contradictions"] == (True, "on 0 of 1 triplets (0.0%) people chose differently")


def test_people_who_contradict_one_another_wherever_candidates_were_shown():
    """On triplet 0 both chose left, which are different candidates; on 1 different sides, which are the same one."""
    passed, said = said_of(
        made((0, "ann", -1, 1), (0, "ben", 1, 2), (1, "ann", -1, 1), (1, "ben", -1, 2))
    )["contradictions"]
    assert passed is None
    assert said.startswith(
        "on 1 of 2 triplets (50.0%) people chose differently; nothing can agree with all"
    )
    assert said.endswith("the consistency of a perfect model is 75.0%")


@pytest.mark.parametrize(
    ("left", "n", "passed", "interval"),
    [
        (8, 10, True, "49.0 to 94.3"),
        (9, 10, None, "59.6 to 98.2"),
        (1, 10, None, "1.8 to 40.4"),
        (50, 100, True, "40.4 to 59.6"),
        (41, 100, True, "31.9 to 50.8"),
        (40, 100, None, "30.9 to 49.8"),
    ],
)
def test_a_preferred_side_by_wilsons_interval(left, n, passed, interval):
    """Whichever candidate is shown there."""
    choices = [
        (i % 4, "ann", (1 if i < left else -1) * (-1 if i % 2 else 1), 1 + (i + 1) % 2)
        for i in range(n)
    ]
    found, said = said_of(made(*choices))["sides"]
    assert (
        f"{left} of {n} decided judgments ({100 * left / n:.1f}%, 95% interval {interval}%) chose the left"
        in said
    )
    assert found is passed
    assert ("models don't know sides, so this is noise of the judges" in said) == (passed is None)


def test_choices_without_preference_are_on_no_side():
    choices = [(i % 4, "ann", (-1) ** i, 1) for i in range(6)]
    assert (
        said_of(made(*choices))["sides"]
        == said_of(made(*choices, *[(0, "ben", 0, 1)] * 50))["sides"]
    )


@pytest.mark.parametrize("left", [1, 2])
def test_a_side_that_always_showed_one_candidate_cannot_be_told_from_it(left):
    choices = [(i % 4, "ann", -1, left) for i in range(20)]
    passed, said = said_of(made(*choices))["sides"]
    assert passed is None
    assert (
        f"candidate {left} was always shown there, so it can't be told whether people prefer the side or the candidate"
        in said
    )


def test_missing_images_and_what_they_cost():
    study = made((0, "ann", 1, 1), (1, "ann", 1, 1), (1, "ben", 0, 1))
    every = [image for t in study.triplets for image in (t.target, t.candidate1, t.candidate2)]

    def found(*lacking):
        ids = tuple(sorted({*every} - {*lacking}))
        check = check_missing_pictures(study, Collection("mine", ids, (), ()))
        return check.passed, check.finding

    assert found() == (True, "all 12 are there")
    passed, said = found("t1", "b1", "a3")
    assert passed is None
    assert said.startswith(
        "3 of 12 are missing; models can't be compared on 2 triplets with 2 judgments; "
    )
    assert said.endswith("\na3, b1, t1")
    passed, said = found(*every)
    assert passed is None
    assert said.startswith(
        "none of 12 is there; only extractors whose distances the study has can be measured"
    )


CHOICES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(PEOPLE),
        st.sampled_from([-1, 0, 1]),
        st.sampled_from([1, 2]),
    ),
    min_size=1,
    max_size=14,
)


@given(CHOICES)
def test_counts_of_any_judgments(choices):
    """Counted once more, pair by pair."""
    found = said_of(made(*choices))
    decided = [choice for choice in choices if choice[2]]
    assert found["decided judgments"][1].startswith(f"{len(decided)} of {len(choices)} judgments")
    if not decided:
        return
    pairs = [(a, b) for a, b in combinations(decided, 2) if a[0] == b[0] and a[1] != b[1]]
    shared = {a[0] for a, _ in pairs}
    several = {a[0] for a, b in combinations(choices, 2) if a[0] == b[0]}
    assert found["human agreement"][1].startswith(
        f"{len(several)} of 4 triplets have two or more judgments, {len(shared)} of them "
    )
    assert ("contradictions" in found) == bool(shared)
    if shared:
        split = {a[0] for a, b in pairs if a[2] != b[2]}
        assert found["contradictions"][1].startswith(f"on {len(split)} of {len(shared)} triplets")
    left = sum((1 if choice < 0 else 2) == shown for _, _, choice, shown in decided)
    assert found["sides"][1].startswith(f"{left} of {len(decided)} decided judgments")


# Folders -------------------------------------------------------------------------------------------------------------


def test_which_folders_have_a_study(tmp_path):
    root, layout = folder_of(tmp_path), choose_layout("mine", None)
    (tmp_path / "plain").mkdir()
    assert read_study_in(root, layout) == read_study(root)
    assert read_study_in(tmp_path / "plain", layout) is None
    assert read_study_in(tmp_path / "nowhere", choose_layout("reset", None)) is None
    with pytest.raises(KisBenchError, match="triplets.csv"):
        read_study_in(tmp_path / "plain", choose_layout("reset", None))


def test_label_files_and_study_are_both_checked(tmp_path):
    root = folder_of(tmp_path, pictures=range(6))
    item = keyframe(0).removesuffix(".jpg")
    (root / "labels.csv").write_text(
        f"query_id,item_id,label_set,text\nq1,{item},short,a red kite\n"
    )
    found = {check.name: check.passed for check in check_dataset("mine", root)}
    assert found["labels"] is found["decided judgments"] is found["images of triplets"] is True
    (root / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq1,nothing,short,a red kite\n"
    )
    found = {check.name: check.passed for check in check_dataset("mine", root)}
    assert (found["labels"], found["decided judgments"]) == (False, True)
    (root / "participants.csv").unlink()
    found = {check.name: check.passed for check in check_dataset("mine", root)}
    assert (found["labels"], found["judgments"]) == (False, False)
    assert "decided judgments" not in found


# The command ---------------------------------------------------------------------------------------------------------


def command(root, code):
    done = subprocess.run(
        [sys.executable, "-m", "kis_bench.cli", "datasets", "check", f"mine={root}"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_command_needs_neither_labels_nor_pictures(tmp_path):
    said = command(folder_of(tmp_path), 0)
    assert (
        "pass  decided judgments: 8 of 8 judgments (100.0%) have a preference and count\n" in said
    )
    assert "note  images of triplets: none of 6 is there" in said
    assert "FAIL" not in said
    assert "label" not in said


def test_the_command_fails_for_what_is_wrong_in_several_files(tmp_path):
    root = folder_of(tmp_path)
    (root / "participants.csv").write_text("user_id,age_group\nann,\n")
    file = root / "triplets.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("\n3,", "\n2,"), encoding="utf-8")
    said = command(root, 1)
    assert said.startswith(
        "FAIL  judgments: nothing is measured until the study's files are mended\n"
    )
    for file, line in (("participants.csv", 1), ("triplets.csv", 5), ("triplet_judgements.csv", 8)):
        assert file in said
        assert f"line {line}: " in said
